"""How the call element looks: narrow, from right to left, light and dark, under a strict policy."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.crm.models import Contact

from .service import Service
from .site import POLICY
from .steps import Visit, asked, hang_up_button, says

LONG = "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh & Partners " * 2
READABLE = 4.5  # contrast of text, WCAG 2.2 AA


def element(page: Page) -> Any:
    return page.locator("poketalk-call")


def fits(page: Page) -> bool:
    """Whether nothing has to be scrolled to sideways."""
    width = "document.documentElement"
    return bool(page.evaluate(f"{width}.scrollWidth <= {width}.clientWidth"))


def start(page: Page, service: Service, *statuses: int) -> None:
    element(page).locator("[type=submit]").click()
    asked(page, service)
    for status in statuses:
        service.tell(status, cost="0.08")


def test_everything_fits_a_narrow_screen(visit: Visit, service: Service, bob: Contact) -> None:
    Contact.objects.update(name=LONG[:100])
    page = visit(viewport={"width": 360, "height": 640})
    assert fits(page)

    start(page, service, 1, 3)
    expect(element(page)).to_have_attribute("phase", "ringing")
    assert fits(page)
    service.tell(7, cost="12345.678")
    expect(element(page)).to_have_attribute("phase", "talking")
    assert fits(page)
    service.tell(8, 3, "12345.678")
    expect(element(page)).to_have_attribute("phase", "ended")
    assert fits(page)


def test_it_runs_from_right_to_left(visit: Visit, service: Service, settings: Any) -> None:
    settings.LANGUAGE_CODE = "he"
    page = visit(viewport={"width": 360, "height": 640})

    start(page, service, 1, 3)
    expect(element(page)).to_have_attribute("phase", "ringing")

    call = element(page).locator("[type=submit]").bounding_box()
    hang_up = element(page).locator("[data-poketalk=hang-up]").bounding_box()
    assert call
    assert hang_up
    assert hang_up["x"] < call["x"]
    assert "\u2068Bob\u2069" in (element(page).get_by_role("status").text_content() or "")
    assert fits(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_light_and_dark(
    scheme: str, visit: Visit, service: Service
) -> None:
    page = visit(color_scheme=scheme)
    start(page, service, 1, 3, 5, 7)
    says(page, "Connected")

    ground = color(page, "body", "background-color")
    assert (sum(ground) > 3 * 128) == (scheme == "light")
    for part in ("sentence", "figures", "link"):
        assert contrast(color(page, f"[data-poketalk={part}]", "color"), ground) >= READABLE
    hang_up = "[data-poketalk=hang-up]"
    written = color(page, hang_up, "color")
    assert contrast(written, color(page, hang_up, "background-color")) >= READABLE


def test_a_project_sets_the_colors(visit: Visit, service: Service) -> None:
    page = visit()
    page.evaluate(
        """() => {
            const theme = new CSSStyleSheet();
            theme.replaceSync(":root { --poketalk-danger: rgb(1, 2, 3); }");
            document.adoptedStyleSheets = [theme];
        }"""
    )

    start(page, service)

    expect(hang_up_button(page)).to_have_css("background-color", "rgb(1, 2, 3)")


def test_the_policy_is_there_and_its_violations_are_seen(visit: Visit, problems: list[str]) -> None:
    page = visit()
    answer = page.request.get(page.url)
    assert answer.headers["content-security-policy"] == POLICY

    page.evaluate("document.body.setAttribute('style', 'color: red')")
    page.wait_for_timeout(100)

    assert any("refused by the policy: style-src" in problem for problem in problems)
    problems.clear()


def color(page: Page, selector: str, which: str) -> tuple[int, int, int]:
    value = page.locator(selector).first.evaluate(
        "(element, which) => getComputedStyle(element)[which]", which
    )
    red, green, blue = map(int, re.findall(r"\d+", value)[:3])
    return red, green, blue


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """The contrast ratio of WCAG 2.2 between two colors."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(color: tuple[int, int, int]) -> float:
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (value / 255 for value in color)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
