"""Relations between calls and a project's objects, and what deleting each of them does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from django_poketalk.backends import locmem
from django_poketalk.calls import placing
from django_poketalk.models import CallEvent, CallRequest, Phone, Placement
from tests.crm.models import Deal, Lead

from .conftest import CALLEE
from .events.test_event_view import tell
from .people import agent, connected, contact, contains_number, logged_in, page, someone, staff

NewCall = Callable[..., CallRequest]

pytestmark = pytest.mark.django_db


def make(model: type[Model], name: str) -> Any:
    """An object with a `GenericRelation` to its calls."""
    return model._default_manager.create(
        **{"name": name, **({"phone": CALLEE} if model is Lead else {})}
    )


@pytest.mark.parametrize("model", [Lead, Deal])
class TestGenericRelation:
    """With a UUID and with an integer as the primary key."""

    def test_it_has_the_calls_about_the_object(self, model: Any, new_call: NewCall) -> None:
        bob, carol = make(model, "Bob"), make(model, "Carol")
        call = new_call(subject=bob)

        assert [*bob.calls.all()] == [call]
        assert not carol.calls.exists()

    def test_it_can_be_prefetched(
        self, model: Any, new_call: NewCall, django_assert_num_queries: Any
    ) -> None:
        bob, _carol = make(model, "Bob"), make(model, "Carol")
        new_call(subject=bob)

        with django_assert_num_queries(2):
            rows = model.objects.prefetch_related("calls").order_by("name")
            assert [len(each.calls.all()) for each in rows] == [1, 0]

    def test_objects_are_found_by_their_calls_as_documented(
        self, model: Any, new_call: NewCall
    ) -> None:
        bob, carol = make(model, "Bob"), make(model, "Carol")
        new_call(subject=bob)

        kind = ContentType.objects.get_for_model(model)
        called = CallRequest.objects.filter(subject_type=kind).values_list("subject_id", flat=True)

        assert [*model.objects.filter(pk__in=[*called])] == [bob]
        assert [*model.objects.exclude(pk__in=[*called])] == [carol]

    def test_deleting_the_object_deletes_its_calls(self, model: Any, new_call: NewCall) -> None:
        bob, carol = make(model, "Bob"), make(model, "Carol")
        placed = new_call(subject=bob)
        placing.place(placed.pk)
        tell(Client(), placed, 1)
        kept = new_call(subject=carol)

        bob.delete()

        assert [*CallRequest.objects.all()] == [kept]
        assert not CallEvent.objects.exists()


class TestDeletedObjects:
    """Without a `GenericRelation`, calls outlive what they are about."""

    def test_the_call_stays_and_has_no_subject(self, new_call: NewCall) -> None:
        anna, bob = agent(), contact()
        call = connected(new_call(user=anna, subject=bob))

        bob.delete()

        assert "<h1>Call</h1>" in page(logged_in(anna).get(f"/poketalk/{call.pk}/"))
        assert (
            logged_in(anna).get(f"/poketalk/api/calls/{call.pk}/").json()["subject"]["text"] == ""
        )
        boss = staff("boss", is_superuser=True)
        assert boss.get(f"/admin/poketalk/callrequest/{call.pk}/change/").status_code == 200
        assert boss.get("/admin/poketalk/callrequest/").status_code == 200

    def test_a_scheduled_call_about_it_is_not_placed(self, new_call: NewCall) -> None:
        bob = contact()
        due = timezone.now() + timedelta(hours=1)
        call = new_call(user=agent(), subject=bob, not_before=due, requires_permission=True)
        bob.delete()
        CallRequest.objects.update(not_before=timezone.now())

        placing.place(call.pk)

        call.refresh_from_db()
        assert call.placement == Placement.FORBIDDEN


class TestDeletedUsers:
    def test_their_calls_stay_and_their_phones_go(self, new_call: NewCall) -> None:
        anna = agent()
        call = connected(new_call(user=anna))

        anna.delete()

        call.refresh_from_db()
        assert (call.user, call.is_open) == (None, True)
        assert not Phone.objects.exists()
        boss = staff("boss", is_superuser=True)
        assert boss.get(f"/admin/poketalk/callrequest/{call.pk}/change/").status_code == 200

    def test_their_calls_that_still_wait_are_not_placed(self, new_call: NewCall) -> None:
        anna = agent()
        call = new_call(user=anna, requires_permission=True)

        anna.delete()
        placing.place(call.pk)

        call.refresh_from_db()
        assert call.placement == Placement.FORBIDDEN

    def test_who_hung_up_is_forgotten(self, call: CallRequest) -> None:
        anna = agent()
        call.cancel(timezone.now(), anna)

        anna.delete()

        call.refresh_from_db()
        assert call.hangup_requested_at is not None
        assert call.hangup_requested_by is None


class TestDeletedCalls:
    def test_a_waiting_call_rings_no_phone(self, call: CallRequest) -> None:
        pk = call.pk
        call.delete()

        placing.place(pk)

        assert locmem.outbox == []

    def test_a_live_call_is_ended_at_its_next_event(
        self, client: Client, call: CallRequest
    ) -> None:
        placing.place(call.pk)
        assert tell(client, call, 7, 10) == 200
        CallRequest.objects.all().delete()

        assert tell(client, call, 7, 70) == 412
        assert tell(client, call, 8, 71) == 200
        assert not CallEvent.objects.exists()


class TestInline:
    @pytest.fixture(autouse=True)
    def _site(self, settings: Any) -> None:
        settings.ROOT_URLCONF = "tests.crm.more_sites"

    def test_the_change_page_lists_the_calls_that_the_user_may_see(self, new_call: NewCall) -> None:
        bob, carol = make(Lead, "Bob"), make(Lead, "Carol")
        anna = someone("anna")
        own, other = new_call(user=anna, subject=bob), new_call(user=anna, subject=carol)
        watcher = staff("watcher", "view_callrequest")
        self.may_change_leads(watcher)

        html = page(watcher.get(f"/staff/crm/lead/{bob.pk}/change/"))

        assert f"/staff/poketalk/callrequest/{own.pk}/change/" in html
        assert f"/staff/poketalk/callrequest/{other.pk}/change/" not in html
        assert not contains_number(html.split("inline-related", 1)[1])

    def test_users_see_their_own_calls_and_others_nothing(self, new_call: NewCall) -> None:
        bob = make(Lead, "Bob")
        new_call(user=someone("anna"), subject=bob)
        client = staff("agent", "place_call")
        self.may_change_leads(client)
        user = client.get("/staff/").wsgi_request.user
        mine = new_call(user=user, subject=bob)

        html = page(client.get(f"/staff/crm/lead/{bob.pk}/change/"))

        assert "+44 20 7946 0123" in html
        assert html.count('class="field-when"') == 1
        assert mine.pk

        client.post(
            f"/staff/crm/lead/{bob.pk}/change/",
            {
                "name": "Robert",
                "phone": CALLEE,
                "poketalk-callrequest-subject_type-subject_id-TOTAL_FORMS": "1",
                "poketalk-callrequest-subject_type-subject_id-INITIAL_FORMS": "1",
                "poketalk-callrequest-subject_type-subject_id-0-id": str(mine.pk),
            },
        )
        bob.refresh_from_db()
        assert bob.name == "Robert"
        assert CallRequest.objects.filter(subject_id=str(bob.pk)).count() == 2

    def test_users_who_may_not_see_calls_have_no_inline(self, new_call: NewCall) -> None:
        bob = make(Lead, "Bob")
        new_call(subject=bob)
        client = staff("clerk")
        self.may_change_leads(client)

        assert "field-when" not in page(client.get(f"/staff/crm/lead/{bob.pk}/change/"))

    def may_change_leads(self, client: Client) -> None:
        user = client.get("/staff/").wsgi_request.user
        user.user_permissions.add(Permission.objects.get(codename="change_lead"))
