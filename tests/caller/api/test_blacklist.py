"""The blacklist in the API. It has the same permissions and validation as in the admin."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction
from django.utils import translation

from django_poketalk.api import resources
from django_poketalk.models import BlacklistedNumber

from ..conftest import CALLEE
from ..people import someone
from .rest_client import BLACKLIST, client, post, problem, wrong

pytestmark = pytest.mark.django_db
KEEPER = tuple(f"{action}_blacklistednumber" for action in ("view", "add", "change", "delete"))


def keeper(*more: str) -> Any:
    return someone("keeper", *KEEPER, *more)


def listed(**fields: Any) -> BlacklistedNumber:
    return BlacklistedNumber.objects.create(**{"number": CALLEE, **fields})


def patch(asking: Any, entry: BlacklistedNumber, body: Any) -> Any:
    return asking.patch(f"{BLACKLIST}{entry.pk}/", body, "application/json")


def test_an_entry_is_stored_as_in_the_admin(poketalk: Any) -> None:
    poketalk(DEFAULT_REGION="GB")
    user = keeper("view_numbers")
    body = {"number": "020 7946 0123", "direction": "to", "reason": "Asked not to be called."}
    response = post(client(user), BLACKLIST, body)

    entry = BlacklistedNumber.objects.get()
    assert response.status_code == 201
    assert response.headers["Location"] == f"http://testserver{BLACKLIST}{entry.pk}/"
    assert (entry.number, entry.direction, entry.created_by) == (CALLEE, "to", user)
    data = response.json()
    assert data.pop("created_at").endswith("Z")
    assert data == {
        "id": entry.pk,
        "number": CALLEE,
        "is_prefix": False,
        "direction": "to",
        "reason": "Asked not to be called.",
        "until": None,
        "created_by": user.pk,
    }


def test_a_prefix_is_added() -> None:
    body = {"number": "+44 20", "is_prefix": True, "until": "2999-01-01T00:00:00Z"}
    data = post(client(keeper()), BLACKLIST, body).json()

    assert (data["number"], data["direction"]) == ("+4420", "both")
    assert data["until"] == "2999-01-01T00:00:00Z"


def test_missing_fields_are_not_changed() -> None:
    entry = listed(reason="Why", direction="to")
    asking = client(keeper("view_numbers"))
    data = patch(asking, entry, {"number": "+44 20 7946 0124"}).json()

    assert (data["number"], data["reason"], data["direction"]) == ("+442079460124", "Why", "to")
    assert patch(asking, entry, {"is_prefix": True, "number": "+4420"}).json()["is_prefix"] is True


def test_an_entry_is_deleted() -> None:
    entry = listed()

    assert client(keeper()).delete(f"{BLACKLIST}{entry.pk}/").status_code == 204
    assert not BlacklistedNumber.objects.exists()


def test_users_who_may_not_see_numbers_cannot_change_them() -> None:
    entry, prefix = listed(), listed(number="+4420", is_prefix=True)
    asking = client(keeper())

    rendered = {each["id"]: each["number"] for each in asking.get(BLACKLIST).json()["results"]}
    assert rendered == {entry.pk: "+44 ••••••••23", prefix.pk: "+4420"}
    assert asking.get(f"{BLACKLIST}{entry.pk}/").json()["number"] == "+44 ••••••••23"
    assert patch(asking, entry, {"reason": "New"}).json()["number"] == "+44 ••••••••23"
    assert wrong(patch(asking, entry, {"number": "+442079460124"})) == {"#/number": "number_hidden"}
    assert wrong(patch(asking, entry, {"is_prefix": True})) == {"#/is_prefix": "number_hidden"}
    entry.refresh_from_db()
    assert (entry.number, entry.reason) == (CALLEE, "New")
    assert asking.get(BLACKLIST, {"number": CALLEE}).json()["results"] == []


def test_each_permission_allows_only_its_action() -> None:
    entry = listed()
    path = f"{BLACKLIST}{entry.pk}/"

    def answers(name: str) -> list[int]:
        asking = client(someone(name, *([f"{name}_blacklistednumber"] if name != "none" else [])))
        return [
            asking.get(BLACKLIST).status_code,
            asking.get(path).status_code,
            post(asking, BLACKLIST, {}).status_code,
            patch(asking, entry, {"direction": "x"}).status_code,
        ]

    assert answers("none") == [403, 403, 403, 403]
    assert answers("view") == [200, 200, 403, 403]
    assert answers("add") == [403, 403, 400, 403]
    assert answers("change") == [200, 200, 403, 400]
    for name in ("eve", "clerk"):
        asking = client(someone(name, *KEEPER[:3]))
        problem(asking.delete(path), 403, "permission_denied")


def test_the_list_is_filtered() -> None:
    first = listed(direction="to")
    second = listed(number="+4420", is_prefix=True)
    asking = client(keeper("view_numbers"))

    def found(**query: Any) -> list[int]:
        return [each["id"] for each in asking.get(BLACKLIST, query).json()["results"]]

    assert found() == [second.pk, first.pk]
    assert found(direction="to") == [first.pk]
    assert found(is_prefix="true") == [second.pk]
    assert found(is_prefix="0") == [first.pk]
    assert found(number="+44 20 7946 0123") == [first.pk]
    problem(asking.get(BLACKLIST, {"is_prefix": "perhaps"}), 400, "invalid")
    problem(asking.get(BLACKLIST, {"direction": "up"}), 400, "invalid")


def test_an_existing_entry_is_an_error() -> None:
    listed()
    asking = client(keeper("view_numbers"))

    assert wrong(post(asking, BLACKLIST, {"number": "+44 20 7946 0123"}))
    other = listed(number="+442079460124")
    assert wrong(patch(asking, other, {"number": CALLEE}))


@pytest.mark.parametrize("is_prefix", [False, True])
def test_an_invalid_number_is_one_error_in_the_user_s_language(is_prefix: bool) -> None:
    asking = client(keeper("view_numbers"))

    with translation.override("de"):
        data = post(asking, BLACKLIST, {"number": "x1", "is_prefix": is_prefix}).json()

    [error] = data["errors"]
    assert error["pointer"] == "#/number"
    assert error["detail"].startswith("„x1“ ")


def test_an_entry_that_was_added_concurrently_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    asking = client(keeper("view_numbers"))

    def quicker() -> Any:
        BlacklistedNumber.objects.create(number=CALLEE)
        return transaction.atomic()

    monkeypatch.setattr(resources, "transaction", SimpleNamespace(atomic=quicker))
    assert wrong(post(asking, BLACKLIST, {"number": CALLEE}))


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/number"),
        ({"number": 442079460123}, "#/number"),
        ({"number": "12"}, "#/number"),
        ({"number": "\x00"}, "#/number"),
        ({"number": "+"}, "#/number"),
        ({"number": "٣x", "is_prefix": True}, "#/number"),
        ({"number": CALLEE, "is_prefix": "perhaps"}, "#/is_prefix"),
        ({"number": CALLEE, "is_prefix": None}, "#/is_prefix"),
        ({"number": CALLEE, "is_prefix": []}, "#/is_prefix"),
        ({"number": CALLEE, "direction": "up"}, "#/direction"),
        ({"number": CALLEE, "direction": {}}, "#/direction"),
        ({"number": CALLEE, "reason": "x" * 201}, "#/reason"),
        ({"number": CALLEE, "reason": 5}, "#/reason"),
        ({"number": CALLEE, "reason": "\x00"}, "#/reason"),
        ({"number": CALLEE, "until": "9999-12-31T23:59:59-23:59"}, "#/until"),
        ({"number": CALLEE, "until": "never"}, "#/until"),
    ],
)
def test_an_invalid_field_is_reported_with_its_pointer(body: Any, pointer: str) -> None:
    assert list(wrong(post(client(keeper("view_numbers")), BLACKLIST, body))) == [pointer]
    assert not BlacklistedNumber.objects.exists()


def test_put_is_not_allowed() -> None:
    entry = listed()
    response = client(keeper()).put(f"{BLACKLIST}{entry.pk}/", {}, "application/json")

    problem(response, 405, "method_not_allowed")
    assert "PATCH" in response.headers["Allow"]


def test_the_queries_of_a_page_do_not_depend_on_the_number_of_entries(
    django_assert_num_queries: Any,
) -> None:
    user = keeper()
    for last in range(10, 40):
        listed(number=f"+4420794601{last}", created_by=user)
    asking = client(user)
    asking.get(BLACKLIST)

    with django_assert_num_queries(5):  # session, user, 2 × permissions, entries
        assert len(asking.get(BLACKLIST).json()["results"]) == 30
