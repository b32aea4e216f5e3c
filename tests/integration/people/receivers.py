"""Each call becomes an entry of its contact's timeline."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from django_poketalk.models import CallRequest
from django_poketalk.signals import call_ended, call_requested

from .models import Activity, Contact


@receiver([call_requested, call_ended])
def add_to_timeline(sender: type, call: CallRequest, **kwargs: Any) -> None:
    if isinstance(call.subject, Contact):
        defaults = {"contact": call.subject, "text": f"Call: {call.state}, {call.duration} s"}
        Activity.objects.update_or_create(call_id=call.pk, defaults=defaults)
