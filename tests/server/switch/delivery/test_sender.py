"""The event sender, with real endpoints on loopback."""

from __future__ import annotations

import asyncio
import contextlib
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from django_poketalk.protocol.codes import CallStatus
from django_poketalk.protocol.eventurl import Event, parse
from django_poketalk.server import destinations
from django_poketalk.server.switch.delivery.sender import Delivery, EventQueue, EventSender

from ..endpoints import OK, VETO, Answer, Endpoint, always, drip, hang, serve, vanish

TALKING = Event(CallStatus.B_ANSWERED, "web1323041193", 300, Decimal("0.515"))


@pytest.fixture(autouse=True)
def loopback_allowed(settings: Any) -> None:
    settings.POKETALK_SERVER = {
        "EVENT_NETWORKS": ("127.0.0.0/8", "::1/128"),
        "EVENT_TIMEOUT": 0.5,
    }


def deliver(answer: Answer, event: Event = TALKING) -> tuple[Endpoint, Delivery]:
    async def once() -> tuple[Endpoint, Delivery]:
        async with serve(answer) as endpoint, EventSender(timezone.now) as sender:
            return endpoint, await sender.send(endpoint.url, 1, event)

    return asyncio.run(once())


def test_an_event_is_the_get_request_of_the_protocol() -> None:
    endpoint, delivery = deliver(always(OK))
    line, *headers = endpoint.heads[0].strip().split("\r\n")
    assert line == (
        "GET /call_report.php?webcallid=web1323041193&status=7&duration=300&debit=0.515 HTTP/1.1"
    )
    assert sorted(headers) == [
        "Accept: */*",
        f"Host: 127.0.0.1:{endpoint.port}",
        "User-Agent: ARS 0.1",
    ]
    assert (delivery.answer, delivery.error, delivery.vetoes) == (200, "", False)


def test_412_is_a_veto_except_after_the_final_event() -> None:
    assert deliver(always(VETO))[1].vetoes
    assert not deliver(always(VETO), Event(CallStatus.AB_DISCONNECTED, "web1", 1))[1].vetoes


def test_text_that_looks_like_a_query_is_encoded_as_one_value() -> None:
    odd = "x&status=8\r\nHost: evil $status%24"
    endpoint, _ = deliver(always(OK), Event(CallStatus.A_ANSWERED, odd.replace("\r\n", ""), 0))
    event = parse(endpoint.paths[0].partition("?")[2])
    assert (event.status, event.webcallid) == (CallStatus.A_ANSWERED, odd.replace("\r\n", ""))

    endpoint, _ = deliver(always(OK), Event(CallStatus.A_ANSWERED, odd, 0))
    assert len(endpoint.heads) == 1
    assert endpoint.heads[0].count("\r\n") == 5  # the line, three headers, the end


@pytest.mark.parametrize("answer", [hang, drip])
def test_an_endpoint_that_never_finishes_times_out(answer: Answer) -> None:
    endpoint, delivery = deliver(answer)
    assert endpoint.connections == 1
    assert (delivery.answer, delivery.error) == (None, "No answer within 0.5 seconds.")


def test_a_closed_connection_is_an_error() -> None:
    _, delivery = deliver(vanish)
    assert delivery.answer is None
    assert delivery.error


def test_a_refused_connection_is_an_error() -> None:
    async def once() -> Delivery:
        async with serve(always(OK)) as endpoint:
            url = endpoint.url
        async with EventSender(timezone.now) as sender:
            return await sender.send(url, 1, TALKING)

    delivery = asyncio.run(once())
    assert delivery.answer is None
    assert "Cannot connect" in delivery.error


def test_an_invalid_response_is_an_error_on_one_line() -> None:
    _, delivery = deliver(always(b"\x00\x01<script>\r\n\r\n" + b"x" * 900))
    assert delivery.answer is None
    assert delivery.error.isprintable()
    assert len(delivery.error) <= 200
    # The URL may contain a signature, and staff can read the error.
    assert "http://" not in delivery.error


