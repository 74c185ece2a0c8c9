"""The style of all figures, and how they are written."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...errors import ConfigError
from ...signal.spectrum import mel

#: colours that colour-blind people can tell apart (Okabe & Ito)
COLOURS = {
    "sufficient": "#d55e00", "complete": "#0072b2", "one_complete": "#009e73", "inverse": "#7f7f7f",
    "responsibility": "#7a3f63", "rest": "#d3d9d5",
}  # fmt: skip
CYCLE = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9", "#7f7f7f")
DASHES = ("-", "--", "-.", ":")
_STYLE: Any = {
    "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "xtick.labelsize": 7, "ytick.labelsize": 7,
    "legend.fontsize": 7, "legend.frameon": False, "axes.spines.top": False, "axes.spines.right": False,
    "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "lines.linewidth": 1.1,
    # names are no mathematics, text stays text, and the same figure is the same file
    "text.parse_math": False,
    "svg.fonttype": "none", "svg.hashsalt": "earwitness",
}  # fmt: skip


@contextmanager
def paper_style() -> Iterator[None]:
    """The style as a context or a decorator, for figures of one's own beside these.

    Examples
    --------
    >>> with paper_style():
    ...     axes = Figure().subplots()
    """
    with mpl.rc_context(_STYLE):
        yield


def save_axes(axes: Axes, folder: str | Path, name: str) -> list[Path]:
    """Write the figure of some axes: see :func:`write_figure`."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    return write_figure(figure, folder, name)


def write_figure(figure: Figure, folder: str | Path, name: str) -> list[Path]:
    """Write a figure as SVG and PNG.

    Raises
    ------
    ConfigError
        The folder cannot be written.
    """
    paths = [Path(folder) / f"{name}.{kind}" for kind in ("svg", "png")]
    try:
        with paper_style():
            for path in paths:
                # no date: the same figure is the same file
                figure.savefig(path, dpi=200, metadata={"Date": None} if path.suffix == ".svg" else None)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error}); choose another --out") from error
    return paths


def to_png(axes: Axes, dpi: int) -> str:
    """The figure of some axes as PNG in base64, for an address that holds it."""
    figure, memory = axes.get_figure(root=True), io.BytesIO()
    assert figure is not None
    with paper_style():
        figure.savefig(memory, format="png", dpi=dpi)
    return base64.b64encode(memory.getvalue()).decode()


def make_axes(width: float, height: float) -> Axes:
    """Axes on a figure of their own; inches."""
    axes: Axes = Figure(figsize=(width, height), layout="constrained").subplots()
    return axes


def mark_mel(axis: Any, nyquist: float) -> None:
    """Mark frequencies on an axis that runs from 0 to 1 along the mel scale."""
    hertz = [f for f in (0, 250, 500, 1000, 2000, 4000, 8000, 16000, 32000) if f <= nyquist]
    texts = [f"{f / 1000:g}k" if f >= 1000 else str(f) for f in hertz]
    axis.set_ticks([float(mel(f) / mel(nyquist)) for f in hertz], texts)


def plain(name: str) -> str:
    """A name that a legend shows even if it begins with an underscore."""
    return "\u200b" + name if name.startswith("_") else name
