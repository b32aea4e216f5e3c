"""Phones simulated by baresip: auto-answer, send a tone, and count RTP packets."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .ports import free_port, wait_until_bound

CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:{port}
call_local_timeout 60
audio_player aubridge,null{port}
audio_source ausine,{tone}
audio_alert aubridge,alert{port}
ausrc_srate 48000
auplay_srate 8000
ausrc_channels 2
auplay_channels 1
rtp_ports {media}-{last}
rtcp_mux no
rtp_stats yes
net_interface 127.0.0.1
module_path {modules}
module g711.so
module ausine.so
module aubridge.so
module_tmp uuid.so
module_tmp account.so
module rtcpsummary.so
module_app menu.so
"""
ACCOUNT = (
    "<sip:{number}@127.0.0.1:{port};transport=udp>;answermode=auto;regint=0;ptime=20"
    ";audio_codecs=PCMA/8000/1,PCMU/8000/1\n"
)
LOST = re.compile(r"lost: +(\d+) +(\d+)")
SUMMARY = re.compile(r"packets: +(\d+) +(\d+)\s.*?errors: +(\d+) +(\d+)", re.DOTALL)


@dataclass
class MediaStats:
    """RTP packets of one call. `lost` comes from RTCP, which first reports after 5 seconds."""

    sent: int
    received: int
    errors: int
    lost: int | None


@dataclass
class Baresip:
    """A running baresip process."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def media_stats(self) -> MediaStats:
        """Wait for the end of its only call, and return the statistics."""
        for _ in range(250):
            if found := SUMMARY.search(self.log.read_text(errors="replace")):
                time.sleep(0.1)  # for the rest of the summary
                lost = LOST.search(self.log.read_text(errors="replace"))
                sent, received, *errors = map(int, found.groups())
                return MediaStats(
                    sent, received, sum(errors), sum(map(int, lost.groups())) if lost else None
                )
            time.sleep(0.02)
        raise AssertionError(self.log.read_text(errors="replace"))


@contextmanager
def running_baresip(number: str, tone: int) -> Iterator[Baresip]:
    """Run a phone with this number until the block ends. It sends a tone of `tone` Hz."""
    port, media = free_port(2), free_port(10)  # baresip also binds the next port, for TLS
    folder = Path(tempfile.mkdtemp(prefix="baresip-"))
    modules = next(Path("/usr/lib").rglob("baresip/modules"))
    (folder / "config").write_text(
        CONFIG.format(port=port, media=media, last=media + 8, tone=tone, modules=modules)
    )
    (folder / "accounts").write_text(ACCOUNT.format(number=number, port=port))
    (folder / "contacts").touch()
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["baresip", "-4", "-t", "60", "-f", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_bound(port)
        yield Baresip(port, process, log)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
