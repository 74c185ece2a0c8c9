"""The page: one HTML file and the sounds it plays, put together from data and figures.

What came from a file name, a label or a model is text wherever it stands: the templates escape every value, figures
hold numbers only, and the page's policy lets no script run but its own.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..errors import ConfigError
from ..spectrum import Mask, Spectrum
from ..study.store import Store
from . import figures
from .data import COLUMNS, ClipRow, ClipSpectrum, Listening, Real, ReportData, Signal, load_report
from .sounds import UNAVAILABLE, Sound, read_again, write_sound


@dataclass(frozen=True, eq=False)
class Line:
    """A signal with its figure and its sound; ``None`` where there is none."""

    signal: Signal
    figure: Markup | None
    sound: Sound | None


@dataclass(frozen=True, eq=False)
class Section:
    """What the page draws of one clip.

    Attributes
    ----------
    clip : ClipRow
    original : Markup or None
        Its spectrum.
    sound : Sound or None
    lines : tuple (a reading) of tuple of Line
    ticks : list of (float, str)
        Of the frequency axis.
    per_column : float
        How many variables a column of its spectra stands for.
    trouble : str
        Why there are no spectra and sounds.
    """

    clip: ClipRow
    original: Markup | None
    sound: Sound | None
    lines: tuple[tuple[Line, ...], ...]
    ticks: list[tuple[float, str]]
    per_column: float
    trouble: str = ""


class Listener:
    """Sums up, over clips, where each model's sufficient sets lie."""

    def __init__(self, nyquist: float) -> None:
        self.nyquist = nyquist
        self._sums: dict[int, tuple[int, Real]] = {}

    def add(self, model: int, share: Real) -> None:
        """Count one set (float64 [COLUMNS])."""
        count, total = self._sums.get(model, (0, np.zeros(COLUMNS)))
        self._sums[model] = (count + 1, total + share)

    def lanes(self) -> list[Listening]:
        """The means, by model."""
        return [Listening(model, count, total / count) for model, (count, total) in sorted(self._sums.items())]


def write_report(
    store: Store, out: Path, *, epsilon: float = 0.5, limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:  # fmt: skip
    """Write the page of a study and the sounds it plays.

    Parameters
    ----------
    store : Store
    out : Path
        Folder for ``index.html`` and ``audio/``; made if it is missing.
    epsilon : float
        ε of Definition 4.
    limit : int, optional
        Show only so many clips; the tables are of all.
    progress : callable, optional
        Told (clips done, clips) after each clip.

    Returns
    -------
    Path
        Of ``index.html``.

    Raises
    ------
    ConfigError
        ``out`` cannot be written, or ``epsilon`` is out of range.
    StoreError
        The store holds no study yet.
    """
    out = Path(out)
    data = load_report(store, epsilon)
    try:
        (out / "audio").mkdir(parents=True, exist_ok=True)
        shown = data.clips if limit is None else data.clips[:limit]
        listener = Listener(max((clip.sample_rate for clip in shown), default=2) / 2)
        sections = []
        for done, clip in enumerate(shown, start=1):
            sections.append(_section(store, data, clip, out, listener))
            if progress:
                progress(done, len(shown))
        page = out / "index.html"
        temporary = out / "index.html.tmp"
        temporary.write_text(render(data, sections, listener), encoding="utf-8")
        os.replace(temporary, page)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written ({error}); choose another --out") from error
    return page


def render(data: ReportData, sections: list[Section], listener: Listener) -> str:
    """The page as HTML."""
    from .. import __version__

    environment = Environment(
        loader=PackageLoader("earwitness.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(number=figures.number, percent=figures.percent, share=figures.share)
    environment.globals.update(heat_step=figures.heat_step)
    script = _asset("report.js")
    lanes = listener.lanes()
    page = environment.get_template("index.html").render(
        data=data, sections=sections, version=__version__, unavailable=UNAVAILABLE,
        style=Markup(_asset("report.css")),  # noqa: S704 - the package's own file
        script=Markup(script),  # noqa: S704 - the package's own file
        policy_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        lanes=[(lane, figures.listening_svg(lane, lanes)) for lane in lanes],
        entropy_limit=float(np.log2(len(data.labels))),
        lane_ticks=figures.ticks(listener.nyquist),
        lane_top=max([float(lane.share.max()) for lane in lanes], default=0.0),
    )  # fmt: skip
    return page.lstrip()


def _asset(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")


def _section(store: Store, data: ReportData, row: ClipRow, out: Path, listener: Listener) -> Section:
    clip = read_again(row)
    if clip is None:
        lines = tuple(tuple(Line(signal, None, None) for signal in reading.signals) for reading in row.readings)
        return Section(row, None, None, lines, [], 0.0, UNAVAILABLE)
    spectrum = Spectrum(clip, data.settings.variables)
    columns = ClipSpectrum(spectrum)
    masks = {
        signal.id: store.mask(signal.id)
        for reading in row.readings for signal in reading.signals if signal.size is not None
    }  # fmt: skip
    for reading in row.readings:
        for signal in reading.signals:
            if signal.kind == "sufficient" and signal.id in masks:
                listener.add(reading.model, columns.trace(masks[signal.id]).share)
    original = write_sound(out, f"clip-{row.id}", clip.samples, clip.sample_rate)
    lines = tuple(
        tuple(_line(signal, masks.get(signal.id), row.id, spectrum, columns, out) for signal in reading.signals)
        for reading in row.readings
    )
    loudest = max([sound.peak for sound in (original, *(line.sound for part in lines for line in part)) if sound] + [0])
    return Section(
        row, figures.spectrum_svg(row.id, columns.whole, whole=True), _level(original, loudest),
        tuple(tuple(replace(line, sound=_level(line.sound, loudest)) for line in part) for part in lines),
        figures.ticks(columns.nyquist), columns.per_column,
    )  # fmt: skip


def _line(signal: Signal, mask: Mask | None, clip: int, spectrum: Spectrum, columns: ClipSpectrum, out: Path) -> Line:
    if mask is None:
        return Line(signal, None, None)
    samples = spectrum.invert(mask[None])[0].numpy()
    sound = write_sound(out, f"set-{signal.id}", samples, spectrum.clip.sample_rate)
    return Line(signal, figures.spectrum_svg(clip, columns.trace(mask)), sound)


def _level(sound: Sound | None, loudest: float) -> Sound | None:
    return replace(sound, gain=min(1.0, sound.peak / loudest)) if sound else None
