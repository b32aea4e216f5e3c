"""The two pages of the CRM. `LoginRequiredMiddleware` protects both."""

from __future__ import annotations

from typing import Any

from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import DetailView, ListView

from django_poketalk import permissions

from .models import Contact, ContactQuerySet


class ContactListView(ListView):
    """All contacts, or those that match `?q=`."""

    paginate_by = 25
    model = Contact

    def get_queryset(self) -> ContactQuerySet:
        text = self.request.GET.get("q", "").strip()
        return Contact.objects.search(text) if text else Contact.objects.all()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(query=self.request.GET.get("q", "").strip(), **kwargs)


@method_decorator(never_cache, name="dispatch")
class ContactDetailView(DetailView):
    """A contact with a call button and recent calls.

    Never cached, so that the browser's Back button shows the current state of the call.
    """

    model = Contact

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            may_place=permissions.may_place(self.request.user), **kwargs
        )
