"""Figures in the style of a paper: functions named ``*_data`` compute, functions named ``plot_*`` draw.

A ``plot_`` function takes matplotlib axes, or makes a figure of its own without opening a window, and returns the axes
it drew on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..errors import ConfigError
from ..explain import Explanation, Subset
from ..spectrum import Mask, Spectrum, from_runs
from .clips import responsibility_columns
from .data import StudyData, rates
from .sections import Curves, Estimates
from .spectra import COLUMNS, FLOOR, Bytes, ClipSpectrum, Real, lit_cells, mel, spectrogram

#: colours that colour-blind people can tell apart (Okabe & Ito)
COLOURS = {
    "sufficient": "#d55e00", "complete": "#0072b2", "one_complete": "#009e73", "inverse": "#7f7f7f",
    "responsibility": "#7a3f63", "rest": "#d3d9d5",
}  # fmt: skip
CYCLE = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9", "#7f7f7f")
DASHES = ("-", "--", "-.", ":")
#: what the parts of a spectrum are called, from the largest set to the smallest, which lies on top
PARTS = {"one_complete": "full confidence", "complete": "necessary", "sufficient": "sufficient"}
_STYLE: Any = {
    "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "xtick.labelsize": 7, "ytick.labelsize": 7,
    "legend.fontsize": 7, "legend.frameon": False, "axes.spines.top": False, "axes.spines.right": False,
    "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "lines.linewidth": 1.1,
    # names are no mathematics, text stays text, and the same figure is the same file
    "text.parse_math": False,
    "svg.fonttype": "none", "svg.hashsalt": "earwitness",
}  # fmt: skip


def paper_style() -> AbstractContextManager[None]:
    """The style as a context, for figures of one's own beside these.

    Examples
    --------
    >>> with paper_style():
    ...     axes = Figure().subplots()
    """
    style: AbstractContextManager[None] = mpl.rc_context(_STYLE)
    return style


# --- one clip -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SpectrumData:
    """A clip's spectrum in columns of the mel scale, with what each set keeps.

    Attributes
    ----------
    nyquist : float
        Hz.
    level : float64 [COLUMNS]
        Of the loudest variable, in dB below the loudest of all.
    parts : dict
        By kind of set, the level of the loudest kept variable: float64 [COLUMNS], NaN where none is kept.
    responsibility : float64 [COLUMNS] or None
        As a share of the largest.
    title : str
    """

    nyquist: float
    level: Real
    parts: dict[str, Real]
    responsibility: Real | None = None
    title: str = ""


def spectrum_data(explanation: Explanation) -> SpectrumData:
    """The spectrum of an explanation, with the first sufficient set and the complete ones."""
    masks = {
        kind: from_runs(part.runs, explanation.spectrum.size)
        for kind, draw, part in explanation.parts() if draw == 0 and isinstance(part, Subset) and kind in PARTS
    }  # fmt: skip
    title = f"{explanation.label}, {explanation.confidence:.2f}"
    return spectrum_data_of(explanation.spectrum, masks, explanation.responsibility, title)


def spectrum_data_of(
    spectrum: Spectrum, masks: Mapping[str, Mask], responsibility: NDArray[np.float32] | None = None, title: str = ""
) -> SpectrumData:
    """The spectrum of a clip with sets (bool [size]) by their kind."""
    columns = ClipSpectrum(spectrum)
    parts = {}
    for kind, mask in masks.items():
        level = columns.trace(mask).level
        parts[kind] = np.where(level < 0, np.nan, level - float(FLOOR))
    folded = None if responsibility is None else responsibility_columns(spectrum, responsibility) / 255
    return SpectrumData(
        columns.nyquist, np.asarray(columns.whole.level - FLOOR, dtype=np.float64), parts, folded, title
    )


def plot_spectrum(data: SpectrumData, axes: Axes | None = None) -> Axes:
    """Draw a spectrum with its sufficient, necessary and full-confidence parts, as Fig. 1 of arXiv 2604.02937.

    Frequency is on the mel scale; a column is coloured up to the loudest variable that a set keeps of it.
    """
    with paper_style():
        axes = axes or _axes(7, 2)
        edges = np.arange(COLUMNS + 1) / COLUMNS
        axes.stairs(data.level, edges, baseline=-FLOOR, fill=True, color=COLOURS["rest"], label="the rest")
        for kind, name in PARTS.items():
            if kind in data.parts:
                level = np.where(np.isnan(data.parts[kind]), -FLOOR, data.parts[kind])
                axes.stairs(level, edges, baseline=-FLOOR, fill=True, color=COLOURS[kind], label=name, linewidth=0.6)
        if data.responsibility is not None:
            height = data.responsibility * FLOOR - FLOOR
            middle = (edges[:-1] + edges[1:]) / 2
            axes.plot(middle, height, color=COLOURS["responsibility"], linewidth=0.7, label="responsibility")
        _mel_axis(axes.xaxis, data.nyquist)
        axes.set(xlim=(0, 1), ylim=(-FLOOR, 2), ylabel="dB", xlabel="frequency (Hz)")
        axes.set_title(data.title, loc="left")
        axes.legend(ncols=5, loc="upper right", handlelength=1, borderpad=0)
    return axes


@dataclass(frozen=True, eq=False)
class SpectrogramData:
    """A clip over time, on the mel scale.

    Attributes
    ----------
    seconds, nyquist : float
    level : uint8 [ROWS, frames]
        0 to 255 over 72 dB, the lowest frequency first.
    lit : bool [ROWS, frames]
        Where something is kept.
    """

    seconds: float
    nyquist: float
    level: Bytes
    lit: NDArray[np.bool_]


def spectrogram_data(explanation: Explanation, part: Subset | None = None) -> SpectrogramData:
    """The spectrogram of an explanation's clip, with what a set keeps; without one, all."""
    spectrum = explanation.spectrum
    clip, level = spectrum.clip, spectrogram(spectrum.clip)
    lit = np.ones(level.shape, dtype=bool)
    if part is not None:
        mask = from_runs(part.runs, spectrum.size)
        if spectrum.domain.kind == "stft":
            lit = lit_cells(spectrum, mask, level.shape[1])
        else:
            kept = ClipSpectrum(spectrum).trace(mask).share.reshape(level.shape[0], -1).sum(axis=1) > 0
            lit = np.tile(kept[:, None], (1, level.shape[1]))
    return SpectrogramData(clip.seconds, clip.sample_rate / 2, level, lit)


