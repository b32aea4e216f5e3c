"""A Celery broker of plain files, for one machine without Redis or RabbitMQ.

This is kombu's filesystem transport with two gaps closed. It opens a message's file where consumers
look for it, and only then writes it, so that a consumer can read an empty message, which ends the
worker (https://github.com/celery/kombu/issues/1551); here a message appears whole. And its tables
of queues can be read while another process has just made them; here each process waits its turn.
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
        # Names sort by time of sending: consumers take the oldest first.
        name = f"{monotonic() * 1000:015.0f}_{uuid4()}"
        unfinished = folder / f"{name}.unfinished"
        unfinished.write_text(dumps(payload), encoding="utf-8")
        os.replace(unfinished, folder / f"{name}.{queue}.msg")

    def get_table(self, exchange: str) -> list[Any]:
        with self._turn():
            table: list[Any] = super().get_table(exchange)
            return table

    def _queue_bind(self, *arguments: Any) -> None:
        with self._turn():
            super()._queue_bind(*arguments)

    def _delete(self, *arguments: Any, **options: Any) -> None:
        with self._turn():
            super()._delete(*arguments, **options)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the one lock on all tables. Not to be entered twice."""
        with (self.control_folder / "lock").open("a") as file:
            filesystem.lock(file, filesystem.LOCK_EX)
            try:
                yield
            finally:
                filesystem.unlock(file)


class Transport(filesystem.Transport):
    Channel = Channel


def register() -> None:
    """Let `files://` in a broker's URL mean this transport."""
    TRANSPORT_ALIASES[NAME] = f"{__name__}:Transport"
