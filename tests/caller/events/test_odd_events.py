"""Unusual requests to the event view. Only valid events are recorded."""

from __future__ import annotations

import logging
import random
import re
import string
from collections import Counter
from decimal import Decimal
from urllib.parse import parse_qsl, quote, quote_from_bytes

import pytest
from django.test import Client

from django_poketalk.events import incoming, tokens
from django_poketalk.models import CallEvent, CallRequest
from tests.conftest import Times

from .test_event_view import BASE, NewCall

NUMBERS = ("0", "7", "8", "3", "299", "300", "999999999", "1.4", "1.500", "")
ODD = (
    *(
        "٣",
        "７",
        "1_0",
        "1e9",
        "NaN",
        "Infinity",
        "1E+999999",
        "-1",
        "+7",
        "0x7",
        "007",
        " 7",
        "7 ",
    ),
    *("9" * 400, "\0", "7\0", "7\n", "\r\n", "\u2028", "True", "None", "$status", "'; --", "<b>"),
)
SIGNS = "&=%#?+;٣\0\x7f/ " + string.ascii_letters + string.digits
FORMS = {
    "status": r"[0-8]",
    "webcallid": r"[^\0-\x1f\x7f]*",
    "duration": r"([0-9]{1,9})?",
    "debit": r"([0-9]{1,9}(\.[0-9]{1,6})?)?",
}


def odd_query(chance: random.Random) -> str:
    """A random query string. Most are invalid in some way; a few are events."""
    if chance.random() < 0.1:
        return quote_from_bytes(chance.randbytes(chance.randrange(40)), safe=SIGNS)
    names = ["status", "webcallid", "duration", "debit"]
    if chance.random() < 0.3:
        names[chance.randrange(4)] = chance.choice([*names, "STATUS", "status[]", "statu%73", ""])
    chance.shuffle(names)
    pairs = []
    for name in names[: chance.randint(1, 4)]:
        value = chance.choice(NUMBERS if chance.random() < 0.7 else ODD)
        pairs.append(f"{name}{chance.choice('====' + '&')}{quote(value, safe='')}")
    query = chance.choice(["&", "&", "&", ";", "&&"]).join(pairs)
    if chance.random() < 0.1:
        at = chance.randrange(len(query) + 1)
        query = query[:at] + quote(chance.choice(SIGNS), safe=SIGNS) + query[at:]
    return query


def is_event(query: str) -> bool:
    """Whether the query has each variable once, in ASCII."""
    pairs = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] in FORMS]
    data = dict(pairs)
    return (
        len(data) == len(pairs)
        and "status" in data
        and all(re.fullmatch(FORMS[name], value) for name, value in pairs)
    )


def is_past_the_limits(query: str) -> bool:
    data = dict(parse_qsl(query))
    long = int(data.get("duration", 0)) >= 300 or Decimal(data.get("debit", 0)) >= Decimal("1.5")
    return data["status"] in "01357" and long


def test_unusual_requests_neither_cause_errors_nor_end_calls(
    client: Client, new_call: NewCall, times: Times, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)  # two hundred thousand warnings would be kept
    chance = random.Random(412)
    answers: Counter[int] = Counter()
    call = None
    for _ in range(times(600, full=200_000)):
        call = call or new_call(max_duration=300, max_cost=Decimal("1.5"))
        path = incoming.event_url(call).removeprefix(BASE).partition("?")[0]
        query = odd_query(chance)
        method = client.get if chance.random() < 0.95 else chance.choice([client.head, client.post])

        answer = method(path, QUERY_STRING=query).status_code

        answers[answer] += 1
        assert answer in {200, 400, 405, 412}, (query, answer)
        taken = answer in {200, 412}
        assert not taken or (is_event(query) and is_past_the_limits(query) == (answer == 412)), (
            query
        )
        assert CallEvent.objects.filter(call=call).exists() == taken, query
        assert (CallRequest.objects.get(pk=call.pk).status is not None) == taken, query
        if taken:  # once ended, a call is ended at each event: the next one is another's
            call = None
    assert min(answers[answer] for answer in (200, 400, 405, 412)) > 10, answers


def test_only_our_own_tokens_are_accepted(client: Client, call: CallRequest, times: Times) -> None:
    chance = random.Random(404)
    token = tokens.make(tokens.Limits(call.pk, 300, Decimal("1.5")))
    alphabet = string.ascii_letters + string.digits + "-_.:~"
    for _ in range(times(1000, full=100_000)):
        forged = list(token)
        for _ in range(chance.choice([1, 1, 1, 2, 8])):
            at = chance.randrange(len(forged))
            forged[at : at + chance.randrange(2)] = chance.choice([chance.choice(alphabet), ""])
        text = "".join(forged)

        answer = client.get(f"/poketalk/events/{text}/?status=8").status_code

        assert answer == (200 if text == token else 404), text
    assert client.get(f"/poketalk/events/{token}/?status=8").status_code == 200
