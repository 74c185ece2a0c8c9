"""Entropy and power spectral density of the signals."""

from __future__ import annotations

import numpy as np
import polars as pl

from ...study.reopen import reopen
from ...study.stages.spectral import ANALYSIS, density_table, spectral_tables
from ...study.store import Store
from ..data import StudyData
from .blocks import Block, Curves, Estimates, Section, Table

#: the most curves of one drawing
CURVES = 8


def spectral(store: Store, data: StudyData) -> Section | None:
    """Spectral entropy by model, kind and class, differences between classes, and densities."""
    options = store.last_options(data.key, ANALYSIS)
    if options is None:
        return None
    study, window = reopen(store), int(options["window"])
    tables = spectral_tables(study, window)
    if not tables:
        return None
    blocks: list[Block] = []
    entropy = tables["spectral entropy"]
    for (kind,), part in entropy.group_by("kind", maintain_order=True):
        rows = tuple(
            (f"{row['model']}, {row['label']}", row["entropy"], row["low"], row["high"])
            for row in part.iter_rows(named=True) if row["entropy"] is not None
        )  # fmt: skip
        title = f"Spectral entropy, {str(kind).replace('_', '-')}"
        blocks.append(
            Estimates(title, rows, "normalised entropy", note="Median; the line is the middle half of signals.")
        )
    blocks += [Table.of(title.capitalize(), table) for title, table in tables.items()]
    blocks += _densities(density_table(study, window))
    intro = "Entropy: of the power over frequency, 0 for a tone, 1 for white noise; silence has none. Density: Welch’s"
    intro += f" estimate with segments of {window} samples, each signal scaled to the same power."
    return Section("spectral", "Entropy and density", intro, blocks)


def _densities(table: pl.DataFrame) -> list[Block]:
    """A drawing a model and kind, a curve a class."""
    found: list[Block] = []
    if table.is_empty():
        return found
    for (model, kind), part in table.group_by("model", "kind", maintain_order=True):
        curves = []
        for (label,), one in part.group_by("label", maintain_order=True):
            decibels = 10 * np.log10(np.maximum(one["density"].to_numpy(), 1e-12))
            curves.append((str(label), tuple(one["hertz"].to_list()), tuple(np.round(decibels, 2).tolist())))
        title = f"Power spectral density, {model}, {str(kind).replace('_', '-')}"
        note = f"The first {CURVES} of {len(curves)} classes." if len(curves) > CURVES else ""
        found.append(Curves(title, "frequency (Hz)", "dB", tuple(curves[:CURVES]), note))
    return found
