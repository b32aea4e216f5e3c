"""`seed_calls`: fills the database with made-up calls, for the demo and for benchmarks."""

from __future__ import annotations

from argparse import ArgumentParser
from itertools import islice
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, connection, reset_queries, transaction
from django.utils import timezone

from contacts.models import Contact
from demo import after_calls, history
from django_poketalk.models import CallRequest

AGENTS = 25
BATCH = 2000


class Command(BaseCommand):
    help = (
        "Creates plausible past calls with their events and results. No phone rings, except by the"
        " call that it schedules for the user demo."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "number", nargs="?", type=int, default=1000, help="Number of calls (1000)."
        )
        parser.add_argument(
            "--days", type=int, default=365, help="Number of days they are spread over (365)."
        )
        parser.add_argument("--seed", type=int, default=1, help="Seed of the random generator (1).")
        parser.add_argument(
            "--live", type=int, default=0, help="Number of additional live calls (0)."
        )
        parser.add_argument(
            "--without-events",
            action="store_true",
            help="Create the calls without events, which is much faster.",
        )

    def handle(self, **options: Any) -> None:
        number, days, live = options["number"], options["days"], options["live"]
        if number < 0 or live < 0 or days < 1:
            raise CommandError(
                "The number of calls must be 0 or more, and the number of days 1 or more."
            )
        contacts = list(Contact.objects.order_by("pk"))
        past = history.History(options["seed"], timezone.now(), _agents(), contacts)
        calls = past.calls(number, days, live)
        written = 0
        while batch := list(islice(calls, BATCH)):
            try:
                with transaction.atomic():
                    history.write(batch, not options["without_events"])
            except IntegrityError as error:
                raise CommandError(
                    f"The calls of the seed {options['seed']} are there already: choose another"
                    " with --seed."
                ) from error
            reset_queries()  # which Django keeps when DEBUG is on
            written += len(batch)
            if options["verbosity"] and written % (10 * BATCH) == 0:
                self.stdout.write(f"{written} calls")
        if demo := User.objects.filter(username="demo").first():
            after_calls.remind(demo, contacts, timezone.now())
        _analyze()
        self.stdout.write(f"{written} calls were written, {CallRequest.objects.count()} are there.")


def _agents() -> list[history.Person]:
    """Users without a password, as callers."""
    people = []
    for index in range(AGENTS):
        user, created = User.objects.get_or_create(username=f"agent{index + 1:02}")
        if created:
            user.set_unusable_password()
            user.save(update_fields=["password"])
        people.append(history.Person(user.pk, f"+4420794608{index + 1:02}"))
    return people


def _analyze() -> None:
    """Update the database's statistics, which its query plans depend on."""
    if connection.vendor == "mysql":
        return  # InnoDB updates them itself
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
