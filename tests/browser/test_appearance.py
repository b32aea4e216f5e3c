"""The call element on narrow screens, right to left, in light and dark, under a strict policy."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.crm.models import Contact

from .service import Service
from .site import POLICY
from .steps import Visit, expect_status, hang_up_button, wait_for_request

LONG = "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh & Partners " * 2
MINIMUM_CONTRAST = 4.5  # of text, WCAG 2.2 AA


def element(page: Page) -> Any:
    return page.locator("poketalk-call")


def fits(page: Page) -> bool:
    """Whether the page needs no horizontal scrolling."""
    width = "document.documentElement"
    return bool(page.evaluate(f"{width}.scrollWidth <= {width}.clientWidth"))


def start(page: Page, service: Service, *statuses: int) -> None:
    element(page).locator("[type=submit]").click()
    wait_for_request(page, service)
    for status in statuses:
        service.send_event(status, cost="0.08")


def test_the_element_fits_a_narrow_screen(visit: Visit, service: Service, bob: Contact) -> None:
    Contact.objects.update(name=LONG[:100])
    page = visit(viewport={"width": 360, "height": 640})
    assert fits(page)

    start(page, service, 1, 3)
    expect(element(page)).to_have_attribute("phase", "ringing")
    assert fits(page)
    service.send_event(7, cost="12345.678")
    expect(element(page)).to_have_attribute("phase", "talking")
    assert fits(page)
    service.send_event(8, 3, "12345.678")
    expect(element(page)).to_have_attribute("phase", "ended")
    assert fits(page)


def test_the_layout_is_mirrored_in_right_to_left_languages(
    visit: Visit, service: Service, settings: Any
) -> None:
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
def test_all_text_has_enough_contrast_in_light_and_dark(
    scheme: str, visit: Visit, service: Service
) -> None:
    page = visit(color_scheme=scheme)
    start(page, service, 1, 3, 5, 7)
    expect_status(page, "Connected")

    background = color(page, "body", "background-color")
    assert (sum(background) > 3 * 128) == (scheme == "light")
    for part in ("sentence", "figures", "link"):
        assert (
            contrast(color(page, f"[data-poketalk={part}]", "color"), background)
            >= MINIMUM_CONTRAST
        )
    hang_up = "[data-poketalk=hang-up]"
    text = color(page, hang_up, "color")
    assert contrast(text, color(page, hang_up, "background-color")) >= MINIMUM_CONTRAST


def test_a_project_can_set_the_colors(visit: Visit, service: Service) -> None:
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


def test_the_policy_is_sent_and_its_violations_are_recorded(
    visit: Visit, problems: list[str]
) -> None:
    page = visit()
    response = page.request.get(page.url)
    assert response.headers["content-security-policy"] == POLICY

    page.evaluate("document.body.setAttribute('style', 'color: red')")
    page.wait_for_timeout(100)

    assert any("violates the policy: style-src" in problem for problem in problems)
    problems.clear()


def color(page: Page, selector: str, property_name: str) -> tuple[int, int, int]:
    value = page.locator(selector).first.evaluate(
        "(element, name) => getComputedStyle(element)[name]", property_name
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
