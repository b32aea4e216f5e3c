"""Settings from environment variables: flags, lists, and the secret key; private files."""

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


def secret_key(name: str, kept_in: Path, development: bool) -> str:
    """The key in the variable `name`. In development without it: a key that is generated once and
    kept in the file. Raises `ImproperlyConfigured` if a deployment has no key, development's, or
    one that is too weak, as Django's check security.W009 judges it.
    """
    value = os.environ.get(name, "")
    if development:
        return value or _generated(kept_in)
    if not value:
        raise ImproperlyConfigured(f"{name} is not set: give it 50 or more random characters.")
    if kept_in.exists() and value == kept_in.read_text().strip():
        raise ImproperlyConfigured(
            f"{name} is the key of the development server, in {kept_in}: generate another one."
        )
    if len(value) < 50 or len(set(value)) < 5 or value.startswith("django-insecure-"):
        raise ImproperlyConfigured(f"{name} is too weak: give it 50 or more random characters.")
    return value


def private_file(file: Path) -> Path:
    """Create the file if it is missing, and let only its owner read and write it."""
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
    if file.stat().st_mode & 0o077:
        file.chmod(0o600)
    return file


def _generated(file: Path) -> str:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(file)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(get_random_secret_key())
    return _read(file)


def _read(file: Path) -> str:
    """The text of the file, which another process may still be writing."""
    for _ in range(50):
        text = file.read_text().strip()
        if text:
            return text
        time.sleep(0.02)
    raise ImproperlyConfigured(f"{file} is empty: delete it, and a new secret key will be made.")
