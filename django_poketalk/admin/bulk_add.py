"""Adding blacklist entries in bulk: enter lines, check the preview, add."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import AdminForm
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.admin.widgets import AdminSplitDateTime, AdminTextInputWidget
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from .. import permissions
from ..blacklist.matching import TOGETHER, find_matches, parts
from ..blacklist.parsing import MOST_LINES, BulkInput, parse
from ..blacklist.preview import Preview, add_entries, preview
from ..calls.throttling import QuoteThrottle, too_many
from ..conf import settings
from ..forms import validate_year
from ..models import BlacklistedNumber
from ..models.numbers import REASON_LENGTH
from ..shared.admin_pages import admin_url, page_path, render_page
from . import blacklist_matches

NAMED = 100  # lines that are named on the page; the rest is counted


class BulkAddForm(forms.Form):
    """The lines, and what holds for all of them."""

    lines = forms.CharField(
        label=_("Numbers"),
        widget=forms.Textarea(attrs={"rows": 12, "cols": 60, "dir": "ltr", "spellcheck": "false"}),
        strip=False,
    )
    direction = forms.ChoiceField(
        label=_("Direction"),
        choices=BlacklistedNumber.Direction.choices,
        initial=BlacklistedNumber.Direction.BOTH,
    )
    reason = forms.CharField(
        label=_("Reason"),
        required=False,
        max_length=REASON_LENGTH,
        help_text=_("For lines without a reason of their own. Callers see it."),
        widget=AdminTextInputWidget(),
    )
    until = forms.SplitDateTimeField(
        label=_("Until"),
        required=False,
        help_text=_("Leave empty to block it permanently."),
        widget=AdminSplitDateTime,
        validators=[validate_year],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        help_text = _(
            "One number per line, in any common format. End a line with * to block all numbers"
            " that begin with it. You can add a reason after a comma, semicolon or tab. At most"
            " %(most)d lines."
        )
        self.fields["lines"].help_text = help_text % {"most": MOST_LINES}

    def clean_lines(self) -> str:
        lines: str = self.cleaned_data["lines"]
        if not lines.strip():
            raise ValidationError(self.fields["lines"].error_messages["required"], code="required")
        return lines

    def clean_until(self) -> datetime | None:
        until: datetime | None = self.cleaned_data["until"]
        if until is not None and until <= timezone.now():
            raise ValidationError(_("Enter a time in the future."))
        return until

    def seal(self, user: Any) -> str:
        """A digest of the preview, which shows on confirmation that the user has seen it."""
        facts = [self.cleaned_data[name] for name in ("direction", "reason", "until")]
        checked = repr((str(user.pk), self.cleaned_data["lines"].splitlines(), *map(str, facts)))
        return salted_hmac("django_poketalk.bulk_add", checked, algorithm="sha256").hexdigest()


class BulkAdd(admin.ModelAdmin):  # type: ignore[type-arg]
    """Adds the bulk page, and the link to it."""

    bulk_add_template = "poketalk/admin/bulk_add.html"

    def get_urls(self) -> list[URLPattern]:
        bulk_add = page_path(self, "add-in-bulk/", self.bulk_add_view, "bulk_add")
        return [bulk_add, *super().get_urls()]

    def bulk_add_view(self, request: HttpRequest) -> HttpResponse:
        """The form; after *Check* with what it would do; after *Add*, of just what was checked, on
        to the list. The input stays in the form until then.
        """
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method == "POST" and (refused := too_many(QuoteThrottle, request)):
            return refused
        form = BulkAddForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return self._show(request, form, {})
        bulk = parse(form.cleaned_data["lines"], settings.default_region)
        checked = preview(bulk.lines, form.cleaned_data["direction"], timezone.now())
        seal = form.seal(request.user)
        if "_add" in request.POST and not bulk.problems:
            if not constant_time_compare(request.POST.get("seal", ""), seal):
                said = _(
                    "The input has changed since the preview. Check it again before you add it."
                )
                self.message_user(request, said, messages.WARNING)
            elif self._add(request, form, checked):
                return redirect(admin_url(self.admin_site, "poketalk_blacklistednumber_changelist"))
        return self._show(request, form, self._found(request, form, bulk, checked, seal))

    def _add(self, request: HttpRequest, form: BulkAddForm, checked: Preview) -> bool:
        """Carry it out, and write the history, both or neither."""
        facts = form.cleaned_data
        user: Any = request.user
        now = timezone.now()
        try:
            with transaction.atomic():
                made, renewed = add_entries(
                    checked, facts["direction"], facts["reason"], facts["until"], user, now
                )
                part: Any
                for entries, flag in ((made, ADDITION), (renewed, CHANGE)):
                    for part in parts(entries, TOGETHER):
                        LogEntry.objects.log_actions(user.pk, part, flag, "Added in bulk.")
        except IntegrityError:
            said = _("Another user has just added one of these entries. Check again.")
            self.message_user(request, said, messages.WARNING)
            return False
        seen = permissions.may_see_numbers(user)
        size = checked.size if seen else checked.size + len(checked.kept)
        added = ngettext(
            "%d entry was added to the blacklist.",
            "%d entries were added to the blacklist.",
            size,
        )
        self.message_user(request, added % size, messages.SUCCESS)
        return True

    def _found(
        self, request: HttpRequest, form: BulkAddForm, bulk: BulkInput, checked: Preview, seal: str
    ) -> dict[str, Any]:
        """What the lines are, and would do. Who may not see numbers does not learn which of them
        are on the blacklist already.
        """
        direction = form.cleaned_data["direction"]
        calls = permissions.findable_calls(request.user)
        if not permissions.may_see_numbers(request.user):
            checked = Preview(bulk.lines, (), ())
        adding = [*checked.new, *(line for line, _entry in checked.renewed)]
        found = find_matches(adding, direction, calls, timezone.now())
        extended = [line for line in (*bulk.lines, *bulk.repeated) if line.extension]
        return {
            "problems": bulk.problems[:NAMED],
            "more_problems": max(0, len(bulk.problems) - NAMED),
            "repeated": bulk.repeated[:NAMED],
            "more_repeated": max(0, len(bulk.repeated) - NAMED),
            "extended": extended[:NAMED],
            "more_extended": max(0, len(extended) - NAMED),
            "kept": checked.kept[:NAMED],
            "more_kept": max(0, len(checked.kept) - NAMED),
            "preview": checked,
            "matches": blacklist_matches.context(found, request.user, self),
            "seal": "" if bulk.problems or not checked.size else seal,
        }

    def _show(
        self, request: HttpRequest, form: BulkAddForm, found: dict[str, Any]
    ) -> TemplateResponse:
        any_form: Any = form  # the admin renders any form; the stubs only allow model forms
        fieldsets = [(None, {"fields": ["lines", "direction", "reason", "until"]})]
        context = {
            "title": _("Add in bulk"),
            "form": form,
            "adminform": AdminForm(any_form, fieldsets, {}),
            "media": self.media + form.media,
            "found": found,
            "has_view_permission": self.has_view_permission(request),
        }
        return render_page(self, request, self.bulk_add_template, context)
