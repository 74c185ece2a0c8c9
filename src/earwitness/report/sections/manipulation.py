"""The smallest changes that flip an answer, and whether they transfer."""

from __future__ import annotations

from typing import Any

import polars as pl

from ...analyses.settings import ManipulationSettings
from ...study.reopen import reopen
from ...study.stages.manipulation import ANALYSIS
from ...study.stages.manipulation_tables import manipulation_tables
from ...study.store import Store
from ..data import StudyData
from .blocks import Block, Curves, Estimates, Section, Table


def manipulation(store: Store, data: StudyData) -> Section | None:
    """Robustness by bound and number of changes, flip rates, and flips beside the transfer of sufficient signals."""
    options = store.last_options(data.key, ANALYSIS)
    if options is None:
        return None
    tuples: dict[str, Any] = {name: tuple(part) if isinstance(part, list) else part for name, part in options.items()}
    settings = ManipulationSettings(**tuples)
    tables = manipulation_tables(reopen(store), settings)
    if not tables:
        return None
    blocks: list[Block] = []
    if "robustness" in tables:
        blocks += _robustness(tables["robustness"])
    blocks += [Table.of(name[0].upper() + name[1:], table) for name, table in tables.items()]
    intro = "How few variables have to change, and how audibly, until a model’s answer flips: a measure of robustness."
    intro += " Every flip was verified on the signal as written to a file. SNR: of the change, in dB."
    return Section("manipulation", "Manipulation", intro, blocks)


def _robustness(table: pl.DataFrame) -> list[Block]:
    """The share of clips flipped within each bound, and over the number of changes."""
    found: list[Block] = []
    curves = []
    for (bound,), part in table.group_by("bound", maintain_order=True):
        rows = tuple(
            (f"{row['model']}, {_words(row['k'])}", row["rate"], row["low"], row["high"])
            for row in part.iter_rows(named=True)
        )
        title = "Flipped, at any loudness" if bound == "none" else f"Flipped within {bound}"
        found.append(Estimates(title, rows, "share of clips", note="Wilson, 95 %."))
        if bound == "none":
            for (model,), one in part.filter(pl.col("k").is_not_null()).group_by("model", maintain_order=True):
                curves.append((str(model), tuple(map(float, one["k"])), tuple(one["rate"].to_list())))
    if any(len(x) > 1 for _, x, _ in curves):
        found.insert(
            0,
            Curves("Over the number of changes", "variables that may change", "share of clips flipped", tuple(curves)),
        )
    return found


def _words(k: int | None) -> str:
    return "any number of changes" if k is None else "1 change" if k == 1 else f"{k} changes"
