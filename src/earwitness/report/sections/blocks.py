"""What sections are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl


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


Block = Table | Estimates | Curves


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


def section_json(section: Section) -> dict[str, Any]:
    """A section as what the page reads; what is no number is ``None``."""
    return _finite(asdict(section))  # type: ignore[no-any-return]


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value if isinstance(value, str | int | bool | None) else str(value)
