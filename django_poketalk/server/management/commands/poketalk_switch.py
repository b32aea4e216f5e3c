from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from django_poketalk.server.conf import settings
from django_poketalk.server.models import Gateway
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways import KINDS
from django_poketalk.server.switch.monitoring import http

logger = logging.getLogger("django_poketalk.server")

MAX_DRAIN = 86400
GC_THRESHOLDS = (10_000, 20, 20)
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Command(BaseCommand):
    help = (
        "Serves calls: claims queued calls, rings both phones, connects them, sends events and "
        "charges the account. SIGTERM or Ctrl-C ends all calls cleanly, or with --drain waits for "
        "them to end; another one stops at once. You can run several, on one host or many."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--speed",
            type=float,
            default=1.0,
            help="Seconds of a call per real second. Values other than 1 require simulated phones.",
        )
        parser.add_argument(
            "--drain",
            type=float,
            metavar="SECONDS",
            help="How long calls may continue after SIGTERM or Ctrl-C before they are ended. A "
            "second signal ends them at once. Default: the setting DRAIN, which defaults to 0.",
        )
        parser.add_argument(
            "--health",
            metavar="ADDRESS:PORT",
            help="Serve /healthz and /metrics at this address. Default: the setting "
            "HEALTH_ADDRESS, which defaults to none.",
        )
        parser.add_argument(
            "--name",
            default=socket.gethostname(),
            help="The name of this switch in logs and in the admin. Default: the host's name.",
        )

    def handle(
        self,
        *args: Any,
        speed: float,
        name: str,
        drain: float | None,
        health: str | None,
        **options: Any,
    ) -> None:
        if not 0 < speed <= 1000:
            raise CommandError(f"--speed must be greater than 0 and at most 1000, not {speed:g}.")
        if drain is not None and not 0 <= drain <= MAX_DRAIN:
            raise CommandError(f"--drain must be 0 to {MAX_DRAIN} seconds, not {drain:g}.")
        address = settings.health_address if health is None else health
        try:
            if address:
                http.read_address(address)
        except ValueError as error:
            raise CommandError(f"--health or HEALTH_ADDRESS: {error}") from error
        if speed != 1:
            self._refuse_real_gateways(speed)
        if not logger.hasHandlers():
            self._log_to_stdout()
        _tune_garbage_collection()
        asyncio.run(self._serve(name, speed, drain, address))

    async def _serve(self, name: str, speed: float, drain: float | None, health: str) -> None:
        drain = settings.drain if drain is None else drain
        engine = Engine(name, speed, drain=drain)
        loop = asyncio.get_running_loop()
        signals_left = 2 if drain else 1  # before the one that stops at once

        def stop(number: int, frame: object) -> None:
            nonlocal signals_left
            if not signals_left:
                os._exit(128 + number)
            signals_left -= 1
            loop.call_soon_threadsafe(engine.stop)

        before = {number: signal.signal(number, stop) for number in SIGNALS}
        try:
            async with contextlib.AsyncExitStack() as stack:
                try:
                    await stack.enter_async_context(http.monitored(engine, health))
                except OSError as error:
                    raise CommandError(
                        f"--health or HEALTH_ADDRESS, {health}: {error.strerror}."
                    ) from error
                await engine.run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _refuse_real_gateways(self, speed: float) -> None:
        simulated = [kind for kind, gateway in KINDS.items() if gateway.simulated]
        real = Gateway.objects.filter(is_active=True).exclude(kind__in=simulated).first()
        if real is not None:
            raise CommandError(
                f"--speed {speed:g} requires simulated phones, and gateway {real} ({real.kind}) "
                "has real ones. Deactivate the gateway, or omit --speed."
            )

    def _log_to_stdout(self) -> None:
        """Log to stdout in a project without a handler for this logger."""
        handler = logging.StreamHandler(self.stdout)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


def _tune_garbage_collection() -> None:
    """Exclude the present objects from garbage collection, and collect the others less often.

    A collection pauses all calls: with ten thousand calls, for most of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
