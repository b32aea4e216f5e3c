"""`manage.py poketalk_sweep`: does the work of Celery beat, for example from cron."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from django.db import close_old_connections

from django_poketalk.calls import placing, retention


class Command(BaseCommand):
    help = "Wakes waiting calls, and closes expired, lost and stale ones."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--every",
            type=float,
            metavar="SECONDS",
            help="Keep running, and sweep at this interval.",
        )
        parser.add_argument(
            "--forget", action="store_true", help="First erase the numbers of old calls, once."
        )

    def handle(self, *, every: float | None, forget: bool, **options: Any) -> None:
        if every is not None and not every > 0:
            raise CommandError(f"--every must be greater than 0, not {every:g}.")
        if forget:
            self.stdout.write(f"erased the numbers of {retention.forget_old_numbers()} calls")
        try:
            self._sweep() if every is None else self._repeat(every)
        except KeyboardInterrupt:
            return

    def _repeat(self, every: float) -> None:
        while True:
            try:
                self._sweep()
            except DatabaseError as error:  # such as a restart; the next sweep finds the calls
                self.stderr.write(f"The database did not answer: {error}")
            close_old_connections()
            time.sleep(every)

    def _sweep(self) -> None:
        swept = placing.sweep()
        self.stdout.write(
            f"woken {swept.woken}, expired {swept.expired},"
            f" unknown {swept.unknown}, stale {swept.stale}, reminded {swept.reminded}"
        )
