"""The parameter `next` is a URL of this site: neither another site's nor the name of a view."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.caller.conftest import CALLER
from tests.caller.people import logged_in, someone

pytestmark = pytest.mark.django_db
VIEW_NAMES = ["logout", "admin:index", "poketalk:phones", "django.views.static.serve", "no-such"]
ELSEWHERE = ["https://evil.example/", "//evil.example/", "/\\evil.example/", "javascript:alert(1)"]


def where_it_leads(following: str) -> str:
    """The address of the page after the user has entered a phone."""
    client = logged_in(someone("anna", "place_call"))
    response = client.post("/poketalk/my-phones/", {"number": CALLER, "next": following})
    assert response.status_code == 302
    return str(response["Location"])


@pytest.mark.parametrize("name", VIEW_NAMES)
def test_a_view_name_is_no_view(name: str) -> None:
    location = where_it_leads(name)

    assert location == name or parse_qs(urlsplit(location).query).get("next") in ([name], None)


@pytest.mark.parametrize("url", ELSEWHERE)
def test_no_page_leads_to_another_site(url: str) -> None:
    assert url not in where_it_leads(url)


def test_a_page_of_this_site_is_the_way_back() -> None:
    assert where_it_leads("/contacts/7/?tab=phones") == "/contacts/7/?tab=phones"
