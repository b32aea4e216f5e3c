"""Numbers in texts of the service, of veto rules and of users. No page reveals them to users who
have all permissions but the one to see numbers.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.test import Client

from django_poketalk.models import BlacklistedNumber, CallEvent, CallRequest, Phone

from .api.rest_client import BLACKLIST, CALLS
from .conftest import CALLEE, CALLER
from .people import connected, contains_number, page, someone

pytestmark = pytest.mark.django_db

WORDS = "Rule 7: +44 (0)20 7946 0123 again"
ALL_BUT_NUMBERS = [
    "place_call",
    "hang_up_any_call",
    *(
        f"{deed}_{model}"
        for model in ("callrequest", "callevent", "blacklistednumber", "phone")
        for deed in ("view", "add", "change", "delete")
    ),
]
ADMIN = "/admin/poketalk"
PAGES = [
    "/admin/",
    f"{ADMIN}/callrequest/",
    f"{ADMIN}/callrequest/live/?id={{call}}",
    f"{ADMIN}/callrequest/{{call}}/change/",
    f"{ADMIN}/callrequest/{{call}}/live/",
    f"{ADMIN}/callrequest/{{call}}/history/",
    f"{ADMIN}/callrequest/{{call}}/delete/",
    f"{ADMIN}/blacklistednumber/",
    f"{ADMIN}/blacklistednumber/{{entry}}/change/",
    f"{ADMIN}/blacklistednumber/{{entry}}/history/",
    f"{ADMIN}/blacklistednumber/{{entry}}/delete/",
    f"{ADMIN}/phone/",
    f"{ADMIN}/phone/{{own}}/change/",
    f"{ADMIN}/phone/{{own}}/delete/",
    "/poketalk/{call}/",
    "/poketalk/{call}/status/",
    CALLS,
    f"{CALLS}{{call}}/",
    BLACKLIST,
    f"{BLACKLIST}{{entry}}/",
]


@pytest.fixture
def keys(call: CallRequest) -> dict[str, Any]:
    """The primary keys of a call, an entry and an own number, with numbers in all their texts."""
    connected(call, response_detail=WORDS, veto_reason=WORDS)
    CallEvent.objects.create(call=call, status=7, answer=412, reason=WORDS)
    entry = BlacklistedNumber.objects.create(number=CALLEE, direction="to", reason=WORDS)
    own = Phone.objects.create(user=someone("bea"), number=CALLER)
    LogEntry.objects.create(
        user=own.user,
        content_type=ContentType.objects.get_for_model(call),
        object_id=str(call.pk),
        object_repr=str(call),
        action_flag=CHANGE,
        change_message=f"Resolved manually (rang): {WORDS}",
    )
    return {"call": call.pk, "entry": entry.pk, "own": own.pk}


def staff(*permissions: str) -> Client:
    client = Client()
    client.force_login(someone("anna", *permissions, is_staff=True))
    return client


@pytest.mark.parametrize("path", PAGES)
def test_no_page_reveals_numbers_to_users_who_may_not_see_them(path: str, keys: Any) -> None:
    assert not contains_number(page(staff(*ALL_BUT_NUMBERS).get(path.format(**keys))))


@pytest.mark.parametrize(
    "path",
    [
        f"{ADMIN}/callrequest/{{call}}/history/",
        f"{ADMIN}/callrequest/{{call}}/change/",
        f"{ADMIN}/blacklistednumber/{{entry}}/change/",
        "/poketalk/{call}/",
        f"{CALLS}{{call}}/",
        f"{BLACKLIST}{{entry}}/",
    ],
)
def test_users_who_may_see_numbers_see_texts_unchanged(path: str, keys: Any) -> None:
    data = page(staff(*ALL_BUT_NUMBERS, "view_numbers").get(path.format(**keys)))
    assert WORDS in data.replace("&#x27;", "'")


def test_only_a_reason_without_a_number_can_be_changed(keys: Any) -> None:
    anna = staff(*ALL_BUT_NUMBERS)
    path = f"{ADMIN}/blacklistednumber/{keys['entry']}/change/"
    entry = BlacklistedNumber.objects.filter(pk=keys["entry"])
    changed = {"direction": "both", "reason": "Another"}

    anna.post(path, changed)
    assert entry.get().reason == WORDS
    entry.update(reason="Asked us")
    anna.post(path, changed)

    assert entry.get().reason == "Another"
    assert entry.get().number == CALLEE
