"""Figures of one clip: its spectrum with what each set keeps, its spectrogram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...explanation import Explanation, Subset
from ...signal.masks import Mask, from_runs
from ...signal.spectrum import Spectrum
from ..clips import responsibility_columns
from ..columns import COLUMNS, FLOOR, Bytes, ClipSpectrum, Real, lit_cells, spectrogram
from .style import COLOURS, make_axes, mark_mel, paper_style, save_axes

#: what the parts of a spectrum are called, from the largest set to the smallest, which lies on top
PARTS = {"one_complete": "full confidence", "complete": "necessary", "sufficient": "sufficient"}


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
        axes = axes or make_axes(7, 2)
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
        mark_mel(axes.xaxis, data.nyquist)
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
        axes = axes or make_axes(7, 2.2)
        extent = (0.0, data.seconds, 0.0, 1.0)
        image = mpl.colormaps["viridis"](data.level / 255)
        grey = mpl.colormaps["gray"](data.level / 255 * 0.45)
        shown = np.where(data.lit[:, :, None], image, grey)
        axes.imshow(shown, origin="lower", aspect="auto", extent=extent, interpolation="nearest")
        mark_mel(axes.yaxis, data.nyquist)
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


#: the quietest level of the panels of one explanation, in dB below the strongest variable
_QUIET = -100.0


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
