"""Manifests: tables that name recordings, one a row."""

from __future__ import annotations

import io
import os
from pathlib import Path

import polars as pl

from ..errors import ConfigError, nearest
from ..signal.cells import TABLE_SUFFIXES
from .recording import Listing, Recording, Skip

PATH_COLUMNS = ("path", "file", "file_name", "filename")
_LABEL_COLUMNS = ("label", "class", "category")
_GROUP_COLUMNS = ("group", "speaker", "speaker_id", "actor")


def name_some(names: list[str]) -> str:
    return ", ".join(names[:20]) + (f", ... ({len(names)} in all)" if len(names) > 20 else "")


def list_tables(folder: Path) -> list[Path]:
    visible = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in visible if path.suffix.lower() in TABLE_SUFFIXES)


def load_table(path: Path) -> pl.DataFrame:
    """A table; CSV and TSV as text."""
    suffix = path.suffix.lower()
    try:
        data = io.BytesIO(path.read_bytes())  # not the path: polars would expand * and [ in it
        if suffix == ".parquet":
            return pl.read_parquet(data)
        if suffix in (".jsonl", ".ndjson"):
            return pl.read_ndjson(data, infer_schema_length=None)
        if suffix in (".csv", ".tsv"):
            return pl.read_csv(data, separator="\t" if suffix == ".tsv" else ",", infer_schema=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        message = f"{path}: not readable as a table ({reason}); use UTF-8 and one separator throughout"
        raise ConfigError(message) from error
    raise ConfigError(f"{path}: not a table by its suffix; use one of {', '.join(TABLE_SUFFIXES)}")


def find_column(table: pl.DataFrame, wanted: tuple[str, ...]) -> str | None:
    """The first wanted column that the table has, whatever its case; nested columns do not count."""
    names = {name.strip().casefold(): name for name in _text(table.head(0)).columns}
    return next((names[name] for name in wanted if name in names), None)


def find_named(table: pl.DataFrame) -> tuple[str | None, ...]:
    """The columns of a table that are known by name: path, label, group, split, data set."""
    return tuple(
        find_column(table, wanted)
        for wanted in (PATH_COLUMNS, _LABEL_COLUMNS, _GROUP_COLUMNS, ("split",), ("dataset",))
    )


def read_rows(path: Path, table: pl.DataFrame, paths: tuple[str, ...] = PATH_COLUMNS) -> Listing:
    """The rows of a manifest."""
    columns = table.columns
    at = find_column(table, paths)
    if at is None:
        likely = next(filter(None, (nearest(name, paths) for name in columns)), "")
        raise ConfigError(
            f"{path}: no column with paths among {name_some(columns)}; {likely}use one of {', '.join(paths)}"
        )
    _, label, group, split, dataset = find_named(table)
    rest = [name for name in columns if name.strip() and name not in (at, label, group, split, dataset)]
    listing = Listing()
    for number, row in enumerate(_text(table).iter_rows(named=True), start=1):
        where, fault = _locate(path, row[at], number)
        if fault:
            listing.skipped.append((where, fault))
            continue
        extra = tuple((name, _cell(row, name)) for name in rest if _cell(row, name))
        truth = _cell(row, label) or None
        listing.recordings.append(
            Recording(where, truth, _cell(row, group), _cell(row, split), _cell(row, dataset), extra)
        )
    return listing


def _text(table: pl.DataFrame) -> pl.DataFrame:
    """The columns that are not nested or binary, as text."""
    flat = [name for name, dtype in table.schema.items() if not dtype.is_nested() and dtype != pl.Binary]
    # a column each, since pl.col takes a name such as ^(.*$ for a pattern
    return pl.DataFrame([table.get_column(name).cast(pl.String, strict=False) for name in flat])


def _cell(row: dict[str, str | None], name: str | None) -> str:
    return (row.get(name) or "").strip() if name is not None else ""


def _locate(table: Path, given: str | None, number: int) -> Skip:
    """The path that a row means and, where it may not be used, the reason."""
    if not given:
        return table, f"row {number} has no path"
    if Path(given).is_absolute():
        return Path(given), ""
    inside = os.path.normpath(given)
    if inside == os.pardir or inside.startswith(os.pardir + os.sep) or Path(inside).drive:
        return table.parent / given, "leaves the folder of the manifest; move the file or use an absolute path"
    return table.parent / inside, ""
