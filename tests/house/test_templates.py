"""Templates have no inline style or script: they work under a strict Content-Security-Policy."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from . import tree

TAG = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)
URLS = ("href", "src", "action", "formaction")


class Inline(HTMLParser):
    """Collects what a strict policy would block."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "style":
            self.found.append("<style>")
        data = attributes.get("type") == "application/json"
        if tag == "script" and "src" not in attributes and not data:
            self.found.append("<script>")
        for attribute, value in attrs:
            if attribute == "style" or attribute.startswith("on"):
                self.found.append(attribute)
            if attribute in URLS and (value or "").strip().lower().startswith("javascript:"):
                self.found.append(f"{attribute}={value}")


def inline(template: str) -> list[str]:
    parser = Inline()
    parser.feed(TAG.sub("", template))
    parser.close()
    return parser.found


def test_dates_with_a_time_are_written_from_left_to_right() -> None:
    dates = [
        (tree.name(path), line)
        for path in tree.files(".html")
        for line in path.read_text().splitlines()
        if re.search(r'\|date:"SHORT_DATE_FORMAT" \}\} \{\{', line)
    ]

    assert dates
    assert [each for each in dates if 'dir="ltr"' not in each[1]] == []


def test_templates_have_nothing_inline() -> None:
    templates = tree.files(".html")

    assert templates
    assert {
        tree.name(path): found for path in templates if (found := inline(path.read_text()))
    } == {}


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("<style>p { color: red }</style>", ["<style>"]),
        ("<script>alert(1)</script>", ["<script>"]),
        ('<script type="module">import "x"</script>', ["<script>"]),
        ('<p style="color: red">', ["style"]),
        ('<p {% if x > 1 %}class="a"{% endif %} onclick="go()">', ["onclick"]),
        ('<a href=" JavaScript:go()">', ["href= JavaScript:go()"]),
    ],
)
def test_inline_code_is_found(template: str, found: list[str]) -> None:
    assert inline(template) == found


@pytest.mark.parametrize(
    "template",
    [
        '<script src="{% static "a.js" %}" type="module" defer></script>',
        '<script type="application/json">{"a": 1}</script>',
        '<a href="{{ url }}" class="style">onclick="no tag"</a>',
    ],
)
def test_other_code_is_allowed(template: str) -> None:
    assert inline(template) == []
