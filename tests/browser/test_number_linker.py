"""A real browser reads a marked page as it reads the page, but for the buttons."""

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

# The page as the browser reads it: without our buttons, the same as the page without marks. What a
# DOMParser reads is read as where no scripts run, which is another matter inside <noscript>.
COMPARE = """
([pages, scripts]) => pages.map(([plain, marked]) => {
  const read = (html) => {
    if (!scripts) return new DOMParser().parseFromString(html, "text/html").body;
    const element = document.createElement("div");
    element.innerHTML = html;
    return element;
  };
  const ours = read(marked);
  for (const each of ours.querySelectorAll("poketalk-call")) {
    each.replaceWith(each.querySelector("button")?.textContent ?? "lost");
  }
  ours.normalize();
  return ours.innerHTML === read(plain).innerHTML;
})
"""


def pages(count: int) -> list[tuple[str, str]]:
    """Random pages of the fragments that have been marked somewhere."""
    dice = random.Random(4)
    made: list[tuple[str, str]] = []
    while len(made) < count:
        html = "".join(dice.choices(FRAGMENTS, k=dice.randint(2, 9)))
        html += f"{NUMBER} onmouseover=x {NUMBER}" if dice.random() < 0.6 else NUMBER
        marked = number_linker.mark(html, lambda digits, written: BUTTON % written)
        if marked != html:
            made.append((html, marked))
    return made


@pytest.mark.parametrize("scripts", [True, False])
def test_marks_change_nothing_that_a_browser_reads(scripts: bool, browser: Browser) -> None:
    page = browser.new_page()
    made = pages(3000)

    same = page.evaluate(COMPARE, [made, scripts])
    page.close()

    assert [plain for (plain, _marked), equal in zip(made, same, strict=True) if not equal] == []
