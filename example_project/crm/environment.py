"""Settings from environment variables: flags, lists, and the secret key."""

from __future__ import annotations

import os
import time
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

YES = {"1", "true", "yes", "on"}
NO = {"", "0", "false", "no", "off"}


def flag(name: str, default: bool) -> bool:
    """A boolean. Raises `ImproperlyConfigured` for other text."""
    text = os.environ.get(name)
    if text is None:
        return default
    if text.strip().lower() not in YES | NO:
        raise ImproperlyConfigured(f"{name}={text!r} is neither yes nor no: use 1 or 0.")
    return text.strip().lower() in YES


def words(name: str) -> list[str]:
    """A comma-separated list."""
    return [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]


def secret_key(name: str, keep_in: Path | None) -> str:
    """The key in the variable `name`, or a key that is generated once and kept in the file. Raises
    `ImproperlyConfigured` if there is neither.
    """
    value = os.environ.get(name, "")
    if value:
        return value
    if keep_in is None:
        raise ImproperlyConfigured(f"{name} is not set: give it 50 or more random characters.")
    try:
        descriptor = os.open(keep_in, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(keep_in)
    with os.fdopen(descriptor, "w") as file:
        file.write(get_random_secret_key())
    return _read(keep_in)


def _read(file: Path) -> str:
    """The text of the file, which another process may still be writing."""
    for _ in range(50):
        text = file.read_text().strip()
        if text:
            return text
        time.sleep(0.02)
    raise ImproperlyConfigured(f"{file} is empty: delete it, and a new secret key will be made.")
