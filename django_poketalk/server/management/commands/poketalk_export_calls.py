"""Exports the records of calls, as the admin does."""

from __future__ import annotations

import os
import sys
import zoneinfo
from argparse import ArgumentTypeError
from contextlib import ExitStack
from datetime import date, tzinfo
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from django_poketalk.server.billing import call_records
from django_poketalk.server.models import Account
from django_poketalk.shared import csv_export
from django_poketalk.shared.periods import DAY, YEARS, midnight


class Command(BaseCommand):
    help = "Exports a record for each call that was charged in a period, as CSV."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("first", type=_day, help="The first day, such as 2026-05-01.")
        parser.add_argument("last", type=_day, help="The last day, inclusive.")
        parser.add_argument(
            "--account",
            metavar="NAME",
            action="append",
            help="Only this account; may be repeated. Default: all accounts.",
        )
        parser.add_argument(
            "--output", metavar="FILE", help="A new file. Default: the standard output."
        )
        parser.add_argument(
            "--time-zone", metavar="NAME", help="Of days and times. Default: TIME_ZONE."
        )
        parser.add_argument(
            "--mask-numbers",
            action="store_true",
            help="Mask all digits of numbers except the country code and the last two.",
        )

    def handle(
        self,
        *,
        first: date,
        last: date,
        account: list[str] | None,
        output: str | None,
        time_zone: str | None,
        mask_numbers: bool,
        **options: Any,
    ) -> None:
        if first > last:
            raise CommandError("The first day must not be after the last.")
        zone = _zone(time_zone)
        accounts = _accounts(account)
        with timezone.override(zone), ExitStack() as stack:
            calls = call_records.charged(accounts, midnight(first), midnight(last + DAY))
            rows = call_records.rows(calls, whole_numbers=not mask_numbers)
            file = self._open(output, stack)
            for part in csv_export.lines([*call_records.COLUMNS], rows, "en", zone):
                file.write(part)

    def _open(self, output: str | None, stack: ExitStack) -> TextIO:
        if output is None:
            return getattr(self.stdout, "_out", None) or sys.stdout  # which adds no line breaks
        try:
            return stack.enter_context(
                open(output, "x", encoding="utf-8", newline="", opener=_private)
            )
        except OSError as error:
            raise CommandError(f"The file cannot be written: {error}") from error


def _private(path: str, flags: int) -> int:
    """Open a file that only its owner can read: it contains phone numbers."""
    return os.open(path, flags, 0o600)


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if day.year not in YEARS:
        raise ArgumentTypeError(f"{text!r} is not a day such as 2026-05-01.")
    return day


def _zone(name: str | None) -> tzinfo:
    try:
        return zoneinfo.ZoneInfo(name) if name else timezone.get_default_timezone()
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise CommandError(f"There is no time zone {name!r}.") from error


def _accounts(names: list[str] | None) -> list[Account]:
    if names is None:
        return list(Account.objects.all())
    found = {account.name: account for account in Account.objects.filter(name__in=names)}
    for name in names:
        if name not in found:
            raise CommandError(f"There is no account {name!r}.")
    return [*found.values()]
