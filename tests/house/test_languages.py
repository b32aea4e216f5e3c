"""Every interface string is translated, and the compiled catalogs are current."""

from __future__ import annotations

import ast
import gettext
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.template.loader import render_to_string
from django.utils import translation

from . import tree

LANGUAGES = ("de", "es", "fr", "he")
APPS = (
    tree.PACKAGE,
    tree.PACKAGE / "server",
    tree.ROOT / "example_project" / "contacts",
)
CATALOGS = [(app, language) for app in APPS for language in LANGUAGES]
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}")
ENTRY = re.compile(
    r'^msgid (?P<id>(?:".*"\n)+)(?:msgid_plural (?P<plural>(?:".*"\n)+))?', re.MULTILINE
)


def po(app: Path, language: str) -> Path:
    return app / "locale" / language / "LC_MESSAGES" / "django.po"


def messages(path: Path) -> set[str]:
    """The messages of a catalog as written in the file, without its header."""
    found = {match["id"] + (match["plural"] or "") for match in ENTRY.finditer(path.read_text())}
    return found - {'""\n'}


def unquoted(lines: str) -> str:
    """The text of the quoted lines of a catalog."""
    return "".join(map(ast.literal_eval, lines.splitlines()))


def compiled(app: Path, language: str) -> dict[Any, str]:
    with po(app, language).with_suffix(".mo").open("rb") as file:
        translations = gettext.GNUTranslations(file)
    catalog: dict[Any, str] = translations._catalog  # type: ignore[attr-defined]
    return {key: words for key, words in catalog.items() if key}


@pytest.mark.needs("gettext")
@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
def test_no_string_is_missing(app: Path, tmp_path: Path) -> None:
    copy = tmp_path / app.name
    left_out = () if app.name == "server" else ("server",)
    shutil.copytree(app, copy, ignore=shutil.ignore_patterns("__pycache__", *left_out))
    command = [sys.executable, "-m", "django", "makemessages", "--no-location", "--no-wrap"]
    command += [part for language in LANGUAGES for part in ("-l", language)]

    plain = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    subprocess.run(command, cwd=copy, env=plain, check=True, capture_output=True)

    for language in LANGUAGES:
        assert messages(po(copy, language)) == messages(po(app, language)), language


@pytest.mark.parametrize(("app", "language"), CATALOGS, ids=str)
def test_every_message_is_translated_with_its_placeholders(app: Path, language: str) -> None:
    text = po(app, language).read_text()
    words = compiled(app, language)

    assert "#, fuzzy" not in text
    assert "#~" not in text
    assert not re.search(r'^msgstr(?:\[\d\])? ""\n(?!")', text, re.MULTILINE)
    assert len({key[0] if isinstance(key, tuple) else key for key in words}) == len(
        messages(po(app, language))
    )
    plurals = {unquoted(m["id"]): unquoted(m["plural"] or "") for m in ENTRY.finditer(text)}
    for key, translated in words.items():
        message = key[0] if isinstance(key, tuple) else key
        placed = set(PLACEHOLDER.findall(translated))
        if isinstance(key, tuple):  # the singular may spell out its number
            assert placed <= set(PLACEHOLDER.findall(message + plurals[message])), message
        else:
            assert placed == set(PLACEHOLDER.findall(message)), message
        edges = [(words[:1] == " ", words[-1:] == " ") for words in (message, translated)]
        assert edges[0] == edges[1], message


@pytest.mark.needs("gettext")
@pytest.mark.parametrize(("app", "language"), CATALOGS, ids=str)
def test_the_compiled_catalog_matches_its_source(app: Path, language: str, tmp_path: Path) -> None:
    fresh = tmp_path / "django.mo"
    command = ["msgfmt", "--check-format", "-o", str(fresh), str(po(app, language))]
    subprocess.run(command, check=True, capture_output=True)

    with fresh.open("rb") as file:
        catalog = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    assert {key: words for key, words in catalog.items() if key} == compiled(app, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_our_translations_do_not_replace_those_of_django(language: str) -> None:
    # Django uses "Enter a number." for any invalid number, whereas ours are phone numbers.
    path = Path(django.__file__).parent / "conf" / "locale" / language / "LC_MESSAGES" / "django.mo"
    with path.open("rb") as file:
        known: dict[Any, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]

    for app in APPS:
        for message, words in compiled(app, language).items():
            if isinstance(message, str) and message.endswith("."):
                assert known.get(message, words) == words, message


@pytest.mark.parametrize(
    ("language", "words", "direction"),
    [
        ("de", "Auflegen", "ltr"),
        ("es", "Colgar", "ltr"),
        ("fr", "Raccrocher", "ltr"),
        ("he", "ניתוק", "rtl"),
    ],
)
def test_a_page_has_the_users_language_and_direction(
    language: str, words: str, direction: str
) -> None:
    with translation.override(language):
        assert translation.gettext("Hang up") == words
        assert f'dir="{direction}"' in render_to_string("poketalk/base.html")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_outcome_of_a_call_and_its_result_have_different_names(language: str) -> None:
    with translation.override(language):  # they are columns and filters of the same tables
        assert translation.gettext("Outcome") != translation.gettext("Result")
        assert translation.gettext("outcome") != translation.gettext("result")


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
def test_no_string_is_translated_at_import_time(app: Path) -> None:
    """`_("… %s") % value` outside of a function is in the language of the process for ever, also
    with `gettext_lazy`.
    """
    formatted = [
        f"{path}:{node.lineno}"
        for path in app.rglob("*.py")
        for node in at_import(ast.parse(path.read_text()))
        if formats(node)
    ]

    assert formatted == []


def at_import(node: ast.AST) -> Iterator[ast.expr]:
    """The nodes that are evaluated when the module is imported."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            if isinstance(child, ast.expr):
                yield child
            yield from at_import(child)


def formats(node: ast.expr) -> bool:
    """Whether it puts values into a text to translate."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return translates(node.left)
    if isinstance(node, ast.FormattedValue):
        return translates(node.value)
    return isinstance(node, ast.Attribute) and node.attr == "format" and translates(node.value)


def translates(node: ast.expr) -> bool:
    names = ("_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy")
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
