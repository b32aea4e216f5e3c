"""The numbers of a page's objects, where they stand in its text, made into buttons, and not a
character more changed.

The page is edited in place, so we have to read it exactly as every browser does: what we take for
text must never be the inside of an attribute or a script. A parser that forgives does not help: it
either writes the whole page anew or guesses otherwise than the browser. So this one reads what is
plainly well-formed, and at the first thing that is not, it leaves all the rest as it is.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from html import unescape

from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from ..conf import settings
from ..protocol import numbers
from . import render, signed_call

Replace = Callable[[str, str], str | None]
Sources = dict[str, list[tuple[models.Model, str]]]

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

# What browsers read as text up to the end tag, whatever is in it.
RAW = {"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "noscript"}
FOREIGN = {"svg", "math"}  # other rules hold inside
# A button may not stand in these, or nobody would see it there.
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
# Such elements are one thing, or are written in by people.
CLOSED_BY_ATTRIBUTE = re.compile(
    r"""\s(?:contenteditable(?!\s*=\s*["']?false)
        |role\s*=\s*["']?(?:button|checkbox|img|link|menuitem\w*|option|radio|slider|switch|tab)\b)
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)

SPACE = r"(?:[ \u00a0\u2009\u202f]|&nbsp;|&\#160;|&\#xa0;)"
SIGN = r"[-.()/\u2010\u2011]"
# Digits that belong together: with a space, or a sign or two, between them. A slash with spaces on
# both sides parts two numbers.
RUN = re.compile(
    rf"""
    (?:\+|&\#43;|&\#x2b;)?+\(?[0-9]
    (?:{SPACE}?(?!/{SPACE}){SIGN}{{0,2}}{SPACE}?[0-9])*+
    """,
    re.VERBOSE | re.IGNORECASE,
)
ENTITY = re.compile(rf"{SPACE}|&\#43;|&\#x2b;", re.IGNORECASE)
# Next to these, digits are a part of something else: a word, an address, an amount, an entity.
BEFORE = re.compile(r"[\w+@#=/&.,:-]\Z")
AFTER = re.compile(r"[\w@#=/%]|[.,:-][0-9]")
LABELED = re.compile(r"(?:^|[^\w+@#=/&.,:-])[^\W\d_]+\.?:\Z")  # "Tel.:", as in "Tel.:020 …"


def link_numbers(
    request: HttpRequest,
    html: str,
    objects: Iterable[models.Model],
    fields: str,
    look: render.Look,
) -> str:
    """The HTML with each of the objects' numbers a button; `fields` as in `{% call_buttons %}`.

    The buttons belong to the form `look.form`. Raises `ImproperlyConfigured` for fields that there
    are not, and where none is named and none found.
    """
    sources = _sources(objects, fields)
    numbers_by_spelling = {
        spelling: number
        for number in sources
        for spelling in numbers.spellings(number, settings.default_region)
    }

    def as_button(digits: str, written: str) -> str | None:
        number = numbers_by_spelling.get(digits)
        return None if number is None else _button(request, number, sources[number], written, look)

    return mark(html, as_button) if sources else html


def _sources(objects: Iterable[models.Model], fields: str) -> Sources:
    """The objects' numbers (E.164), and whose each is: objects and fields. What is no phone number
    is passed over: it could not be called.
    """
    sources: Sources = defaultdict(list)
    for each in objects:
        for field in _fields_of(type(each), fields):
            try:
                number = numbers.normalize(
                    signed_call.read_field(each, field), settings.default_region
                )
            except numbers.InvalidNumber:
                continue
            if all(owner != each for owner, _field in sources[number]):
                sources[number].append((each, field))
    return sources


def _fields_of(model: type[models.Model], fields: str) -> list[str]:
    """The names, separated by commas; without any, those of the model's phone numbers."""
    named = [name.strip() for name in fields.split(",") if name.strip()]
    found = named or signed_call.number_fields(model)
    if not found:
        raise ImproperlyConfigured(
            f'{model._meta.label} has no column for phone numbers: name its fields="...".'
        )
    return found


def _button(
    request: HttpRequest,
    number: str,
    owners: list[tuple[models.Model, str]],
    written: str,
    look: render.Look,
) -> str:
    """The button that is labeled with the number as it is written there."""
    source, field = owners[0] if len(owners) == 1 else (None, "")
    order = signed_call.Button(
        nonce=signed_call.new_nonce(),
        number="" if source else number,
        source=signed_call.Reference.to(source) if source else None,
        field=field,
    )
    # Digits, signs and spaces out of the page's own HTML, which may have the latter as `&nbsp;`.
    label = mark_safe(written)  # noqa: S308
    shown = render.context(request, order, number, source, replace(look, label=label))
    # Contains what is seen, for WCAG 2.5.3
    name = _("Call %(number)s") % {"number": unescape(written)}
    return render_to_string("poketalk/call_button.html", {**shown, "number": True, "spoken": name})


def mark(html: str, replace: Replace) -> str:
    """The HTML with each run of digits in its text replaced by what `replace` gives for it.

    `replace` gets the run's digits, with a leading "+" if there is one, and the run as it is
    written, which is digits, signs and spaces; None leaves it as it is.
    """
    return "".join(_marked(html, replace))


def _marked(html: str, replace: Replace) -> Iterator[str]:
    position = 0
    closed, depth = "", 0  # the element that is closed to buttons, and how often it is open
    while found := TOKEN.match(html, position):
        position = found.end()
        if found["text"]:
            yield found[0] if closed else _text(found[0], replace)
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
    """Whether this tag begins an element that no button may stand in."""
    if not tag["start"] or _alone(tag, name):
        return False
    return name in CLOSED_TO_BUTTONS or bool(CLOSED_BY_ATTRIBUTE.search(tag["attributes"]))


def _alone(tag: re.Match[str], name: str) -> bool:
    """Whether nothing stands inside: in HTML only of void elements, elsewhere also by a slash."""
    return name in VOID or (name in FOREIGN and bool(tag["closed"]))


def _raw(html: str, begins: int, name: str) -> int | None:
    """Where the text of this element and its end tag end; None when that is not clear."""
    end = re.compile(rf"</{name}[ \t\n\f\r]*>", re.IGNORECASE | re.ASCII).search(html, begins)
    ambiguous = re.compile(rf"<!--|</{name}(?![a-z0-9:-])", re.IGNORECASE | re.ASCII)
    first = ambiguous.search(html, begins)
    if end is None or first is None or first.start() != end.start():
        return None
    if name == "noscript" and not _plain(html[begins : end.start()]):
        return None  # where no scripts run, it is read as HTML, and may end elsewhere
    return end.end()


def _plain(html: str) -> bool:
    """Whether it is of text and tags alone, so that all of it has been read at its end."""
    position = 0
    while position < len(html):
        found = TOKEN.match(html, position)
        if found is None or (found["start"] or "").lower() in RAW | FOREIGN | {"plaintext"}:
            return False
        position = found.end()
    return True


def _text(text: str, replace: Replace) -> str:
    """The text with its runs replaced."""

    def replaced(run: re.Match[str]) -> str:
        before, after = text[: run.start()], text[run.end() : run.end() + 2]
        if (BEFORE.search(before) and not LABELED.search(before)) or AFTER.match(after):
            return run[0]
        plus = "+" if run[0][0] in "+&" else ""
        digits = re.sub(r"[^0-9]", "", ENTITY.sub("", run[0]))
        new = replace(plus + digits, run[0])
        return run[0] if new is None else new

    return RUN.sub(replaced, text)
