"""Rows inserted by SQL equal those that the ORM inserts."""

from __future__ import annotations

import enum
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.forms.models import model_to_dict
from django.test.utils import CaptureQueriesContext

from django_poketalk.server.database import bulk_sql
from django_poketalk.server.models import PriceList, Rate

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def price_list() -> PriceList:
    return PriceList.objects.create(name="Prices")


def rates(price_list: PriceList, *prefixes: str) -> list[Rate]:
    price = Decimal("0.123456")
    return [Rate(price_list=price_list, prefix=each, price_per_minute=price) for each in prefixes]


def stored() -> list[dict[str, object]]:
    return [model_to_dict(each, exclude=["id"]) for each in Rate.objects.order_by("prefix")]


def test_rows_are_those_that_bulk_create_inserts(price_list: PriceList) -> None:
    bulk_sql.execute(bulk_sql.inserts(rates(price_list, "44", "1%s", "7'")))
    inserted = stored()
    Rate.objects.all().delete()
    Rate.objects.bulk_create(rates(price_list, "44", "1%s", "7'"))
    assert len(inserted) == 3
    assert inserted == stored()


def test_existing_rows_are_kept_only_on_request(price_list: PriceList) -> None:
    bulk_sql.execute(bulk_sql.inserts(rates(price_list, "44")))
    bulk_sql.execute(bulk_sql.inserts(rates(price_list, "44", "1"), ignore_conflicts=True))
    assert [rate["prefix"] for rate in stored()] == ["1", "44"]
    with pytest.raises(IntegrityError), transaction.atomic():
        bulk_sql.execute(bulk_sql.inserts(rates(price_list, "44", "7")))
    assert Rate.objects.count() == 2


def test_each_part_tells_how_many_rows_it_has_written(price_list: PriceList) -> None:
    new = bulk_sql.inserts(rates(price_list, "44", "7"))

    def prices(*prefixes: str) -> list[bulk_sql.Statement]:
        rows = [({"destination": "'%s; '"}, (each,)) for each in prefixes]
        return bulk_sql.updates(Rate, ("prefix",), rows)

    written = bulk_sql.execute(new, prices("44", "1", "7"), [], prices("1"), prices("44"))
    assert written == [2, 2, 0, 0, 1]
    assert {rate["destination"] for rate in stored()} == {"'%s; '"}


def test_statements_share_one_message_if_the_driver_can_send_it(price_list: PriceList) -> None:
    raw = connection.cursor().cursor
    with CaptureQueriesContext(connection) as messages:
        bulk_sql.execute(
            bulk_sql.inserts(rates(price_list, "44", "7")),
            bulk_sql.updates(Rate, ("prefix",), [({"destination": "UK"}, ("44",))]),
        )
    assert len(messages) == (1 if hasattr(raw, "pgresult") and hasattr(raw, "mogrify") else 2)
    assert [rate["destination"] for rate in stored()] == ["UK", ""]


def test_only_values_of_djangos_own_fields_are_passed_on_as_they_are() -> None:
    class Shouted(models.CharField):  # type: ignore[type-arg]
        def get_prep_value(self, value: object) -> str:
            return str(value).upper()

    for field in (Shouted(), models.JSONField()):
        assert bulk_sql._preparation("postgresql", field) == field.get_db_prep_save
    for field in (models.CharField(), models.DateTimeField(), models.DecimalField()):
        assert bulk_sql._preparation("postgresql", field) is None
        assert bulk_sql._preparation("sqlite", field) == field.get_db_prep_save


def test_members_of_enumerations_are_stored_as_their_values(price_list: PriceList) -> None:
    class Text(models.TextChoices):
        UK = "uk", "United Kingdom"

    class Number(enum.IntEnum):
        SIX = 6

    rate = Rate(
        price_list=price_list,
        prefix="44",
        price_per_minute=Decimal(1),
        destination=Text.UK,
        initial_increment=Number.SIX,
    )
    changes = {"destination": Text.UK, "subsequent_increment": Number.SIX}
    bulk_sql.execute(
        bulk_sql.inserts([rate]), bulk_sql.updates(Rate, ("prefix",), [(changes, ("44",))])
    )
    [found] = stored()
    assert (found["destination"], found["initial_increment"]) == ("uk", 6)
    assert found["subsequent_increment"] == 6
