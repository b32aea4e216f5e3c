"""Numbers on the wire: those that a SIP trunk dials, and those that each phone displays."""

from __future__ import annotations

from typing import Any

import pytest

from django_poketalk.server.models import Call

from . import phones
from .conftest import A, B, SipService

pytestmark = [
    pytest.mark.needs("sipp", "sippy"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_numbers_are_formatted_as_the_trunk_is_configured(service: SipService) -> None:
    a = service.phone(
        A,
        phones.reject("486 Busy Here"),
        strip_digits=2,
        add_prefix="+44",
        from_domain="trunk.example",
        caller_id="fixed",
        caller_number="442079460000",
    )

    service.place()

    assert a.result() == ""
    assert f"INVITE sip:+44{A[2:]}01@127.0.0.1" in a.messages()
    assert "From: <sip:+442079460000@trunk.example>" in a.messages()


@pytest.mark.parametrize(
    ("caller_id", "header"),
    [
        ("other", f"From: <sip:{B}02@127.0.0.1>"),
        ("anonymous", "<sip:anonymous@anonymous.invalid>"),
    ],
)
def test_the_configured_caller_id_is_sent(service: SipService, caller_id: str, header: str) -> None:
    a = service.phone(A, phones.reject("486 Busy Here"), caller_id=caller_id)

    service.place()

    assert header in a.messages()


@pytest.mark.parametrize(
    ("presented", "trunk", "displayed"),
    [
        ("", {}, f"From: <sip:{A}01@127.0.0.1>"),
        ("442079460111", {}, "From: <sip:442079460111@127.0.0.1>"),
        ("442079460111", {"caller_id": "anonymous"}, "From: <sip:442079460111@127.0.0.1>"),
        ("442079460111", {"add_prefix": "+"}, "From: <sip:+442079460111@127.0.0.1>"),
    ],
)
def test_the_callee_sees_the_caller_or_the_presented_number(
    service: SipService, presented: str, trunk: dict[str, Any], displayed: str
) -> None:
    a = service.phone(A, [*phones.ANSWER, *phones.ACCEPT_BYE])
    b = service.phone(B, phones.reject("486 Busy Here"), **trunk)

    service.place(presented_number=presented)

    assert (a.result(), b.result()) == ("", "")
    assert f"From: <sip:{B}02@127.0.0.1>" in a.messages()
    assert displayed in b.messages()
    assert "anonymous" not in b.messages().lower()


def test_an_extension_is_rung_as_it_is_and_the_callee_sees_another_number(
    service: SipService,
) -> None:
    pbx = {"numbers": "internal", "strip_digits": 2, "add_prefix": "+44"}
    a = service.phone("10", [*phones.ANSWER, *phones.ACCEPT_BYE], **pbx)
    b = service.phone(B, phones.reject("486 Busy Here"), caller_number="442079460333")

    call = service.queue()
    Call.objects.update(from_number="1001")
    service.place(Call.objects.get(pk=call.pk))

    assert (a.result(), b.result()) == ("", "")
    assert "INVITE sip:1001@127.0.0.1" in a.messages()
    assert f"From: <sip:+{B}02@127.0.0.1>" in a.messages()
    assert "From: <sip:442079460333@127.0.0.1>" in b.messages()
    assert "sip:1001" not in b.messages()
