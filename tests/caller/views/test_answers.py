"""The service's response codes in the user's language, on all pages that show them."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape

import pytest
from django.test import Client
from django.utils import translation

from django_poketalk.models import CallRequest, Placement
from django_poketalk.models.states import ANSWERS
from django_poketalk.protocol.codes import ResponseCode

from ..people import page, staff

CALLS = "/admin/poketalk/callrequest/"


def test_english_pages_use_the_words_of_the_protocol() -> None:
    with translation.override("en"):
        assert {code: str(words) for code, words in ANSWERS.items()} == {
            code.value: f"{code.value} {code.meaning}" for code in ResponseCode
        }


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["de", "es", "fr", "he"])
def test_no_page_shows_them_in_english_in_another_language(
    language: str, new_call: Callable[..., CallRequest]
) -> None:
    call = new_call()
    CallRequest.objects.filter(pk=call.pk).update(placement=Placement.REJECTED, response_code="60")
    boss: Client = staff("boss", is_superuser=True)
    with translation.override(language):
        data, meaning = str(ANSWERS["60"]), translation.gettext(ResponseCode.BLACKLISTED.meaning)
        pages = {
            address: unescape(page(boss.get(address)))
            for address in (CALLS, f"{CALLS}{call.pk}/change/", f"/poketalk/{call.pk}/")
        }

    assert meaning != ResponseCode.BLACKLISTED.meaning
    assert f"60: {meaning[:20]}" in pages[CALLS]  # and more, cut in the line
    for address, html in pages.items():
        assert data in html, address
        assert "blacklisted by" not in html, address
