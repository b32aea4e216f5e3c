"""System checks of the service's settings. None of them touches the database."""

from __future__ import annotations


def register() -> None:
    pass
