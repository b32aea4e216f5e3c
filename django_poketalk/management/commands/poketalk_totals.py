"""`manage.py poketalk_totals`: counts the calls of past days for the reports."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_poketalk.reports import totals


class Command(BaseCommand):
    help = "Counts the calls of past days, so that reports of long periods are fast."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--again",
            action="store_true",
            help="Count all days again, for example after calls were changed with SQL.",
        )

    def handle(self, *, again: bool, **options: Any) -> None:
        if again:
            totals.forget()
        counted = totals.count_days(seconds=float("inf"))
        self.stdout.write(f"counted the calls of {counted} days")
