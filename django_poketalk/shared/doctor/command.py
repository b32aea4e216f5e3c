"""`manage.py poketalk_doctor`: checks the installed halves. Each half has this command, and finds
the other.
"""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser, no_translations

from .checking import SECONDS, Level, Options, Result, diagnose, worst
from .registry import all_checks

WIDTH = 14  # of the name of a check
STYLES = {Level.OK: "SUCCESS", Level.WARNING: "WARNING", Level.ERROR: "ERROR"}


class Command(BaseCommand):
    help = "Checks that calls can be placed: what was checked, what was found, what to do."
    requires_system_checks = ()  # they are among the checks

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print the results as JSON.")
        parser.add_argument(
            "--timeout",
            type=float,
            default=SECONDS,
            metavar="SECONDS",
            help="How long each check may take (default: %(default)g).",
        )
        parser.add_argument(
            "--strict", action="store_true", help="Exit with code 1 for warnings, too."
        )
        parser.add_argument(
            "--from", default="", dest="from_number", metavar="NUMBER", help="The caller's phone"
        )
        parser.add_argument(
            "--to",
            default="",
            dest="to_number",
            metavar="NUMBER",
            help="and the callee's, of the sample call whose rates and gateways are looked up, on"
            " the service's side. Default: those of the latest call.",
        )

    @no_translations
    def handle(
        self,
        *,
        timeout: float,
        strict: bool,
        from_number: str,
        to_number: str,
        **options: Any,
    ) -> None:
        if not timeout > 0:
            raise CommandError(f"--timeout must be greater than 0, not {timeout:g}.")
        if bool(from_number) != bool(to_number):
            raise CommandError("--from and --to belong together.")
        asked = Options(timeout, from_number, to_number)
        results = []
        for result in diagnose(all_checks(), asked):
            results.append(result)
            if not options["json"]:
                self._print(result)
        if options["json"]:
            self.stdout.write(json.dumps(as_json(results), indent=2))
        else:
            self._print_sum(results)
        if worst(results) >= (Level.WARNING if strict else Level.ERROR):
            raise SystemExit(1)

    def _print(self, result: Result) -> None:
        for finding in result.findings:
            style = getattr(self.style, STYLES.get(finding.level, ""), str)
            level = style(f"{finding.level.value:<7}")
            self.stdout.write(f"{level}  {result.check.name:<{WIDTH}} {finding.text}")
            if finding.advice:
                self.stdout.write(f"{'':{WIDTH + 10}}→ {finding.advice}")
        self.stdout.flush()

    def _print_sum(self, results: list[Result]) -> None:
        found = [finding.level for result in results for finding in result.findings]
        counts = ((Level.ERROR, "errors"), (Level.WARNING, "warnings"))
        words = ", ".join(f"{name}: {found.count(level)}" for level, name in counts)
        self.stdout.write(f"{len(results)} checks, {words}.")


def as_json(results: list[Result]) -> dict[str, Any]:
    """The results for programs."""
    return {
        "ok": worst(results) < Level.ERROR,
        "checks": [
            {
                "check": result.check.name,
                "level": result.level.value,
                "seconds": round(result.seconds, 2),
                "findings": [
                    {"level": each.level.value, "found": each.text, "advice": each.advice}
                    for each in result.findings
                ],
            }
            for result in results
        ],
    }
