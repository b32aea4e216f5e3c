"""`tox run -e bench` runs every benchmark, and its table has what they print."""

from __future__ import annotations

from tests.benchmarks.__main__ import BENCHMARKS, GOAL

from . import tree


def test_every_benchmark_is_run() -> None:
    folder = tree.ROOT / "tests/benchmarks"
    programs = {path.stem for path in folder.glob("*.py") if "def main(" in path.read_text()}

    assert programs - {"__main__"} == set(BENCHMARKS)


def test_every_benchmark_prints_a_figure_with_its_goal() -> None:
    for name in BENCHMARKS:
        source = (tree.ROOT / f"tests/benchmarks/{name}.py").read_text()

        assert "(goal" in source, name


def test_figures_are_found_in_the_output() -> None:
    output = "code=100     178     5\n\nevent / naive   5.73   (goal: 2.5 or more)\nend\n"

    assert [found.groupdict() for found in GOAL.finditer(output)] == [
        {"what": "event / naive", "found": "5.73", "goal": "2.5 or more"}
    ]
