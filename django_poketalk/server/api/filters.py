"""By what the query API's list can be narrowed."""

from __future__ import annotations

import django_filters

from ..admission import CUSTOM_LENGTH
from ..models import Call


class CallFilter(django_filters.FilterSet):
    """`custom`: the caller's own id of the call, exactly. `state`: that of `Call.State`."""

    custom = django_filters.CharFilter(max_length=CUSTOM_LENGTH, strip=False)

    class Meta:
        model = Call
        fields = ("custom", "state")
