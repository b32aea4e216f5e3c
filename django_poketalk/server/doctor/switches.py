"""Whether calls are served: switches, gateways, ports, and the delivery of events."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from urllib.parse import urlsplit

from django.core import checks
from django.db import connection, router

from django_poketalk.shared.doctor.checking import Finding, Options, error, info, ok, warning

from .. import health
from ..conf import settings
from ..database.clock import database_now
from ..database.notify import connection_parameters
from ..models import Call, Gateway, Switch
from ..models.gateway_states import GatewayHealth
from ..switch.gateways.sip.port import check_port, own_address

START = "Start one: python manage.py poketalk_switch."


def check_switches(options: Options) -> Iterator[Finding]:
    """The running switches, and the calls that wait for one."""
    now = database_now()
    switches = [*Switch.objects.all()]
    if not any(switch.is_alive(now) for switch in switches):
        yield error("No switch is running, so no phone rings.", START)
    for switch in switches:
        if not switch.is_alive(now):
            yield warning(
                f"{switch} stopped without signing off, last seen at {switch.seen_at:%H:%M:%S} UTC."
            )
        elif switch.problems:
            yield error(
                f"{switch} takes no calls: {switch.problems}.",
                "Look into its log. The docs of the switch explain these words.",
            )
        else:
            yield ok(f"{switch} takes calls. Live calls: {switch.live_calls}.")
    oldest = Call.objects.queued().order_by("created_at").values_list("created_at", flat=True)
    first = oldest.first()
    if first is not None:
        waited = (now - first).total_seconds()
        finding = warning if waited > settings.queue_timeout / 2 else info
        yield finding(f"Calls that wait: {oldest[:1000].count()}, the first since {waited:.0f} s.")
    lapsed = Call.objects.abandoned(now).count()
    if lapsed:
        yield error(f"Calls that a switch lost, and no other one has ended: {lapsed}.", START)
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        yield from _notifications(options)


def _notifications(options: Options) -> Iterator[Finding]:
    """Whether the database's notifications arrive, which wake the switches."""
    if find_spec("psycopg") is None:
        yield info("Switches poll the database four times a second.", "Install psycopg 3.")
        return
    import psycopg

    listening = psycopg.connect(autocommit=True, **connection_parameters())
    with contextlib.closing(listening):
        listening.execute("LISTEN poketalk_doctor")
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify('poketalk_doctor', '')")
        arrived = next(listening.notifies(timeout=options.patience / 4, stop_after=1), None)
    if arrived:
        yield ok("The database notifies switches of new calls at once.")
    else:
        yield warning(
            "Notifications of the database do not arrive, so switches take calls up to a second"
            " later.",
            "Connect the switches to PostgreSQL directly, not through PgBouncer in transaction"
            " mode.",
        )


def check_gateways(options: Options) -> Iterator[Finding]:
    """The active gateways as the switches see them, and what our system checks say about them."""
    databases = [router.db_for_read(Gateway)]
    for message in checks.run_checks(tags=[checks.Tags.database], databases=databases):
        if (message.id or "").startswith("poketalk_server."):
            yield warning(f"{message.msg} ({message.id})", message.hint or "")
    gateways = health.active_gateways(database_now())
    if not gateways:
        yield error(
            "No gateway of an active provider is active.",
            "Add one in the admin: a SIP trunk, an Asterisk, or simulated phones.",
        )
    for each in gateways:
        yield _gateway(each)


def _gateway(each: GatewayHealth) -> Finding:
    name = f"{each.gateway.provider.name}: {each.gateway.name}"
    if each.is_up is None:
        return warning(f"{name} is not seen by any switch.", START)
    problems = "; ".join(sorted({state.masked_problem for state in each.down}))
    if not each.is_up:
        return error(
            f"{name} is down: {problems}.", "Check its host, port, user and password variable."
        )
    if problems:
        return warning(f"{name} is up at some switches, and down at others: {problems}.")
    return ok(f"{name} is up, with {each.channels} channels in use.")


def check_ports(options: Options) -> Iterator[Finding]:
    """The ports of switches on this host, and the addresses of gateways."""
    active = Gateway.objects.filter(is_active=True, provider__is_active=True)
    if active.filter(kind=Gateway.Kind.SIP).exists():
        yield _sip_port()
    for gateway in active.filter(kind=Gateway.Kind.ASTERISK):
        url = urlsplit(gateway.ari_url)
        port = url.port or (443 if url.scheme == "https" else 80)
        if problem := _connects(url.hostname or "", port, options):
            yield warning(
                f"{gateway} at {url.hostname}:{port} is not reached from this host: {problem}.",
                "Switches on this host cannot reach it either.",
            )
        else:
            yield ok(f"{gateway} at {url.hostname}:{port} accepts connections.")
    if settings.health_address:
        url = urlsplit(f"//{settings.health_address}")
        problem = _connects(url.hostname or "", url.port or 0, options)
        text = f"The switch's HTTP server at {settings.health_address}"
        if problem:
            yield info(f"{text} is not reached from here: {problem}.")
        else:
            yield ok(f"{text} accepts connections.")
    ports = ", ".join(map(str, settings.event_ports))
    yield info(f"Events are sent to the ports {ports} of public addresses (EVENT_PORTS).")


def _sip_port() -> Finding:
    address = f"UDP port {settings.sip_port} of {own_address()}"
    now = database_now()
    alive = any(switch.is_alive(now) for switch in Switch.objects.all())
    try:
        check_port()
    except OSError as failure:
        if alive:
            return ok(f"{address} is in use by a switch, as expected.")
        return error(
            f"{address} is taken, but no switch is running: {failure.strerror}.",
            "Stop the other program, or set SIP_PORT or SIP_ADDRESS.",
        )
    if alive:
        return info(f"{address} is free: no switch with SIP gateways runs on this host.")
    return ok(f"{address} is free for a switch.")


def _connects(host: str, port: int, options: Options) -> str:
    """Why no TCP connection can be made, or ""."""
    try:
        socket.create_connection((host, port), timeout=options.patience / 4).close()
    except OSError as failure:
        return failure.strerror or str(failure) or type(failure).__name__
    return ""


def check_deliveries(options: Options) -> Iterator[Finding]:
    """Whether customers' endpoints answer their events."""
    deliveries = health.latest_deliveries()
    for endpoint in health.failing_endpoints(deliveries):
        yield warning(
            f"{endpoint.host} failed to answer {endpoint.failures} of {endpoint.events} events:"
            f" {endpoint.last_error}.",
            "Its calls go on without vetoes. Tell the customer.",
        )
    unanswered = Call.objects.filter(final_event_due_at__isnull=False).count()
    if unanswered:
        yield info(f"Final events that were not answered yet, and are repeated: {unanswered}.")
    if deliveries:
        yield ok(f"The latest event was sent at {deliveries[0].sent_at:%Y-%m-%d %H:%M} UTC.")
    else:
        yield info("No event has been sent yet.")
