"""A user's phones: one is the default one, and the project may keep them elsewhere."""

from __future__ import annotations

from typing import Any

import phonenumbers
import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.core.management.sql import emit_post_migrate_signal
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from django_poketalk.calls import requesting
from django_poketalk.exceptions import CallRefused
from django_poketalk.models import CallRequest, Phone

from ..conftest import CALLEE, CALLER
from ..people import agent, contact, logged_in, page, someone, token

MOBILE = "+442079460555"
PROFILE = "tests.caller.models.test_phones.profile"
KEPT: list[Any] = []


def profile(user: Any) -> list[Any]:
    return KEPT


class Line:
    def __init__(self, number: Any, **more: Any) -> None:
        self.number = number
        self.__dict__.update(more)


@pytest.fixture
def elsewhere(poketalk: Any) -> Any:
    """Let the project keep these phones."""

    def keep(*phones: Any, **settings: Any) -> None:
        KEPT[:] = phones
        poketalk(USER_PHONES=PROFILE, **settings)

    return keep


def numbers_of(user: Any) -> list[tuple[str, bool]]:
    return [(phone.number, bool(phone.is_default)) for phone in Phone.objects.for_user(user)]


def test_the_default_phone_comes_first_and_there_is_always_one(user: Any) -> None:
    desk = Phone.objects.create(user=user, number=CALLER)
    mobile = Phone.objects.create(user=user, number=MOBILE, is_default=False)
    assert numbers_of(user) == [(CALLER, True), (MOBILE, False)]

    mobile.make_default()
    assert numbers_of(user) == [(MOBILE, True), (CALLER, False)]
    Phone.objects.filter(pk=mobile.pk).delete()
    desk.refresh_from_db()
    assert desk.is_default


def test_a_new_default_phone_replaces_the_present_one(user: Any) -> None:
    Phone.objects.create(user=user, number=CALLER)
    Phone.objects.create(user=user, number=MOBILE, is_default=True)

    assert numbers_of(user) == [(MOBILE, True), (CALLER, False)]


def test_the_database_allows_one_default_phone_and_each_number_once(user: Any) -> None:
    Phone.objects.create(user=user, number=CALLER)
    for row in (
        Phone(user=user, number=MOBILE, is_default=True),
        Phone(user=user, number=MOBILE, is_default=False),
        Phone(user=user, number=CALLER),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Phone.objects.bulk_create([row])
    Phone.objects.bulk_create([Phone(user=user, number=MOBILE), Phone(user=user, number=CALLEE)])


def test_deleting_a_user_deletes_the_phones(user: Any) -> None:
    for number in (CALLER, MOBILE):
        Phone.objects.create(user=user, number=number)

    user.delete()

    assert not Phone.objects.exists()


# The project keeps the phones (USER_PHONES)


def test_the_phones_of_a_profile_replace_the_table(user: Any, elsewhere: Any) -> None:
    Phone.objects.create(user=user, number=CALLER)
    mobile = Line("020 7946 0555", label="Mobile", is_default=True)
    elsewhere("", None, "+44 20 7946 0777", mobile, DEFAULT_REGION="GB")

    [first, second] = Phone.objects.for_user(user)

    assert (first.number, first.label, first.is_default) == (MOBILE, "Mobile", True)
    assert (second.number, second.label, bool(second.is_default)) == ("+442079460777", "", False)
    assert requesting.own_number(user) == MOBILE


def test_number_objects_of_a_profile_keep_their_country(user: Any, elsewhere: Any) -> None:
    number = phonenumbers.parse("+12125550110")
    elsewhere(number, DEFAULT_REGION="GB")
    assert numbers_of(user) == [("+12125550110", True)]
    elsewhere(Line(number), DEFAULT_REGION="GB")
    assert numbers_of(user) == [("+12125550110", True)]


def test_a_number_of_a_profile_that_cannot_be_read_is_refused_with_its_reason(
    db: None, elsewhere: Any
) -> None:
    anna = agent()
    elsewhere("+44 20 7946")

    order = {"token": token(anna, contact=contact())}
    html = page(logged_in(anna).post("/poketalk/place/", order), 422)

    assert "The area code of “+44 20 7946” is missing" in html


def test_the_button_rings_the_phone_of_the_profile(db: None, elsewhere: Any) -> None:
    anna = agent()
    elsewhere(MOBILE, "1001", INTERNAL_NUMBERS="1[0-9]{3}")

    signed = token(anna, contact=contact())
    page(logged_in(anna).post("/poketalk/place/", {"token": signed}), 302)

    assert CallRequest.objects.get().from_number == MOBILE


def test_phones_of_a_profile_need_their_own_verification(user: Any, elsewhere: Any) -> None:
    elsewhere(Line(MOBILE), VERIFY_PHONES="staff")
    with pytest.raises(CallRefused, match="not verified"):
        requesting.own_number(user)

    elsewhere(Line(MOBILE, verified_at=timezone.now()), VERIFY_PHONES="staff")
    assert requesting.own_number(user) == MOBILE


def test_an_invalid_pattern_is_not_ignored(user: Any, poketalk: Any) -> None:
    poketalk(INTERNAL_NUMBERS="[")

    with pytest.raises(Exception, match="INTERNAL_NUMBERS"):
        requesting.request_call(from_number="1001", to_number=CALLEE)


# The migration


@pytest.mark.django_db(transaction=True)
def test_the_number_of_each_user_becomes_the_default_phone() -> None:
    """Users and groups who could choose any phone still can."""
    latest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    before = MigrationExecutor(connection)
    before.migrate([("poketalk", "0003_presented_number")])
    old = before.loader.project_state([("poketalk", "0003_presented_number"), *AUTH]).apps
    try:
        owner = old.get_model("auth", "User").objects.create(username="owner")
        old.get_model("poketalk", "CallerNumber").objects.create(user=owner, number=CALLER)
        kind = old.get_model("contenttypes", "ContentType").objects.get_or_create(
            app_label="poketalk", model="callernumber"
        )[0]
        held = old.get_model("auth", "Permission").objects.get_or_create(
            content_type=kind,
            codename="change_callernumber",
            defaults={"name": "Can change caller's number"},
        )[0]
        owner.user_permissions.add(held)
        group = old.get_model("auth", "Group").objects.create(name="chiefs")
        group.permissions.add(held)
    finally:
        MigrationExecutor(connection).migrate(latest)
        emit_post_migrate_signal(verbosity=0, interactive=False, db=connection.alias)

    phone = Phone.objects.get()
    assert (phone.user.username, phone.number, phone.is_default) == ("owner", CALLER, True)
    assert phone.verified_at is None
    wanted = {"poketalk.change_phone", "poketalk.choose_caller_phone"}
    assert phone.user.get_user_permissions() == wanted
    found = Group.objects.get(name="chiefs").permissions.values_list("codename", flat=True)
    assert {f"poketalk.{codename}" for codename in found} == wanted


AUTH = [
    ("auth", "0012_alter_user_first_name_max_length"),
    ("contenttypes", "0002_remove_content_type_name"),
]


def test_the_model_has_the_permissions_of_the_docs() -> None:
    named = {codename for codename, _name in apps.get_model("poketalk.Phone")._meta.permissions}

    assert named == {"choose_caller_phone", "verify_phone"}


def test_the_name_of_a_phone_is_masked(user: Any) -> None:
    phone = Phone(user=someone("bea"), number=MOBILE, label="Desk")

    assert str(phone) == "Desk (+44 ••••••••55)"
    assert "7946" not in repr(phone)
    assert str(Phone(number="1001")) == "••01"
