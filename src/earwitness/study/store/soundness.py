"""What a value of the store may be: one that is not so is damage, and is named with its row and how to mend it.

SQLite keeps any type in any column, and a flipped bit or an editing hand makes another value of the same length. What
is read is checked where it becomes a frame, a mask or an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ...errors import StoreError

if TYPE_CHECKING:
    import polars as pl

#: whole numbers, and the least that each may be
WHOLE = {
    "clip": 1, "model": 1, "subset": 1, "explanation": 1, "parent": 1, "position": 0, "draw": 0, "size": 0,
    "variables": 1, "queries": 0, "groups": 0, "samples": 1, "sample_rate": 1, "parameters": 0,
}  # fmt: skip
#: real numbers, and the most that each may be; energy is a share, and its sum is rounded
REAL = {"energy": 1.001, "seconds": float("inf"), "unsteady": 1.001}
TEXT = (
    "path", "sha256", "truth", "group", "split", "dataset", "fitted", "kind", "certificate", "why", "spec",
    "fingerprint", "backend", "architecture", "unit", "options",
)  # fmt: skip
PACKED = ("log_probabilities", "original", "own", "mask")
KINDS: dict[str, type] = {**dict.fromkeys(WHOLE, int), **dict.fromkeys(REAL, float), **dict.fromkeys(TEXT, str)}
KINDS |= dict.fromkeys(PACKED, bytes)
#: columns that say which row it is
IDS = ("subset", "explanation", "clip", "model", "other", "unit", "path")


def make_frame(path: Path, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """Rows as a frame, every column of its type.

    Raises
    ------
    StoreError
        A value is of another type, or out of range.
    """
    import polars as pl  # what only counts needs no frames

    types_of = {int: pl.Int64, float: pl.Float64, str: pl.String, bytes: pl.Binary}
    for place, name in enumerate(names):
        kind = KINDS.get(name, object)
        if kind is not object and not {type(row[place]) for row in rows} <= {kind, type(None)}:
            row = next(row for row in rows if not isinstance(row[place], (kind, type(None))))
            refuse(path, dict(zip(names, row, strict=True)), f"{name} is {row[place]!r:.40}")
    # what is joined by has its type even where no row tells it
    types: dict[str, Any] = {name: types_of.get(KINDS.get(name, object)) for name in names}
    frame = pl.DataFrame(rows, schema=types, orient="row", infer_schema_length=None)
    for name in names:
        column = pl.col(name)
        if name in WHOLE:
            wrong = frame.filter(column < WHOLE[name])
        elif name in REAL:
            wrong = frame.filter(~column.is_between(0, REAL[name]))
        else:
            continue
        if len(wrong):
            first = wrong.row(0, named=True)
            refuse(path, first, f"{name} is {first[name]}")
    return frame


def refuse(path: Path, row: Mapping[str, Any], what: str) -> NoReturn:
    """Say which row is damaged, and how to mend it.

    Parameters
    ----------
    path : Path
        Of the store.
    row : mapping
        Of the row, at least what it is known by.
    what : str
        What is wrong with it.

    Raises
    ------
    StoreError
    """
    ids = {name: row[name] for name in IDS if row.get(name) is not None}
    place = ", ".join(f"{name} {value}" for name, value in ids.items()) or "a row"
    raise StoreError(f"{path}: {place} is damaged ({what}); restore a copy of the store{_mend(path, ids)}")


def _mend(path: Path, ids: Mapping[str, Any]) -> str:
    """How to have the study make a row again: without it, and all that was made of it."""
    keys = ("subset",) if "subset" in ids else ("clip", "model")
    if not all(isinstance(ids.get(key), int) for key in keys):
        return ", or run the study into a new one"
    if keys == ("subset",):
        drop = f"DELETE FROM explanations WHERE id = (SELECT explanation FROM subsets WHERE id = {ids['subset']})"
    else:
        where = f"WHERE clip = {ids['clip']} AND model = {ids['model']}"
        drop = f"DELETE FROM explanations {where}; DELETE FROM originals {where}"
    return f""", or make it again: sqlite3 {path} "PRAGMA foreign_keys = ON; {drop}" and study run"""
