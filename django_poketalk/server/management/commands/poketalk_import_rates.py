"""Imports a rate deck, as the admin does."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_poketalk.server.billing.rate_decks import importing, reading
from django_poketalk.server.billing.rate_decks.columns import Owner, WrongCell, read_day
from django_poketalk.server.billing.rate_decks.comparison import Comparison, compare, summary
from django_poketalk.server.models import ALWAYS, Gateway, PriceList

DIALECTS = {dialect.name.lower(): dialect for dialect in reading.Dialect}


class Command(BaseCommand):
    help = "Imports a rate deck: all rows, or none."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", help="The CSV file; - is the standard input.")
        owner = parser.add_mutually_exclusive_group(required=True)
        owner.add_argument(
            "--price-list", metavar="NAME", help="Import the rates of this price list."
        )
        owner.add_argument(
            "--gateway",
            nargs=2,
            metavar=("PROVIDER", "NAME"),
            help="Import the buy rates of this gateway of the provider.",
        )
        parser.add_argument(
            "--dialect",
            choices=DIALECTS,
            default="commas",
            help="commas: 0.25 between commas; semicolons: 0,25 between semicolons; mixed: 0.25"
            " between semicolons.",
        )
        parser.add_argument(
            "--valid-from",
            type=_day,
            default=ALWAYS,
            metavar="YYYY-MM-DD",
            help="The first day of rows without one, from midnight in the project's TIME_ZONE."
            " Otherwise, they apply at once.",
        )
        parser.add_argument(
            "--delete-missing",
            action="store_true",
            help="Delete rates that the file lacks, if they have the same first day as one in it.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Print the changes, and write nothing."
        )
        parser.add_argument(
            "--checked",
            action="store_true",
            help="Import even if changes are marked: somebody has checked them.",
        )
        parser.add_argument(
            "--undo", action="store_true", help="Undo the last import; without a file."
        )

    def handle(self, *, file: str | None, undo: bool, dry_run: bool, **options: Any) -> None:
        owner = _owner(options["price_list"], options["gateway"])
        if undo == (file is not None):
            raise CommandError("Give either a file or --undo.")
        if undo:
            self._undo(owner, dry_run=dry_run)
            return
        try:
            deck = reading.read(_content(file or ""), DIALECTS[options["dialect"]])
            deck = deck.from_day(options["valid_from"])
        except OSError as error:
            raise CommandError(f"The file cannot be read: {error}") from error
        except reading.UnreadableDeck as error:
            raise CommandError(str(error)) from error
        delete_missing: bool = options["delete_missing"]
        changes = compare(owner, deck, delete_missing=delete_missing)
        self._print(changes)
        if dry_run:
            return
        if changes.marks and not options["checked"]:
            raise CommandError("Nothing was imported. Check the marked rates, then add --checked.")
        try:
            importing.run(owner, deck, delete_missing=delete_missing, expected=changes.digest)
        except importing.RatesChanged as error:
            raise CommandError("Nothing was imported: others are changing these rates.") from error

    def _undo(self, owner: Owner, *, dry_run: bool) -> None:
        record = importing.last_import(owner)
        if record is None:
            raise CommandError("There is no import to undo.")
        try:
            self._print(importing.undoing(owner, record))
            if not dry_run:
                importing.undo(owner, record)
        except importing.RatesChanged as error:
            raise CommandError("The rates have been changed since the import.") from error

    def _print(self, changes: Comparison) -> None:
        """Every change on a line. `CommandError` if lines of the file are wrong."""
        if changes.wrong:
            raise CommandError(
                "\n".join(f"Line {each.line}: {each.words}" for each in changes.wrong)
            )
        for remark in changes.remarks:
            self.stdout.write(remark)
        reasons = {mark.change.key: mark.reason for mark in changes.marks}
        for change in changes.changes:
            reason = reasons.get(change.key)
            self.stdout.write(f"{change}{f'  ! {reason}' if reason else ''}")
        self.stdout.write(summary(changes))


def _day(text: str) -> date:
    try:
        return read_day(text)
    except WrongCell as error:
        raise ArgumentTypeError(str(error)) from None


def _content(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


def _owner(price_list: str | None, gateway: tuple[str, str] | None) -> Owner:
    if gateway is None:
        try:
            return PriceList.objects.get(name=price_list)
        except PriceList.DoesNotExist as error:
            raise CommandError(f"There is no price list {price_list!r}.") from error
    found = list(Gateway.objects.filter(provider__name=gateway[0], name=gateway[1])[:2])
    if len(found) != 1:
        raise CommandError(
            f"{'Several gateways are' if found else 'No gateway is'} named {gateway[1]!r} at"
            f" {gateway[0]!r}."
        )
    return found[0]
