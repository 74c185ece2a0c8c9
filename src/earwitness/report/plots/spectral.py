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
    labels = sorted(densities["label"].unique().to_list())
    figure, panels = _facet(densities, _kinds(densities, kinds), unit="dB of the power", below="kHz")
    for panel, part in panels:
        for label, colour in zip(labels, _cycle(len(labels)), strict=True):
            line = part.filter(pl.col("label") == label)
            if line.is_empty() or line["density"].max() == 0:
                continue  # silence has no spectrum
            level = 10 * np.log10(np.maximum(line["density"].to_numpy(), 10 ** (FLOOR / 10)))
            name = f"{label} ({line['signals'][0]})"
            panel.plot(line["hertz"] / 1000, level, color=colour, linewidth=0.9, label=name)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(fontsize=6, loc="upper right")
        panel.set_ylim(FLOOR, 0)
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
    labels = sorted(measures["label"].unique().to_list())
    figure, panels = _facet(measures, _kinds(measures, kinds), unit=measure.replace("_", " "))
    for panel, part in panels:
        groups = [part.filter(pl.col("label") == label)[measure].drop_nulls().to_numpy() for label in labels]
        panel.boxplot(groups, showfliers=False, widths=0.5, medianprops={"color": "black"})
        for place, (group, colour) in enumerate(zip(groups, _cycle(len(labels)), strict=True), 1):
            # spread in a fixed pattern, so that the same data make the same figure
            offsets = np.linspace(-0.18, 0.18, len(group)) if len(group) > 1 else np.zeros(len(group))
            panel.scatter(place + offsets, group, s=4, color=colour, alpha=0.6, linewidths=0)
        panel.set_xticks(range(1, len(labels) + 1), labels)
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
    judges = sorted(flips["judge"].unique().to_list())
    labels = sorted(flips["label"].unique().to_list())
    colours = dict(zip(labels, _cycle(len(labels)), strict=True))
    styles = {"overlay": "-", "replace": "--", "noise": ":"}
    figure, panels = _facet(
        flips, {judge: f"judged by {_short(judge)}" for judge in judges}, down="source", across="judge", row="of {}",
        unit="share turned", below="dB relative to the clip",
    )  # fmt: skip
    for panel, part in panels:
        for label, way in sorted(flips.select("label", "way").unique().rows()):
            line = part.filter((pl.col("label") == label) & (pl.col("way") == way))
            line = line.group_by("level").agg(pl.col("flips").sum(), pl.col("clips").sum()).sort("level")
            panel.plot(
                line["level"], line["flips"] / line["clips"], styles[way], color=colours[label], linewidth=1,
                label=f"{label}, {way}",
            )  # fmt: skip
        panel.set_ylim(-0.03, 1.03)
    if not flips.is_empty():
        panels[0][0].legend(fontsize=6, loc="upper left")
    return figure


def _facet(
    table: pl.DataFrame, columns: dict[str, str], *, unit: str, below: str = "", down: str = "model",
    across: str = "kind", row: str = "{}",
) -> tuple[Figure, list[tuple[Axes, pl.DataFrame]]]:  # fmt: skip
    """A grid of panels, each with its rows of the table: ``down`` a model, ``across`` the columns, by their titles."""
    models = sorted(table[down].unique().to_list())
    high, wide = max(len(models), 1), max(len(columns), 1)
    figure = Figure(figsize=(1 + 2.1 * wide, 0.6 + 1.7 * high), layout="constrained")
    axes = figure.subplots(high, wide, sharex=True, sharey=True, squeeze=False)
    for panel, model in zip(axes[:, 0], models, strict=False):
        panel.set_ylabel(f"{row.format(_short(model))}\n{unit}")
    for panel, title in zip(axes[0], columns.values(), strict=False):
        panel.set_title(title)
    for panel in axes[-1]:
        panel.set_xlabel(below)
    return figure, [
        (axes[r, c], table.filter((pl.col(down) == model) & (pl.col(across) == column)))
        for r, model in enumerate(models)
        for c, column in enumerate(columns)
    ]


def _kinds(table: pl.DataFrame, kinds: Sequence[str]) -> dict[str, str]:
    """Those of the kinds that the table has, with their names."""
    there = table["kind"].unique().to_list()
    return {kind: kind for kind in kinds if kind in there}


def _short(spec: str) -> str:
    """The last part of a model's spec."""
    return spec.rstrip("/").replace(":", "/").rpartition("/")[2]


def _cycle(count: int) -> list[str]:
    return [CYCLE[i % len(CYCLE)] for i in range(count)]
