"""`manage.py demo`: says why it cannot start, runs everything, and leaves nothing behind."""

from __future__ import annotations

import socket

from .conftest import Manage


def test_a_port_that_is_taken_is_named(manage: Manage) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        done = manage("demo", f"--port={port}")

    assert done.returncode == 1
    assert f"Port {port} is taken" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_speed_that_makes_no_sense_is_named(manage: Manage) -> None:
    done = manage("demo", "--check", "--speed=-1")

    assert done.returncode == 1
    assert "--speed -1 is not between 0 and 1000" in done.stderr


def test_it_does_not_run_with_the_settings_of_a_deployment(manage: Manage) -> None:
    done = manage("demo", DJANGO_DEBUG="0", DJANGO_SECRET_KEY="x" * 50)

    assert done.returncode == 1
    assert "only runs as a development server" in done.stderr
