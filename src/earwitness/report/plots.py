"""Figures as files, for papers: drawn with matplotlib, no window opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ..errors import ConfigError
from ..explain import Explanation, Subset
from ..spectrum import Mask, Spectrum, from_runs

#: colours that colour-blind people can tell apart (Okabe & Ito)
COLOURS = {"sufficient": "#d55e00", "complete": "#0072b2", "one_complete": "#009e73", "inverse": "#7f7f7f"}
FLOOR = -100.0  #: dB below the strongest variable


def plot_explanation(explanation: Explanation) -> Figure:
    """Draw the clip's energy over frequency, one panel a subset with what it keeps in colour.

    Variables of one frequency (the cells of an ``stft``) are added up.
    """
    parts = [(kind, part) for kind, draw, part in explanation.parts() if draw == 0]
    figure = Figure(figsize=(7, 1.2 * len(parts) + 0.8), layout="constrained")
    axes = figure.subplots(len(parts), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    everything = np.ones(explanation.spectrum.size, dtype=bool)
    for panel, (kind, part) in zip(axes, parts, strict=True):
        panel.vlines(*_lines(explanation.spectrum, everything), color="#d9d9d9", linewidth=0.8)
        title = f"{kind}: none, {part.why}" if not isinstance(part, Subset) else _title(explanation, kind, part)
        if isinstance(part, Subset):
            mask = from_runs(part.runs, explanation.spectrum.size)
            panel.vlines(*_lines(explanation.spectrum, mask), color=COLOURS[kind], linewidth=1.2)
        panel.set_title(title, fontsize=8, loc="left")
        panel.set_ylim(FLOOR, 5)
        panel.set_ylabel("dB", fontsize=8)
        panel.tick_params(labelsize=7)
    axes[-1].set_xlabel("frequency (Hz)", fontsize=8)
    return figure


def save_figure(explanation: Explanation, folder: str | Path) -> list[Path]:
    """Write ``spectrum.svg`` and ``spectrum.png`` to a folder.

    Raises
    ------
    ConfigError
        The folder cannot be written.
    """
    figure, paths = plot_explanation(explanation), [Path(folder) / f"spectrum.{kind}" for kind in ("svg", "png")]
    try:
        for path in paths:
            figure.savefig(path, dpi=200)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error}); choose another --out") from error
    return paths


def _lines(spectrum: Spectrum, mask: Mask) -> tuple[list[float], list[float], list[float]]:
    """Frequencies, floors and levels (dB) of the kept frequencies above the floor."""
    hertz, place = np.unique(spectrum.hertz, return_inverse=True)
    whole = np.bincount(place, weights=spectrum.energy)
    level = 10 * np.log10(np.bincount(place, weights=spectrum.energy * mask) / whole.max() + 1e-30)
    shown = level > FLOOR
    return hertz[shown].tolist(), [FLOOR] * int(shown.sum()), level[shown].tolist()


def _title(explanation: Explanation, kind: str, part: Subset) -> str:
    label = explanation.labels[part.label]
    share = f"{part.size} of {explanation.spectrum.size}, {part.energy:.2%} of the energy"
    return f"{kind}: {share}, {label} {part.confidence:.2f}"
