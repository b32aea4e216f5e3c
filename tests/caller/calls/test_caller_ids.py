"""The number that the callee sees: the project chooses it for each call, and it is sent to a
service that knows the field.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import phonenumbers
import pytest
from django.core import checks
from django.utils import timezone

from django_poketalk.backends.click2call import Click2CallBackend
from django_poketalk.calls import placing, redialing, requesting, retention
from django_poketalk.exceptions import CallRefused, IdempotencyConflict
from django_poketalk.models import CallRequest
from django_poketalk.protocol import numbers

from ..api.rest_client import CALLS, QUOTE, client, post
from ..conftest import CALLEE, CALLER
from ..people import agent, logged_in, page, someone, staff, text

pytestmark = pytest.mark.django_db

NewCall = Callable[..., CallRequest]
Change = Callable[..., None]
SALES, SUPPORT = "+442079460111", "+442079460222"
HERE = f"{__name__}.of_team"


def of_team(call: CallRequest) -> Any:
    """The number of the user's team, in formats that projects have."""
    teams = {
        "anna": SALES,
        "bob": phonenumbers.parse(SUPPORT),
        "eve": "sales desk",
    }
    return teams.get(call.user.get_username(), "") if call.user else None


def form_of(call: CallRequest) -> dict[str, str]:
    return Click2CallBackend().describe(placing.order_of(call)).fields


def test_by_default_the_service_chooses(new_call: NewCall, poketalk: Change) -> None:
    poketalk(SERVICE_EXTENSIONS=("caller_id",))
    call = new_call()

    assert call.presented_number == ""
    assert "x_caller_id" not in form_of(call)


@pytest.mark.parametrize("written", [SALES, "020 7946 0111"])
def test_one_number_for_all_calls(new_call: NewCall, poketalk: Change, written: str) -> None:
    poketalk(CALLER_ID=written, DEFAULT_REGION="GB", SERVICE_EXTENSIONS=("caller_id",))
    call = CallRequest.objects.get(pk=new_call().pk)

    assert call.presented_number == SALES
    assert placing.order_of(call).caller_id == numbers.wire(SALES)
    assert form_of(call)["x_caller_id"] == numbers.wire(SALES)


def test_a_function_chooses_for_each_user(new_call: NewCall, poketalk: Change) -> None:
    poketalk(CALLER_ID=HERE)

    users = [someone(name) for name in ("anna", "bob", "carl")]

    assert [new_call(user=user).presented_number for user in users] == [SALES, SUPPORT, ""]
    assert new_call().presented_number == ""


def test_a_call_can_name_its_number(new_call: NewCall, poketalk: Change) -> None:
    poketalk(CALLER_ID=SALES)

    assert new_call(caller_id="+44 20 7946 0222").presented_number == SUPPORT
    assert new_call(caller_id="").presented_number == ""
    assert new_call(caller_id=None).presented_number == SALES


def test_what_is_no_number_is_refused(new_call: NewCall, poketalk: Change) -> None:
    with pytest.raises(CallRefused) as refusal:
        new_call(caller_id="sales\r\nX: 1")
    assert (refusal.value.code, refusal.value.field) == ("number_invalid", "caller_id")

    poketalk(CALLER_ID=HERE)
    with pytest.raises(CallRefused):
        requesting.quote(from_number=CALLER, to_number=CALLEE, user=someone("eve"))
    assert not CallRequest.objects.exists()


@pytest.mark.parametrize(("requested", "expected"), [(SUPPORT, SUPPORT), ("", ""), (None, SALES)])
def test_calling_again_keeps_what_was_requested(
    new_call: NewCall, poketalk: Change, requested: str | None, expected: str
) -> None:
    anna = agent()
    call = new_call(user=anna, caller_id=requested)
    call.cancel(timezone.now())
    poketalk(CALLER_ID=SALES)

    assert redialing.call_again(call, anna).presented_number == expected


def test_a_service_that_does_not_know_the_field_does_not_get_it(
    new_call: NewCall, poketalk: Change
) -> None:
    poketalk(SERVICE_EXTENSIONS=("internal_numbers",))

    assert "x_caller_id" not in form_of(new_call(caller_id=SALES))


def test_the_quote_says_what_the_callee_sees(poketalk: Change) -> None:
    order: requesting.Order = {"from_number": CALLER, "to_number": CALLEE, "caller_id": SALES}
    assert requesting.quote(**order).presented_number == ""

    poketalk(SERVICE_EXTENSIONS=("caller_id",))
    assert requesting.quote(**order).presented_number == SALES


