"""Pages that a model admin has besides Django's own, and the URLs of all pages of its site."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.admin import AdminSite, ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse


def admin_url(site: AdminSite, name: str, *args: Any) -> str:
    """The URL of this site's page `admin:<name>`, or "" if the site has no such page, for example
    because the model is not registered.
    """
    try:
        return reverse(f"admin:{name}", args=args, current_app=site.name)
    except NoReverseMatch:
        return ""


def one_or_404(model_admin: ModelAdmin[Any], request: HttpRequest, pk: Any) -> Any:
    """The row. `PermissionDenied` if the user may not view it, 404 if there is none."""
    row = model_admin.get_object(request, str(pk))
    if not model_admin.has_view_permission(request, row):
        raise PermissionDenied
    if row is None:
        raise Http404
    return row


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
