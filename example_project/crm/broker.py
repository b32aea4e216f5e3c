"""A Celery broker in plain files, for a single machine without Redis or RabbitMQ.

This is kombu's filesystem transport with two fixes. The original creates a message's file where
consumers look for it before it writes the message, so a consumer can read an empty message, which
ends the worker (https://github.com/celery/kombu/issues/1551). Here a message appears complete. And
the original reads tables of queues while another process may be creating them. Here a lock
serializes access.

It overrides private methods of kombu's transport; tests/example/test_broker.py fails if kombu
renames them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps

NAME = "files"  # CELERY_BROKER_URL=files://localhost//


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:
        folder = Path(self.data_folder_out)
        # Names sort by the time of sending: consumers take the oldest first.
        name = f"{monotonic() * 1000:015.0f}_{uuid4()}"
        unfinished = folder / f"{name}.unfinished"
        unfinished.write_text(dumps(payload), encoding="utf-8")
        os.replace(unfinished, folder / f"{name}.{queue}.msg")

    def get_table(self, exchange: str) -> list[Any]:
        with self._locked():
            table: list[Any] = super().get_table(exchange)
            return table

    def _queue_bind(self, *arguments: Any) -> None:
        with self._locked():
            super()._queue_bind(*arguments)

    def _delete(self, *arguments: Any, **options: Any) -> None:
        with self._locked():
            super()._delete(*arguments, **options)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock on all tables. Not reentrant."""
        with (self.control_folder / "lock").open("a") as file:
            filesystem.lock(file, filesystem.LOCK_EX)
            try:
                yield
            finally:
                filesystem.unlock(file)


class Transport(filesystem.Transport):
    Channel = Channel


def register() -> None:
    """Register this transport for `files://` broker URLs."""
    TRANSPORT_ALIASES[NAME] = f"{__name__}:Transport"
