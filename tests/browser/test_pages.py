"""Every page of the example is accessible, fits narrow screens, and causes no console errors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from .axe import accessibility_violations
from .conftest import REPORT_VIOLATIONS, TIMEOUT, record_problems
from .pages import PAGES, SERVICE, Address


@pytest.fixture(scope="module", params=["light", "dark"])
def visitors(
    request: pytest.FixtureRequest, browser: Browser, demo_site: str
) -> Iterator[dict[str, BrowserContext]]:
    """A browser context for each visitor, in light or dark mode."""
    contexts = {}
    for name in ("", "demo", "agent"):
        context = browser.new_context(base_url=demo_site, color_scheme=request.param)
        context.set_default_timeout(TIMEOUT)
        context.add_init_script(REPORT_VIOLATIONS)
        contexts[name] = context
        if name:
            log_in(context.new_page(), name)
    yield contexts
    for context in contexts.values():
        context.close()


def log_in(page: Page, name: str) -> None:
    page.goto("/login/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(name)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    page.close()


@pytest.fixture
def page(visitors: dict[str, BrowserContext], address: Address, problems: list[str]) -> Page:
    page = visitors[address.visitor].new_page()
    record_problems(page, problems)
    page.goto(address.path)
    if address.click:
        page.locator(address.click).first.click()
        page.wait_for_load_state()
    return page


# Counts the links of an admin page's object tools that overlap its title.
OVERLAPPING_TOOLS = """() => {
    const text = document.createRange();
    const boxes = [...document.querySelectorAll("#content > h1, #content > h2")].flatMap(
        (title) => { text.selectNodeContents(title); return [...text.getClientRects()]; });
    const tools = [...document.querySelectorAll(".object-tools a")].flatMap(
        (tool) => [...tool.getClientRects()]);
    return tools.filter((a) => boxes.some((b) => a.left < b.right && b.left < a.right
        && a.top < b.bottom && b.top < a.bottom)).length;
}"""

# The widths of an admin page's list and of its place, if the list has to be scrolled sideways.
CLIPPED_LISTS = """() => [...document.querySelectorAll("#result_list")]
    .map((list) => [list.scrollWidth, list.parentElement.clientWidth])
    .filter(([list, place]) => list > place)"""


@pytest.mark.needs("axe")
@pytest.mark.parametrize("address", PAGES, ids=str)
def test_the_page_is_accessible_and_fits(page: Page, address: Address, problems: list[str]) -> None:
    assert problems == []  # before axe-core adds its own inline styles
    assert accessibility_violations(page) == []
    if address.path.startswith(SERVICE):  # beside the sidebar and the filters
        page.set_viewport_size({"width": 1440, "height": 900})
        assert page.evaluate(CLIPPED_LISTS) == []
    if address.path.startswith("/admin/"):
        page.set_viewport_size({"width": 800, "height": 900})  # narrow beside the open sidebar
        assert page.evaluate(OVERLAPPING_TOOLS) == 0
    page.set_viewport_size({"width": 360, "height": 640})
    width = "document.documentElement"
    assert page.evaluate(f"{width}.scrollWidth <= {width}.clientWidth")
    page.close()
