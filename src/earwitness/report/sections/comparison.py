"""Another study of the same recordings beside this one: what was asked otherwise, and which rates differ."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ...study.comparison import compare_studies
from ...study.store import Store
from ...transferability.comparison import RATIOS
from ...transferability.options import Options
from ..data import StudyData
from .blocks import Block, Estimates, Section, Table

NOTE = "Of the same recordings and models, paired; intervals: bootstrap over clips, 95 %."


def comparison(store: Store, data: StudyData, path: Path, number: int) -> Section:
    """The study in the store at ``path``, the ``number``-th beside this one.

    Raises
    ------
    ConfigError
        They have no recording, or no model, in common.
    StoreError
        There is no such store.
    """
    with Store(path) as other:
        found = compare_studies(store, other, Options(epsilon=data.epsilon))
        name = str(other.meta().get("name") or path.stem)
    rates = found.tables["rates"]
    every = rates.filter(pl.col("source") == "all", pl.col("difference").is_not_null())
    blocks: list[Block] = [
        Table.of("Asked otherwise", found.tables["settings"], "" if len(found.tables["settings"]) else "Nothing.")
    ]
    differences, ratios = every.filter(~pl.col("measure").is_in(RATIOS)), every.filter(pl.col("measure").is_in(RATIOS))
    if len(differences):
        unit = "difference: the other study’s rate less this one’s"
        blocks.append(Estimates("Which rates differ", _rows(differences), unit, 0.0, NOTE))
    if len(ratios):
        unit = "ratio: the other study’s over this one’s"
        blocks.append(Estimates("How many times as much", _rows(ratios), unit, 1.0, NOTE))
    blocks.append(Table.of("All rates beside each other", rates))
    intro = f"First: this study; second: {name} ({path.name}). They share {found.clips} recordings and"
    intro += f" {len(found.models)} models. An interval that has 0 in it (1, of a ratio) shows no difference."
    if found.versions:
        intro += f" In the second another version answers of: {', '.join(found.versions)}."
    return Section(f"beside-{number}", f"Beside {name}", intro, blocks)


def _rows(rates: pl.DataFrame) -> tuple[tuple[str, float, float | None, float | None], ...]:
    return tuple(
        (f"{row['kind']} {row['measure']}".replace("_", " ").strip(), row["difference"], row["low"], row["high"])
        for row in rates.iter_rows(named=True)
    )
