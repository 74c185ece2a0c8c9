"""Figures of what maps are worth: how fast the answer returns and goes in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import CYCLE, paper_style, plain

#: the orders that no map gives, and how they are drawn
BESIDE: Mapping[str, tuple[str, str]] = {"energy": ("the loudest first", ":"), "random": ("in any order", "-.")}
TITLES = {"insertion": "kept, from the map's highest down", "deletion": "removed, from the map's highest down"}


def plot_maps(points: pl.DataFrame, axes: Sequence[Axes] | None = None) -> list[Axes]:
    """Draw the insertion and the deletion curve of each map, that of its profile dashed, and the orders beside them.

    Parameters
    ----------
    points : polars.DataFrame
        The table ``points`` of :func:`earwitness.compare_maps`; draws and clips are averaged.
    axes : sequence of Axes, optional
        Two.
    """
    keys = ["way", "order", "map", "level"]
    means = points.group_by(keys, maintain_order=True).agg(pl.col("probability").mean()).sort("level")
    names = points.filter(pl.col("order") == "map")["map"].unique(maintain_order=True).to_list()
    with paper_style():
        if axes is None:
            figure = Figure(figsize=(7, 2.6), layout="constrained")
            axes = list(figure.subplots(1, 2, sharey=True))
        for panel, (way, title) in zip(axes, TITLES.items(), strict=True):
            of_way = means.filter(pl.col("way") == way)
            for order, (label, dashes) in BESIDE.items():
                _line(panel, of_way.filter(pl.col("order") == order), "#7f7f7f", dashes, label)
            for number, name in enumerate(names):
                own, colour = of_way.filter(pl.col("map") == name), CYCLE[number % len(CYCLE)]
                _line(panel, own.filter(pl.col("order") == "profile"), colour, "--", "")
                _line(panel, own.filter(pl.col("order") == "map"), colour, "-", plain(name))
            panel.set(xlim=(0, 1), ylim=(-0.02, 1.02), xlabel="share of the energy")
            panel.set_title(title, loc="left")
        axes[0].set_ylabel("probability of the clip's label")
        axes[0].figure.legend(
            *axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=6, handlelength=2
        )
    return list(axes)


def _line(axes: Axes, rows: pl.DataFrame, colour: str, dashes: str, label: str) -> None:
    style = {"color": colour, "linestyle": dashes, "linewidth": 0.8 if dashes != "-" else 1.4}
    axes.plot(rows["level"].to_list(), rows["probability"].to_list(), label=label or None, **style)  # type: ignore[arg-type]
