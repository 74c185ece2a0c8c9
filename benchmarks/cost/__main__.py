"""``python -m benchmarks.cost``: what a question costs outside of the model, and how many are asked.

``--counts``: only what is counted, held against ``counts.json``; ``--write``: and taken for it; ``--page``: all of it
into ``docs/benchmarks-cost.md``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from earwitness.study.environment import describe_environment
from earwitness.study.file import RunSection

from . import counts, overhead

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks-cost.md"
TEXT = """\
# Benchmarks: what a question costs

Made by `python -m benchmarks.cost --page`; do not edit. Python {python}, numpy {numpy}, torch {torch},
{cores} cores ({processor}); what it takes on another machine may differ by half and more.

## Outside of the model

A search for all kinds of set (δ = 0.9, {budget:,} questions) with a model that costs next to nothing, one thread, in
milliseconds a question: `search` is what the search and the driver think, `signals` are the inverse transforms. Of long
recordings the transforms are the larger part: they are of double precision, so that a set and its recording give the
same signal on any machine.

{costs}

## Counts

What no busy machine changes: five bins planted in 1 s of noise (8,001 bins), all kinds of set; a study of four clips
and its page. `python -m benchmarks.cost --counts` counts again, and a test holds it against these.

{counts}
"""


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", action="store_true", help="only what is counted")
    parser.add_argument("--write", action="store_true", help="take what is counted for what to hold others against")
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.name}")
    given = parser.parse_args()
    found, before = counts.count(), counts.read() if counts.FILE.is_file() else {}
    rows = [(name, f"{value:,}", f"{before.get(name, 0):,}") for name, value in found.items()]
    print(to_table(("counted", "now", "before"), rows))
    if given.write:
        counts.write(found)
    if given.counts:
        return
    costs = to_costs(overhead.measure_all())
    print(costs)
    if given.page:
        here = describe_environment(RunSection())
        libraries = {name: here["libraries"][name] for name in ("numpy", "torch")}
        PAGE.write_text(TEXT.format(
            **libraries, python=here["python"], cores=here["cores"], processor=here["processor"],
            budget=overhead.BUDGET, costs=costs,
            counts=to_table(("counted", ""), [(name, now) for name, now, _ in rows]),
        ), encoding="utf-8")  # fmt: skip


def to_costs(rows: list[dict[str, Any]]) -> str:
    """Milliseconds a question by length."""
    parts = ("search", "signals", "model")
    cells = [
        (f"{row['bins']:,}", f"{row['questions']:,}", *(f"{row[part]:.2f}" for part in parts), f"{row['peak']:,.0f}")
        for row in rows
    ]
    return to_table(("bins", "questions", *(f"{part}, ms" for part in parts), "peak, MB"), cells)


def to_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown, the numbers to the right."""
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


if __name__ == "__main__":
    main()
