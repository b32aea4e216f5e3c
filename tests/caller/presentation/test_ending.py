"""Who ended a call, in the headline of its page."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.models import CallRequest, Placement
from django_poketalk.presentation.ending import ended_by

from ..people import agent, connected, contact, someone

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> Any:
    return agent()


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"hangup_cause": "callee_hung_up"}, "Ended by the callee"),
        ({"hangup_cause": "caller_hung_up"}, "Ended by you"),
        ({"hangup_cause": "no_funds"}, "Ended by the service: no credit"),
        ({"hangup_cause": "normal"}, ""),  # nobody knows who
        ({}, ""),
        ({"veto_reason": "maximum cost"}, "Ended by this site: maximum cost reached"),
        ({"veto_reason": "too late"}, "Ended by this site: too late"),
        ({"status": 6, "hangup_cause": "busy"}, "Busy"),
        ({"status": 6}, ""),
        ({"ended_at": None}, ""),
        ({"status": None, "ended_at": None, "placement": Placement.FAILED}, ""),
    ],
)
def test_the_headline_says_who_ended_the_call_and_never_guesses(
    facts: dict[str, Any], words: str, anna: Any, call: CallRequest
) -> None:
    CallRequest.objects.filter(pk=call.pk).update(user=anna)
    connected(call, **{"status": 8, "ended_at": timezone.now(), **facts})

    assert ended_by(call, anna) == words


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"veto_reason": "hang-up requested"}, "Ended by %s"),
        ({"hangup_cause": "hang_up_requested"}, "Ended by %s"),
        ({"hangup_cause": "callee_hung_up"}, "Ended by the callee"),  # who was quicker
        ({}, "Hang-up requested by %s"),  # whether that ended it is not known
        ({"placement": Placement.CANCELLED, "status": None}, "Canceled by %s"),
    ],
)
def test_who_asked_to_hang_up_is_named(
    facts: dict[str, Any], words: str, anna: Any, call: CallRequest
) -> None:
    bob = someone("bob", first_name="Bob", last_name="Miller")
    asked = {"hangup_requested_at": timezone.now(), "hangup_requested_by": bob}
    connected(call, **{"status": 8, "ended_at": timezone.now(), **asked, **facts})

    assert ended_by(call, anna) == words.replace("%s", "Bob Miller")
    assert ended_by(call, bob) == words.replace("%s", "you")


def test_the_callee_has_the_name_of_what_the_call_is_about(anna: Any, new_call: Any) -> None:
    call = connected(new_call(subject=contact("Ann")), status=8, ended_at=timezone.now())
    call.hangup_cause = "callee_hung_up"

    assert ended_by(call, anna) == "Ended by Ann"
