"""The CRM's pages, requested over HTTP as by a browser."""

from __future__ import annotations

import re

import pytest
import requests

from demo.visitor import Visitor

pytestmark = pytest.mark.programs


@pytest.fixture
def demo(site: str) -> requests.Session:
    """A session of the user `demo`."""
    return logged_in(site, "demo")


def logged_in(site: str, name: str) -> requests.Session:
    visitor = Visitor(site)
    visitor.log_in(name, name)
    return visitor.session


def contact_page(site: str, session: requests.Session, query: str) -> str:
    """The address of the only contact that the search finds."""
    found = session.get(f"{site}/", params={"q": query}, timeout=10).text
    addresses = re.findall(r'href="(/contacts/\d+/)"', found)
    assert len(addresses) == 1, addresses
    return f"{site}{addresses[0]}"


@pytest.mark.parametrize("path", ["/", "/contacts/1/", "/poketalk/my-phones/", "/admin/"])
def test_pages_require_a_login(site: str, path: str) -> None:
    response = requests.get(f"{site}{path}", timeout=10)

    assert "/login/?next=" in response.url


def test_a_visitor_chooses_the_language_and_keeps_it(site: str) -> None:
    visitor = Visitor(site)
    page = visitor.session.get(f"{site}/login/", timeout=10).text
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[0]
    choice = {"language": "he", "csrfmiddlewaretoken": token}
    response = visitor.session.post(
        f"{site}/language/", choice, headers={"Referer": f"{site}/login/"}, timeout=10
    )

    assert response.url == f"{site}/login/"
    assert '<html lang="he" dir="rtl">' in response.text
    assert "סיסמה" in response.text
    visitor.log_in("demo", "demo")
    contact = visitor.session.get(f"{site}/contacts/1/", timeout=10)
    assert "התקשרות" in contact.text
    assert (
        "no-store" in contact.headers["Cache-Control"]
    )  # otherwise the back button displays an old page


def test_a_wrong_password_is_refused(site: str) -> None:
    with pytest.raises(LookupError, match="demo could not log in"):
        Visitor(site).log_in("demo", "guess")


def test_contacts_are_paginated(site: str, demo: requests.Session) -> None:
    first = demo.get(f"{site}/", timeout=10).text
    second = demo.get(f"{site}/", params={"page": 2}, timeout=10).text

    assert "Bea Busy" in first
    assert "Tia Ten" not in first
    assert "Tia Ten" in second


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("bea b", "Bea Busy"),
        ("always &", "Bea Busy"),
        ("020 7946 0001", "Bea Busy"),
        ("7946 0001", "Bea Busy"),
        ("nobody answers", "Nora Noanswer"),
        ("7946-0011", "Tia Ten"),
        ("nobody by this name", None),
    ],
)
def test_contacts_are_found_by_name_company_number_and_note(
    site: str, demo: requests.Session, query: str, name: str | None
) -> None:
    found = demo.get(f"{site}/", params={"q": query}, timeout=10).text

    names = re.findall(r"<strong>(.*?)</strong>", found)
    assert names == ([name] if name else [])


def test_the_search_text_is_escaped(site: str, demo: requests.Session) -> None:
    found = demo.get(f"{site}/", params={"q": "<script>x</script>"}, timeout=10).text

    assert "<script>" not in found
    assert "&lt;script&gt;" in found


def test_a_contacts_button_does_not_put_the_number_into_the_form(
    site: str, demo: requests.Session
) -> None:
    page = demo.get(contact_page(site, demo, "Bea Busy"), timeout=10).text

    form = re.search(r'<form class="poketalk-button".*?</form>', page, re.DOTALL)
    assert form is not None
    assert not re.search(r"7946\W*0001", form[0])
    assert "+44 20 7946 0001" in page


def test_pressing_the_button_leads_to_the_call(site: str) -> None:
    visitor = Visitor(site)
    visitor.log_in("demo", "demo")
    address = contact_page(site, visitor.session, "Theo Thirty").removeprefix(site)

    call = visitor.press_call(address)

    recent = visitor.session.get(f"{site}{address}", timeout=10).text
    assert f'href="/poketalk/{call}/' in recent


def test_a_user_without_admin_access_sees_no_link_to_it(site: str) -> None:
    page = logged_in(site, "agent").get(f"{site}/", timeout=10).text

    assert "/admin/" not in page
    assert "Sales agent" in page


def test_a_missing_contact_is_not_found(site: str, demo: requests.Session) -> None:
    assert demo.get(f"{site}/contacts/999999/", timeout=10).status_code == 404


@pytest.mark.parametrize("path", ["/", "/login/", "/poketalk/my-phones/", "/admin/"])
def test_no_page_has_inline_style_or_script(site: str, demo: requests.Session, path: str) -> None:
    session = requests.Session() if path == "/login/" else demo
    response = session.get(f"{site}{path}", timeout=10)

    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=", response.text)


def test_logging_out_ends_the_session(site: str, demo: requests.Session) -> None:
    visitor = Visitor(site)
    visitor.log_in("agent", "agent")

    visitor.submit("/", "/logout/")

    assert "/login/" in visitor.session.get(f"{site}/", timeout=10).url


def test_the_service_responds_at_the_protocols_path(site: str) -> None:
    response = requests.post(f"{site}/index.php/api/click2call", data={}, timeout=10)

    assert (response.status_code, response.text) == (200, "10")
