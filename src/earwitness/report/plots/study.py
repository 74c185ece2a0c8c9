"""Figures of a study: matrices, curves, numbers with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from ...errors import ConfigError
from ..columns import Real
from ..data import StudyData
from ..rates import rates
from ..sections import Curves, Estimates
from .style import CYCLE, DASHES, make_axes, paper_style, plain


@dataclass(frozen=True, eq=False)
class MatrixData:
    """Rates from each model (row) to each model (column).

    Attributes
    ----------
    names : tuple of str
    values : float64 [M, M]
        NaN where there are none.
    title : str
    difference : bool
        Whether the values are differences of rates, -1 to 1.
    """

    names: tuple[str, ...]
    values: Real
    title: str
    difference: bool = False


def matrix_data(
    study: StudyData, kind: str = "sufficient", *, minus: str | None = None, measure: str = "alpha",
    epsilon: float | None = None,
) -> MatrixData:  # fmt: skip
    """The transfer matrix of a kind of signal, or the difference of two.

    Parameters
    ----------
    study : StudyData
    kind, minus : str
        ``sufficient``, ``complete``, ``one_complete``, ``null_size``, ..., or ``original`` for the clips themselves.
    measure : {"alpha", "beta", "joint"}
    epsilon : float, optional
        Default: the study's.

    Raises
    ------
    ConfigError
        The study has no such signals.
    """
    level = study.epsilon if epsilon is None else epsilon
    for wanted in (kind, *([minus] if minus else [])):
        if wanted not in study.signals:
            raise ConfigError(f"kind {wanted!r}: not in this study; use one of {', '.join(study.signals)}")
    values, _ = rates(study.signals[kind], level, measure)
    title = kind.replace("_", "-")
    if minus:
        values = values - rates(study.signals[minus], level, measure)[0]
        title += f" minus {minus.replace('_', '-')}"
    return MatrixData(tuple(model.name for model in study.models), values, title, minus is not None)


def plot_matrix(data: MatrixData, axes: Axes | None = None) -> Axes:
    """Draw a transfer matrix with its numbers and its means, which leave the diagonal out."""
    size = len(data.names)
    with paper_style():
        axes = axes or make_axes(1.9 + 0.5 * size, 1.3 + 0.42 * size)
        low, colours = (-1, "PuOr") if data.difference else (0, "BuGn")
        axes.imshow(np.ma.masked_invalid(data.values), vmin=low, vmax=1, cmap=colours)
        others = np.where(np.eye(size, dtype=bool), np.nan, data.values)
        for i, j in np.ndindex(size, size):
            value = data.values[i, j]
            dark = (abs(value) if data.difference else value) > 0.65
            text = "–" if np.isnan(value) else f"{value:+.2f}" if data.difference else f"{value:.2f}"
            axes.text(j, i, text, ha="center", va="center", color="white" if dark else "black", fontsize=7)
        if size > 1:
            for i in range(size):
                axes.text(size - 0.3, i, _mean(others[i]), va="center", fontsize=7, color="#4d5955")
                axes.text(i, size - 0.2, _mean(others[:, i]), ha="center", va="center", fontsize=7, color="#4d5955")
        axes.set_xticks(range(size), data.names, rotation=45, ha="left")
        axes.set_yticks(range(size), data.names)
        axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
        axes.spines[:].set_visible(False)
        axes.set_ylabel("made for")
        axes.set_xlabel(f"judged by ({data.title})", labelpad=22)
    return axes


def plot_curves(data: Curves, axes: Axes | None = None) -> Axes:
    """Draw lines over a common axis, told apart by colour and dash."""
    with paper_style():
        axes = axes or make_axes(4.5, 2.6)
        for k, (name, x, y) in enumerate(data.curves):
            axes.plot(x, y, color=CYCLE[k % len(CYCLE)], linestyle=DASHES[k % len(DASHES)], label=plain(name))
        axes.set(xlabel=data.x, ylabel=data.y)
        axes.set_title(data.title, loc="left")
        if data.curves:
            axes.legend()
    return axes


def plot_estimates(data: Estimates, axes: Axes | None = None) -> Axes:
    """Draw numbers with their intervals as dots and lines."""
    rows = data.rows[::-1]
    with paper_style():
        axes = axes or make_axes(5, 0.9 + 0.24 * len(rows))
        for k, (_, value, low, high) in enumerate(rows):
            if low is not None and high is not None:
                axes.plot([low, high], [k, k], color=CYCLE[1], linewidth=1.2, solid_capstyle="butt")
            axes.plot([value], [k], "o", color=CYCLE[1], markersize=4)
        if data.reference is not None:
            axes.axvline(data.reference, color="#6b7671", linestyle="--", linewidth=0.8)
        axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
        axes.set(ylim=(-0.6, len(rows) - 0.4))
        axes.set_xlabel(data.unit, loc="right")  # long beside a narrow field: it reaches under the names
        axes.set_title(data.title, loc="left")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color="#e6e9e7", linewidth=0.6)
        axes.set_axisbelow(True)
    return axes


def _mean(values: Real) -> str:
    known = values[~np.isnan(values)]
    return f"{known.mean():.2f}" if known.size else "–"
