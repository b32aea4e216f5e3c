"""The checks of the service's side for `poketalk_doctor` and the admin's health page."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext_lazy as _

from django_poketalk.shared.doctor import Check

from .sample_calls import check_funds, check_sample_call
from .switches import check_deliveries, check_gateways, check_ports, check_switches

DATABASE = ("database",)


def checks() -> Iterator[Check]:
    """All checks. Those that name gateways or accounts require the permission to view these."""
    may = "poketalk_server.view_{}".format
    yield Check("switches", _("Switches"), check_switches, DATABASE)
    yield Check("gateways", _("Gateways"), check_gateways, DATABASE, may("gateway"))
    yield Check("ports", _("Ports"), check_ports, DATABASE, may("gateway"))
    yield Check("sample_call", _("Sample call"), check_sample_call, DATABASE, may("account"))
    yield Check("funds", _("Funds"), check_funds, DATABASE, may("account"))
    yield Check("deliveries", _("Event deliveries"), check_deliveries, DATABASE)


__all__ = ["checks"]
