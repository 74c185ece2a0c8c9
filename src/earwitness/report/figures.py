"""Every figure of a study as files, in the style of a paper."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from ..errors import ConfigError
from ..signal.spectrum import Spectrum
from ..study.store import Store
from .data import ORIGINAL, StudyData, load_study
from .headline import headline
from .page import choose_clips
from .plots.clip import PARTS, plot_spectrum, spectrum_data_of
from .plots.study import matrix_data, plot_curves, plot_estimates, plot_matrix
from .plots.style import save_axes
from .sections import Curves, Estimates, make_sections
from .sounds import read_again

#: how many clips have a figure where the caller does not say
CLIPS = 3


def write_figures(
    store: Store, out: str | Path, *, epsilon: float = 0.5, clips: int = CLIPS, asked: Sequence[str] = ()
) -> list[Path]:
    """Write the figures of a study as SVG and PNG.

    Parameters and errors are :func:`earwitness.report.write_report`'s, but for these.

    Parameters
    ----------
    out : str or Path
        Folder; made if it is missing.
    clips : int
        Spectra of so many clips, the first ones, besides those asked for.
    """
    folder = Path(out)
    data = load_study(store, epsilon)
    rows = choose_clips(data, clips, asked)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be made ({error}); choose another --out") from error
    paths: list[Path] = []
    for name, axes in draw_figures(store, data, rows):
        paths += save_axes(axes, folder, name)
    return paths


def draw_figures(store: Store, data: StudyData, rows: list[int]) -> Iterator[tuple[str, Axes]]:
    """The figures by name, with spectra of the clips in ``rows``."""
    numbers = [(number.name, number.value, number.low, number.high) for number in headline(data) if number.told]
    yield "headline", plot_estimates(Estimates("Headline numbers", tuple(numbers), "share"))
    if not data.alone:
        for kind in data.signals:
            if kind != "inverse":
                yield f"transfer-{kind}", plot_matrix(matrix_data(data, kind))
        for kind, minus in (("sufficient", "null_size"), ("complete", "sufficient"), ("sufficient", ORIGINAL)):
            if kind in data.signals and minus in data.signals:
                yield f"difference-{kind}-{minus}", plot_matrix(matrix_data(data, kind, minus=minus))
    for section in make_sections(store, data):
        for place, block in enumerate(section.blocks):
            name = f"{section.id}-{place + 1}-{_slug(block.title)}"
            if isinstance(block, Curves):
                yield name, plot_curves(block)
            elif isinstance(block, Estimates):
                yield name, plot_estimates(block)
    for row in rows:
        yield from _clip_figures(store, data, row)


def _clip_figures(store: Store, data: StudyData, row: int) -> Iterator[tuple[str, Axes]]:
    info = data.clips.row(row, named=True)
    clip = read_again(info["path"], info["sha256"], info["sample_rate"], info["samples"])
    if clip is None:
        return
    spectrum = Spectrum(clip, data.settings.variables)
    found = store.responsibilities(data.key, info["id"])
    for place, model in enumerate(data.models):
        masks = {}
        for kind in PARTS:
            signals = data.signals.get(kind)
            if signals is None:
                continue
            mine = np.flatnonzero((signals.clip == row) & (signals.source == place) & (signals.size >= 0))
            if mine.size:
                masks[kind] = store.mask(int(signals.subset[mine[0]]))
        if masks:
            title = f"{Path(info['path']).name}, {model.name}"
            drawn = plot_spectrum(spectrum_data_of(spectrum, masks, found.get(model.id), title))
            yield f"clip-{info['id']}-{_slug(model.key)}", drawn


def _slug(text: str) -> str:
    """Letters, digits and hyphens only: what came from outside names no path."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "figure"
