"""`manage.py poketalk_sweep`: what Celery beat does, for those who run cron instead."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from django.db import close_old_connections

from django_poketalk.calls import placing, retention


class Command(BaseCommand):
    help = "Wakes call requests that nobody took, and settles those that were left behind."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--every", type=float, metavar="SECONDS", help="Go on, sweeping every so many seconds."
        )
        parser.add_argument(
            "--forget", action="store_true", help="Also forget the numbers of old calls (once)."
        )

    def handle(self, *, every: float | None, forget: bool, **options: Any) -> None:
        if every is not None and not every > 0:
            raise CommandError(f"--every {every:g} is not more than 0.")
        if forget:
            self.stdout.write(f"forgot the numbers of {retention.forget_old_numbers()} calls")
        try:
            self._sweep() if every is None else self._go_on(every)
        except KeyboardInterrupt:
            return

    def _go_on(self, every: float) -> None:
        while True:
            try:
                self._sweep()
            except DatabaseError as error:  # restarted, or locked: calls wait for the next sweep
                self.stderr.write(f"The database did not answer: {error}")
            close_old_connections()
            time.sleep(every)

    def _sweep(self) -> None:
        swept = placing.sweep()
        self.stdout.write(
            f"woken {swept.woken}, expired {swept.expired},"
            f" unknown {swept.unknown}, stale {swept.stale}"
        )
