"""What axe-core finds on a page that keeps people out: https://github.com/dequelabs/axe-core."""

from __future__ import annotations

from functools import cache
from typing import Any

from playwright.sync_api import Page

from tests.needs import AXE

GRAVE = ("serious", "critical")
# Django's admin as it comes: links among text without a line, inputs in tables and halves of a date
# without a label of their own. It is Django's to mend.
DJANGOS = (
    ".breadcrumbs",
    ".inline-related.tabular :is(input, select, textarea)",
    "p.datetime input",
)


@cache
def _source() -> str:
    return (AXE.folder / "axe.min.js").read_text()


def barriers(page: Page) -> list[str]:
    """The serious and critical violations, one line for each element.

    Look at what the console says before: axe-core writes styles into the page, which the policy
    refuses.
    """
    page.evaluate(_source())
    found: dict[str, Any] = page.evaluate(
        "(exclude) => axe.run({ exclude }, { resultTypes: ['violations'] })",
        [[selector] for selector in DJANGOS],
    )
    return [
        f"{violation['id']}: {node['html'][:160]} ({node['failureSummary']})"
        for violation in found["violations"]
        for node in violation["nodes"]
        if violation["impact"] in GRAVE
    ]
