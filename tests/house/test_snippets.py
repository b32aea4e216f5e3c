"""The code blocks of the docs: Python and templates that can be read, names that exist, settings
that the checks accept, commands with options that they know. Other tests run whole pages.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
import pkgutil
import re
import shlex
import sys
import textwrap
import types
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.core.checks import WARNING
from django.core.management import get_commands, load_command_class
from django.template import engines
from django.test import override_settings

from django_poketalk.checks import configuration
from django_poketalk.server import checks as server_checks

from . import tree

PAGES = [*sorted((tree.ROOT / "docs").rglob("*.md")), tree.ROOT / "README.md"]
BLOCK = re.compile(r"^( *)```([\w+]+)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
SETTINGS = ("POKETALK", "POKETALK_SERVER")
SETTING = re.compile(r"^POKETALK(_SERVER)?(\[.*?\])? = ", re.MULTILINE)


def blocks(*languages: str) -> list[Any]:
    """The blocks in these languages, each named by its page and line."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for block in BLOCK.finditer(text):
            if block[2] in languages:
                line = text.count("\n", 0, block.start()) + 1
                code = textwrap.dedent(block[3])
                found.append(pytest.param(code, id=f"{tree.name(page)}:{line}"))
    return found


class Anything(types.ModuleType):
    """A module of the reader's own project, in which every name is a function."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *arguments: ""


@pytest.fixture
def readers_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its modules, with the backend of the docs, and its environment."""
    for name in ("crm", "crm.calls", "crm.phones", "crm.services"):
        monkeypatch.setitem(sys.modules, name, Anything(name))
    spec = importlib.util.spec_from_file_location(
        "crm.acme", tree.ROOT / "docs/howto/backend/acme.py"
    )
    assert spec
    assert spec.loader
    acme = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "crm.acme", acme)
    spec.loader.exec_module(acme)
    for name in ("POKETALK_API_KEY", "ACME_API_KEY", "ACME_WEBHOOK_SECRET", "HEALTH_TOKEN"):
        monkeypatch.setenv(name, "key")


@pytest.mark.parametrize("code", blocks("python"))
def test_python_can_be_read_and_imports_what_exists(code: str) -> None:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            package = node.module.partition(".")[0]
            if package == "crm" or importlib.util.find_spec(package) is None:
                continue  # of the reader's project, or a package that the tests do not install
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


@pytest.mark.parametrize("code", blocks("python"))
def test_python_uses_only_attributes_that_exist(code: str) -> None:
    """Those of our modules and classes, such as `traffic.Period.until`."""
    tree_of_code = ast.parse(code)
    ours: dict[str, Any] = {}
    for node in ast.walk(tree_of_code):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("django_poketalk"):
            for alias in node.names:
                path = f"{node.module}.{alias.name}"
                ours[alias.asname or alias.name] = pkgutil.resolve_name(path)
    for node in ast.walk(tree_of_code):
        names = ast.unparse(node).split(".") if isinstance(node, ast.Attribute) else [""]
        owner = ours.get(names[0])
        for name in names[1:]:
            if not (inspect.ismodule(owner) or inspect.isclass(owner)) or not name.isidentifier():
                break
            assert hasattr(owner, name), ast.unparse(node)
            owner = getattr(owner, name)


def configured(code: str) -> dict[str, dict[str, Any]]:
    """The settings of ours in a block, as a project that has them would have them."""
    names = {"os": os, "Decimal": Decimal, "timedelta": timedelta, "BASE_DIR": Path("/srv/crm")}
    found: dict[str, dict[str, Any]] = {}
    for node in ast.parse(code).body:
        match node:
            case ast.Assign([ast.Name(name)]) if name in SETTINGS:
                key = ""
            case ast.Assign([ast.Subscript(ast.Name(name), ast.Constant(str(each)))]) if (
                name in SETTINGS
            ):
                key = each
            case _:
                continue
        value = eval(compile(ast.Expression(node.value), "docs", "eval"), dict(names))
        found.setdefault(name, {}).update({key: value} if key else value)
    return found


@pytest.mark.usefixtures("readers_project")
@pytest.mark.parametrize(
    "code", [each for each in blocks("python") if SETTING.search(each.values[0])]
)
def test_the_checks_accept_settings(code: str) -> None:
    found = configured(code)
    assert found

    before: dict[str, Any] = {
        **project.POKETALK,
        "SERVICE_EXTENSIONS": ["caller_id", "internal_numbers"],
    }
    given = {"POKETALK": before, "POKETALK_SERVER": project.POKETALK_SERVER}
    complete = {name: {**given[name], **found[name]} for name in found}
    with override_settings(**complete):
        messages = [*configuration.check_settings(), *server_checks.check_settings()]

    assert [message for message in messages if message.is_serious(WARNING)] == []


@pytest.mark.parametrize("source", blocks("django", "html+django"))
def test_templates_compile(source: str) -> None:
    source = re.sub(r"\{% extends .*? %\}", "", source)
    engines["django"].from_string("{% load poketalk static %}" + source)


def commands() -> list[Any]:
    """The commands of `manage.py` in all blocks of the shell, without optional parts."""
    found = []
    for block in blocks("sh"):
        lines = block.values[0].replace("\\\n", " ")
        for each in re.finditer(r"manage\.py (\w+)([^|&;<\n]*)", lines):
            arguments = shlex.split(re.sub(r"\[.*?\]", "", each[2]), comments=True)
            found.append(pytest.param(each[1], arguments, id=f"{block.id} {each[1]}"))
    return found


@pytest.mark.parametrize(("name", "arguments"), commands())
def test_commands_know_their_options(name: str, arguments: list[str]) -> None:
    command = load_command_class(get_commands()[name], name)

    command.create_parser("manage.py", name).parse_args(arguments)  # CommandError if wrong


@pytest.mark.parametrize(
    "module",
    sorted(
        {m for b in blocks("sh") for m in re.findall(r"python -m (?!pip)([\w.]+)", b.values[0])}
    ),
)
def test_modules_that_are_run_exist(module: str) -> None:
    assert importlib.util.find_spec(module)
