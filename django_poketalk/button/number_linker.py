"""Replaces the numbers of a page's objects in the page's text with call buttons, and changes
nothing else.

The HTML is edited in place, so this parser must read it exactly as browsers do. Otherwise it could
mistake the inside of an attribute or a script for text. A lenient parser would rewrite the whole
page, or repair errors differently from browsers. This parser only accepts well-formed HTML. It
leaves everything after the first error unchanged.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from html import unescape
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from .. import permissions
from ..calls import services
from ..protocol import numbers
from ..protocol.numbers.extensions import EXTENSION_SIGNS, EXTENSION_WORDS
from . import render, signed_call

Replace = Callable[[str, str], str | None]
Sources = dict[numbers.Reading, list[tuple[models.Model, str]]]

TOKEN = re.compile(
    r"""
    <!--(?!-?>)(?:(?!--!?>|<!--)[\s\S])*+-->
    |</(?P<end>[a-z][a-z0-9:-]*+)[ \t\n\f\r]*+>
    |<(?P<start>[a-z][a-z0-9:-]*+)
        (?P<attributes>(?:[ \t\n\f\r]++[^ \t\n\f\r"'<>/=`]++
            (?:[ \t\n\f\r]*+=[ \t\n\f\r]*+(?:"[^"]*+"|'[^']*+'|[^ \t\n\f\r"'<>=`]++))?)*+)
        [ \t\n\f\r]*+(?P<closed>/?)>
    |<!doctype[ ]html[ ]*+>
    |(?P<text>(?:[^<]++|<(?![a-z/!?]))++)
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)

# Browsers read the content of these elements as text, up to the end tag.
RAW = {"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "noscript"}
FOREIGN = {"svg", "math"}  # their content has other parsing rules
# Elements in which a button is not allowed, or not visible.
CLOSED_TO_BUTTONS = FOREIGN | {
    "a",
    "button",
    "canvas",
    "datalist",
    "label",
    "object",
    "optgroup",
    "option",
    "poketalk-call",
    "select",
    "summary",
    "template",
}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta"}
VOID |= {"param", "source", "track", "wbr"}
# Elements with these attributes are a single control, or can be edited by users.
CLOSED_BY_ATTRIBUTE = re.compile(
    r"""\s(?:contenteditable(?!\s*=\s*["']?false)
        |role\s*=\s*["']?(?:button|checkbox|img|link|menuitem\w*|option|radio|slider|switch|tab)\b)
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)

# As `numbers.clean` reads them, also as character references.
SPACE = r"(?:[ \u00a0\u2000-\u200a\u202f\u205f\u3000]|&(?:nbsp|ensp|emsp|thinsp|\#160|\#xa0);)"
SIGN = r"[-.()/\u02d7\u2010-\u2015\u2043\u2212\u30fc]"
INVISIBLE = (
    r"(?:[\u00ad\u034f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]"
    r"|&(?:shy|lrm|rlm|zwj|zwnj);)*+"
)
# Digits that belong together, with a space or up to two signs between them. A slash with spaces on
# both sides separates two numbers.
RUN = re.compile(
    rf"""
    (?:(?:[+\uff0b]|&\#43;|&\#x2b;|&plus;){INVISIBLE})?+\(?\d
    (?:{INVISIBLE}{SPACE}?(?!/{SPACE}){SIGN}{{0,2}}{SPACE}?{INVISIBLE}\d)*+
    """,
    re.VERBOSE | re.IGNORECASE,
)
# The extension behind a number, also with spaces as character references.
EXTENSION = re.compile(
    rf"""
    {INVISIBLE}(?:
        {SPACE}{{0,2}}[;,]?{SPACE}{{0,2}}(?P<open>\()?(?:{EXTENSION_WORDS})
            (?:{SPACE}|{EXTENSION_SIGNS}){{0,4}}
        |;ext=|{SPACE}{{0,2}}[x\#]{SPACE}?|,{{1,4}}
    ){INVISIBLE}(?P<digits>\d{{1,{numbers.MAX_EXTENSION}}})(?!{SPACE}?[\d(])(?(open)\)?)
    """,
    re.VERBOSE | re.IGNORECASE,
)
# Digits next to these are part of a word, a URL, an amount or an entity.
BEFORE = re.compile(r"[\w+@#=/&.,:-]")
AFTER = re.compile(r"[\w@#=/%]|[.,:-][0-9]")
# "Tel.:", as in "Tel.:020 …"
LABELED = re.compile(r"(?<![\w+@#=/&.,:-])[^\W\d_]{1,30}\.?:\Z")
LABEL_LENGTH = 32
SHORTEST = 4  # digits of the shortest national number


def link_numbers(
    request: HttpRequest, html: str, objects: Iterable[models.Model], fields: str, look: render.Look
) -> str:
    """The HTML with a button in place of each number of the objects. `fields` is the argument of
    `{% call_buttons %}`.

    The buttons belong to the form `look.form`. Raises `ImproperlyConfigured` if a field does not
    exist, or if none is named and the model has no columns for phone numbers.
    """
    allowed = (each for each in objects if permissions.may_call_about(request.user, each))
    sources = _sources(request.user, allowed, fields)
    readings_by_spelling = {
        spelling + (f"x{reading.extension}" if reading.extension else ""): reading
        for reading, owners in sources.items()
        for spelling in numbers.spellings(
            reading.e164, services.region_for(request.user, owners[0][0])
        )
    }

    def as_button(digits: str, written: str) -> str | None:
        reading = readings_by_spelling.get(digits)
        if reading is None:
            return None
        return _button(request, reading, sources[reading], written, look)

    return mark(html, as_button) if sources else html


def _sources(user: Any, objects: Iterable[models.Model], fields: str) -> Sources:
    """The objects' numbers, each with the objects and fields that contain it. Values that
    are not phone numbers are skipped.
    """
    sources: Sources = defaultdict(list)
    for each in objects:
        for field in _fields_of(type(each), fields):
            try:
                written = signed_call.read_field(each, field)
                number = numbers.read(written, services.region_for(user, each))
            except numbers.InvalidNumber:
                continue
            if all(owner != each for owner, _field in sources[number]):
                sources[number].append((each, field))
    return sources


def _fields_of(model: type[models.Model], fields: str) -> list[str]:
    """The comma-separated names, or by default the model's columns for phone numbers."""
    named = [name.strip() for name in fields.split(",") if name.strip()]
    found = named or signed_call.number_fields(model)
    if not found:
        raise ImproperlyConfigured(
            f'{model._meta.label} has no column for phone numbers: name its fields="...".'
        )
    return found


def _button(
    request: HttpRequest,
    reading: numbers.Reading,
    owners: list[tuple[models.Model, str]],
    written: str,
    look: render.Look,
) -> str:
    """A button whose label is the number as it is written in the page."""
    number = numbers.display(reading.e164, reading.extension) if reading.extension else reading.e164
    source, field = owners[0] if len(owners) == 1 else (None, "")
    order = signed_call.Button(
        nonce=signed_call.new_nonce(),
        number="" if source else number,
        source=signed_call.Reference.to(source) if source else None,
        field=field,
    )
    # Digits, signs and spaces from the page's own HTML, where a space can be `&nbsp;`.
    label = mark_safe(written)  # noqa: S308
    context = render.context(request, order, number, source, replace(look, label=label))
    # WCAG 2.5.3: the accessible name contains the visible label.
    name = _("Call %(number)s") % {"number": unescape(written)}
    return render_to_string(
        "poketalk/call_button.html", {**context, "number": True, "spoken": name}
    )


def mark(html: str, replace: Replace) -> str:
    """The HTML with each run of digits in its text replaced by the result of `replace`.

    The arguments of `replace` are the run's digits, with a leading "+" if it has one, and the run
    as it is written, with signs and spaces. If an extension follows, it is part of the run, as in
    `02079460123x12`. If `replace` returns None, the run is not changed.
    """
    return "".join(_marked(html, replace))


def _marked(html: str, replace: Replace) -> Iterator[str]:
    position = 0
    closed, depth = "", 0  # the current element without buttons, and its nesting depth
    while found := TOKEN.match(html, position):
        position = found.end()
        if found["text"]:
            if closed:
                yield found[0]
            else:
                yield from _text(found[0], replace)
            continue
        yield found[0]
        name = (found["start"] or found["end"] or "").lower()
        if found["start"] and name in RAW and not (closed in FOREIGN and name == "title"):
            raw = None if closed in FOREIGN else _raw(html, position, name)
            if raw is None:
                break
            yield html[position:raw]
            position = raw
        elif name == "plaintext":
            break
        elif closed == name and closed:
            depth += -1 if found["end"] else not _alone(found, name)
            closed = closed if depth else ""
        elif not closed and _closes(found, name):
            closed, depth = name, 1
    yield html[position:]


def _closes(tag: re.Match[str], name: str) -> bool:
    """Whether this tag begins an element in which no button is allowed."""
    if not tag["start"] or _alone(tag, name):
        return False
    return name in CLOSED_TO_BUTTONS or bool(CLOSED_BY_ATTRIBUTE.search(tag["attributes"]))


def _alone(tag: re.Match[str], name: str) -> bool:
    """Whether the element is empty: a void element, or in foreign content one with a slash."""
    return name in VOID or (name in FOREIGN and bool(tag["closed"]))


def _raw(html: str, begins: int, name: str) -> int | None:
    """The position after the end tag of this element, or None if it is ambiguous."""
    end = re.compile(rf"</{name}[ \t\n\f\r]*>", re.IGNORECASE | re.ASCII).search(html, begins)
    ambiguous = re.compile(rf"<!--|</{name}(?![a-z0-9:-])", re.IGNORECASE | re.ASCII)
    first = ambiguous.search(html, begins)
    if end is None or first is None or first.start() != end.start():
        return None
    if name == "noscript" and not _plain(html[begins : end.start()]):
        return None  # without scripting, browsers parse it as HTML, so it could end elsewhere
    return end.end()


def _plain(html: str) -> bool:
    """Whether the HTML consists only of text and complete tags."""
    position = 0
    while position < len(html):
        found = TOKEN.match(html, position)
        if found is None or (found["start"] or "").lower() in RAW | FOREIGN | {"plaintext"}:
            return False
        position = found.end()
    return True


def _text(text: str, replace: Replace) -> Iterator[str]:
    """The text, with its runs of digits replaced."""
    position = 0
    while run := RUN.search(text, position):
        is_number = len(run[0]) >= SHORTEST
        extension = EXTENSION.match(text, run.end()) if is_number else None
        end = extension.end() if extension else run.end()
        yield text[position : run.start()]
        yield _run(text, run, extension, replace)
        position = end
    yield text[position:]


def _run(text: str, run: re.Match[str], extension: re.Match[str] | None, replace: Replace) -> str:
    """One run with its extension, replaced or as it is."""
    first, end = run.start(), extension.end() if extension else run.end()
    written = text[first:end]
    if len(run[0]) < SHORTEST:
        return written
    is_joined = first and BEFORE.match(text, first - 1)
    if is_joined and not LABELED.search(text, max(first - LABEL_LENGTH, 0), first):
        return written
    if AFTER.match(text, end):
        return written
    digits = re.sub(r"[^0-9+]", "", numbers.clean(unescape(run[0])))
    if extension:
        digits += f"x{numbers.clean(extension['digits'])}"
    new = replace(digits, written)
    return written if new is None else new
