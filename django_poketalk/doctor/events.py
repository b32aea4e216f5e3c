"""Whether the service can reach the EventURL, as far as that can be tried from here."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import requests
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from ..backends.http import session
from ..conf import service
from ..events import incoming
from ..models import CallRequest, Placement
from ..protocol import eventurl
from ..protocol.codes import HTTP_HANG_UP, CallStatus
from ..shared.doctor.checking import Finding, Options, error, info, ok, warning

USER_AGENT = "ARS 0.1"  # as a service has it, since firewalls judge by it
NO_CALL = 10**18  # the primary key of no call: our view answers its events with 412
EXAMINED = 500  # of the newest calls, of all services
LATEST = 10  # accepted calls of this service among them
EVENTS_LATE = timedelta(minutes=2)  # after the service accepted a call, an event must have come


def check_events(alias: str, options: Options) -> Iterator[Finding]:
    """Send an event of a call that does not exist, and look at the events of the latest calls of
    the service with this alias.
    """
    if not service(alias).event_base_url:
        yield warning(
            "EVENT_BASE_URL is not set, so no events arrive.", "Set it: calls are placed blind."
        )
        return
    try:
        call = CallRequest(pk=NO_CALL, service=alias, max_duration=1)
        url = eventurl.expand(incoming.event_url(call), eventurl.Event(CallStatus.A_INITIATED))
    except ImproperlyConfigured as failure:
        yield error(str(failure))
        return
    yield from _request(url, options)
    yield from _latest_events(alias)


def _request(url: str, options: Options) -> Iterator[Finding]:
    base = eventurl.without_path(url).removesuffix("/…")
    host = urlsplit(url).hostname or ""
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(host, None)}
    except OSError:
        yield error(
            f"The host {host} of EVENT_BASE_URL has no address.",
            "Correct EVENT_BASE_URL, or the name server's entry.",
        )
        return
    if not any(_is_public(address) for address in found):
        addresses = "" if found == {host} else f" ({', '.join(sorted(found))})"
        yield info(f"{host}{addresses} is not public: only services in its network reach it.")
    try:
        with session().get(
            url,
            headers={"User-Agent": USER_AGENT},
            timeout=options.patience / 2,
            allow_redirects=False,
            stream=True,
        ) as response:
            yield _judged(response, base)
    except requests.exceptions.SSLError:
        yield error(
            f"The certificate of {base} is not valid.", "Services refuse to send events then."
        )
    except requests.RequestException as failure:
        yield warning(
            f"{base} does not answer this host ({type(failure).__name__}).",
            "If it does not answer the service either, no events arrive. Some networks cannot reach"
            " their own public address: then try it from outside.",
        )


def _judged(response: requests.Response, base: str) -> Finding:
    status = response.status_code
    if status == HTTP_HANG_UP:
        return ok(f"{base} answers events.")
    if 300 <= status < 400:
        target = eventurl.without_path(response.headers.get("Location", "")) or "another page"
        return error(
            f"{base} redirects events to {target}. Services do not follow redirects.",
            "Set EVENT_BASE_URL to the final address, and exempt the event view from logins.",
        )
    advice = {
        400: "Add the host to ALLOWED_HOSTS.",
        401: "Exempt the path of the events from the web server's password.",
        403: "Exempt the path of the events from the firewall or the web server's rules.",
        404: "Either another site answers, or it has another SECRET_KEY than this process, or"
        " django_poketalk.urls has another prefix there.",
        503: "The site's database does not answer.",
    }
    return error(
        f"{base} answers events with {status}, instead of {HTTP_HANG_UP} for a call that does not"
        " exist.",
        advice.get(status, "Look into the log of the web server."),
    )


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_global
    except ValueError:
        return False


def _latest_events(alias: str) -> Iterator[Finding]:
    """Whether events came for the latest calls: only the service itself can prove that."""
    now = timezone.now()
    newest = CallRequest.objects.order_by("-id").values_list(
        "service", "placement", "placed_at", "last_event_at"
    )
    latest = [
        (placed_at, last_event_at)
        for of, placement, placed_at, last_event_at in newest[:EXAMINED]
        if of == alias
        and placement == Placement.ACCEPTED
        and placed_at
        and placed_at < now - EVENTS_LATE
    ][:LATEST]
    if latest and not any(last_event_at for _, last_event_at in latest):
        yield error(
            f"No event came for any of the latest calls that the service accepted: {len(latest)}.",
            "The service does not reach EVENT_BASE_URL: see the delivered events there.",
        )
        return
    received = max((at for _, at in latest if at), default=None)
    if received is None:
        yield info("There is no recent call whose events could prove that they arrive.")
    else:
        yield ok(f"Events of a call arrived at {timezone.localtime(received):%Y-%m-%d %H:%M}.")
