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

LONGEST_DRAIN = 86400
# How many new objects there are, and searches of young and of middle-aged ones, before the next.
GARBAGE = (10_000, 20, 20)
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Command(BaseCommand):
    help = (
        "Serves calls: takes admitted calls from the database, rings both phones, connects them, "
        "sends events and charges. SIGTERM or Ctrl-C ends all calls cleanly, or, with --drain, "
        "lets them end; one more stops at once. May run several times, on one host or many."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--speed",
            type=float,
            default=1.0,
            help="Call seconds that pass in a real one. Other than 1: simulated phones only.",
        )
        parser.add_argument(
            "--drain",
            type=float,
            metavar="SECONDS",
            help="How long calls may go on after SIGTERM or Ctrl-C, before those that are left are "
            "ended; a second signal ends them at once. Default: the setting DRAIN, which is 0.",
        )
        parser.add_argument(
            "--health",
            metavar="ADDRESS:PORT",
            help="Where /healthz and /metrics are served. Default: the setting HEALTH_ADDRESS, "
            "which is nowhere.",
        )
        parser.add_argument(
            "--name",
            default=socket.gethostname(),
            help="How this switch is called in logs and records. Default: the host's name.",
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
            raise CommandError(f"--speed is a number above 0 and up to 1000, not {speed:g}.")
        if drain is not None and not 0 <= drain <= LONGEST_DRAIN:
            raise CommandError(f"--drain is 0 to {LONGEST_DRAIN} seconds, not {drain:g}.")
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
        _look_for_garbage_seldom()
        asyncio.run(self._serve(name, speed, drain, address))

    async def _serve(self, name: str, speed: float, drain: float | None, health: str) -> None:
        drain = settings.drain if drain is None else drain
        engine = Engine(name, speed, drain=drain)
        loop = asyncio.get_running_loop()
        patience = 2 if drain else 1  # signals before the one that stops at once

        def stop(number: int, frame: object) -> None:
            nonlocal patience
            if not patience:
                os._exit(128 + number)
            patience -= 1
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
                f"--speed {speed:g} is for simulated phones, and gateway {real} ({real.kind}) "
                "leads to real ones. Deactivate it, or leave --speed out."
            )

    def _log_to_stdout(self) -> None:
        """Say what goes on, in a project that has no handler for this log."""
        handler = logging.StreamHandler(self.stdout)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


def _look_for_garbage_seldom() -> None:
    """Have Python search what is there for good no more, and the rest less often.

    All calls stand still meanwhile: with ten thousand in hand, for most of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
