"""Who imports whom, read from the source: also imports inside functions, and relative ones."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

OURS = "django_poketalk"
SERVER = f"{OURS}.server"
SHARED = (
    f"{OURS}.protocol",
    f"{OURS}.appsettings",
    f"{OURS}.client_address",
    f"{OURS}.longlists",
    f"{OURS}.spreadsheets",
)

# Rules without a clock, a network or a database: time and rows come in as arguments.
PURE = (
    f"{OURS}.protocol",
    f"{OURS}.lifecycle.heard",
    f"{OURS}.quiet_hours",
    f"{OURS}.lifecycle.timeline",
    f"{OURS}.lifecycle.timescale",
    f"{SERVER}.rating",
    f"{SERVER}.switch.call",
)
IMPURE = (
    "aiohttp",
    "asyncio",
    "celery",
    "django",
    "http",
    "logging",
    "os",
    "pathlib",
    "random",
    "requests",
    "rest_framework",
    "socket",
    "subprocess",
    "threading",
    "time",
    "urllib.request",
)

FOR_TYPES = ("TYPE_CHECKING", "typing.TYPE_CHECKING")


@dataclass(frozen=True, slots=True)
class Import:
    """One module's import of another; deferred when importing the module does not yet run it."""

    importer: str
    line: int
    imported: str
    deferred: bool

    def __str__(self) -> str:
        return f"{self.importer}, line {self.line}: imports {self.imported}"


def breaches(package: Path) -> list[Import]:
    """The imports in the folder of `django_poketalk` that go through a wall."""
    return [each for each in imports(package) if not _is_allowed(each)]


def imports(package: Path) -> Iterator[Import]:
    """All imports in the folder. `from a import b` imports `a.b` where that is a module of ours,
    else `a`.
    """
    modules = {_module(package, file): file for file in sorted(package.rglob("*.py"))}
    for importer, file in modules.items():
        parent = importer if file.name == "__init__.py" else _up(importer)
        source = ast.parse(file.read_text(), str(file))
        deferred = set(_deferred(source))
        for node in ast.walk(source):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for imported in _imported(node, parent, modules):
                    yield Import(importer, node.lineno, imported, node in deferred)


def _is_allowed(each: Import) -> bool:
    if _is_in(each.importer, PURE) and _is_in(each.imported, IMPURE):
        return False
    if not _is_in(each.imported, (OURS,)):
        return True
    if _is_in(each.importer, SHARED):
        # Its own module or package, and nothing else of ours.
        return any(
            _is_in(each.importer, (one,)) and _is_in(each.imported, (one,)) for one in SHARED
        )
    if _is_in(each.importer, (SERVER,)):
        return _is_in(each.imported, (SERVER, *SHARED))
    return not _is_in(each.imported, (SERVER,))


def _imported(
    node: ast.Import | ast.ImportFrom, parent: str, modules: Collection[str]
) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = node.module or ""
    if node.level:
        above = _up(parent, node.level - 1)
        base = f"{above}.{base}" if base else above
    for alias in node.names:
        inner = f"{base}.{alias.name}"
        yield inner if inner in modules else base


def _deferred(source: ast.Module) -> Iterator[ast.AST]:
    """All that is inside a function or only for the type checker."""
    for node in ast.walk(source):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from ast.walk(node)
        elif isinstance(node, ast.If) and ast.unparse(node.test) in FOR_TYPES:
            for statement in node.body:
                yield from ast.walk(statement)


def _module(package: Path, file: Path) -> str:
    parts = file.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _up(module: str, levels: int = 1) -> str:
    return ".".join(module.split(".")[: -levels or None])


def _is_in(module: str, rooms: Collection[str]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)
