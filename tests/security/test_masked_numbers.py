"""No list sorts, searches or filters by a number for people who may not see numbers: by the place
of a row among others, or by what is found, they could find the number out, digit by digit.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user, get_user_model
from django.contrib.auth.models import Permission
from django.core.exceptions import EmptyResultSet
from django.db.models import CharField, JSONField, TextField
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from django_poketalk import models as caller
from django_poketalk.server import models as service
from django_poketalk.server.switch.monitoring import heartbeat
from django_poketalk.server.switch.monitoring.heartbeat import GatewayView
from django_poketalk.shared.masked_numbers import NUMBERS
from tests.server.conftest import Customer, make_customer

pytestmark = pytest.mark.django_db
LISTS = [
    model
    for model in admin.site._registry
    if model._meta.app_label in ("poketalk", "poketalk_server")
    and model._meta.model_name not in ("heartbeat", "switch")  # their pages are not lists
    and model is not service.ApiKey  # its label is the name of a program
]
# A customer's id, `custom`, is found by the whole id only.
COLUMN = re.compile(rf"""["`]({"|".join(NUMBERS - {"custom"})})["`]""")
SEARCHES = ["44", "+44 20", "1001", "fraud", "020 ext. 7", "442079460000"]


def person(*without: str) -> Client:
    """The client of a member of staff with all permissions but these."""
    users: Any = get_user_model()
    user = users.objects.create_user(f"person {users.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.exclude(codename__in=without))
    client = Client()
    client.force_login(user)
    return client


def changelist(client: Client, model: Any, **parameters: Any) -> Any:
    """The list, whose page is not rendered: that takes most of the time, and shows no condition."""
    request = RequestFactory().get("/", parameters)
    request.user = get_user(client)  # type: ignore[arg-type]  # it has a session
    response = admin.site.get_model_admin(model).changelist_view(request)
    assert response.status_code == 200, response
    return response.context_data["cl"]  # type: ignore[attr-defined]


def conditions(client: Client, model: Any, **parameters: Any) -> set[str]:
    """The columns of numbers in the conditions and the ordering of this list."""
    try:
        sql = str(changelist(client, model, **parameters).queryset.query)
    except EmptyResultSet:
        return set()
    _selected, *rest = re.split(r" WHERE | ORDER BY ", sql, maxsplit=1)
    return set(COLUMN.findall(" ".join(rest)))


def orders(client: Client, model: Any) -> set[str]:
    """The columns of numbers by which the list, as it is or by any column, can be sorted."""
    found = conditions(client, model)
    for column in range(len(changelist(client, model).list_display) + 1):
        for sign in ("", "-"):
            found |= conditions(client, model, o=f"{sign}{column}")
    return found


@pytest.mark.parametrize("model", LISTS, ids=lambda model: model._meta.label)
def test_no_list_is_sorted_by_a_number(model: Any) -> None:
    assert orders(person("view_numbers"), model) == set()


@pytest.mark.parametrize("model", LISTS, ids=lambda model: model._meta.label)
def test_no_search_finds_a_number(model: Any) -> None:
    client = person("view_numbers")
    for text in SEARCHES:
        assert conditions(client, model, q=text) == set(), text


def test_those_who_may_see_numbers_sort_and_search_by_them() -> None:
    client = person()
    both = [caller.BlacklistedNumber, service.BlacklistedNumber]
    for model in both:
        assert orders(client, model) >= {"number"}
        assert conditions(client, model, q="+44 20") >= {"number", "reason"}
    assert conditions(client, service.Call, q="+44 20") == {"from_number", "to_number"}
    assert conditions(client, caller.CallRequest, q="+44 20") == {"from_number", "to_number"}


@pytest.mark.parametrize("model", [caller.BlacklistedNumber, service.BlacklistedNumber])
def test_a_new_entry_does_not_tell_where_another_is(model: Any) -> None:
    for number in ("+442079460001", "+442079460003", "+442079460002"):
        model.objects.create(number=number)
    client = person("view_numbers")
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"

    rows = client.get(reverse(name)).context["cl"].result_list

    assert [row.pk for row in rows] == sorted([row.pk for row in rows], reverse=True)


PREFIX, NUMBER = "44207946000", "442079460001"


@pytest.fixture
def entries() -> list[service.BlacklistedNumber]:
    create = service.BlacklistedNumber.objects.create
    return [
        create(number=f"+{PREFIX}", is_prefix=True, reason=f"+{NUMBER} called again"),
        create(number=f"+{NUMBER}", reason="fraud"),
        create(number="+4420", is_prefix=True),
    ]


def pages(client: Client, row: Any, *actions: str) -> str:
    """The list, and these pages of the row."""
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}"
    urls = [
        reverse(f"{name}_changelist"),
        *(reverse(f"{name}_{a}", args=[row.pk]) for a in actions),
    ]
    return "".join(client.get(url).content.decode() for url in urls)


@pytest.mark.parametrize(
    "hidden", [("view_numbers",), ("view_numbers", "change_blacklistednumber")]
)
def test_the_services_blacklist_masks_long_prefixes_and_reasons(
    entries: list[service.BlacklistedNumber], hidden: tuple[str, ...]
) -> None:
    for row in entries:
        html = pages(person(*hidden), row, "change", "delete", "history")
        assert "7946" not in html
        assert "4420…" in html
        assert "called again" in html
        assert "fraud" in html


def test_those_who_may_see_numbers_see_them(entries: list[service.BlacklistedNumber]) -> None:
    html = pages(person(), entries[0], "change")
    assert NUMBER in html
    assert PREFIX in html


@pytest.mark.parametrize(
    ("row", "text", "wrong"),
    [
        (service.BlacklistedNumber(number=NUMBER), "reason", {"account": "999"}),
        (caller.BlacklistedNumber(number=f"+{NUMBER}"), "reason", {"direction": "nonsense"}),
    ],
)
def test_a_text_with_a_number_keeps_its_input_beside_an_error_in_another_field(
    row: Any, text: str, wrong: dict[str, str]
) -> None:
    row.pk = None
    row.save()
    path = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])

    response = person("view_numbers").post(path, {text: "ask +44 20 7946 0777", **wrong})

    form = response.context["adminform"]
    shown = [name for fieldset in form for line in fieldset for name in line.fields]
    assert form.form.errors.keys() == wrong.keys()
    assert text in shown
    assert text not in form.readonly_fields


def test_a_masked_reason_is_not_overwritten(entries: list[service.BlacklistedNumber]) -> None:
    client = person("view_numbers")
    for row in entries[:2]:
        url = reverse("admin:poketalk_server_blacklistednumber_change", args=[row.pk])
        form = {"reason": "changed", "number": "+15550100", "is_prefix": row.is_prefix}
        assert client.post(url, form).status_code == 302

    reasons = service.BlacklistedNumber.objects.order_by("pk").values_list("number", "reason")
    assert list(reasons)[:2] == [(PREFIX, f"+{NUMBER} called again"), (NUMBER, "changed")]


def test_the_page_of_a_leg_does_not_contain_its_dialog(customer: Customer) -> None:
    call = customer.new_call()
    call.save()
    facts = {"price_per_minute": 1, "connect_fee": 0}
    steps = {"initial_increment": 1, "subsequent_increment": 1}
    leg = service.Leg(call=call, side="A", number=NUMBER, dialog=f"sip:{NUMBER}@carrier")
    for name, value in (facts | steps).items():
        setattr(leg, name, value)
    leg.save()

    assert "7946" not in pages(person("view_numbers"), leg, "change")


TEXT = f"Or {NUMBER}"


def labels() -> list[Any]:
    """Rows whose label has a number."""
    bea = get_user_model().objects.create_user("bea")
    return [
        caller.Phone.objects.create(user=bea, number="+442079460007", label=TEXT),
        service.PresentedNumber.objects.create(
            account=make_customer("Example Ltd").account, number="442079460007", label=TEXT
        ),
    ]


def test_a_label_with_a_number_is_masked_and_not_overwritten() -> None:
    client = person("view_numbers")
    for row in labels():
        html = pages(client, row, "change", "delete", "history")
        assert "7946" not in html
        assert "Or ••••••01" in html

        name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
        url = reverse(name, args=[row.pk])
        client.post(url, {"label": "changed"})
        row.refresh_from_db()
        assert row.label == TEXT
        assert TEXT in pages(person(), row, "change")

        type(row).objects.update(label="Desk")
        assert client.post(url, {"label": "Kitchen"}).status_code == 302
        row.refresh_from_db()
        assert row.label == "Kitchen"


def test_texts_of_people_are_masked_also_if_a_number_looks_like_an_ip_address() -> None:
    client, text = person("view_numbers"), "Or 20.79.46.01"
    rows = labels()
    for model in (caller.BlacklistedNumber, service.BlacklistedNumber):
        rows.append(model.objects.create(number="+442079460008", reason=text))
    for row in rows:
        type(row).objects.update(**{"label" if hasattr(row, "label") else "reason": text})

        html = pages(client, row, "change")

        assert "79.46" not in html
        assert "Or ••••••01" in html


def test_why_a_gateway_is_down_is_masked(customer: Customer) -> None:
    now = timezone.now()
    heartbeat.beat("office", 1, [GatewayView(customer.gateway.pk, "", "", now, TEXT)])
    state = service.GatewayState.objects.get()
    for row in (state, customer.gateway):
        assert NUMBER not in pages(person("view_numbers"), row, "change")
        assert "Or ••••••01" in pages(person("view_numbers"), row, "change")
        assert TEXT in pages(person(), row, "change")


LOOKUPS = [
    (caller.CallRequest, "response_detail"),
    (caller.CallBack, "note"),
    (caller.CallBack, "metadata"),
    (caller.Phone, "label"),
    (caller.BlacklistedNumber, "reason"),
    (service.EventDelivery, "error"),
    (service.GatewayState, "problem"),
    (service.PresentedNumber, "label"),
    (service.LedgerEntry, "note"),
    (service.Call, "custom"),
]


@pytest.mark.parametrize(("model", "lookup"), LOOKUPS)
def test_no_address_of_a_list_asks_for_a_text(model: Any, lookup: str) -> None:
    for without, is_allowed in (("view_numbers", False), ("", True)):
        request = RequestFactory().get("/")
        request.user = get_user(person(without))  # type: ignore[arg-type]  # it has a session
        page = admin.site.get_model_admin(model)
        for how in ("", "__contains", "__startswith"):
            assert page.lookup_allowed(f"{lookup}{how}", "4420", request) is is_allowed


def test_every_text_that_people_or_networks_write_is_known() -> None:
    """A new column with texts is added to `NUMBERS`, or to these, which hold no number."""
    harmless = {
        *("name", "host", "token", "version", "problems", "switch", "time_zone", "kind", "key"),
        *("country", "currency", "alias", "language", "contact_emails", "network", "prefix"),
        *("digest", "webcallid", "idempotency_key", "reference", "service", "subject_id"),
        *("hangup_cause", "remote_address", "disposition", "destination", "changes", "eventurl"),
        # of gateways, about ourselves
        *("prefixes", "username", "password_variable", "caller_number", "add_prefix"),
        *("from_domain", "failover_codes", "ari_url", "application", "endpoint"),
    }
    texts = {
        field.name
        for app in ("poketalk", "poketalk_server")
        for model in apps.get_app_config(app).get_models()
        for field in model._meta.fields
        if isinstance(field, (CharField, TextField, JSONField)) and not field.choices
    }
    assert texts - harmless - NUMBERS == set()
