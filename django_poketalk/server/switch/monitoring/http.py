"""The switch's own HTTP server for monitors: `/livez`, `/readyz` and `/metrics`. Off unless an
address is configured. For internal networks only: it requires no authentication. It exposes no
phone numbers and no customers.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from urllib.parse import urlsplit

from aiohttp import web

from .snapshot import Snapshot

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus' text format
NO_CLIENT = (
    "Metrics need prometheus-client, which is not installed. Install it with: "
    'python -m pip install "django-poketalk[metrics]"\n'
)


def read_address(text: str) -> tuple[str, int]:
    """Host and port of `ADDRESS:PORT`, IPv6 addresses in brackets; otherwise `ValueError`."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname or not parts.port or parts.netloc != text or parts.username is not None:
        raise ValueError(f"{text!r} is not ADDRESS:PORT, such as 127.0.0.1:9180 or [::1]:9180.")
    return parts.hostname, parts.port


@contextlib.asynccontextmanager
async def serve_monitoring(snapshot: Callable[[], Snapshot], address: str) -> AsyncIterator[None]:
    """Serve a switch's snapshots at this address; does nothing if the address is empty."""
    if not address:
        yield
        return
    host, port = read_address(address)

    async def livez(request: web.Request) -> web.Response:
        return web.json_response({"state": snapshot().state})

    async def readyz(request: web.Request) -> web.Response:
        return _readiness(snapshot())

    async def metrics(request: web.Request) -> web.Response:
        return _metrics(snapshot())

    app = web.Application()
    app.add_routes(
        [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()


def _readiness(now: Snapshot) -> web.Response:
    """200 while the switch serves calls, otherwise 503 with the problems as codes."""
    problems = now.problems
    body = {
        "ok": not problems,
        "problems": problems,
        "state": now.state,
        "calls": now.calls,
        "lease_left": round(now.lease_left, 1),
        "listening": now.listening,
    }
    return web.json_response(body, status=503 if problems else 200)


def _metrics(now: Snapshot) -> web.Response:
    """The numbers in Prometheus' text format; 501 if prometheus-client is not installed."""
    if find_spec("prometheus_client") is None:
        return web.Response(status=501, text=NO_CLIENT)
    from .metrics import exposition

    return web.Response(body=exposition(now), headers={"Content-Type": METRICS_TYPE})
