"""The checks: functions that raise `Failed` or `Skipped`. Their docstrings are the promises."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import requests

from ..protocol.codes import CallStatus, ResponseCode
from .endpoint import HANG_UP, OK, CallLog, Received
from .session import Failed, Session, Skipped, list_statuses

Check = Callable[[Session], None]

NEXT: dict[CallStatus | None, tuple[int, ...]] = {
    None: (1,),
    CallStatus.A_INITIATED: (2, 3),
    CallStatus.A_ANSWERED: (4, 5),
    CallStatus.B_INITIATED: (4, 6, 7),
    CallStatus.B_ANSWERED: (8,),
}
CLOSING = {  # of a call that was ended, by the last status before
    CallStatus.A_INITIATED: CallStatus.A_FAILED,
    CallStatus.A_ANSWERED: CallStatus.A_DISCONNECTED,
    CallStatus.B_INITIATED: CallStatus.A_DISCONNECTED,
    CallStatus.B_ANSWERED: CallStatus.AB_DISCONNECTED,
}
TICKING = (CallStatus.A_ANSWERED, CallStatus.B_INITIATED, CallStatus.B_ANSWERED)
DURATION, DEBIT = re.compile(r"[0-9]+"), re.compile(r"[0-9]+\.[0-9]{3}")
NOBODY = "a key that nobody has"
USER_AGENT = "ARS 0.1"


def code_10(session: Session) -> None:
    """Without a key, the answer is 10."""
    session.expect_code(ResponseCode.EMPTY_API_KEY, "no api_key", **session.form(api_key=""))


def code_20(session: Session) -> None:
    """Without a digit in `from`, the answer is 20."""
    for number in ("", "+ -"):
        what = f"from={number!r}"
        session.expect_code(ResponseCode.EMPTY_FROM, what, **session.form(**{"from": number}))


def code_30(session: Session) -> None:
    """Without a digit in `to`, the answer is 30."""
    for number in ("", "+ -"):
        session.expect_code(ResponseCode.EMPTY_TO, f"to={number!r}", **session.form(to=number))


def code_40(session: Session) -> None:
    """With an unknown key, the answer is 40."""
    session.expect_code(
        ResponseCode.UNKNOWN_API_USER, "an unknown key", **session.form(api_key=NOBODY)
    )


def order_of_codes(session: Session) -> None:
    """Of several mistakes, the answer names the first: the key, `from`, `to`, then whose key."""
    session.expect_code(ResponseCode.EMPTY_API_KEY, "an empty form")
    form = {"api_key": NOBODY, "from": "", "to": ""}
    session.expect_code(ResponseCode.EMPTY_FROM, "an unknown key and no numbers", **form)
    form["from"] = session.options.from_number
    session.expect_code(ResponseCode.EMPTY_TO, "an unknown key and no `to`", **form)


def code_with(session: Session, code: ResponseCode, option: str, **changes: str) -> None:
    if not all(changes.values()):
        raise Skipped(f"give {option}")
    session.expect_code(code, f"with {option}", **session.form(**changes))


def code_50(session: Session) -> None:
    """With the key of an account without a provider, the answer is 50."""
    key = session.options.key_without_provider
    code_with(session, ResponseCode.NO_SERVICE_PROVIDER, "--key-without-provider", api_key=key)


def code_60(session: Session) -> None:
    """With a blacklisted number, however it is written, the answer is 60."""
    number = session.options.blacklisted
    for written in (number, number and f"+{number[:2]} ({number[2:]})"):
        code_with(session, ResponseCode.BLACKLISTED, "--blacklisted", to=written)


def code_70(session: Session) -> None:
    """With a number that no gateway reaches, the answer is 70."""
    number = session.options.no_gateway
    code_with(session, ResponseCode.NO_GATEWAY, "--no-gateway", to=number)


def code_90(session: Session) -> None:
    """With a number that has no rate, the answer is 90."""
    code_with(session, ResponseCode.NO_TIMEOUT, "--no-rate", to=session.options.no_rate)


def code_100(session: Session) -> None:
    """With a key that is used from a wrong address, the answer is 100."""
    key = session.options.key_elsewhere
    code_with(session, ResponseCode.UNKNOWN_ADDRESS, "--key-elsewhere", api_key=key)


def get(session: Session) -> None:
    """A GET requests no call: the answer is HTTP 405."""
    status = session.get()
    if status != requests.codes.method_not_allowed:
        raise Failed(f"the answer to GET is HTTP {status}")


def long_fields(session: Session) -> None:
    """A `custom` or `eventurl` of more than 255 characters is refused, not cut."""
    base = session.endpoint.base_url
    for name, value in (("custom", "x" * 256), ("eventurl", base + "/" + "x" * 256)):
        status, body = session.ask(f"a long {name}", **session.form(**{name: value}))
        if status == requests.codes.ok and ResponseCode.read(body) is ResponseCode.OK:
            raise Failed(f"a call with a {name} of {len(value)} characters was accepted")


def statuses(session: Session) -> None:
    """The statuses come in the order of the protocol, beginning with 1."""
    found = [each for each in session.long_call.statuses if each is not CallStatus.UNKNOWN]
    changes = [status for at, status in enumerate(found) if [status] != found[at - 1 : at]]
    for before, after in pairwise([None, *changes]):
        if before is not None and before.is_final:
            continue  # `one_end` says so
        if after is None or after.value not in NEXT.get(before, ()):
            last = "the beginning" if before is None else f"status {before.value}"
            now = "nothing" if after is None else after.value
            raise Failed(f"after {last} came {now}: {list_statuses(found)}")


def one_end(session: Session) -> None:
    """A call has one final status, and no event follows it."""
    found = session.long_call.statuses
    final = [status for status in found if status.is_final]
    if not final:
        raise Skipped("the call did not end in time")
    if len(final) != 1 or found[-1] is not final[0]:
        raise Failed(f"the statuses were {list_statuses(found)}")


def request(session: Session) -> None:
    """Events are GET requests with the protocol's headers."""
    for event in session.long_call.events:
        sent = (event.method, event.headers.get("user-agent"), event.headers.get("accept"))
        if sent != ("GET", USER_AGENT, "*/*"):
            raise Failed(f"method, User-Agent and Accept are {sent}")
        if event.version not in ("HTTP/1.0", "HTTP/1.1"):
            raise Failed(f"the version is {event.version}")


