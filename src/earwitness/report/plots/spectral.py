"""Figures of the deeper analyses as files: densities by class, entropies by class, flips by level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import CYCLE, paper_style

FLOOR = -90.0  #: dB; what is lower is drawn there


@paper_style()
def plot_densities(densities: pl.DataFrame, kinds: Sequence[str]) -> Figure:
    """Power spectral density by class: a row a model, a column a kind, a line a class.

    Parameters
    ----------
    densities : polars.DataFrame
        ``model``, ``kind``, ``label``, ``signals``, ``hertz``, ``density``: see
        :func:`earwitness.study.stages.spectral.density_table`.
    kinds : sequence of str
        Those drawn, in this order; kinds that are not there are left out.
    """
    kinds = [kind for kind in kinds if kind in densities["kind"].unique().to_list()]
    models = sorted(densities["model"].unique().to_list())
    labels = sorted(densities["label"].unique().to_list())
    figure, axes = _grid(len(models), len(kinds))
    for row, model in enumerate(models):
        for column, kind in enumerate(kinds):
            panel = axes[row][column]
            part = densities.filter((pl.col("model") == model) & (pl.col("kind") == kind))
            for label, colour in zip(labels, _cycle(len(labels)), strict=True):
                line = part.filter(pl.col("label") == label)
                if line.is_empty() or line["density"].max() == 0:
                    continue  # silence has no spectrum
                level = 10 * np.log10(np.maximum(line["density"].to_numpy(), 10 ** (FLOOR / 10)))
                name = f"{label} ({line['signals'][0]})"
                panel.plot(line["hertz"] / 1000, level, color=colour, linewidth=0.9, label=name)
            _finish(panel, row, column, _short(model), kind, "dB of the power")
            if panel.get_legend_handles_labels()[0]:
                panel.legend(fontsize=6, loc="upper right")
            panel.set_ylim(FLOOR, 0)
    for panel in axes[-1]:
        panel.set_xlabel("kHz")
    return figure


@paper_style()
def plot_entropies(measures: pl.DataFrame, kinds: Sequence[str], measure: str = "entropy") -> Figure:
    """A measure of single signals by class, a box and a dot each: a row a model, a column a kind.

    Parameters
    ----------
    measures : polars.DataFrame
        ``model``, ``kind``, ``label`` and the measure: see
        :func:`earwitness.study.stages.spectral.read_spectra`.
    kinds : sequence of str
    measure : str
        ``entropy``, ``entropy_per_frame`` or a band.
    """
    kinds = [kind for kind in kinds if kind in measures["kind"].unique().to_list()]
    models = sorted(measures["model"].unique().to_list())
    labels = sorted(measures["label"].unique().to_list())
    figure, axes = _grid(len(models), len(kinds))
    for row, model in enumerate(models):
        for column, kind in enumerate(kinds):
            panel = axes[row][column]
            part = measures.filter((pl.col("model") == model) & (pl.col("kind") == kind))
            groups = [part.filter(pl.col("label") == label)[measure].drop_nulls().to_numpy() for label in labels]
            panel.boxplot(groups, showfliers=False, widths=0.5, medianprops={"color": "black"})
            for place, (group, colour) in enumerate(zip(groups, _cycle(len(labels)), strict=True), 1):
                # spread in a fixed pattern, so that the same data make the same figure
                offsets = np.linspace(-0.18, 0.18, len(group)) if len(group) > 1 else np.zeros(len(group))
                panel.scatter(place + offsets, group, s=4, color=colour, alpha=0.6, linewidths=0)
            panel.set_xticks(range(1, len(labels) + 1), labels)
            _finish(panel, row, column, _short(model), kind, measure.replace("_", " "))
            panel.set_ylim(-0.03, 1.03)
    return figure


@paper_style()
def plot_flips(flips: pl.DataFrame) -> Figure:
    """Share of clips that a composite turns, over its level: a row a source, a column a judge, a line a label and way.

    Parameters
    ----------
    flips : polars.DataFrame
        See :func:`earwitness.study.stages.composition.flip_table`; rates without a level are left out.
    """
    flips = flips.filter(pl.col("level").is_not_null())
    sources = sorted(flips["source"].unique().to_list())
    judges = sorted(flips["judge"].unique().to_list())
    lines = sorted(flips.select("label", "way").unique().rows())
    styles = {"overlay": "-", "replace": "--", "noise": ":"}
    labels = sorted(flips["label"].unique().to_list())
    figure, axes = _grid(len(sources), len(judges))
    for row, source in enumerate(sources):
        for column, judge in enumerate(judges):
            panel = axes[row][column]
            for label, way in lines:
                part = flips.filter(
                    (pl.col("source") == source) & (pl.col("judge") == judge) & (pl.col("label") == label)
                    & (pl.col("way") == way)
                ).group_by("level").agg(pl.col("flips").sum(), pl.col("clips").sum()).sort("level")  # fmt: skip
                colour = CYCLE[labels.index(label) % len(CYCLE)]
                rate = part["flips"] / part["clips"]
                panel.plot(part["level"], rate, styles[way], color=colour, linewidth=1, label=f"{label}, {way}")
            _finish(panel, row, column, f"of {_short(source)}", f"judged by {_short(judge)}", "share turned")
            panel.set_ylim(-0.03, 1.03)
    for panel in axes[-1]:
        panel.set_xlabel("dB relative to the clip")
    if lines:
        axes[0][0].legend(fontsize=6, loc="upper left")
    return figure


def _grid(rows: int, columns: int) -> tuple[Figure, list[list[Axes]]]:
    rows, columns = max(rows, 1), max(columns, 1)
    figure = Figure(figsize=(1 + 2.1 * columns, 0.6 + 1.7 * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).tolist()


def _finish(panel: Axes, row: int, column: int, model: str, kind: str, unit: str) -> None:
    if row == 0:
        panel.set_title(kind)
    if column == 0:
        panel.set_ylabel(f"{model}\n{unit}")


def _short(spec: str) -> str:
    """The last part of a model's spec."""
    return spec.rstrip("/").replace(":", "/").rpartition("/")[2]


def _cycle(count: int) -> list[str]:
    return [CYCLE[i % len(CYCLE)] for i in range(count)]
