"""How long `{% call_buttons %}` takes to look through pages of more and more text:
`python -m tests.benchmarks.page_numbers [--rounds 5]`.

Prints the milliseconds for pages of 125 kB to 1 MB, and the time per kB relative to the smallest
page. A ratio near 1.0 means that the time grows with the length of the page, and no faster.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django_poketalk.button.number_linker import mark  # noqa: E402

PAGES = {
    "digits": "1 x ",
    "labels": "Tel.:1 ",
    "numbers": "020 7946 0123, ",
    "signs": "1-",
    "tags": "<b>1</b> ",
    "words": "word ",
}
SIZES = (125_000, 250_000, 500_000, 1_000_000)  # characters


def milliseconds(page: str, rounds: int) -> float:
    """The median time to look through this page once."""
    times = []
    for _round in range(rounds):
        begun = time.perf_counter()
        mark(page, lambda digits, written: None)
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    steepest = 0.0
    print("page".ljust(10), *(f"{size // 1000:>10} kB" for size in SIZES), "   ms (ratio per kB)")
    for name, part in PAGES.items():
        found = [milliseconds(part * (size // len(part)), rounds) for size in SIZES]
        first = found[0] / SIZES[0]
        ratios = [each / size / first for each, size in zip(found, SIZES, strict=True)]
        cells = (f"{each:8.0f} ({ratio:.1f})" for each, ratio in zip(found, ratios, strict=True))
        print(name.ljust(10), *cells)
        steepest = max(steepest, ratios[-1])
    print(f"1 MB / 125 kB, per kB   {steepest:.2f}   (goal: 1.5 or less)")


if __name__ == "__main__":
    main()
