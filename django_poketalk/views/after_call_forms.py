"""The forms for what follows a call: wrap-ups, call backs and scheduled calls."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import permissions
from ..calls import call_backs, wrapping_up
from ..exceptions import CallRefused
from ..forms import MomentField
from ..models import CallBack, CallRequest
from ..models.wrap_ups import NOTE_LENGTH
from ..presentation import wrap_up


class WrapUpForm(forms.Form):
    """The result of a call, a note, and when to call back. Saves what the request names."""

    disposition = forms.ChoiceField(
        label=_("Result"), required=False, choices=(), widget=forms.RadioSelect
    )
    note = forms.CharField(
        label=_("Note"),
        required=False,
        max_length=NOTE_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto"}),
    )
    follow_up_at = MomentField(label=_("Call back at"), required=False)
    ring = forms.BooleanField(
        label=_("Ring my phone at that time"),
        required=False,
        help_text=_("Otherwise you are reminded."),
    )

    def __init__(self, *args: Any, call: CallRequest, user: Any, **options: Any) -> None:
        self.call, self.user = call, user
        row, follow_up = call.wrapped_up, call.follow_up
        self.scheduled: CallRequest | None = None
        due_at = follow_up.due_at if follow_up and not follow_up.done_at else None
        whole = permissions.may_see_numbers(user, call)
        initial = {
            "disposition": row.disposition if row else "",
            "note": permissions.display_text(row.note, whole) if row else "",
            "follow_up_at": due_at,
        }
        super().__init__(*args, **{"initial": initial, "auto_id": "poketalk-%s", **options})
        choices = wrap_up.choices()
        if row and row.disposition and row.disposition not in dict(choices):
            choices.append((row.disposition, row.label))
        if choices:
            self.fields["disposition"].choices = choices  # type: ignore[attr-defined]
        else:
            del self.fields["disposition"]
        if call.user_id is None or call.user_id != user.pk:  # whose phone would ring
            del self.fields["ring"]
        if not permissions.may_follow_up(user, call):
            del self.fields["follow_up_at"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        at = cleaned.get("follow_up_at")
        if "follow_up_at" in self.changed_data and at is not None and at < timezone.now():
            self.add_error("follow_up_at", _("Choose a time in the future."))
        return cleaned

    def saves(self) -> bool:
        """Whether the answers are valid and could be saved. If not, `errors` say why."""
        if self.is_valid():
            try:
                self.save()
            except CallRefused as refusal:
                self.add_error("follow_up_at", str(refusal.sentence))
        return not self.errors

    def save(self) -> None:
        """Save what the request names and has changed. Raises `CallRefused`."""
        named = [name for name in ("disposition", "note", "follow_up_at") if name in self.data]
        changes: Any = {
            name: self.cleaned_data[name]
            for name in named
            if name in self.fields and name in self.changed_data
        }
        at = changes.get("follow_up_at")
        if at is not None and self.cleaned_data.get("ring"):
            changes["follow_up_at"] = None
        with transaction.atomic():
            wrapping_up.wrap_up(self.call, self.user, **changes)
            if at is not None and self.cleaned_data.get("ring"):
                self.scheduled = call_backs.ring(self.call, at, self.user)


class CallBackForm(forms.ModelForm):  # type: ignore[type-arg]
    """When to call back, and why."""

    due_at = MomentField(label=_("Call back at"))

    class Meta:
        model = CallBack
        fields = ("due_at", "note")
        widgets = {"note": forms.TextInput(attrs={"dir": "auto"})}


class ScheduleForm(forms.Form):
    """When the phones of a scheduled call ring."""

    rings_at = MomentField(label=_("Rings at"))
