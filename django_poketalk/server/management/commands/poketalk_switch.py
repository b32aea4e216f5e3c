"""Runs a switch until SIGTERM or Ctrl-C."""

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
from django.db import DatabaseError

from django_poketalk.server.conf import settings
from django_poketalk.server.models import Gateway
from django_poketalk.server.switch.engine import Engine
from django_poketalk.server.switch.gateways import KINDS
from django_poketalk.server.switch.gateways.sip import port
from django_poketalk.server.switch.monitoring import http
from django_poketalk.shared.logs import get_logger

logger = get_logger("django_poketalk.server")

MAX_DRAIN = 86400  # seconds
GC_THRESHOLDS = (10_000, 20, 20)  # as in gc.set_threshold()
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Command(BaseCommand):
    help = (
        "Runs a switch: claims admitted calls, rings both phones, connects them, sends events and "
        "charges the account. SIGTERM or Ctrl-C ends all calls, or, with --drain, waits for them "
        "to end; a further signal stops the switch at once. You can run any number of switches, "
        "on one or more hosts."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--speed",
            type=float,
            default=1.0,
            help="Call seconds per real second. Other values than 1 require simulated phones.",
        )
        parser.add_argument(
            "--drain",
            type=float,
            metavar="SECONDS",
            help="How long calls may continue after SIGTERM or Ctrl-C before the switch ends them. "
            "A second signal ends them at once. Default: the setting DRAIN (0).",
        )
        parser.add_argument(
            "--health",
            metavar="ADDRESS:PORT",
            help="Where to serve /livez, /readyz and /metrics. Default: the setting "
            "HEALTH_ADDRESS (not served).",
        )
        parser.add_argument(
            "--name",
            default=socket.gethostname(),
            help="The name of this switch in logs and records. Default: the host name.",
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
            raise CommandError(f"--speed must be above 0 and at most 1000, not {speed:g}.")
        if drain is not None and not 0 <= drain <= MAX_DRAIN:
            raise CommandError(f"--drain must be between 0 and {MAX_DRAIN} seconds, not {drain:g}.")
        address = settings.health_address if health is None else health
        try:
            if address:
                http.read_address(address)
        except ValueError as error:
            raise CommandError(f"--health or HEALTH_ADDRESS: {error}") from error
        if speed != 1:
            self._refuse_real_gateways(speed)
        else:
            self._require_sip_port()
        if not logger.hasHandlers():
            self._log_to_stdout()
        _collect_garbage_rarely()
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
                    await stack.enter_async_context(http.serve_monitoring(engine.snapshot, health))
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
                f"--speed {speed:g} works with simulated phones only, but gateway {real} "
                f"({real.kind}) calls real ones. Deactivate it, or omit --speed."
            )

    def _require_sip_port(self) -> None:
        """Refuse to start if SIP gateways are active and the port is taken."""
        try:
            uses_sip = Gateway.objects.filter(is_active=True, kind=Gateway.Kind.SIP).exists()
        except DatabaseError:  # the switch waits for the database, and reports its port later
            return
        try:
            if uses_sip and Gateway.Kind.SIP in KINDS:
                port.check_port()
        except OSError as error:
            raise CommandError(
                f"{error.strerror}. Is another switch or SIP server running? Set SIP_PORT to a free"
                " port, or deactivate the SIP gateways."
            ) from error

    def _log_to_stdout(self) -> None:
        """Log to standard output in a project that does not configure this logger."""
        handler = logging.StreamHandler(self.stdout)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


def _collect_garbage_rarely() -> None:
    """Exclude everything loaded so far from garbage collection, and collect the rest less often.

    A collection stops all calls: with ten thousand of them, for most of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
