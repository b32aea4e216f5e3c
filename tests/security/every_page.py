"""Rows of all models with numbers that only they contain, and the addresses of all pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from django_poketalk import models as caller
from django_poketalk.server import models as service
from django_poketalk.server.switch.monitoring import heartbeat
from tests.caller.people import someone
from tests.server.conftest import make_customer

HOUR = timedelta(hours=1)
EXTENSION = "47118250"
# Each is only in the rows below, which belong to others than the reader.
NUMBERS = [f"4411349600{digits}" for digits in range(10, 50)]


def rows() -> None:
    """One or more rows of each model of both halves."""
    numbers = iter(NUMBERS)
    bea = someone("bea")
    _caller_rows(bea, numbers)
    _service_rows(bea, numbers)
    models = [
        model
        for app in ("poketalk", "poketalk_server")
        for model in apps.get_app_config(app).get_models()
    ]
    empty = [model._meta.label for model in models if not model._default_manager.exists()]
    assert empty == [], "add rows of these models"


def text(number: str) -> str:
    """A text with a number in another format."""
    return f"See +{number[:2]} (0){number[2:5]} {number[5:8]}-{number[8:]}, again"


def _caller_rows(bea: Any, numbers: Iterator[str]) -> None:
    now = timezone.now()
    for placement in ("accepted", "forbidden"):
        call = caller.CallRequest.objects.create(
            from_number=f"+{next(numbers)}",
            to_number=f"+{next(numbers)}",
            to_extension=EXTENSION,
            presented_number=f"+{next(numbers)}",
            user=bea,
            max_duration=600,
            expires_at=now + HOUR,
            placement=placement,
            sent_at=now,
            response_detail=text(next(numbers)),
            veto_reason=text(next(numbers)),
        )
        call.events.create(received_at=now, status=1, answer=412, reason=text(next(numbers)))
    caller.WrapUp.objects.create(call=call, note=text(next(numbers)), user=bea)
    data = {"ask": text(next(numbers)), "phone": int(next(numbers))}
    caller.CallMetadata.objects.create(call=call, data=data)
    caller.CallBack.objects.create(
        user=bea,
        to_number=f"+{next(numbers)}",
        to_extension=EXTENSION,
        note=text(next(numbers)),
        metadata={"ask": text(next(numbers))},
        due_at=now,
        after=call,
    )
    phone = caller.Phone.objects.create(
        user=bea, number=f"+{next(numbers)}", label=f"Or +{next(numbers)}"
    )
    caller.VerificationCode.objects.create(user=bea, number=phone.number, digest="x")
    block = caller.BlacklistedNumber.objects.create
    block(number=f"+{next(numbers)}", direction="to", reason=text(call.to_number[1:]))
    block(number=f"{call.from_number[:-2]}", is_prefix=True, direction="from")
    caller.Heartbeat.beat(caller.Heartbeat.SWEEP)
    caller.ServiceCurrency.objects.create(alias="default", currency="EUR")
    day = caller.ReportDay.objects.create(day=now.date())
    nothing = dict.fromkeys(
        ("calls", "seizures", "answered", "requested", "delivered", "talks", "delays", "spend"), 0
    )
    day.totals.create(kind="day", talk=timedelta(0), delay=timedelta(0), **nothing)


def _service_rows(bea: Any, numbers: Iterator[str]) -> None:
    customer = make_customer("Example Ltd")
    now = timezone.now()
    call = customer.new_call(
        from_number=next(numbers),
        to_number=next(numbers),
        to_extension=EXTENSION,
        presented_number=next(numbers),
        custom=text(next(numbers)),
        state=service.Call.State.ACTIVE,
    )
    call.save()
    call.legs.create(
        side="A",
        gateway=customer.gateway,
        initiated_at=now,
        number=call.from_number,
        dialog=f"sip:{call.from_number}@carrier.example.com",
        price_per_minute=1,
        connect_fee=0,
        initial_increment=1,
        subsequent_increment=1,
    )
    call.deliveries.create(
        sequence=1,
        status=1,
        duration=0,
        cost=0,
        sent_at=now,
        seconds=0.1,
        error=text(next(numbers)),
    )
    call.channels.create(side="A", gateway=customer.gateway)
    service.LedgerEntry.objects.create(
        account=customer.account,
        kind="charge",
        amount=-1,
        balance=99,
        call=call,
        side="A",
        note=text(next(numbers)),
    )
    block = service.BlacklistedNumber.objects.create
    block(number=f"+{next(numbers)}", reason=text(call.to_number), account=customer.account)
    block(number=f"+{call.to_number[:-2]}", is_prefix=True)
    service.PresentedNumber.objects.create(
        account=customer.account, number=next(numbers), label=text(next(numbers))
    )
    service.BuyRate.objects.create(gateway=customer.gateway, price_per_minute=Decimal("0.01"))
    service.DeckImport.objects.create(price_list=customer.price_list, changes="[]", imported_at=now)
    service.TestCall.objects.create(gateway=customer.gateway, number=next(numbers), created_by=bea)
    view = heartbeat.GatewayView(customer.gateway.pk, "", "", now, text(next(numbers)))
    heartbeat.beat("office", 1, [view])


def secrets() -> list[str]:
    """Windows of six digits of the numbers: what their masks hide, without the last two digits and
    the country code. None of them is on a page by chance.
    """
    hidden = [number[2:-2] for number in NUMBERS] + [EXTENSION]
    return sorted({each[at : at + 6] for each in hidden for at in range(len(each) - 5)})


REVEALED = re.compile("|".join(r"[^0-9A-Za-z]{0,3}".join(each) for each in secrets()))


def revealed(page: str) -> list[str]:
    """The parts of hidden numbers that the page contains, in any format."""
    return [found[0] for found in REVEALED.finditer(page)]


def routes(
    patterns: Any = None, before: str = "/", namespace: str = ""
) -> Iterator[tuple[str, str]]:
    """The route and the name of every page of the project."""
    for each in get_resolver().url_patterns if patterns is None else patterns:
        route = before + str(each.pattern).lstrip("^").rstrip("$").removesuffix(r"\Z")
        if isinstance(each, URLResolver):
            inner = f"{namespace}{each.namespace}:" if each.namespace else namespace
            yield from routes(each.url_patterns, route, inner)
        elif isinstance(each, URLPattern):
            yield route, f"{namespace}{each.name or ''}"


PARAMETER = re.compile(r"<[^>]+>|\(\?P<\w+>(?:\[[^]]*\]|[^()\[])*\)")


def addresses(route: str, name: str) -> list[str]:
    """The addresses of this page for each row that it may be about."""
    if not PARAMETER.search(route):
        return [route]
    app_and_model = next(
        (
            model
            for model in apps.get_models()
            if name.startswith(f"admin:{model._meta.app_label}_{model._meta.model_name}_")
        ),
        None,
    )
    about = [app_and_model] if app_and_model else [caller.CallRequest, caller.BlacklistedNumber]
    keys = {pk for model in about for pk in model._default_manager.values_list("pk", flat=True)}
    return [PARAMETER.sub(str(key), route) for key in sorted(keys, key=str)]
