"""The parameters of the query API's list."""

from __future__ import annotations

import django_filters

from ..admission import CUSTOM_LENGTH
from ..models import Call


class CallFilter(django_filters.FilterSet):
    """`custom`: the caller's id of the call, exactly. `state`: one of `Call.State`."""

    custom = django_filters.CharFilter(max_length=CUSTOM_LENGTH, strip=False)

    class Meta:
        model = Call
        fields = ("custom", "state")
