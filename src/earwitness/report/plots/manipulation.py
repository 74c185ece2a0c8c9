"""The robustness curve as a figure: how many answers flip as changes may be louder."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from .style import CYCLE, paper_style

MARKS = "os^dv"


@paper_style()
def plot_robustness(table: pl.DataFrame) -> Figure:
    """Share of clips that flip against the bound on the signal-to-noise ratio: a panel a model, a line a number of
    variables that may change, with 95 % intervals.

    Parameters
    ----------
    table : polars.DataFrame
        ``model``, ``bound``, ``k``, ``rate``, ``low``, ``high``, ``clips``: see
        :func:`earwitness.study.stages.manipulation_tables.robustness_table`.
    """
    table = table.filter(pl.col("bound").str.ends_with(" dB")).with_columns(
        decibels=pl.col("bound").str.strip_suffix(" dB").cast(pl.Float64)
    )
    models = table["model"].unique(maintain_order=True).to_list()
    counts = table["k"].unique().sort().to_list()
    figure = Figure(figsize=(2.3 * max(len(models), 1) + 0.6, 2.4), layout="constrained")
    axes = figure.subplots(1, max(len(models), 1), sharey=True, squeeze=False)[0]
    for panel, model in zip(axes, models, strict=False):
        for number, count in enumerate(counts):
            part = table.filter((pl.col("model") == model) & (pl.col("k") == count)).sort("decibels")
            rate, low, high = (part[name].to_numpy() for name in ("rate", "low", "high"))
            colour, mark = CYCLE[number % len(CYCLE)], MARKS[number % len(MARKS)]
            panel.errorbar(
                part["decibels"].to_numpy() + 0.4 * (number - (len(counts) - 1) / 2), rate,
                yerr=np.maximum([rate - low, high - rate], 0), color=colour, marker=mark, markersize=4, linewidth=1,
                elinewidth=0.7, capsize=2, label=f"k = {count}",
            )  # fmt: skip
        clips = table.filter(pl.col("model") == model)["clips"][0]
        panel.set_title(f"{model.replace(chr(92), '/').split('/')[-1]} ({clips} clips)", loc="left")
        panel.set_xlabel("SNR at least, dB")
        panel.set_ylim(-0.03, 1.03)
    axes[0].set_ylabel("share of clips flipped")
    if counts:
        axes[0].legend()
    return figure
