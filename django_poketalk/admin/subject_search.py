"""Finds what calls are about, for the search in the list of calls: by the search of the model's own
admin, or by the function that `SUBJECT_SEARCH` names. The calls are found by an index then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.contenttypes.models import ContentType
from django.db.models import Exists, Model, OuterRef, Q
from django.http import HttpRequest
from django.utils.module_loading import import_string

from ..conf import settings
from ..models import CallRequest

MOST = 100  # the most objects of one model, or from the function

Found = tuple[Q, bool]  # the condition for their calls, and whether there were more objects


def calls_about(words: str, site: AdminSite, request: HttpRequest) -> Found:
    """The calls about objects that match all of these words and that the user may view."""
    if settings.subject_search:
        objects = import_string(settings.subject_search)(words, request.user)
        return _about(list(islice(objects, MOST + 1)))
    condition, has_more = Q(pk__in=[]), False
    about = CallRequest.objects.filter(subject_type=OuterRef("pk"))
    for content_type in ContentType.objects.filter(Exists(about)):
        keys = _keys(content_type.model_class(), words, site, request)
        if keys:
            has_more |= len(keys) > MOST
            condition |= _of(content_type.pk, keys[:MOST])
    return condition, has_more


def _keys(model: Any, words: str, site: AdminSite, request: HttpRequest) -> list[Any]:
    """The primary keys that the search of the model's own list finds, one more than `MOST`."""
    if model is None or not site.is_registered(model):
        return []
    page: Any = site.get_model_admin(model)
    if not page.get_search_fields(request) or not page.has_view_or_change_permission(request):
        return []
    rows, _has_duplicates = page.get_search_results(request, page.get_queryset(request), words)
    keys = rows.order_by().values_list("pk", flat=True).distinct()
    return list(keys[: MOST + 1])


def _about(objects: Iterable[Model]) -> Found:
    by_type: dict[int, list[Any]] = defaultdict(list)
    every = list(objects)
    for each in every[:MOST]:
        by_type[ContentType.objects.get_for_model(each).pk].append(each.pk)
    condition = Q(pk__in=[])
    for type_id, keys in by_type.items():
        condition |= _of(type_id, keys)
    return condition, len(every) > MOST


def _of(type_id: int, keys: list[Any]) -> Q:
    return Q(subject_type=type_id, subject_id__in=[str(key) for key in keys])
