"""System checks of the site's template that the pages for users extend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core import checks
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.base import Template
from django.template.context import Context
from django.template.loader import get_template
from django.template.loader_tags import BlockNode, ExtendsNode

from ..conf import settings
from .configuration import check_keys

HEADS = ("head", "extra_head", "extrahead")
HINT = (
    "Name a template of Django's template language with the blocks title and content, and a block"
    f" in its <head> with one of these names: {', '.join(HEADS)}."
)


@checks.register("poketalk")
def check_base_template(**kwargs: Any) -> Iterator[checks.CheckMessage]:
    """E022: the base template cannot be loaded, or lacks a block that the pages fill."""
    if check_keys() or not settings.base_template:
        return
    try:
        loaded: Any = get_template(settings.base_template)
        blocks = _blocks(loaded.template)
    except (TemplateDoesNotExist, TemplateSyntaxError, AttributeError) as error:
        yield _error(f"cannot be used ({type(error).__name__}: {error})")
        return
    for names in (("title",), ("content",), HEADS):
        if not blocks.intersection(names):
            yield _error(f"has no block {' or '.join(names)}")


def _error(problem: str) -> checks.Error:
    message = f"POKETALK['BASE_TEMPLATE']: {settings.base_template!r} {problem}."
    return checks.Error(message, hint=HINT, id="poketalk.E022")


def _blocks(template: Template) -> set[str]:
    """The names of the blocks of this template and of those that it extends."""
    nodes: Any = template.nodelist
    found = {str(node.name) for node in nodes.get_nodes_by_type(BlockNode)}
    for node in nodes.get_nodes_by_type(ExtendsNode):
        context = Context()
        context.template = template
        with context.render_context.push_state(template):
            found |= _blocks(node.get_parent(context))
    return found
