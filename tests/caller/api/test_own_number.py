"""The user's own number in the API. Each user who may place calls has access to their own."""

from __future__ import annotations

from typing import Any

import pytest

from django_poketalk.models import Phone

from ..conftest import CALLER
from ..people import agent, someone
from .rest_client import OWN_NUMBER, client, problem, wrong

pytestmark = pytest.mark.django_db


def put(asking: Any, body: Any) -> Any:
    return asking.put(OWN_NUMBER, body, "application/json")


def test_a_number_is_set_returned_replaced_and_deleted(poketalk: Any) -> None:
    poketalk(DEFAULT_REGION="GB")
    anna = someone("anna", "place_call")
    asking = client(anna)

    problem(asking.get(OWN_NUMBER), 404, "not_found")
    assert put(asking, {"number": "020 7946 0000"}).json() == {"number": CALLER}
    assert asking.get(OWN_NUMBER).json() == {"number": CALLER}
    assert put(asking, {"number": "+44 20 7946 0999"}).json() == {"number": "+442079460999"}
    assert Phone.objects.get().user == anna
    assert asking.delete(OWN_NUMBER).status_code == 204
    assert asking.delete(OWN_NUMBER).status_code == 204
    problem(asking.get(OWN_NUMBER), 404, "not_found")


def test_each_user_has_their_own_number() -> None:
    agent("anna")
    bob = client(someone("bob", "place_call"))

    problem(bob.get(OWN_NUMBER), 404, "not_found")
    put(bob, {"number": "+442079460999"})
    bob.delete(OWN_NUMBER)
    assert Phone.objects.get().number == CALLER


def test_an_own_number_requires_the_permission_to_place_calls() -> None:
    eve = client(someone("eve"))

    problem(eve.get(OWN_NUMBER), 403, "permission_denied")
    problem(put(eve, {"number": CALLER}), 403, "permission_denied")
    problem(eve.delete(OWN_NUMBER), 403, "permission_denied")
    assert not Phone.objects.exists()


@pytest.mark.parametrize(
    "number", [None, "", 442079460000, True, [], "12", "\x00", "x" * 41, "<script>"]
)
def test_an_invalid_number_is_an_error_and_changes_nothing(number: Any) -> None:
    assert list(wrong(put(client(agent()), {"number": number}))) == ["#/number"]
    assert Phone.objects.get().number == CALLER


def test_requests_make_few_queries(django_assert_num_queries: Any) -> None:
    asking = client(agent())

    with django_assert_num_queries(5):  # session, user, 2 × permissions, number
        assert asking.get(OWN_NUMBER).status_code == 200
