"""A compiled query returns what the ORM returns, with any arguments, and is compiled once. A
compiled update changes the same row.
"""

from __future__ import annotations

from datetime import timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet, Value
from django.db.models.functions import Length
from django.db.transaction import TransactionManagementError

from django_poketalk.models import BlacklistedNumber
from django_poketalk.server.models import PriceList, Rate
from django_poketalk.shared.compiled import CompiledQuery, CompiledUpdate

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def price_list() -> PriceList:
    price_list = PriceList.objects.create(name="Prices")
    for prefix in ("44", "442", "49", "1"):
        price = Decimal(f"0.{len(prefix)}")
        Rate.objects.create(price_list=price_list, prefix=prefix, price_per_minute=price)
    return price_list


class Builds:
    """Counts how often a queryset is built."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, price_list: Any, prefixes: Any) -> QuerySet[Rate, Any]:
        self.number += 1
        return Rate.objects.filter(price_list=price_list, prefix__in=prefixes).order_by("prefix")

    def values(self, price_list: Any, prefixes: Any) -> QuerySet[Rate, Any]:
        columns = ("prefix", "price_per_minute", "is_internal")
        return (
            self(price_list, prefixes).annotate(size=Length("prefix")).values_list(*columns, "size")
        )


LISTS = (["44"], ["44", "1"], ["49", "442", "7"], ["1", "44", "442", "49", "5", "44"])


@pytest.mark.parametrize("prefixes", LISTS)
def test_rows_and_instances_are_those_of_the_orm(
    price_list: PriceList, prefixes: list[str]
) -> None:
    builds = Builds()
    rows, instances = CompiledQuery(builds.values), CompiledQuery(builds)
    for pk in (price_list.pk, price_list.pk + 1, price_list.pk):
        assert rows.rows(pk, prefixes) == list(builds.values(pk, prefixes))
        found, expected = instances.instances(pk, prefixes), list(builds(pk, prefixes))
        assert found == expected
        assert [rate.__dict__ | {"_state": 0} for rate in found] == [
            rate.__dict__ | {"_state": 0} for rate in expected
        ]


def test_lists_of_similar_lengths_share_one_statement(price_list: PriceList) -> None:
    builds = Builds()
    query = CompiledQuery(builds)
    for prefixes in (["44", "1", "49"], ["1", "2", "3", "442"], ["49", "442", "1"]):
        assert len(query.rows(price_list.pk, prefixes)) == len(
            {*prefixes} & {"44", "442", "49", "1"}
        )
    assert builds.number == 1


def test_an_empty_list_needs_no_query(
    price_list: PriceList, django_assert_num_queries: Any
) -> None:
    query = CompiledQuery(Builds())
    with django_assert_num_queries(0):
        assert query.rows(price_list.pk, []) == query.instances(price_list.pk, []) == []


@pytest.mark.parametrize(
    "constant", ["it's", "100 % bogus", "%s", "back\\slash\\", '"', "", 7, True]
)
def test_the_statement_contains_its_constants(constant: Any) -> None:
    """So PostgreSQL can keep a plan that uses a partial index. A text with a % is an exception."""
    expected = BlacklistedNumber.objects.create(number="+441", reason=str(constant))
    BlacklistedNumber.objects.create(number="+442", reason="other")
    sent: list[Any] = []

    def note(execute: Any, sql: Any, params: Any, *rest: Any) -> Any:
        sent.append(params)
        return execute(sql, params, *rest)

    query = CompiledQuery(
        lambda number: (
            BlacklistedNumber.objects.filter(number__lte=number, reason=constant, is_prefix=False)
            .exclude(number__contains="%")
            .values_list("pk", Value(constant))
        )
    )
    with connection.execute_wrapper(note):
        assert query.rows("+449") == [(expected.pk, constant)]
    assert [each for each in sent[0] if "%" not in each] == ["+449"]


@pytest.mark.skipif(
    not connection.features.has_select_for_update, reason="this database locks no rows"
)
def test_rows_are_locked_in_a_transaction_only(price_list: PriceList) -> None:
    query = CompiledQuery(lambda pk: Rate.objects.filter(price_list=pk).select_for_update())
    with transaction.atomic():
        assert len(query.rows(price_list.pk)) == 4
    with pytest.raises(TransactionManagementError):
        query.rows(price_list.pk)


def test_related_instances_come_with_the_row(django_assert_num_queries: Any) -> None:
    anna = User.objects.create(username="anna")
    BlacklistedNumber.objects.create(number="+441", created_by=anna)
    BlacklistedNumber.objects.create(number="+442")
    query = CompiledQuery(
        lambda number: BlacklistedNumber.objects.filter(number=number).select_related("created_by")
    )
    for number, user in (("+441", anna), ("+442", None)):
        with django_assert_num_queries(1):
            [entry] = query.instances(number)
            assert (entry.number, entry.created_by) == (number, user)
        if user is not None:
            assert entry.created_by.__dict__ | {"_state": 0} == user.__dict__ | {"_state": 0}
            assert not entry.created_by._state.adding


class TestUpdate:
    @pytest.fixture
    def entries(self) -> list[BlacklistedNumber]:
        return [BlacklistedNumber.objects.create(number=f"+44{n}") for n in range(3)]

    def test_it_updates_the_row_if_it_is_as_expected(
        self, entries: list[BlacklistedNumber]
    ) -> None:
        built: list[Any] = []

        def build(rows: QuerySet[Any], pk: Any, reason: Any, now: Any) -> QuerySet[Any]:
            built.append(pk)
            return rows.filter(pk=pk, reason=reason).filter(created_at__lte=now, until=None)

        update = CompiledUpdate("poketalk.BlacklistedNumber", build)
        for entry in entries:
            made = entry.created_at.astimezone(timezone(timedelta(hours=5)))
            later = made + timedelta(seconds=1)
            changes = {"reason": "100 % bogus", "until": later, "is_prefix": True}
            for reason, moment, expected in (
                ("other", later, 0),
                ("", made - timedelta(seconds=1), 0),
                ("", made, 1),
                ("", made, 0),
            ):
                found = update.among(reason, moment).filter(pk=entry.pk).update(**changes)
                assert found == expected
            changed = BlacklistedNumber.objects.get(pk=entry.pk)
            assert {name: getattr(changed, name) for name in changes} == changes
            assert BlacklistedNumber.objects.filter(is_prefix=True).count() == len(built) == 1
            entry.delete()

    def test_without_a_key_it_updates_nothing(self, entries: list[BlacklistedNumber]) -> None:
        update = CompiledUpdate("poketalk.BlacklistedNumber", lambda rows, pk: rows.filter(pk=pk))

        assert update.among().update(reason="all") == 0
        assert not BlacklistedNumber.objects.exclude(reason="").exists()

    def test_after_an_error_the_transaction_cannot_go_on(
        self, entries: list[BlacklistedNumber]
    ) -> None:
        update = CompiledUpdate("poketalk.BlacklistedNumber", lambda rows, pk: rows.filter(pk=pk))
        with transaction.atomic():
            with pytest.raises(IntegrityError):
                update.among().filter(pk=entries[0].pk).update(number=entries[1].number)
            assert transaction.get_rollback()
            transaction.set_rollback(True)
