"""The pages of a call in the admin of both halves link to each other."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from tests.caller.conftest import new_call
from tests.caller.people import logged_in, page, someone, staff
from tests.server.conftest import customer

__all__ = ["customer", "new_call"]
CALLS, SERVED = "/admin/poketalk/callrequest/", "/admin/poketalk_server/call/"


@pytest.mark.django_db
def test_the_halves_link_to_each_others_call_for_those_who_may_see_both(
    customer: Any, new_call: Any
) -> None:
    call = new_call()
    type(call).objects.filter(pk=call.pk).update(sent_at=timezone.now())
    served = customer.new_call(custom=call.webcallid)
    served.save()
    boss = logged_in(someone("boss", is_staff=True, is_superuser=True))
    link, back = f"{SERVED}?q={call.webcallid}", f"{CALLS}?q={call.webcallid}"

    assert f'href="{link}"' in page(boss.get(f"{CALLS}{call.pk}/change/"))
    assert f"{SERVED}{served.pk}/change/" in page(boss.get(link))
    assert f'href="{back}"' in page(boss.get(f"{SERVED}{served.pk}/change/"))
    assert f"{CALLS}{call.pk}/change/" in page(boss.get(back))
    one_half = staff("watcher", "view_callrequest")
    assert link not in page(one_half.get(f"{CALLS}{call.pk}/change/"))
