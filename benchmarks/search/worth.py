"""The page of the ablation, made of the stored results only: by how much each change moves bins and questions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earwitness.search.attribution import Survey
from earwitness.transferability.statistics.rates import cluster_bootstrap

from .ablation import BUDGETS, CLIPS, DELTA, list_surveys
from .bench import Cell, Store
from .heldout import NAMES
from .tables import Row, make_table
from .variants import COMPLETE, CONSTANTS, MAP, STAGES, SUFFICIENT, Constant, show

#: a change within these, and with no interval that leaves 1 out, is called flat
FLAT = (0.95, 1.05)
#: unit, and what a larger value gives, of the map's settings
SURVEY = {
    "cells": ("cells", "a finer map, for less known of each cell"),
    "reach": ("share of the spectrum", "a smoother map, for detail"),
    "noise": ("variance of a difference", "answers followed less closely"),
    "trust": ("prior standard deviations for 10 dB", "nearer to the order by energy"),
    "rounds": ("batches", "better choices, for smaller batches"),
    "wander": ("share of the questions", "random runs rather than what promises"),
    "shrinkage": ("standard deviations", "maps of seeds more alike, for less of what was learnt"),
}
NOTE = """\
`bins` and `questions` are geometric means over the pairs of a model and a clip of what the changed search needs, over
what the search as it is needs for the same pair, with 95 % intervals of the mean (bootstrap over pairs): above 1, the
change costs. `moved`: pairs on which bins or questions differ at all. `certified`: sets with a certificate, then and
now. `flat`: both means between 0.95 and 1.05, both intervals with 1 in them. Many rows are read at once: of intervals
of chance alone about one in twenty leaves 1 out; and as all models hear the same few clips, pairs are not wholly
independent and the intervals somewhat too narrow. `no thinning` bears on what a climb has found: the prefix that a
complete set starts from is thinned all the same. The settings were once tuned on clips that overlap with these, so the
search as it is has an advantage over its neighbours, and what looks a little worse may be as good elsewhere."""


@dataclass(frozen=True)
class Ratio:
    """A geometric mean of ratios with its interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, changed: NDArray[np.float64], usual: NDArray[np.float64]) -> Ratio:
        """Of paired counts (float64 [pairs]); nothing counts as one."""
        logs = np.log(np.maximum(changed, 1)) - np.log(np.maximum(usual, 1))
        mean, low, high = np.exp(cluster_bootstrap(logs, np.ones_like(logs)))
        return cls(float(mean), float(low), float(high))

    @property
    def flat(self) -> bool:
        """Whether it is near 1 and may be 1."""
        return FLAT[0] <= self.mean <= FLAT[1] and self.low <= 1 <= self.high

    def __str__(self) -> str:
        """Like ``1.04 (0.99–1.10)``."""
        return f"{self.mean:.2f} ({self.low:.2f}–{self.high:.2f})"


@dataclass(frozen=True)
class Effect:
    """What a change does to the same pairs of a model and a clip."""

    bins: Ratio
    questions: Ratio
    moved: int
    certified: tuple[int, int]
    pairs: int

    @classmethod
    def of(cls, changed: Cell, usual: Cell) -> Effect:
        """From the rows of two cells: model, bins, questions, certificate."""
        (bins, asked), (usual_bins, usual_asked) = (
            np.array([row[1:3] for row in cell["rows"]], dtype=np.float64).T for cell in (changed, usual)
        )
        certified = tuple(sum(row[3] == "one_minimal" for row in cell["rows"]) for cell in (usual, changed))
        return cls(
            Ratio.of(bins, usual_bins), Ratio.of(asked, usual_asked),
            int(((bins != usual_bins) | (asked != usual_asked)).sum()), (certified[0], certified[1]), len(bins),
        )  # fmt: skip

    @property
    def flat(self) -> bool:
        """Whether neither bins nor questions change."""
        return self.bins.flat and self.questions.flat

    def row(self) -> Row:
        """Columns of a table."""
        verdict = "flat" if self.flat else ""
        then, now = self.certified
        return [str(self.bins), str(self.questions), f"{self.moved}/{self.pairs}", f"{then} → {now}", verdict]


COLUMNS = ("bins", "questions", "moved", "certified", "")


