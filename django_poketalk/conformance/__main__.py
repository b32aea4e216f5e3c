"""`python -m django_poketalk.conformance`: makes the checks, and reports like a test run."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import TextIO

from ..protocol.eventurl import MAX_LENGTH
from .checks import CHECKS, promise
from .endpoint import OK, Endpoint
from .session import Failed, Options, Session, Skipped

KEY = "POKETALK_API_KEY"


def main(arguments: Sequence[str] | None = None, out: TextIO = sys.stdout) -> int:
    """The exit code: 0 if nothing failed, 1 if something did, 2 for wrong arguments."""
    given = _parser().parse_args(arguments)
    if given.list:
        for name in CHECKS:
            out.write(f"{name:<16} {promise(name)}\n")
        return 0
    if not given.url or not given.key:
        _parser().error(f"give the URL of the service, and --key or {KEY}")
    host, _colon, port = given.listen.rpartition(":")
    endpoint = Endpoint((host, int(port)), given.events_at)
    if len(endpoint.expect("", lambda status: OK).eventurl) > MAX_LENGTH:
        _parser().error("the address of --events-at is too long for an EventURL")
    options = Options(
        given.url,
        given.key,
        from_number=given.from_number,
        to_number=given.to_number,
        interval=60 / given.speed,
        patience=given.patience,
        hang_up_within=given.hang_up_within,
        blacklisted=given.blacklisted,
        no_gateway=given.no_gateway,
        no_rate=given.no_rate,
        key_without_provider=given.key_without_provider,
        key_elsewhere=given.key_elsewhere,
    )
    try:
        return run(Session(options, endpoint), given.only or [*CHECKS], out)
    finally:
        endpoint.close()


def run(session: Session, names: Sequence[str], out: TextIO) -> int:
    """Make these checks, and write the report."""
    began = time.monotonic()
    out.write(f"Click-2-Call conformance of {session.options.url}\n")
    out.write(f"events at {session.endpoint.base_url}, {len(names)} checks\n\n")
    failures: list[tuple[str, str]] = []
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for name in names:
        result, why = _make(session, name)
        counts[result] += 1
        if result == "failed":
            failures.append((name, why))
        skipped = f" ({why})" if result == "skipped" else ""
        out.write(f"{name:<16} {promise(name)} {result.upper()}{skipped}\n")
        out.flush()
    for name, why in failures:
        out.write(f"\n--- {name} ---\n{promise(name)}\n{why}\n")
    summary = ", ".join(f"{count} {result}" for result, count in counts.items() if count)
    out.write(f"\n=== {summary} in {time.monotonic() - began:.1f} s ===\n")
    return 1 if failures else 0


def _make(session: Session, name: str) -> tuple[str, str]:
    try:
        CHECKS[name](session)
    except Failed as failure:
        return "failed", str(failure)
    except Skipped as skipped:
        return "skipped", str(skipped)
    return "passed", ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m django_poketalk.conformance",
        description="Tests a Click-2-Call service. It requests about six calls, which ring phones"
        " and cost money.",
    )
    parser.add_argument("url", nargs="?", help="the address of the service's click2call API")
    parser.add_argument("--key", default=os.environ.get(KEY, ""), help=f"the API key; or set {KEY}")
    parser.add_argument(
        "--from", dest="from_number", default=Options.from_number, help="a phone that answers"
    )
    parser.add_argument(
        "--to", dest="to_number", default=Options.to_number, help="another phone that answers"
    )
    parser.add_argument(
        "--listen",
        default="127.0.0.1:0",
        metavar="ADDRESS:PORT",
        help="where events are received; port 0 is any free one",
    )
    parser.add_argument(
        "--events-at", default="", metavar="URL", help="how the service reaches that address"
    )
    parser.add_argument(
        "--speed", type=float, default=1.0, help="how much faster the service's time passes"
    )
    parser.add_argument(
        "--patience", type=float, default=Options.patience, help="seconds to wait for an answer"
    )
    parser.add_argument(
        "--hang-up-within",
        type=float,
        default=Options.hang_up_within,
        help="seconds in which 412 must end a call",
    )
    for name, meaning in (
        ("blacklisted", "a number for code 60"),
        ("no-gateway", "a number for code 70"),
        ("no-rate", "a number for code 90"),
        ("key-without-provider", "a key for code 50"),
        ("key-elsewhere", "a key for code 100"),
    ):
        parser.add_argument(f"--{name}", default="", help=meaning)
    parser.add_argument("--only", nargs="+", choices=[*CHECKS], metavar="NAME", help="some checks")
    parser.add_argument("--list", action="store_true", help="list the checks")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
