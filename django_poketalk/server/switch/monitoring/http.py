"""The switch's own HTTP for monitors: `/healthz` and `/metrics`. Off unless an address is named,
and for the inside only: it tells no numbers and no customers, and asks for no password.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web

from .watchdog import State

if TYPE_CHECKING:
    from ..engine import Engine

TEXT = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus' own
NO_CLIENT = (
    "Metrics need prometheus-client, which is not installed. Install it with: "
    'python -m pip install "django-poketalk[metrics]"\n'
)


def read_address(text: str) -> tuple[str, int]:
    """Host and port of `ADDRESS:PORT`, an IPv6 address in brackets; `ValueError` for all else."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname or not parts.port or parts.netloc != text or parts.username is not None:
        raise ValueError(f"{text!r} is not ADDRESS:PORT, as 127.0.0.1:9180 or [::1]:9180.")
    return parts.hostname, parts.port


@contextlib.asynccontextmanager
async def monitored(engine: Engine, address: str) -> AsyncIterator[None]:
    """Answer at this address about the engine; nowhere when it is empty."""
    if not address:
        yield
        return
    host, port = read_address(address)
    monitor = Monitor(engine)
    app = web.Application()
    app.add_routes([web.get("/healthz", monitor.healthz), web.get("/metrics", monitor.metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()


class Monitor:
    """The two answers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def healthz(self, request: web.Request) -> web.Response:
        """200 while the switch serves calls; else 503, with what is wrong as codes."""
        engine = self._engine
        problems = self.problems()
        answer = {
            "ok": not problems,
            "problems": problems,
            "state": engine.state,
            "calls": engine.calls,
            "lease_left": round(engine.lease.left, 1),
            "woken_by_database": engine.listener.is_listening,
        }
        return web.json_response(answer, status=503 if problems else 200)

    def problems(self) -> list[str]:
        """What keeps it from serving calls: its state, unless that is `serving`; `lease_lapsed`;
        `stuck:` and the name of a loop that does not go round, as when the database is away.
        """
        found = [] if self._engine.state is State.SERVING else [str(self._engine.state)]
        if self._engine.lease.left <= 0:
            found.append("lease_lapsed")
        return found + [f"stuck:{loop.lstrip('_')}" for loop in self._engine.watchdog.late]

    async def metrics(self, request: web.Request) -> web.Response:
        """The numbers in Prometheus' text format; 501 where prometheus-client is not installed."""
        if find_spec("prometheus_client") is None:
            return web.Response(status=501, text=NO_CLIENT)
        from prometheus_client import exposition

        from .metrics import registry

        text = exposition.generate_latest(registry(self._engine))
        return web.Response(body=text, headers={"Content-Type": TEXT})
