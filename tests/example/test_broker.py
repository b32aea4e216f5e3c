"""The file broker delivers each message once and complete, even with several senders."""

from __future__ import annotations

import json
from pathlib import Path

from kombu.transport import filesystem

from .conftest import run

# Four processes send while this one receives as fast as possible, from a queue that all declare.
EXCHANGE = """
import json, multiprocessing, socket, sys, time
from django.conf import settings
from crm.celery import app
from kombu import Queue

SENDERS, MESSAGES = 4, 400
QUEUE = Queue("exchange", routing_key="exchange")

def send(sender):
    with app.connection_for_write() as connection, connection.Producer() as producer:
        for number in range(MESSAGES):
            producer.publish([sender, number], routing_key="exchange", declare=[QUEUE])

if __name__ == "__main__":
    settings.CELERY_BROKER_TRANSPORT_OPTIONS["polling_interval"] = 0.0005
    got = []
    def receive(body, message):
        got.append(body)
        message.ack()
    senders = [multiprocessing.Process(target=send, args=(n,)) for n in range(SENDERS)]
    for sender in senders:
        sender.start()
    until = time.monotonic() + 60
    with app.connection_for_read() as connection:
        with connection.Consumer([QUEUE], callbacks=[receive]):
            while len(got) < SENDERS * MESSAGES and time.monotonic() < until:
                try:
                    connection.drain_events(timeout=0.1)
                except socket.timeout:
                    pass
    for sender in senders:
        sender.join()
    print(json.dumps({
        "sent": SENDERS * MESSAGES,
        "got": len(got),
        "different": len({tuple(body) for body in got}),
        "codes": [sender.exitcode for sender in senders],
    }))
"""


def test_each_message_arrives_once_and_complete(tmp_path: Path) -> None:
    script = tmp_path / "exchange.py"
    script.write_text(EXCHANGE)

    done = run(str(script), var=tmp_path, DJANGO_SETTINGS_MODULE="crm.settings", DJANGO_DEBUG="1")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["codes"] == [0, 0, 0, 0]
    assert result["got"] == result["different"] == result["sent"]


def test_kombu_still_has_the_methods_that_the_broker_overrides() -> None:
    for name in ("_put", "get_table", "_queue_bind", "_delete"):
        assert callable(getattr(filesystem.Channel, name, None)), name
    assert callable(filesystem.lock)
    assert callable(filesystem.unlock)
