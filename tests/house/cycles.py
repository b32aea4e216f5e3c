"""Modules that need each other to be imported, read from the source."""

from __future__ import annotations

from pathlib import Path

from .walls import OURS, imports

Graph = dict[str, set[str]]


def cycles(package: Path) -> list[list[str]]:
    """Groups of modules in the folder of `django_poketalk`, each of which needs all others of its
    group before it can be imported.
    """
    needed = _needed(package)
    groups = {
        tuple(sorted(other for other in others if module in needed[other]))
        for module, others in needed.items()
        if module in others
    }
    return [list(group) for group in sorted(groups)]


def _needed(package: Path) -> Graph:
    """What each module needs, directly or not."""
    direct: Graph = {}
    for each in imports(package):
        if not each.deferred and each.imported.split(".")[0] == OURS:
            direct.setdefault(each.importer, set()).update(
                _run_by(each.importer, each.imported),
            )
    return {module: _reached(direct, module) for module in set(direct).union(*direct.values())}


def _run_by(importer: str, imported: str) -> set[str]:
    """The imported module and the packages it is in, which are imported first. Those that the
    importer is in as well are under way already, as for any part of a package: nothing waits.
    """
    parts = imported.split(".")
    packages = {".".join(parts[:length]) for length in range(1, len(parts))}
    return {imported} | {each for each in packages if not f"{importer}.".startswith(f"{each}.")}


def _reached(graph: Graph, start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph.get(waiting.pop(), set()) - reached
        reached |= new
        waiting.extend(new)
    return reached