def encoding(session: Session) -> None:
    """Variables are replaced in the query alone, once, and with percent-encoded values."""
    log = session.long_call
    for event in log.events:
        path = event.target.partition("?")[0]
        if not path.endswith(("/$status", "/%24status")):
            raise Failed(f"the path of the EventURL was changed: {path}")
        if not event.query.isascii():
            raise Failed(f"the query is not ASCII: {event.query}")
        values, status = event.values, event.status
        written = "" if status is None else str(status.value)
        expected = {"id": log.custom, "again": written, "text": f"a-{written}-z", "fixed": "1+1"}
        for name, value in expected.items():
            if values.get(name) != value:
                raise Failed(f"{name} should be {value!r}, but the query is {event.query}")


def figures(session: Session) -> None:
    """Duration and debit only grow; both are zero until the caller answers."""
    before = (0, 0.0)
    has_answered = False
    for event in session.long_call.events:
        duration, debit = event.values.get("duration", ""), event.values.get("debit", "")
        if not DURATION.fullmatch(duration) or not DEBIT.fullmatch(debit):
            raise Failed(f"duration={duration} and debit={debit} are not `12` and `0.123`")
        now = (int(duration), float(debit))
        has_answered |= event.status in TICKING
        if not has_answered and now != (0, 0.0):
            raise Failed(f"before the caller answered, they were {duration} and {debit}")
        if now[0] < before[0] or now[1] < before[1]:
            raise Failed(f"they fell from {before} to {now}")
        before = now


def ticks(session: Session) -> None:
    """An event comes every 60 seconds from the caller's answer, whatever changes between."""
    log, interval = session.long_call, session.options.interval
    answered = log.first(CallStatus.A_ANSWERED)
    if answered is None:
        raise Skipped("the caller's answer was not reported")
    repeated = [*_repeated(log)]
    if len(repeated) < 2:
        raise Failed(f"{len(repeated)} ticks came in more than {2 * interval:g} seconds")
    for number, tick in enumerate(repeated[:2], start=1):
        late = tick.at - answered.at - number * interval
        if abs(late) > 0.05 * interval + 1:
            raise Failed(f"tick {number} came {abs(late):.1f} s {'late' if late > 0 else 'early'}")


def _repeated(log: CallLog) -> Iterator[Received]:
    for before, event in pairwise(log.events):
        if event.status in TICKING and event.status is before.status:
            yield event


def one_at_a_time(session: Session) -> None:
    """The next event waits for the answer to the last one."""
    for before, after in pairwise(session.rough_call.events):
        if before.answered_at is None or after.at < before.answered_at - 0.05:
            raise Failed(f"status {after.status} came before the answer to {before.status}")


def errors(session: Session) -> None:
    """An answer other than 412, or none at all, does not end a call."""
    found = session.rough_call.statuses
    if CallStatus.B_ANSWERED not in found:
        raise Failed(
            f"after HTTP 500 and a closed connection, the statuses were {list_statuses(found)}"
        )


def hang_up_at(session: Session, status: CallStatus) -> None:
    log = session.call(lambda now: HANG_UP if now is status else OK)
    session.wait_for(log, status)
    if not log.wait_until(lambda: log.has_ended, session.options.hang_up_within):
        raise Failed(f"the call goes on {session.options.hang_up_within:g} s after 412")
    *rest, last = log.statuses[: [each.is_final for each in log.statuses].index(True) + 1]
    if not rest or last is not CLOSING.get(rest[-1]):
        raise Failed(f"the closing status after {list_statuses(rest)} was {last.value}")


def bodies(session: Session) -> None:
    """The body of each answer is the code, byte by byte."""
    for what, body in session.bodies:
        code = ResponseCode.read(body)
        if code is None or body != code.value.encode():
            raise Failed(f"{what}: the body is {body!r}")


HANG_UPS: dict[str, Check] = {
    f"hang_up_at_{status.value}": partial(hang_up_at, status=status) for status in CLOSING
}
CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        *(code_10, code_20, code_30, code_40, order_of_codes),
        *(code_50, code_60, code_70, code_90, code_100, get, long_fields),
        *(statuses, one_end, request, encoding, figures, ticks, one_at_a_time, errors),
    )
} | HANG_UPS
CHECKS["bodies"] = bodies  # last: of all answers


def promise(name: str) -> str:
    """What this check is about, in a sentence."""
    if name in HANG_UPS:
        return f"412 at status {name[-1]} ends the call within seconds."
    return str(CHECKS[name].__doc__)
