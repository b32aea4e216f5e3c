"""The four programs of the demo."""

from __future__ import annotations

from pathlib import Path

from .processes import Program


def programs(port: int, speed: float, var: Path) -> tuple[Program, ...]:
    """Web server, Celery worker, Celery beat and switch. Simulated phones run at `speed` times real
    time.
    """
    return (
        Program(
            "web",
            ["django", "runserver", f"127.0.0.1:{port}", "--noreload"],
            ready=r"^Starting .*server at ",
        ),
        Program(
            "worker",
            [
                *("celery", "--quiet", "--app=crm", "worker", "--loglevel=INFO"),
                *("--pool=threads", "--concurrency=4", "--without-gossip", "--without-mingle"),
            ],
            ready=r" ready\.$",
        ),
        Program(
            "beat",
            [
                *("celery", "--quiet", "--app=crm", "beat", "--loglevel=INFO"),
                *(f"--schedule={var / 'beat-schedule'}", "--pidfile="),
            ],
            ready=r"beat: Starting",
        ),
        Program(
            "switch",
            ["django", "poketalk_switch", f"--speed={speed:g}"],
            ready=r"^Switch .* takes calls",
        ),
    )