def test_a_key_stands_for_one_named_number(new_call: NewCall, poketalk: Change) -> None:
    first = new_call(caller_id=SALES, idempotency_key="k")

    assert new_call(caller_id=SALES, idempotency_key="k").pk == first.pk
    poketalk(CALLER_ID=SUPPORT)  # changed in the meantime
    assert new_call(idempotency_key="k").pk == first.pk
    with pytest.raises(IdempotencyConflict):
        new_call(caller_id=SUPPORT, idempotency_key="k")


def test_it_is_forgotten_with_the_other_numbers(new_call: NewCall, poketalk: Change) -> None:
    poketalk(FORGET_NUMBERS_AFTER=1)
    call = new_call(caller_id=SALES)
    days_ago = timezone.now() - timedelta(days=2)
    CallRequest.objects.update(created_at=days_ago, placement="failed")

    assert retention.forget_old_numbers() == 1

    call.refresh_from_db()
    assert call.presented_number == ""


def test_the_api_has_it_in_calls_and_quotes(poketalk: Change) -> None:
    poketalk(CALLER_ID=SALES)
    api = client(agent())

    assert post(api, QUOTE, {"to_number": CALLEE}, None).json()["presented_number"] == ""
    poketalk(SERVICE_EXTENSIONS=("caller_id",))
    assert post(api, QUOTE, {"to_number": CALLEE}, None).json()["presented_number"] == SALES
    assert post(api, CALLS, {"to_number": CALLEE}).json()["presented_number"] == SALES


def test_the_admin_has_it_masked_or_whole(new_call: NewCall, poketalk: Change) -> None:
    poketalk(SERVICE_EXTENSIONS=("caller_id",))
    path = f"/admin/poketalk/callrequest/{new_call(caller_id=SALES).pk}/change/"

    whole = staff("whole", "view_callrequest", "view_numbers")
    assert "Presented number +44 20 7946 0111" in text(page(whole.get(path)))
    masked = page(staff("masked", "view_callrequest").get(path))
    assert "0111" not in masked
    assert "••11" in masked


def test_the_csv_file_has_it(new_call: NewCall) -> None:
    call = new_call(caller_id=SALES)
    clerk = staff("clerk", "view_callrequest", "view_numbers")

    answer: Any = clerk.post(
        "/admin/poketalk/callrequest/",
        {"action": "export_csv", "_selected_action": [call.pk], "index": "0"},
    )

    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    [line] = csv.DictReader(text.splitlines())
    assert line["Presented number"] == "+442079460111"


def test_the_page_to_place_a_call_says_what_the_callee_sees(poketalk: Change) -> None:
    anna = agent("anna", "view_callrequest")
    anna.is_staff = True
    anna.save()
    form = {"to_number": CALLEE, "_check": "Check"}
    pages = logged_in(anna)

    assert "the number that the service chooses" in page(
        pages.post("/admin/poketalk/callrequest/place/", form)
    )
    poketalk(CALLER_ID=SALES, SERVICE_EXTENSIONS=("caller_id",))
    seen = text(page(pages.post("/admin/poketalk/callrequest/place/", form)))
    assert "Callee sees +44 20 7946 0111" in seen


@pytest.mark.parametrize("chosen", [None, SALES, HERE])
def test_a_caller_id_that_is_sent_passes_the_checks(chosen: str | None, poketalk: Change) -> None:
    poketalk(CALLER_ID=chosen, SERVICE_EXTENSIONS=("caller_id",))

    assert checks.run_checks(tags=["poketalk"]) == []


@pytest.mark.parametrize(
    ("keys", "ident"),
    [
        ({"CALLER_ID": SALES}, "poketalk.W009"),
        ({"CALLER_ID": "12", "SERVICE_EXTENSIONS": ["caller_id"]}, "poketalk.E017"),
        ({"CALLER_ID": "crm.nowhere", "SERVICE_EXTENSIONS": ["caller_id"]}, "poketalk.E017"),
        ({"CALLER_ID": "string.digits", "SERVICE_EXTENSIONS": ["caller_id"]}, "poketalk.E017"),
        ({"SERVICE_EXTENSIONS": ["callerid"]}, "poketalk.E016"),
    ],
)
def test_the_checks_name_what_is_wrong(keys: dict[str, Any], ident: str, poketalk: Change) -> None:
    poketalk(**keys)

    assert [message.id for message in checks.run_checks(tags=["poketalk"])] == [ident]
