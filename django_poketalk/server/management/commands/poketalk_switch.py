from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from django_poketalk.server.models import Gateway
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways import KINDS

logger = logging.getLogger("django_poketalk.server")

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Command(BaseCommand):
    help = (
        "Serves calls: takes admitted calls from the database, rings both phones, connects them, "
        "sends events and charges. SIGTERM or Ctrl-C ends all calls cleanly; a second one stops at "
        "once. May run several times, on one host or many."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--speed",
            type=float,
            default=1.0,
            help="Call seconds that pass in a real one. Other than 1: simulated phones only.",
        )
        parser.add_argument(
            "--name",
            default=socket.gethostname(),
            help="How this switch is called in logs and records. Default: the host's name.",
        )

    def handle(self, *args: Any, speed: float, name: str, **options: Any) -> None:
        if not 0 < speed <= 1000:
            raise CommandError(f"--speed is a number above 0 and up to 1000, not {speed:g}.")
        if speed != 1:
            self._refuse_real_gateways(speed)
        if not logger.hasHandlers():
            self._log_to_stdout()
        asyncio.run(self._serve(Engine(name, speed)))

    async def _serve(self, engine: Engine) -> None:
        loop = asyncio.get_running_loop()
        asked = False

        def stop(number: int, frame: object) -> None:
            nonlocal asked
            if asked:
                os._exit(128 + number)
            asked = True
            loop.call_soon_threadsafe(engine.stop)

        before = {number: signal.signal(number, stop) for number in SIGNALS}
        try:
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
