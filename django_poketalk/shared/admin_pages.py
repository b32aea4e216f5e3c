"""Pages that a model admin has besides Django's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path


def page_path(
    model_admin: ModelAdmin[Any], route: str, view: Callable[..., HttpResponseBase], name: str
) -> URLPattern:
    """The URL pattern of a view of this model admin, named `<app>_<model>_<name>`."""
    full_name = f"{model_admin.opts.app_label}_{model_admin.opts.model_name}_{name}"
    return path(route, model_admin.admin_site.admin_view(view), name=full_name)


def render_page(
    model_admin: ModelAdmin[Any], request: HttpRequest, template: str, context: dict[str, Any]
) -> TemplateResponse:
    """A page with this context and that of all pages of the model admin's site."""
    site = model_admin.admin_site
    request.current_app = site.name
    everywhere = {**site.each_context(request), "opts": model_admin.opts}
    return TemplateResponse(request, template, {**everywhere, **context})
