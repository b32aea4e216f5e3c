"""Kamailio on loopback: the documented edge proxy, and a registrar that requires a password."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EDGE = Path(__file__).parents[5] / "docs" / "howto" / "sip" / "kamailio-edge.cfg"

REGISTRAR = """#!KAMAILIO
debug=0
log_stderror=yes
children=2
disable_tcp=yes
auto_aliases=no
listen=udp:127.0.0.1:PORT
loadmodule "kex.so"
loadmodule "corex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
modparam("auth", "qop", "auth")

request_route {
    if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
    if (has_totag()) {
        if (loose_route()) { t_relay(); exit; }
        if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
        sl_send_reply("404", "Not Here");
        exit;
    }
    t_check_trans();
    if (is_method("REGISTER")) { save("location"); exit; }
    if (is_method("OPTIONS")) { sl_send_reply("200", "OK"); exit; }
    if (!pv_proxy_authenticate("trunk.example", "PASSWORD", "0")) {
        proxy_challenge("trunk.example", "0");
        exit;
    }
    consume_credentials();
    record_route();
    if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
    t_relay();
}
"""


@contextmanager
def running(config: str, port: int) -> Iterator[None]:
    """Run Kamailio with this configuration until the block ends."""
    with tempfile.TemporaryDirectory(prefix="kamailio-") as folder:
        path = Path(folder) / "kamailio.cfg"
        path.write_text(config)
        log = Path(folder) / "log"
        with log.open("w") as output:
            process = subprocess.Popen(
                ["kamailio", "-DD", "-E", "-m", "32", "-Y", folder, "-w", folder, "-f", str(path)],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait(process, port, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(500):
        assert process.poll() is None, log.read_text()
        if f":{port:04X} " in Path("/proc/net/udp").read_text():
            return
        time.sleep(0.02)
    raise AssertionError(log.read_text())