@pytest.mark.parametrize("status", [200, 412])
def test_a_huge_body_is_not_read(status: int) -> None:
    sent = 0

    async def gigabyte(endpoint: Endpoint, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(f"HTTP/1.1 {status} Big\r\nContent-Length: 1000000000\r\n\r\n".encode())
        for _ in range(1000):
            writer.write(b"x" * 1_000_000)
            await writer.drain()
            sent += 1_000_000

    _, delivery = deliver(gigabyte)
    assert delivery.answer == status
    assert sent < 50_000_000  # the size of the sockets' buffers


def test_the_status_counts_if_the_body_never_ends() -> None:
    async def endless(endpoint: Endpoint, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 412 No\r\nTransfer-Encoding: chunked\r\n\r\n")
        await hang(endpoint, writer)

    assert deliver(endless)[1].vetoes


def test_the_status_counts_if_the_body_times_out() -> None:
    async def late(endpoint: Endpoint, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.4)
        writer.write(b"HTTP/1.1 412 No\r\nContent-Length: 9\r\n\r\n")
        await hang(endpoint, writer)

    assert deliver(late)[1].vetoes


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async def once() -> tuple[Endpoint, Delivery]:
        async with serve(always(OK)) as inside:
            location = f"HTTP/1.1 302 Go\r\nLocation: {inside.url}\r\nContent-Length: 0\r\n\r\n"
            async with (
                serve(always(location.encode())) as endpoint,
                EventSender(timezone.now) as sender,
            ):
                return inside, await sender.send(endpoint.url, 1, TALKING)

    inside, delivery = asyncio.run(once())
    assert delivery.answer == 302
    assert inside.connections == 0


def test_sockets_to_private_addresses_are_refused_even_if_the_url_passed_the_check(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.POKETALK_SERVER = {}
    monkeypatch.setattr(destinations, "check", lambda url: None)

    endpoint, delivery = deliver(always(OK))

    assert endpoint.connections == 0
    assert "not a public address" in delivery.error


def test_cookies_are_not_stored() -> None:
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"

    async def twice() -> Endpoint:
        async with serve(always(cookie)) as endpoint, EventSender(timezone.now) as sender:
            # By name: no client stores cookies of IP addresses.
            url = endpoint.url.replace("127.0.0.1", "localhost")
            for sequence in (1, 2):
                await sender.send(url, sequence, TALKING)
            return endpoint

    endpoint = asyncio.run(twice())
    assert "Cookie" not in endpoint.heads[1]
    assert endpoint.connections == 1  # and the connection was reused


def test_connections_to_one_host_are_limited(settings: Any) -> None:
    settings.POKETALK_SERVER = {
        "EVENT_NETWORKS": ("127.0.0.0/8",),
        "EVENT_TIMEOUT": 30.0,
        "EVENT_CONNECTIONS_PER_HOST": 3,
    }

    async def many() -> Endpoint:
        async with serve(hang) as endpoint, EventSender(timezone.now) as sender:
            waiting = [
                asyncio.create_task(sender.send(endpoint.url, 1, TALKING)) for _ in range(20)
            ]
            while len(endpoint.heads) < 3:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)  # time for a fourth one, if it were allowed
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            return endpoint

    assert asyncio.run(asyncio.wait_for(many(), 20)).connections == 3


def test_an_event_without_a_free_connection_is_not_sent(settings: Any) -> None:
    settings.POKETALK_SERVER = {
        "EVENT_NETWORKS": ("127.0.0.0/8",),
        "EVENT_TIMEOUT": 0.5,
        "EVENT_CONNECTIONS_PER_HOST": 1,
    }

    async def three() -> tuple[Endpoint, list[Delivery]]:
        async with serve(hang) as endpoint, EventSender(timezone.now) as sender:
            first = asyncio.create_task(sender.send(endpoint.url, 1, TALKING))
            while not endpoint.heads:
                await asyncio.sleep(0.01)
            settings.POKETALK_SERVER |= {"EVENT_TIMEOUT": 0.1}
            second = await sender.send(endpoint.url, 2, TALKING)
            return endpoint, [await first, second]

    endpoint, deliveries = asyncio.run(three())
    assert [each.is_sent for each in deliveries] == [True, False]
    assert "busy" in deliveries[1].error
    assert endpoint.connections == 1


def test_hanging_endpoints_do_not_delay_a_healthy_one(settings: Any) -> None:
    settings.POKETALK_SERVER = {"EVENT_NETWORKS": ("127.0.0.0/8",), "EVENT_TIMEOUT": 30.0}

    async def healthy_beside_hanging() -> tuple[list[Delivery], int]:
        async with contextlib.AsyncExitStack() as stack:
            bad = [await stack.enter_async_context(serve(hang)) for _ in range(50)]
            good = await stack.enter_async_context(serve(always(OK)))
            sender = await stack.enter_async_context(EventSender(timezone.now))
            waiting = [
                asyncio.create_task(sender.send(endpoint.url, 1, TALKING)) for endpoint in bad
            ]
            while not all(endpoint.heads for endpoint in bad):
                await asyncio.sleep(0.01)
            answered = [await sender.send(good.url, n, TALKING) for n in range(20)]
            unanswered = sum(not task.done() for task in waiting)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            return answered, unanswered

    answered, unanswered = asyncio.run(asyncio.wait_for(healthy_beside_hanging(), 20))
    assert {delivery.answer for delivery in answered} == {200}
    assert unanswered == 50


def statuses_through_a_queue(
    answer: Answer, *events: CallStatus
) -> tuple[Endpoint, list[Delivery]]:
    async def put_all() -> tuple[Endpoint, list[Delivery]]:
        deliveries: list[Delivery] = []
        ended = asyncio.Event()

        def delivered(delivery: Delivery) -> None:
            deliveries.append(delivery)
            if delivery.event.status.is_final:
                ended.set()

        async with serve(answer) as endpoint, EventSender(timezone.now) as sender:
            queue = EventQueue(sender, endpoint.url, delivered)
            for number, status in enumerate(events):
                queue.put(Event(status, "web1", number))
            await asyncio.wait_for(ended.wait(), 20)
            return endpoint, deliveries

    return asyncio.run(put_all())


def test_the_events_of_a_call_are_sent_one_at_a_time() -> None:
    async def slow(endpoint: Endpoint, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)
        await always(OK)(endpoint, writer)

    endpoint, deliveries = statuses_through_a_queue(slow, *map(CallStatus, (1, 3, 5, 7, 8)))
    assert endpoint.statuses == ["1", "3", "5", "7", "8"]
    assert endpoint.most_at_once == 1
    assert [delivery.sequence for delivery in deliveries] == [1, 2, 3, 4, 5]


def test_the_next_event_is_sent_after_a_timeout() -> None:
    first = True

    async def hang_once(endpoint: Endpoint, writer: asyncio.StreamWriter) -> None:
        nonlocal first
        if first:
            first = False
            await hang(endpoint, writer)
        await always(OK)(endpoint, writer)

    _, deliveries = statuses_through_a_queue(hang_once, *map(CallStatus, (1, 2)))
    assert [delivery.answer for delivery in deliveries] == [None, 200]


def test_waiting_events_with_the_same_status_are_merged() -> None:
    async def slow(endpoint: Endpoint, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        await always(OK)(endpoint, writer)

    _, deliveries = statuses_through_a_queue(slow, *map(CallStatus, (5, 7, 7, 7, 7, 8)))
    sent = [(delivery.event.status.value, delivery.event.duration) for delivery in deliveries]
    assert sent == [(5, 0), (7, 4), (8, 5)]
