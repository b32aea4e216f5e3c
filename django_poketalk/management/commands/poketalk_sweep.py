"""`manage.py poketalk_sweep`: what Celery beat does, for those who run cron instead."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_poketalk import placing, retention


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
        if forget:
            self.stdout.write(f"forgot the numbers of {retention.forget_old_numbers()} calls")
        try:
            self._sweep()
            while every:
                time.sleep(every)
                self._sweep()
        except KeyboardInterrupt:
            return

    def _sweep(self) -> None:
        swept = placing.sweep()
        self.stdout.write(
            f"woken {swept.woken}, expired {swept.expired},"
            f" unknown {swept.unknown}, silent {swept.silent}"
        )
