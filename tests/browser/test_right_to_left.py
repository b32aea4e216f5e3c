"""Pages in Hebrew: what is read from left to right is also written so."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Locator

# Whether the first character of an element's text is to the left of the last one
IS_LEFT_TO_RIGHT = """element => {
    const words = document.createTreeWalker(element, NodeFilter.SHOW_TEXT).nextNode();
    const left = (index) => {
        const range = document.createRange();
        range.setStart(words, index);
        range.setEnd(words, index + 1);
        return range.getBoundingClientRect().left;
    };
    return left(0) < left(words.length - 1);
}"""
SERVICE = "/admin/poketalk_server"


@pytest.mark.parametrize(
    ("path", "place", "text"),
    [
        (f"{SERVICE}/ledgerentry/", "td.field-money_amount bdi", "-1.508 EUR"),
        (f"{SERVICE}/ledgerentry/", "td.field-money_balance bdi", "-1.508 EUR"),
        (f"{SERVICE}/ledgerentry/1/change/", ".field-money_amount .readonly bdi", "-1.508 EUR"),
        (f"{SERVICE}/account/1/statement/", ".poketalk-time time", ""),
        (f"{SERVICE}/switch/", "td bdi[dir=ltr]", ""),
        (f"{SERVICE}/ledgerentry/1/reverse/", "dd bdi[dir=ltr]", ""),
    ],
)
def test_amounts_and_times_are_written_from_left_to_right(
    path: str, place: str, text: str, browser: Browser, demo_site: str
) -> None:
    page = browser.new_page(base_url=demo_site, locale="he")
    page.goto(f"/login/?next={path}")
    page.locator("[name=username]").fill("demo")
    page.locator("[name=password]").fill("demo")
    page.locator("[name=password]").press("Enter")
    found: Locator = page.locator(place).first
    if text:  # the demo has no negative amount before its first call
        found.evaluate("(element, text) => { element.textContent = text }", text)

    assert page.locator("html").get_attribute("dir") == "rtl"
    assert found.evaluate(IS_LEFT_TO_RIGHT)
    page.close()
