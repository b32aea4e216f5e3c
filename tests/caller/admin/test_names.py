"""How calls, entries of the blacklist and users' own phones are named in the admin: by whole
numbers to those who may see them, by masked ones to others, and always masked in the history.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models import Model
from django.test import Client
from django.utils.translation import override

from django_poketalk.calls import requesting
from django_poketalk.models import BlacklistedNumber, CallRequest, Phone, Placement
from django_poketalk.protocol import numbers

from ..conftest import CALLEE, CALLER
from ..people import contains_number, page, someone

pytestmark = pytest.mark.django_db

ADMIN = "/admin/poketalk"
DEEDS = [
    "place_call",
    *(
        f"{deed}_{model}"
        for model in ("callrequest", "callevent", "blacklistednumber", "phone")
        for deed in ("view", "add", "change", "delete")
    ),
]
FROM, TO = numbers.display(CALLER), numbers.display(CALLEE)
CALL, ENTRY, OWN = f"{FROM} → {TO}", TO, FROM
NAMES = {"callrequest": CALL, "blacklistednumber": ENTRY, "phone": OWN}


@pytest.fixture
def rows(call: CallRequest) -> dict[str, Model]:
    CallRequest.objects.filter(pk=call.pk).update(placement=Placement.UNKNOWN)
    return {
        "callrequest": call,
        "blacklistednumber": BlacklistedNumber.objects.create(number=CALLEE, direction="to"),
        "phone": Phone.objects.create(user=someone("bea"), number=CALLER),
    }


def staff(*permissions: str, name: str = "anna") -> Client:
    client = Client()
    client.force_login(someone(name, *permissions, is_staff=True))
    return client


def reader(sees: bool) -> Client:
    """Somebody who may do all, and see numbers or not."""
    return staff(*DEEDS, "view_numbers", name="zoe") if sees else staff(*DEEDS)


def named(html: str, name: str) -> int:
    """How often the page contains it, with any kind of space between the numbers."""
    return " ".join(html.split()).count(name)


@pytest.mark.parametrize("model", NAMES)
@pytest.mark.parametrize("view", ["change", "history", "delete"])
def test_titles_and_breadcrumbs_mask_numbers_by_permission(
    rows: Any, model: str, view: str
) -> None:
    path = f"{ADMIN}/{model}/{rows[model].pk}/{view}/"
    assert not contains_number(page(reader(False).get(path)))
    html = page(reader(True).get(path))
    crumbs = re.search(r'<(ol|div) class="breadcrumbs">.*?</\1>', html, re.DOTALL)
    assert crumbs
    assert named(crumbs[0], NAMES[model]) == 1
    assert named(html, NAMES[model]) > 1
    assert "•" not in html


@pytest.mark.parametrize("model", NAMES)
def test_the_page_that_deletes_the_selected_rows_names_them(rows: Any, model: str) -> None:
    chosen = {"action": "delete_selected", "_selected_action": rows[model].pk}
    path = f"{ADMIN}/{model}/"
    assert not contains_number(page(reader(False).post(path, chosen)))
    html = page(reader(True).post(path, chosen))
    assert named(html, NAMES[model])
    assert "•" not in html


@pytest.mark.parametrize("model", NAMES)
def test_the_list_names_what_is_selected(rows: Any, model: str) -> None:
    path, label = f"{ADMIN}/{model}/", f"Select this object for an action - {NAMES[model]}"
    assert not contains_number(page(reader(False).get(path)))
    assert named(page(reader(True).get(path)), label) == 1


@pytest.mark.parametrize("sees", [False, True])
@pytest.mark.parametrize("model", NAMES)
def test_the_message_after_a_deletion_names_the_row_and_the_history_masks_it(
    rows: Any, model: str, sees: bool
) -> None:
    client = reader(sees)
    path = f"{ADMIN}/{model}/{rows[model].pk}/delete/"
    html = page(client.post(path, {"post": "yes"}, follow=True))
    assert (NAMES[model] in html) is sees
    assert contains_number(html) is sees
    entry = LogEntry.objects.get()
    assert entry.is_deletion()
    assert "•" in entry.object_repr
    assert not contains_number(entry.object_repr)


@pytest.mark.parametrize("sees", [False, True])
@pytest.mark.parametrize(
    ("model", "name"),
    [("blacklistednumber", "+44 20 7946 0999"), ("phone", "+44 20 7946 0777")],
)
def test_the_message_after_an_addition_names_the_row_and_the_history_masks_it(
    sees: bool, model: str, name: str
) -> None:
    client = reader(sees)
    form = {"number": name, "direction": "to", "user": someone("carl").pk}
    response = client.post(f"{ADMIN}/{model}/add/", form, follow=True)
    (message,) = response.context["messages"]
    assert (name in str(message)) is sees
    assert ("•" in str(message)) is not sees
    assert not contains_number(LogEntry.objects.get().object_repr)


@pytest.mark.parametrize("sees", [False, True])
def test_the_message_after_a_change_names_the_row_and_the_history_masks_it(
    rows: Any, sees: bool
) -> None:
    client = reader(sees)
    path = f"{ADMIN}/blacklistednumber/{rows['blacklistednumber'].pk}/change/"
    form = {"number": CALLEE, "direction": "both", "reason": "Asked us"}
    (message,) = client.post(path, form, follow=True).context["messages"]
    assert (ENTRY in str(message)) is sees
    entry = LogEntry.objects.get()
    assert not contains_number(entry.object_repr + entry.change_message)


@pytest.mark.parametrize("sees", [False, True])
def test_the_message_after_calling_again_names_the_call(rows: Any, sees: bool) -> None:
    client = reader(sees)
    again = {"action": "call_again", "_selected_action": rows["callrequest"].pk, "confirmed": "1"}
    (message,) = client.post(f"{ADMIN}/callrequest/", again, follow=True).context["messages"]
    assert (CALL in str(message)) is sees
    assert not any(contains_number(entry.object_repr) for entry in LogEntry.objects.all())


@pytest.mark.parametrize("sees", [False, True])
def test_the_page_that_resolves_a_call_names_it(rows: Any, sees: bool) -> None:
    client = reader(sees)
    html = page(client.get(f"{ADMIN}/callrequest/{rows['callrequest'].pk}/resolve/"))
    assert (CALL in html) is sees
    assert contains_number(html) is sees


def test_users_see_only_the_numbers_of_their_own_calls() -> None:
    anna = someone("anna", *DEEDS, is_staff=True)
    own, other = (
        requesting.request_call(from_number=CALLER, to_number=CALLEE, user=user)
        for user in (anna, someone("bea"))
    )
    client = Client()
    client.force_login(anna)
    for view in ("change", "history", "delete"):
        assert CALL in page(client.get(f"{ADMIN}/callrequest/{own.pk}/{view}/"))
        assert not contains_number(page(client.get(f"{ADMIN}/callrequest/{other.pk}/{view}/")))


def test_recent_actions_are_masked_for_all_users(rows: Any) -> None:
    client = reader(True)
    client.post(f"{ADMIN}/phone/{rows['phone'].pk}/delete/", {"post": "yes"})
    client.get("/admin/")  # with the message of the deletion
    html = page(client.get("/admin/"))
    assert "•" in html
    assert not contains_number(html)


def test_a_name_reads_from_left_to_right_in_any_language(call: CallRequest) -> None:
    call.shows_numbers = True
    with override("he"):
        assert str(call) == f"\N{LEFT-TO-RIGHT ISOLATE}{CALL}\N{POP DIRECTIONAL ISOLATE}"


def test_logs_and_error_reports_have_masked_names(call: CallRequest) -> None:
    call.shows_numbers = True
    own = Phone(number=CALLER)
    own.shows_numbers = True
    assert not contains_number(repr(call) + repr(own))