def plot_spectrogram(data: SpectrogramData, axes: Axes | None = None) -> Axes:
    """Draw a spectrogram: what is kept in colour, the rest in grey."""
    with paper_style():
        axes = axes or _axes(7, 2.2)
        extent = (0.0, data.seconds, 0.0, 1.0)
        image = mpl.colormaps["viridis"](data.level / 255)
        grey = mpl.colormaps["gray"](data.level / 255 * 0.45)
        shown = np.where(data.lit[:, :, None], image, grey)
        axes.imshow(shown, origin="lower", aspect="auto", extent=extent, interpolation="nearest")
        _mel_axis(axes.yaxis, data.nyquist)
        axes.set(xlabel="time (s)", ylabel="frequency (Hz)")
    return axes


def plot_explanation(explanation: Explanation, axes: Sequence[Axes] | None = None) -> list[Axes]:
    """Draw the clip's energy over frequency, one panel a subset with what it keeps in colour.

    Variables of one frequency (the cells of an ``stft``) are added up.

    Parameters
    ----------
    explanation : Explanation
    axes : sequence of Axes, optional
        As many as there are kinds of subset: four.
    """
    parts = [(kind, part) for kind, draw, part in explanation.parts() if draw == 0]
    with paper_style():
        if axes is None:
            figure = Figure(figsize=(7, 1.2 * len(parts) + 0.8), layout="constrained")
            axes = list(figure.subplots(len(parts), 1, sharex=True, sharey=True, squeeze=False)[:, 0])
        everything = np.ones(explanation.spectrum.size, dtype=bool)
        for panel, (kind, part) in zip(axes, parts, strict=True):
            panel.vlines(*_lines(explanation.spectrum, everything), color="#d9d9d9", linewidth=0.8)
            title = f"{kind}: none, {part.why}" if not isinstance(part, Subset) else _title(explanation, kind, part)
            if isinstance(part, Subset):
                mask = from_runs(part.runs, explanation.spectrum.size)
                panel.vlines(*_lines(explanation.spectrum, mask), color=COLOURS[kind], linewidth=1.2)
            panel.set_title(title, loc="left")
            panel.set(ylim=(_QUIET, 5), ylabel="dB")
        axes[-1].set_xlabel("frequency (Hz)")
    return list(axes)