def write_ablation(store: Store, path: Path) -> None:
    """Write the page, where there are results."""
    cells = store.cells("ablation")
    if not cells:
        return
    others = store.cells("heldout")
    sections = [_head(cells), NOTE, _heldout(cells, others), _stages(cells), _constants(cells), _surveys(cells)]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text("\n\n".join(section for section in sections if section) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def effect(cells: dict[str, Cell], kind: str, budget: int, name: str) -> Effect | None:
    """What a variant does, if it was measured."""
    changed, usual = cells.get(f"{kind}/{budget}/{name}"), cells.get(f"{kind}/{budget}/")
    return Effect.of(changed, usual) if changed and usual else None


def _head(cells: dict[str, Cell]) -> str:
    measured = [(kind, budget) for kind in (SUFFICIENT, COMPLETE) for budget in BUDGETS[kind]]
    rows = [
        [kind, budget, CLIPS[kind], len(usual["rows"]), f"{np.median(bins):g}", f"{np.median(asked):g}"]
        for kind, budget in measured
        if (usual := cells.get(f"{kind}/{budget}/"))
        for bins, asked in [np.array([row[1:3] for row in usual["rows"]]).T]
    ]
    return (
        "# The search taken apart\n\nMade by `python -m benchmarks.search --only ablation` (see "
        "`benchmarks/search/README.md`); do not edit. [The search, explained](search.md) says what the stages are.\n\n"
        f"Digit models and the first clips, at equal distances, of the [benchmarks](benchmarks.md); δ = {DELTA}. The "
        "search as it is, in medians:\n\n" + make_table(("sets", "budget", "clips", "pairs", "bins", "questions"), rows)
    )


def _heldout(cells: dict[str, Cell], others: dict[str, Cell]) -> str:
    budget = BUDGETS[SUFFICIENT][0]
    rows: list[Row] = [
        [name, str(here.bins), str(there.bins), str(here.questions), str(there.questions)]
        for name in NAMES
        if name and (here := effect(cells, SUFFICIENT, budget, name))
        if (there := effect(others, SUFFICIENT, budget, name))
    ]
    head = ("change", "bins", "bins, other clips", "questions", "questions, other clips")
    return (
        "## On other clips\n\nThe same for as many clips that are not among the benchmark's (`--only heldout`), of "
        "stages and constants that seemed to cost most: what falls towards 1 there came of the clips, by tuning or by "
        "chance.\n\n" + make_table(head, rows)
        if rows
        else ""
    )


def _stages(cells: dict[str, Cell]) -> str:
    rows: list[Row] = [
        [stage.name, kind, budget, *found.row()]
        for stage in STAGES
        for kind in (SUFFICIENT, COMPLETE)
        for budget in BUDGETS[kind]
        if kind in stage.bears_on and (found := effect(cells, kind, budget, stage.name))
    ]
    return "## Without a stage\n\n" + make_table(("without", "sets", "budget", *COLUMNS), rows) if rows else ""


def _constants(cells: dict[str, Cell]) -> str:
    rows: list[Row] = [row for constant in CONSTANTS for row in _constant(cells, constant)]
    head = ("constant", "is", "unit", "more of it gives", "sets", "budget", "tried", *COLUMNS)
    return "## With another constant\n\n" + make_table(head, rows) if rows else ""


def _constant(cells: dict[str, Cell], constant: Constant) -> list[Row]:
    rows = [
        [kind, budget, show(value), *found.row()]
        for kind in constant.bears_on
        for budget in BUDGETS[kind]
        for value in constant.tried()
        if (found := effect(cells, kind, budget, f"{constant.place} = {show(value)}"))
    ]
    facts = [f"`{constant.place}`", show(constant.value), constant.unit, constant.trades]
    rows = rows or [["not measured yet", *[""] * (len(COLUMNS) + 2)]]
    return [[*(facts if number == 0 else [""] * len(facts)), *row] for number, row in enumerate(rows)]


def _surveys(cells: dict[str, Cell]) -> str:
    start = f"{MAP}/{BUDGETS[MAP][0]}/"
    usual = cells.get(start)
    if usual is None:
        return ""
    rows = []
    for name, _ in list_surveys():
        if name and (changed := cells.get(start + name)):
            place, value = name.split(" = ")
            field = place.removeprefix("Survey.")
            columns = [_difference(changed["rows"], usual["rows"], column) for column in (1, 2)]
            rows.append([f"`{place}`", f"{getattr(Survey(), field):g}", *SURVEY[field], value, *columns])
    return (
        f"## The map\n\nWithin {BUDGETS[MAP][0]} questions, {CLIPS[MAP]} clips a model. Areas under the insertion "
        "curve (more is better) and the deletion curve (less is better): the mean difference from the map as it is, "
        "with its interval.\n\n"
        + make_table(("setting", "is", "unit", "more of it gives", "tried", "insertion", "deletion"), rows)
    )


def _difference(changed: Sequence[Sequence[Any]], usual: Sequence[Sequence[Any]], column: int) -> str:
    values = np.array([a[column] - b[column] for a, b in zip(changed, usual, strict=True)], dtype=np.float64)
    mean, low, high = cluster_bootstrap(values, np.ones_like(values))
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"
