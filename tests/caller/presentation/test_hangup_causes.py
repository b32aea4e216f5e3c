"""Why a call failed, in words for its caller and for staff: pages, CSV file, API."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from django_poketalk.models import CallRequest, Placement
from django_poketalk.presentation import call_status, hangup_causes
from django_poketalk.protocol.codes import ResponseCode
from django_poketalk.protocol.reasons import REASONS
from django_poketalk.server.switch.machine.facts_and_commands import Cause
from tests.caller.people import someone

NewCall = Callable[..., CallRequest]
LIST = "/admin/poketalk/callrequest/"


def failed(call: CallRequest, cause: str, status: int = 6) -> CallRequest:
    call.placement, call.status, call.hangup_cause = Placement.ACCEPTED, status, cause
    call.ended_at = timezone.now()
    call.save()
    return call


def refused(call: CallRequest, cause: str) -> CallRequest:
    call.placement, call.response_code, call.hangup_cause = Placement.REJECTED, "90", cause
    call.save()
    return call


@pytest.mark.parametrize(
    ("cause", "caller", "callee"),
    [
        ("busy", "Your phone is busy.", "+44 20 7946 0123 is busy."),
        ("no_channel", "All lines of the service are busy. Try again in a moment.", ""),
        ("", "Your phone could not be reached.", "+44 20 7946 0123 could not be reached."),
        ("rejected", "Your phone could not be reached.", "+44 20 7946 0123 could not be reached."),
        (
            "of another",
            "Your phone could not be reached.",
            "+44 20 7946 0123 could not be reached.",
        ),
    ],
)
def test_the_caller_reads_the_true_reason_and_no_guess(
    cause: str, caller: str, callee: str, new_call: NewCall
) -> None:
    call = new_call()

    assert call_status.sentence(failed(call, cause, 2)) == caller
    assert call_status.sentence(failed(call, cause, 6)) == (callee or caller)


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_of_code_90_has_a_sentence_of_its_own(reason: str, new_call: NewCall) -> None:
    unsaid = call_status.sentence(refused(new_call(), ""))
    sentence = call_status.sentence(refused(new_call(), reason))

    assert unsaid == "Refused: not enough credit for this call, or the service has no rate for it."
    assert sentence.startswith("Refused: ")
    assert sentence != unsaid


def test_every_cause_of_a_call_has_words_unless_it_says_nothing() -> None:
    causes = {*Cause, *REASONS, hangup_causes.BY_CALLER, hangup_causes.BY_CALLEE}
    of_legs = {Cause.OTHER_LEG}

    assert causes - of_legs - {*hangup_causes.UNSAID} == set(hangup_causes.WORDS)


@pytest.mark.parametrize(
    ("cause", "words"), [("unallocated_number", "number does not exist"), ("odd", "odd")]
)
def test_staff_read_the_cause_everywhere(
    cause: str, words: str, new_call: NewCall, client: Client
) -> None:
    call = failed(new_call(), cause)
    client.force_login(someone("boss", is_staff=True, is_superuser=True))

    listed = client.get(LIST).content.decode()
    page = client.get(f"{LIST}{call.pk}/change/").content.decode()
    data = {"action": "export_csv", "_selected_action": [call.pk]}
    exported = b"".join(client.post(LIST, data)).decode()
    served = client.get(f"/poketalk/api/calls/{call.pk}/").json()

    assert f">{words}</span>" in listed
    assert words in page
    assert f",{words},{cause}," in exported
    assert served["hangup_cause"] == cause


def test_staff_read_which_reason_code_90_had(new_call: NewCall, client: Client) -> None:
    refused(new_call(), "spend_per_day")
    client.force_login(someone("boss", is_staff=True, is_superuser=True))

    assert "90: daily spending limit" in client.get(LIST).content.decode()


def test_a_refusal_stores_its_reason(new_call: NewCall) -> None:
    call = new_call()
    CallRequest.objects.filter(pk=call.pk).update(placement=Placement.SENDING)
    call.refresh_from_db()

    assert call.reject(timezone.now(), ResponseCode.NO_TIMEOUT.value, "90", "no_rate")

    call.refresh_from_db()
    assert (call.response_code, call.hangup_cause) == ("90", "no_rate")
