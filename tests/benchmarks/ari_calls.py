"""Measure calls through Asterisk (ARI): CPU time per call in the switch, beside Asterisk's own.

    export DATABASE_URL=postgres://postgres@127.0.0.1:5432/bench
    python -m tests.benchmarks.ari_calls [--rates 5 20] [--seconds 60] [--asterisk FOLDER]

FOLDER contains the program `start`, which runs an Asterisk on loopback; by default, it is that of
the tests. Each rate is measured with a new switch and a new Asterisk, and with calls between phones
of SIPp that ring 0.1 s and talk `--talk` seconds. As in `sip_calls`, calls are admitted at a steady
rate, everything runs on this machine, the database must exist, and its accounts and calls are
deleted. CPU times are read from `/proc`. The phones send audio (G.711, 50 packets a second each
way), which Asterisk relays; `--no-audio` measures calls without any.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.server.switch.gateways.asterisk.real_asterisk import FOLDER

from .sip_calls import (
    ENDED,
    GRACE,
    PHONE,
    A,
    Admission,
    Call,
    Gateway,
    Switch,
    call_command,
    connection,
    free_port,
    logged,
    milliseconds,
    phones,
    prepare,
    running,
    warm_up,
)

USER, PASSWORD = "poketalk", "secret-ari"  # in the configuration of FOLDER
SAMPLE = 0xD5  # of G.711 A-law
RTP = 30_000  # above the ports of tests, below the system's ephemeral ones
QUERY = "webcallid=$webcallid&status=$status&duration=$duration&debit=$debit"


@contextlib.contextmanager
def asterisk(start: Path, folder: Path, phones: int) -> Iterator[tuple[Switch, str]]:
    """A running Asterisk whose trunk leads to the phones on this port; yields its URL."""
    sip, http = free_port(), free_port()
    environment = {"TRUNK": f"127.0.0.1:{phones}", "RTP_START": RTP, "RTP_END": RTP + 1999}
    command = [str(start), str(folder), f"127.0.0.1:{sip}", f"127.0.0.1:{http}"]
    url = f"http://127.0.0.1:{http}"
    with running(*command, **{name: str(value) for name, value in environment.items()}) as process:
        deadline = time.monotonic() + GRACE
        while not _is_up(url):
            assert process.poll() is None, "Asterisk has stopped"
            assert time.monotonic() < deadline, "Asterisk does not start"
            time.sleep(0.1)
        yield Switch(process), url


def _is_up(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/ari/asterisk/ping?api_key={USER}:{PASSWORD}")
    except OSError:
        return False
    return True


def phone_with_audio(folder: Path) -> Path:
    """The scenario of phones that also send audio from the ACK to the BYE."""
    second, scenario = folder / "second.alaw", folder / "phone_with_audio.xml"
    second.write_bytes(bytes([SAMPLE] * 8000))
    ack = '<recv request="ACK"/>'
    send = f'<nop><action><exec rtp_stream="{second},-1,8"/></action></nop>'
    text = PHONE.read_text().replace("[media_port]", "[rtpstream_audio_port]")
    scenario.write_text(text.replace(ack, ack + send, 1))
    return scenario


def measure(options: argparse.Namespace, rate: float, folder: Path) -> None:
    """Make calls at this rate, and print the results."""
    options.rate, options.calls = rate, int(rate * options.seconds)
    longest = options.seconds + options.talk + GRACE
    with ExitStack() as stack:
        sink = free_port()
        stack.enter_context(running(sys.executable, "-m", "tests.benchmarks.event_sink", str(sink)))
        phone = PHONE if options.no_audio else phone_with_audio(folder)
        port = stack.enter_context(phones(2 * options.calls + 2, longest + GRACE, folder, A, phone))
        start = options.asterisk.resolve() / "start"
        pbx, url = stack.enter_context(asterisk(start, folder / "pbx", port))
        account, tariff = prepare({"": port})
        Gateway.objects.update(
            kind="asterisk",
            ari_url=url,
            username=USER,
            password_variable="POKETALK_GATEWAY_ARI",
            endpoint="PJSIP/{number}@trunk",
        )
        process = stack.enter_context(
            running(
                *(sys.executable, "-m", "django", "poketalk_switch", "--name", "benchmark"),
                DJANGO_SETTINGS_MODULE="tests.benchmarks.switch_settings",
                BENCH_EVENT_PORT=str(sink),
                BENCH_SIP_PORT=str(free_port()),
                POKETALK_GATEWAY_ARI=PASSWORD,
            )
        )
        switch, eventurl = Switch(process), f"http://127.0.0.1:{sink}/call_report.php?{QUERY}"
        warm_up(account, tariff, eventurl)
        before = switch.cpu(), pbx.cpu()
        time.sleep(options.idle)
        idle = {name: used - before[0].get(name, 0) for name, used in switch.cpu().items()}
        before, began = (switch.cpu(), pbx.cpu()), time.monotonic()
        admission = Admission(options, options.talk, account, tariff, eventurl)
        admission.start()
        admission.join()
        placed = time.monotonic() - began
        deadline = time.monotonic() + longest
        while Call.objects.exclude(state=Call.State.ENDED).exists():
            assert time.monotonic() < deadline, "calls do not end"
            time.sleep(0.5)
        used = {name: used - before[0].get(name, 0) for name, used in switch.cpu().items()}
        pbx_used = sum(pbx.cpu().values()) - sum(before[1].values())
    report(admission, used, pbx_used, sum(idle.values()) / options.idle, placed, folder)


def report(
    admission: Admission,
    used: dict[str, float],
    pbx_used: float,
    idle: float,
    placed: float,
    folder: Path,
) -> None:
    """Print the results. CPU times are in seconds, `idle` in seconds per second."""
    calls = len(admission.admitted)
    causes = Counter(Call.objects.values_list("status", "hangup_cause"))
    completed = causes.pop((ENDED, "max_duration"), 0)
    rung = logged(folder)["ringing"]
    first = [rung[a] - moment for a, moment in admission.admitted.items() if a in rung]
    switch = 1000 * sum(used.values()) / calls
    print(f"{calls / placed:.1f}/s      {completed} of {calls} calls completed", end="; ")
    print(f"others: {dict(causes) or 'none'}")
    print(f"switch     {switch:.2f} CPU-ms per call", end=": ")
    threads = sorted(used.items(), key=lambda item: -item[1])
    print(", ".join(f"{name} {1000 * cpu / calls:.2f}" for name, cpu in threads if cpu > 0.01))
    print(f"           {1000 * idle:.2f} CPU-ms per second without calls")
    print(f"Asterisk   {1000 * pbx_used / calls:.2f} CPU-ms per call")
    print(f"switch / Asterisk, CPU   {switch * calls / 1000 / pbx_used:.1f}   (goal: 1 or less)")
    print(f"request → INVITE A  {milliseconds(first)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--asterisk", type=Path, default=FOLDER, help="folder with `start`")
    parser.add_argument("--rates", type=float, nargs="+", default=[5, 20], help="calls per second")
    parser.add_argument("--seconds", type=int, default=60, help="how long to admit calls")
    parser.add_argument("--talk", type=int, default=5, help="duration of a call in seconds")
    parser.add_argument("--idle", type=int, default=10, help="seconds without calls before")
    parser.add_argument("--no-audio", action="store_true", help="phones send none")
    options = parser.parse_args()
    call_command("migrate", verbosity=0)
    print(f"{connection.vendor}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    for rate in options.rates:
        with tempfile.TemporaryDirectory(prefix="ari-") as folder:
            measure(options, rate, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
