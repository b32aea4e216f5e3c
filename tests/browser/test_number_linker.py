"""A browser parses a page with inserted call buttons like the original, except for the buttons."""

from __future__ import annotations

import random

import pytest
from playwright.sync_api import Browser

from django_poketalk.button import number_linker

NUMBER = "020 7946 0123"
BUTTON = '<poketalk-call title="&quot;>"><span><button>%s</button></span></poketalk-call>'
FRAGMENTS = (
    """
020~7946~0123|x|~|<p>|</p>|<a~href="tel:020~7946~0123">|</a>|<b~title="020~7946~0123">|</b>|<i~
title='020~7946~0123'|<u~title=02079460123>|</u>|<script>|</script>|<script/>|<style>|</style>|<!--
-->|--!>|<!|<textarea>|</textarea>|<textarea~x="|<title>|</title>|<svg>|</svg>|<svg/>|<math>|</math>
<select>|</select>|<option>|<template>|</template>|<noscript>|</noscript>|<iframe>|</iframe>|<xmp>
</xmp>|<plaintext>|<form>|</form>|<button>|</button>|<label>|</label>|<br/>|<img~alt="020~7946~0123">
<|>|"|'|=|/|&|&amp;|</|<?|<![CDATA[|]]>|<style~media="</style>">|<p~title="</script>">|<foreignObject>
<div~contenteditable>|</div>|<bdi>|</bdi>|<noembed>|</noembed>|<a/b>|</p~x=">">|<scr\u017fipt>
""".replace("\n", "|")
    .replace("~", " ")
    .split("|")
)

# Compares the parsed original with the parsed page, without its buttons. DOMParser parses like a
# browser without scripting, which makes a difference inside <noscript>.
COMPARE = """
([pages, scripts]) => pages.map(([original, linked]) => {
  const parse = (html) => {
    if (!scripts) return new DOMParser().parseFromString(html, "text/html").body;
    const element = document.createElement("div");
    element.innerHTML = html;
    return element;
  };
  const body = parse(linked);
  for (const each of body.querySelectorAll("poketalk-call")) {
    each.replaceWith(each.querySelector("button")?.textContent ?? "lost");
  }
  body.normalize();
  return body.innerHTML === parse(original).innerHTML;
})
"""


def pages(count: int) -> list[tuple[str, str]]:
    """Random pages made of the fragments, with and without call buttons."""
    rng = random.Random(4)
    found: list[tuple[str, str]] = []
    while len(found) < count:
        html = "".join(rng.choices(FRAGMENTS, k=rng.randint(2, 9)))
        html += f"{NUMBER} onmouseover=x {NUMBER}" if rng.random() < 0.6 else NUMBER
        linked = number_linker.mark(html, lambda digits, text: BUTTON % text)
        if linked != html:
            found.append((html, linked))
    return found


@pytest.mark.parametrize("scripts", [True, False])
def test_call_buttons_do_not_change_how_the_page_is_parsed(scripts: bool, browser: Browser) -> None:
    page = browser.new_page()
    examples = pages(3000)

    same = page.evaluate(COMPARE, [examples, scripts])
    page.close()

    assert [
        original for (original, _linked), equal in zip(examples, same, strict=True) if not equal
    ] == []
