"""The user's own number, which is leg A."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from django_poketalk.models import CallerNumber

from ..conftest import CALLER
from ..people import agent, logged_in, page, someone

OWN_NUMBER = "/poketalk/my-number/"
INJECTED = "<script>alert('x')</script>"


@pytest.fixture
def anna(db: None) -> Any:
    return agent()


@pytest.mark.parametrize("written", ["+44 (20) 7946-0555", "442079460555", " +442079460555 "])
def test_the_own_number_is_stored_as_e164(written: str, anna: Any) -> None:
    response = logged_in(anna).post(OWN_NUMBER, {"number": written, "next": "/contacts/7/"})

    assert response.url == "/contacts/7/"
    assert CallerNumber.objects.get().number == "+442079460555"


def test_a_national_number_is_in_the_default_region(
    anna: Any, poketalk: Callable[..., None]
) -> None:
    poketalk(DEFAULT_REGION="GB")

    logged_in(anna).post(OWN_NUMBER, {"number": "020 7946 0555"})

    assert CallerNumber.objects.get().number == "+442079460555"


def test_an_invalid_number_stays_in_the_form_with_an_error(anna: Any) -> None:
    html = page(logged_in(anna).post(OWN_NUMBER, {"number": INJECTED}))

    assert "Enter a phone number, such as" in html or "is not a phone number" in html
    assert "<script" not in html
    assert "<title>Error:" in html
    assert CallerNumber.objects.get().number == CALLER


def test_an_empty_number_is_deleted(anna: Any) -> None:
    logged_in(anna).post(OWN_NUMBER, {"number": ""})

    assert not CallerNumber.objects.exists()


def test_users_cannot_set_the_number_of_others(anna: Any) -> None:
    eve = agent("eve")

    logged_in(eve).post(OWN_NUMBER, {"number": "+442079460555", "user": anna.pk})

    assert CallerNumber.objects.get(user=anna).number == CALLER


def test_the_stored_number_is_in_the_form(anna: Any) -> None:
    html = page(logged_in(anna).get(OWN_NUMBER))

    assert 'value="+44 20 7946 0000"' in html


def test_the_own_number_requires_the_permission_to_place_calls(db: None) -> None:
    page(logged_in(someone("watcher", "view_callrequest")).get(OWN_NUMBER), 403)


@pytest.mark.parametrize(
    ("region", "words"),
    [(None, "with + and country code"), ("GB", "are taken as numbers in GB")],
)
def test_the_form_explains_the_format_of_numbers(
    region: str | None, words: str, poketalk: Callable[..., None], db: None
) -> None:
    poketalk(DEFAULT_REGION=region)

    assert words in page(logged_in(agent()).get("/poketalk/my-number/"))
