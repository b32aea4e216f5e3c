"""All checks: those that both halves share, and those of each installed half."""

from __future__ import annotations

from importlib import import_module

from .checking import Check
from .common_checks import COMMON_CHECKS, halves


def checks_of(label: str) -> list[Check]:
    """The shared checks, and those of the half with this app label."""
    [half] = [config for config in halves() if config.label == label]
    return [*COMMON_CHECKS, *import_module(half.doctor).checks()]  # type: ignore[attr-defined]


def all_checks() -> list[Check]:
    """The checks of both halves, as far as they are installed."""
    found = {check.name: check for half in halves() for check in checks_of(half.label)}
    return [*found.values()]