def save_figure(explanation: Explanation, folder: str | Path) -> list[Path]:
    """Write ``spectrum.svg`` and ``spectrum.png`` to a folder.

    Raises
    ------
    ConfigError
        The folder cannot be written.
    """
    return save_axes(plot_explanation(explanation)[0], Path(folder), "spectrum")


def save_axes(axes: Axes, folder: Path, name: str) -> list[Path]:
    """Write the figure of some axes as SVG and PNG.

    Raises
    ------
    ConfigError
        The folder cannot be written.
    """
    figure, paths = axes.get_figure(root=True), [folder / f"{name}.{kind}" for kind in ("svg", "png")]
    assert figure is not None
    try:
        with paper_style():
            for path in paths:
                # no date: the same figure is the same file
                figure.savefig(path, dpi=200, metadata={"Date": None} if path.suffix == ".svg" else None)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error}); choose another --out") from error
    return paths


# --- a study --------------------------------------------------------------------------------------------------


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
        axes = axes or _axes(1.9 + 0.5 * size, 1.3 + 0.42 * size)
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
        axes = axes or _axes(4.5, 2.6)
        for k, (name, x, y) in enumerate(data.curves):
            axes.plot(x, y, color=CYCLE[k % len(CYCLE)], linestyle=DASHES[k % len(DASHES)], label=_plain(name))
        axes.set(xlabel=data.x, ylabel=data.y)
        axes.set_title(data.title, loc="left")
        if data.curves:
            axes.legend()
    return axes


def plot_estimates(data: Estimates, axes: Axes | None = None) -> Axes:
    """Draw numbers with their intervals as dots and lines."""
    rows = data.rows[::-1]
    with paper_style():
        axes = axes or _axes(5, 0.9 + 0.24 * len(rows))
        for k, (_, value, low, high) in enumerate(rows):
            if low is not None and high is not None:
                axes.plot([low, high], [k, k], color=CYCLE[1], linewidth=1.2, solid_capstyle="butt")
            axes.plot([value], [k], "o", color=CYCLE[1], markersize=4)
        if data.reference is not None:
            axes.axvline(data.reference, color="#6b7671", linestyle="--", linewidth=0.8)
        axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
        axes.set(xlabel=data.unit, ylim=(-0.6, len(rows) - 0.4))
        axes.set_title(data.title, loc="left")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color="#e6e9e7", linewidth=0.6)
        axes.set_axisbelow(True)
    return axes


# --- inside ---------------------------------------------------------------------------------------------------

#: the quietest level of the panels of one explanation, in dB below the strongest variable
_QUIET = -100.0


def _axes(width: float, height: float) -> Axes:
    axes: Axes = Figure(figsize=(width, height), layout="constrained").subplots()
    return axes


def _mel_axis(axis: Any, nyquist: float) -> None:
    hertz = [f for f in (0, 250, 500, 1000, 2000, 4000, 8000, 16000, 32000) if f <= nyquist]
    texts = [f"{f / 1000:g}k" if f >= 1000 else str(f) for f in hertz]
    axis.set_ticks([float(mel(f) / mel(nyquist)) for f in hertz], texts)


def _mean(values: Real) -> str:
    known = values[~np.isnan(values)]
    return f"{known.mean():.2f}" if known.size else "–"


def _plain(name: str) -> str:
    """A name that a legend shows even if it begins with an underscore."""
    return "\u200b" + name if name.startswith("_") else name


def _lines(spectrum: Spectrum, mask: Mask) -> tuple[list[float], list[float], list[float]]:
    """Frequencies, floors and levels (dB) of the kept frequencies above the floor."""
    hertz, place = np.unique(spectrum.hertz, return_inverse=True)
    whole = np.bincount(place, weights=spectrum.energy)
    level = 10 * np.log10(np.bincount(place, weights=spectrum.energy * mask) / whole.max() + 1e-30)
    shown = level > _QUIET
    return hertz[shown].tolist(), [_QUIET] * int(shown.sum()), level[shown].tolist()


def _title(explanation: Explanation, kind: str, part: Subset) -> str:
    label = explanation.labels[part.label]
    share = f"{part.size} of {explanation.spectrum.size}, {part.energy:.2%} of the energy"
    return f"{kind}: {share}, {label} {part.confidence:.2f}"
