"""`manage.py poketalk_person`: exports or erases one person's data, on the halves that are
installed. Each half has this command, and finds the other.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from django_poketalk.protocol import numbers

from .number_errors import explain
from .personal_data import StillCalling


class Command(BaseCommand):
    help = "Exports or erases what is stored about one phone number."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", help="The number, in any spelling, with its extension.")
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--export", metavar="FILE", help="Write its rows as JSON. -: to print.")
        what.add_argument("--erase", action="store_true", help="Erase it. This cannot be undone.")
        parser.add_argument(
            "--no-input", action="store_false", dest="interactive", help="Erase without asking."
        )
        parser.add_argument(
            "--user", metavar="USERNAME", help="Who erases it, for the history of the admin."
        )

    def handle(
        self,
        *,
        number: str,
        export: str | None,
        interactive: bool,
        user: str | None,
        **options: Any,
    ) -> None:
        found = self._read(number)
        if export is not None:
            self._export(found, export)
        else:
            self._erase(found, _user(user), interactive)

    def _read(self, number: str) -> dict[str, tuple[Any, str]]:
        """Of each half that can have the number: its functions, and the number in full."""
        found: dict[str, tuple[Any, str]] = {}
        problem = ""
        # Only the caller's side knows a region and internal numbers, so it comes first.
        for config in sorted(apps.get_app_configs(), key=lambda config: config.label):
            if not hasattr(config, "personal_data"):
                continue
            half = import_module(config.personal_data)
            try:
                reading = half.read(next((full for _half, full in found.values()), number))
            except numbers.InvalidNumber as error:
                problem = str(explain(error))
            else:
                full = numbers.display(reading.e164, reading.extension)
                found[config.label] = (half, full)
        if not found:
            raise CommandError(problem)
        return found

    def _export(self, found: dict[str, tuple[Any, str]], file: str) -> None:
        tables: dict[str, Any] = {}
        for half, full in found.values():
            tables |= half.export(full)
        [full, *_same] = [full for _half, full in found.values()]
        document = {"number": full, "exported_at": timezone.now(), "tables": tables}
        text = json.dumps(document, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2)
        if file == "-":
            self.stdout.write(text)
            return
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from error
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(f"{text}\n")
        rows = sum(len(table["rows"]) for table in tables.values())
        self.stdout.write(f"{rows} rows were written to {file}.")

    def _erase(self, found: dict[str, tuple[Any, str]], user: Any, interactive: bool) -> None:
        [full, *_same] = [full for _half, full in found.values()]
        if interactive and input(f"Erase {full} for good? Type yes: ") != "yes":
            raise CommandError("Nothing was erased.")
        is_refused = False
        for label, (half, number) in found.items():
            try:
                done = half.erase(number, user)
            except StillCalling as error:
                is_refused = True
                self.stderr.write(f"{label}: nothing was erased. {error}")
                continue
            self.stdout.write(f"{label}: erased {done}")
            for name, count in done.kept.items():
                if count:
                    self.stdout.write(f"{label}: kept {name}: {count}")
        if is_refused:
            raise CommandError("Run this again when the calls have ended.")


def _user(name: str | None) -> Any:
    if name is None:
        return None
    model = get_user_model()
    try:
        return model._default_manager.get_by_natural_key(name)
    except model.DoesNotExist as error:
        raise CommandError(f"There is no user {name!r}.") from error
