"""The checks on a health page of the admin."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from .checking import Check, Finding, Level, Options, Result, diagnose
from .registry import checks_of

SECONDS = 3.0  # for each check: a page must not wait as long as the command does
WANTED = "check"  # the name of the button that starts the checks

WORDS: dict[Level, Promise] = {
    Level.OK: _("OK"),
    Level.INFO: _("Info"),
    Level.WARNING: _("Warning"),
    Level.ERROR: _("Error"),
}
TABLE = """\
<table class="poketalk-checks">
<thead><tr><th scope="col">{}</th><th scope="col">{}</th><th scope="col">{}</th></tr></thead>
<tbody>{}</tbody>
</table>"""
FINDING = '<div lang="en" dir="ltr">{}{}</div>'  # in English, as those of Django's system checks
ADVICE = ' <p class="help">{}</p>'


def checks_context(request: HttpRequest, label: str) -> dict[str, Any]:
    """The context of the page of the half with this app label: `checks`, the results of the checks
    as a table if the button was pressed, else "".
    """
    if request.method != "POST" or WANTED not in request.POST:
        return {"checks": ""}
    wanted = [
        check
        for check in checks_of(label)
        if not check.permission or request.user.has_perm(check.permission)
    ]
    return {"checks": table([*diagnose(wanted, Options(SECONDS))])}


def table(results: list[Result]) -> SafeString:
    """The results as a table, without its headings."""
    rows = format_html_join("", "{}", ((_rows(result.check, result),) for result in results))
    return format_html(TABLE, _("Checked"), _("State"), _("Found"), rows)


def _rows(check: Check, result: Result) -> SafeString:
    return format_html_join(
        "",
        '<tr><th scope="row">{}</th>'
        '<td><span class="poketalk-check" data-level="{}">{}</span></td><td>{}</td></tr>',
        (
            (check.title, finding.level.value, WORDS[finding.level], _found(finding))
            for finding in result.findings
        ),
    )


def _found(finding: Finding) -> SafeString:
    advice = format_html(ADVICE, finding.advice) if finding.advice else mark_safe("")
    return format_html(FINDING, finding.text, advice)
