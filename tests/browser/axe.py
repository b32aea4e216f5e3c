"""Accessibility checks with axe-core: https://github.com/dequelabs/axe-core."""

from __future__ import annotations

from functools import cache
from typing import Any

from playwright.sync_api import Page

from tests.needs import AXE

IMPACTS = ("serious", "critical")
# Parts of Django's own admin: links in text without an underline, and inputs without labels.
EXCLUDED = (
    ".breadcrumbs",
    ".inline-related.tabular :is(input, select, textarea)",
    "p.datetime input",
)


@cache
def _source() -> str:
    return (AXE.folder / "axe.min.js").read_text()


def accessibility_violations(page: Page) -> list[str]:
    """The serious and critical violations, one line for each element.

    Check the console before calling this: axe-core adds inline styles, which violate the policy.
    """
    page.evaluate(_source())
    found: dict[str, Any] = page.evaluate(
        "(exclude) => axe.run({ exclude }, { resultTypes: ['violations'] })",
        [[selector] for selector in EXCLUDED],
    )
    return [
        f"{violation['id']}: {node['html'][:160]} ({node['failureSummary']})"
        for violation in found["violations"]
        for node in violation["nodes"]
        if violation["impact"] in IMPACTS
    ]
