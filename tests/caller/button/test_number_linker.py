"""Numbers are only found in the text of a page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_poketalk.button import number_linker

NUMBER = "020 7946 0123"
FRAGMENTS = [
    NUMBER,
    "+44&nbsp;20",
    " ",
    "<p>",
    "</p>",
    '<a href="tel:020 7946 0123">',
    "</a>",
    '<b title="020 7946 0123">',
    "</b>",
    "<script>",
    "</script>",
    "<!--",
    "-->",
    "<textarea>",
    "</textarea>",
    "<svg>",
    "</svg>",
    "<title>",
    "</title>",
    "<",
    ">",
    '"',
    "'",
    "=",
    "/",
    "<br/>",
]


def marked(html: str) -> str:
    return number_linker.mark(html, lambda digits, written: f"[{digits}]")


@pytest.mark.parametrize(
    ("html", "digits"),
    [
        ("020 7946 0123", "02079460123"),
        ("+44 20 7946 0123", "+442079460123"),
        ("+44 (0)20 7946-0123", "+4402079460123"),
        ("(020) 7946.0123", "02079460123"),
        ("&#43;44&nbsp;20&#160;7946&#xA0;0123", "+442079460123"),
        ("020\u00a07946\u20110123", "02079460123"),
        ("030/1234567", "0301234567"),
        ("٠٢٠ ٧٩٤٦ ٠١٢٣", "02079460123"),
        ("\uff0b44\u200920\u20097946\u20090123", "+442079460123"),
        ("+44\u200e20\u202f7946\u22120123", "+442079460123"),
        ("020&thinsp;7946&shy;&lrm;0123", "02079460123"),
        ("090\u30fc1234\u20435678", "09012345678"),
    ],
)
def test_a_number_is_found_in_any_format(html: str, digits: str) -> None:
    assert marked(f"<p>Tel.: <bdi>{html}</bdi>, mobile</p>") == (
        f"<p>Tel.: <bdi>[{digits}]</bdi>, mobile</p>"
    )
    assert marked(f"Tel.:{html}.") == f"Tel.:[{digits}]."


def test_brackets_around_a_note_are_no_part_of_the_number_in_it() -> None:
    assert marked("(see 020 7946 0123 ext. 9)") == "(see [02079460123x9])"
    assert marked("020 7946 0123 (ext. 9), mobile") == "[02079460123x9], mobile"
    assert marked("020 7946 0123 (ext. 9") == "[02079460123x9]"


def test_consecutive_numbers_are_separate() -> None:
    assert marked(f"{NUMBER}, {NUMBER}; {NUMBER} / {NUMBER}") == ", ".join(
        ["[02079460123]"] * 2
    ) + "; " + " / ".join(["[02079460123]"] * 2)


@pytest.mark.parametrize(
    "text",
    [
        f"x{NUMBER}",
        f"{NUMBER}x",
        f"/{NUMBER}",
        f"?id={NUMBER}",
        f"{NUMBER}@example.com",
        f"1,{NUMBER}",
        f"#{NUMBER}",
        f"&#{NUMBER.replace(' ', '')};",
        f"{NUMBER}%",
    ],
)
def test_other_digits_are_unchanged(text: str) -> None:
    assert marked(text) == text


@pytest.mark.parametrize(
    "html",
    [
        f'<p title="{NUMBER}">',
        f"<p title='{NUMBER}'>",
        f"<p data-phone={NUMBER.replace(' ', '')}>",
        f'<input value="{NUMBER}" placeholder="{NUMBER}">',
        f'<a href="tel:{NUMBER}">{NUMBER}</a>',
        f"<A HREF=x><b>{NUMBER}</b></A>",
        f"<button>{NUMBER}</button>",
        f"<label>{NUMBER}</label>",
        f"<summary>{NUMBER}</summary>",
        f"<select><option>{NUMBER}</select>",
        f"<textarea>{NUMBER}</textarea>",
        f"<TEXTAREA\n>{NUMBER}</textarea >",
        f"<title>{NUMBER}</title>",
        f"<script>let a = '{NUMBER}';</script>",
        f"<style>/* {NUMBER} */</style>",
        f"<!-- {NUMBER} -->",
        f"<!-- > {NUMBER} -->",
        f"<template>{NUMBER}</template>",
        f"<noscript>{NUMBER}</noscript>",
        f"<noscript><p title='x'>{NUMBER}</p></noscript>",
        f"<iframe>{NUMBER}</iframe>",
        f"<svg><title>{NUMBER}</title><text>{NUMBER}</text></svg>",
        f"<math><mi>{NUMBER}</mi></math>",
        f'<div contenteditable="true"><div></div>{NUMBER}</div>',
        f"<div contenteditable>{NUMBER}</div>",
        f'<div role="button"><div>{NUMBER}</div>{NUMBER}</div>',
        f"<poketalk-call><b>{NUMBER}</b></poketalk-call>",
    ],
)
def test_special_elements_are_unchanged_and_the_following_text_is_linked(html: str) -> None:
    assert marked(f"{html}<p>{NUMBER}") == f"{html}<p>[02079460123]"


@pytest.mark.parametrize(
    "hostile",
    [
        # Each is ambiguous, or browsers parse it differently from how it looks.
        '<p title="',
        "<p title=a'b>",
        '<p title="a"b="c">',
        "<p =x>",
        "<p/title>",
        "<!-->",
        "<!--->",
        "<!-- --!>",
        "<!-- <!-- -->",
        "<!-- ",
        "<!x>",
        "<?php ?>",
        "<![CDATA[ ]]>",
        "</ p>",
        "</p x='>'>",
        "<script><!-- <script></script>",
        "<script></script x>",
        "<script>",
        "<textarea></textarea/>",
        "<plaintext>",
        "<noscript><b title='</noscript>'></noscript>",
        "<noscript><style></noscript>",
        "<a><noscript><b title='</noscript></a>'></noscript></a>",
        "<svg><style></style></svg>",
        "<svg><p><style></svg>",
        "<math><script></script></math>",
        "<scr\u017fipt>",
        "<svg><![CDATA[</svg>]]>",
    ],
)
def test_everything_after_ambiguous_html_is_unchanged(hostile: str) -> None:
    html = f"{hostile}{NUMBER} onmouseover=alert(1) x=\"'>{NUMBER}"

    assert marked(html) == html


def test_tag_names_are_compared_as_ascii() -> None:
    html = f"<script></\u017fcript>{NUMBER}</script>"  # a long s

    assert marked(html) == html


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join))
def test_only_numbers_are_changed(html: str) -> None:
    found: list[str] = []

    def note(digits: str, written: str) -> str:
        found.append(written)
        return "\0"

    parts = number_linker.mark(html, note).split("\0")

    assert "".join(a + b for a, b in zip(parts, [*found, ""], strict=True)) == html


def test_the_time_is_linear_in_the_size_of_the_page() -> None:
    for evil in ("<a " + "a " * 50_000, "<!--" + "-" * 100_000, "1" + " 1" * 100_000, "<" * 99_999):
        assert marked(evil)[-1:] in (evil[-1], "]")
