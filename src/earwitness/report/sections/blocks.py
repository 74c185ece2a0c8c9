"""What sections are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...signal.audio import Clip
from ...signal.spectrum import Spectrum
from ..chunks import encode
from ..columns import ClipSpectrum
from ..sounds import Folder, Inline, level_sounds, make_sound

#: how many sounds of a block a page of one file holds
INLINE = 20
#: the most intervals of frequencies that are listed of a signal
LISTED = 12


@dataclass(frozen=True)
class Table:
    """A table: numbers to the right, with as many digits as they bear.

    Attributes
    ----------
    title : str
    columns : tuple of str
    rows : tuple of tuple
        Text, whole numbers, reals (``None`` where there is none) or truth values.
    note : str
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""
    kind: str = field(default="table", init=False)

    @classmethod
    def of(cls, title: str, frame: pl.DataFrame, note: str = "") -> Table:
        """A frame as a table."""
        return cls(title, tuple(frame.columns), tuple(frame.iter_rows()), note)


@dataclass(frozen=True)
class Estimates:
    """Numbers with their intervals, drawn as dots and lines on one scale.

    Attributes
    ----------
    title : str
    rows : tuple of (str, float, float or None, float or None)
        Name, value, and the ends of its interval.
    unit : str
        What the scale counts.
    reference : float or None
        Where a line is drawn, e.g. at chance.
    note : str
    """

    title: str
    rows: tuple[tuple[str, float, float | None, float | None], ...]
    unit: str = ""
    reference: float | None = None
    note: str = ""
    kind: str = field(default="estimates", init=False)


@dataclass(frozen=True)
class Curves:
    """Lines over a common axis.

    Attributes
    ----------
    title, x, y : str
        Title, and what the axes count.
    curves : tuple of (str, tuple of float, tuple of float)
        Name, places and values.
    note : str
    """

    title: str
    x: str
    y: str
    curves: tuple[tuple[str, tuple[float, ...], tuple[float, ...]], ...]
    note: str = ""
    kind: str = field(default="curves", init=False)


@dataclass(frozen=True, eq=False)
class Signal:
    """A signal to be heard.

    Attributes
    ----------
    model : int
        Row of the model whose it is.
    name, facts : str
    samples : float32 [N]
    hertz : tuple of (float, float), or None
        The intervals of frequencies it is made of; ``None`` where it is not made of intervals.
    """

    model: int
    name: str
    facts: str
    samples: NDArray[np.float32]
    hertz: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True)
class Sounds:
    """Signals with one transport, model by model, each with its spectrum.

    Attributes
    ----------
    title : str
    signals : tuple of Signal
    sample_rate : int
        Hz.
    note : str
    """

    title: str
    signals: tuple[Signal, ...]
    sample_rate: int
    note: str = ""
    kind: str = field(default="sounds", init=False)


Block = Table | Estimates | Curves | Sounds


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes
    ----------
    id : str
        Lower-case letters and hyphens.
    title, intro : str
    blocks : tuple of Block
    """

    id: str
    title: str
    intro: str
    blocks: Sequence[Block]


def section_json(section: Section, keeper: Folder | Inline) -> dict[str, Any]:
    """A section as what the page reads; what is no number is ``None``, and sounds go to ``keeper``."""
    blocks = [
        _sounds_json(block, f"section-{section.id}", keeper) if isinstance(block, Sounds) else asdict(block)
        for block in section.blocks
    ]
    return _finite({"id": section.id, "title": section.title, "intro": section.intro, "blocks": blocks})  # type: ignore[no-any-return]


def _sounds_json(block: Sounds, stem: str, keeper: Folder | Inline) -> dict[str, Any]:
    rate, most = block.sample_rate, INLINE if isinstance(keeper, Inline) else len(block.signals)
    signals, made = [], {}
    for number, signal in enumerate(block.signals):
        sound = make_sound(keeper, f"{stem}-{number}", signal.samples, rate) if number < most else None
        if sound is not None:
            made[str(number)] = sound
        hertz = None if signal.hertz is None else [[round(end, 2) for end in ends] for ends in signal.hertz]
        levels = ClipSpectrum(Spectrum(Clip(signal.samples, rate))).whole.level
        signals.append({
            "model": signal.model, "name": signal.name, "facts": signal.facts,
            "seconds": signal.samples.size / rate, "hertz": hertz and hertz[:LISTED], "intervals": hertz and len(hertz),
            "levels": encode(np.where(levels > 0, levels, 255), "u1") if signal.samples.any() else None,
        })  # fmt: skip
    left = "" if most >= len(signals) else f" A page of one file holds the first {most} sounds; a folder, all of them."
    return {
        "kind": block.kind, "title": block.title, "note": block.note + left, "nyquist": rate / 2, "signals": signals,
        "sounds": {number: asdict(sound) for number, sound in level_sounds(made).items()},
    }  # fmt: skip


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value if isinstance(value, str | int | bool | None) else str(value)
