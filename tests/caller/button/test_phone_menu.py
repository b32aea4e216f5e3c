"""A user with several phones can choose the one that rings first, also without script."""

from __future__ import annotations

import re
from typing import Any

import pytest

from django_poketalk.models import Phone

from ..conftest import CALLER
from ..people import agent, contact, render, text

MOBILE = "+442079460555"
BUTTON = 'call_button contact field="phone"'


@pytest.fixture
def anna(db: None) -> Any:
    return agent()


@pytest.fixture
def mobile(anna: Any) -> Phone:
    return Phone.objects.create(user=anna, number=MOBILE, label="Mobile <1>")


def test_a_user_with_one_phone_sees_no_menu(anna: Any) -> None:
    assert "<details" not in render(BUTTON, anna, contact=contact())
    assert re.search(r"<form[^>]* hidden>", render('call_form "calls"', anna))


def test_the_menu_has_the_other_phones_with_label_and_number(anna: Any, mobile: Phone) -> None:
    html = render(BUTTON, anna, contact=contact())
    menu = re.search(r"<details.*</details>", html, re.DOTALL)

    assert menu
    assert 'aria-label="Call Bob from another phone"' in menu[0]
    assert re.findall(r'<button type="submit" name="phone" value="([^"]*)"', menu[0]) == [MOBILE]
    assert text(menu[0]) == "Mobile <1> +44 20 7946 0555"
    assert '<bdi dir="ltr">+44 20 7946 0555</bdi>' in menu[0]
    assert menu.start() < html.index("</form>")
    assert CALLER not in html


def test_buttons_with_a_form_elsewhere_share_one_choice(anna: Any, mobile: Phone) -> None:
    button = render(f'{BUTTON} form="calls"', anna, contact=contact())
    form = render('call_form "calls"', anna)

    assert "<details" not in button
    assert " hidden" not in form
    assert 'for="calls-phone"' in form
    assert re.findall(r'<option value="([^"]*)"', form) == ["", MOBILE]
    assert "Mobile &lt;1&gt;: " in form


def test_the_numbers_in_a_text_share_one_choice(anna: Any, mobile: Phone) -> None:
    html = render(
        'call_buttons contact fields="phone" %}<p>+44 20 7946 0123</p>{% endcall_buttons',
        anna,
        contact=contact(phone="+44 20 7946 0123"),
    )

    assert "<poketalk-call" in html
    assert "<details" not in html
    assert html.count('<select id="poketalk-') == 1
    assert html.index("</p>") < html.index("<select")


def test_an_internal_number_is_shown_as_it_is(anna: Any, poketalk: Any) -> None:
    poketalk(INTERNAL_NUMBERS="[0-9]{4}")
    Phone.objects.create(user=anna, number="1001", label="Desk")

    assert '<bdi dir="ltr">1001</bdi>' in render(BUTTON, anna, contact=contact())
