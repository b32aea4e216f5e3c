"""Several services: which one a call has, and what stays with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from django_poketalk import conf
from django_poketalk.backends import can_ask, locmem
from django_poketalk.calls import placing, requesting, retention
from django_poketalk.exceptions import CallRefused
from django_poketalk.models import CallRequest, Placement
from django_poketalk.presentation import sent_request

from ..backends.test_click2call import Service
from ..conftest import CALLEE
from ..people import agent, contact, logged_in, render, someone, token

pytestmark = pytest.mark.django_db
Change = Callable[..., None]
NewCall = Callable[..., CallRequest]
ACME = {"BACKEND": "django_poketalk.backends.locmem.LocmemBackend"}


def by_user(call: CallRequest) -> str | None:
    """The rule of these tests: users whose name begins with acme have the service acme."""
    if call.user is not None and call.user.get_username().startswith("acme"):
        return "acme"
    return None


def unknown(call: CallRequest) -> str:
    return "nowhere"


def by_country(call: CallRequest) -> str:
    return "acme" if call.to_number.startswith("+49") else "default"


@pytest.fixture
def acme(poketalk: Change) -> Callable[..., None]:
    """Add the service acme with these keys, for users whose name begins so."""

    def add(**keys: Any) -> None:
        poketalk(SERVICES={"acme": {**ACME, **keys}}, SERVICE_FOR=f"{__name__}.by_user")

    add()
    return add


@pytest.fixture
def acme_user(db: None) -> Any:
    return someone("acme-anna")


# Which service


def test_without_services_all_calls_have_the_default_one(call: CallRequest) -> None:
    assert CallRequest.objects.get(pk=call.pk).service == "default"
    assert conf.aliases() == ["default"]


@pytest.mark.usefixtures("acme")
def test_the_function_chooses_the_service_of_each_call(new_call: NewCall, acme_user: Any) -> None:
    assert new_call(user=acme_user).service == "acme"
    assert new_call(user=someone("bob")).service == "default"
    assert new_call().service == "default"


def test_the_function_can_choose_by_number(poketalk: Change, new_call: NewCall) -> None:
    poketalk(SERVICES={"acme": ACME}, SERVICE_FOR=f"{__name__}.by_country")

    assert new_call(to_number="+49 30 123456").service == "acme"
    assert new_call().service == "default"


def test_a_service_that_does_not_exist_is_an_error(poketalk: Change, new_call: NewCall) -> None:
    poketalk(SERVICES={"acme": ACME}, SERVICE_FOR=f"{__name__}.unknown")

    with pytest.raises(ImproperlyConfigured, match="nowhere"):
        new_call()
    assert not CallRequest.objects.exists()


def test_services_alone_need_no_default_one(settings: Any, new_call: NewCall) -> None:
    settings.POKETALK = {"SERVICES": {"acme": {**ACME, "API_KEY": "theirs"}}}

    assert conf.aliases() == ["acme"]
    assert new_call().service == "acme"


# What one service inherits


def test_an_entry_inherits_rules_but_neither_addresses_nor_keys(poketalk: Change) -> None:
    poketalk(
        SERVICES={"acme": {"MAX_DURATION": 60}, "default": {"READ_TIMEOUT": 3.0}},
        MAX_DURATION=900,
        PLACE_WITHIN=30,
        CALLS_API="https://calls.example.com/api/",
        SERVICE_EXTENSIONS=["caller_id"],
        OPTIONS={"secret": "ours"},
        LIVE_CALLS=7,
    )
    acme, default = conf.service("acme"), conf.service("default")

    assert (acme.max_duration, default.max_duration) == (60, 900)
    assert (acme.place_within, default.place_within) == (30, 30)
    assert (acme.read_timeout, default.read_timeout) == (10.0, 3.0)
    assert (acme.url, acme.api_key, acme.calls_api) == ("", "", "")
    assert (acme.service_extensions, acme.options) == ((), None)
    assert default.api_key == "the-key"
    assert (acme.live_calls, default.live_calls) == (None, None)
    with pytest.raises(AttributeError, match="VETO_RULES"):
        _ = acme.veto_rules  # type: ignore[attr-defined]


@pytest.fixture
def two(poketalk: Change) -> Iterator[dict[str, Service]]:
    """Two services that accept each call, and what they received."""
    found = {"default": Service(), "acme": Service()}
    for each in found.values():
        each.answer(b"00")
    backend = {"BACKEND": conf.Settings.backend}
    poketalk(
        **backend,
        URL=found["default"].url,
        SERVICES={"acme": {**backend, "URL": found["acme"].url, "API_KEY": "key-of-acme"}},
        SERVICE_FOR=f"{__name__}.by_user",
    )
    yield found
    for each in found.values():
        each.close()


def test_each_service_gets_its_own_calls_and_its_own_key(
    two: dict[str, Service], new_call: NewCall, acme_user: Any
) -> None:
    placing.place(new_call(user=acme_user).pk)
    placing.place(new_call().pk)

    sent = {alias: [*map(form, service.requests)] for alias, service in two.items()}
    assert [each["api_key"] for each in sent["acme"]] == [["key-of-acme"]]
    assert [each["api_key"] for each in sent["default"]] == [["the-key"]]


def form(request: bytes) -> dict[str, list[str]]:
    return parse_qs(request.partition(b"\r\n\r\n")[2].decode())


# What stays with the call


def test_event_url_and_limits_are_those_of_the_call_s_service(
    acme: Change, new_call: NewCall, acme_user: Any
) -> None:
    acme(EVENT_BASE_URL="https://acme.example.com", MAX_DURATION=60, MAX_COST=Decimal(2))

    call, other = new_call(user=acme_user), new_call()

    assert placing.order_of(call).event_url.startswith("https://acme.example.com/")
    assert placing.order_of(other).event_url.startswith("https://crm.example.com/")
    assert (call.max_duration, call.max_cost) == (60, Decimal(2))
    assert (other.max_duration, other.max_cost) == (3600, None)


def test_where_calls_may_go_depends_on_the_service(
    acme: Change, new_call: NewCall, acme_user: Any
) -> None:
    acme(ALLOWED_COUNTRIES=["DE"])

    with pytest.raises(CallRefused) as refused:
        new_call(user=acme_user)
    assert refused.value.code == "country_not_allowed"
    new_call()


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ({"LIVE_CALLS": 1}, "service_live_calls"),
        ({"CALLS_PER_HOUR": 1}, "service_calls_per_hour"),
        ({"SPEND_PER_DAY": Decimal("0.5")}, "service_spend_per_day"),
    ],
)
def test_a_service_has_limits_of_its_own(
    limit: dict[str, Any], code: str, acme: Change, new_call: NewCall, acme_user: Any
) -> None:
    acme(**limit)
    first = new_call(user=acme_user)
    CallRequest.objects.filter(pk=first.pk).update(cost=Decimal("0.5"))

    with pytest.raises(CallRefused) as refused:
        new_call(user=acme_user)

    assert refused.value.code == code
    new_call()  # of the other service


def test_a_scheduled_call_waits_for_a_line_of_its_service(
    acme: Change, new_call: NewCall, acme_user: Any
) -> None:
    acme(LIVE_CALLS=1)
    soon = timezone.now() + timedelta(seconds=30)
    later = new_call(user=acme_user, not_before=soon)
    first = new_call(user=acme_user)
    CallRequest.objects.filter(pk=later.pk).update(not_before=timezone.now())

    placing.place(later.pk)
    later.refresh_from_db()
    assert (later.placement, bool(later.response_detail)) == (Placement.QUEUED, True)

    requesting.cancel(first)
    placing.place(later.pk)
    later.refresh_from_db()
    assert later.placement == Placement.ACCEPTED


def test_the_sweep_knows_the_times_of_each_service(
    acme: Change, new_call: NewCall, acme_user: Any
) -> None:
    acme(CONNECT_TIMEOUT=1.0, READ_TIMEOUT=1.0, STALE_AFTER=20)
    calls = {
        (alias, placement): new_call(user=user)
        for alias, user in (("acme", acme_user), ("default", None))
        for placement in (Placement.SENDING, Placement.ACCEPTED)
    }
    for (_alias, placement), call in calls.items():
        sent_at = timezone.now() - timedelta(seconds=10 if placement == Placement.SENDING else 30)
        CallRequest.objects.filter(pk=call.pk).update(placement=placement, sent_at=sent_at)

    result = placing.sweep()

    assert (result.unknown, result.stale) == (1, 1)
    assert CallRequest.objects.get(placement=Placement.UNKNOWN).service == "acme"
    assert CallRequest.objects.exclude(stale_at=None).get().service == "acme"


def test_numbers_are_forgotten_when_their_service_says_so(
    acme: Change, new_call: NewCall, acme_user: Any
) -> None:
    acme(FORGET_NUMBERS_AFTER=7)
    for call in (new_call(user=acme_user), new_call()):
        requesting.cancel(call)

    assert retention.forget_old_numbers(timezone.now() + timedelta(days=8)) == 1
    assert CallRequest.objects.get(to_number="").service == "acme"


# Numbers without a country code


def test_national_numbers_belong_to_the_country_of_the_service(
    acme: Change, poketalk: Change, new_call: NewCall, acme_user: Any
) -> None:
    poketalk(DEFAULT_REGION="GB")
    acme(DEFAULT_REGION="DE")

    assert new_call(user=acme_user, to_number="030 123456").to_number == "+4930123456"
    assert new_call(to_number="020 7946 0123").to_number == CALLEE


def test_a_button_calls_the_number_that_it_displays(acme: Change, poketalk: Change) -> None:
    poketalk(DEFAULT_REGION="GB")
    acme(DEFAULT_REGION="DE")
    user = agent("acme-anna")
    bob = contact(phone="030 123456")

    tag = 'call_buttons contact fields="phone" %}Call 030 123456 now{% endcall_buttons'
    html = render(tag, user, contact=bob)
    assert "<button" in html

    signed = token(user, contact=bob)
    response = logged_in(user).post("/poketalk/place/", {"token": signed})
    assert response.status_code == 302
    assert CallRequest.objects.get().to_number == "+4930123456"


# A service that is not configured any more


@pytest.fixture
def orphan(acme: Change, poketalk: Change, new_call: NewCall, acme_user: Any) -> CallRequest:
    call = new_call(user=acme_user)
    poketalk(SERVICES=None, SERVICE_FOR=None)
    return call


def test_a_call_of_a_removed_service_is_not_sent_to_another(orphan: CallRequest) -> None:
    with pytest.raises(ImproperlyConfigured, match="acme"):
        placing.place(orphan.pk)

    orphan.refresh_from_db()
    assert orphan.placement == Placement.QUEUED
    assert locmem.outbox == []


def test_a_call_of_a_removed_service_still_has_its_page_and_its_end(orphan: CallRequest) -> None:
    assert not can_ask(orphan.service)
    with pytest.raises(ImproperlyConfigured):
        sent_request.request_of(orphan, whole=True)
    CallRequest.objects.filter(pk=orphan.pk).update(
        placement=Placement.ACCEPTED, sent_at=timezone.now() - timedelta(hours=1)
    )

    assert requesting.hang_up(CallRequest.objects.get(pk=orphan.pk))
    assert placing.sweep().stale == 1
