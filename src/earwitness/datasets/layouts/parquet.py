"""Layout ``parquet``: tables with the recordings in them, as Hugging Face's ``datasets`` writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import polars as pl

from ...errors import ConfigError
from ...signal.cells import audio_column, make_path
from ..recording import Listing, Recording
from ..selection import SPLIT_OF, split_of_folder
from ..source import Source, key_of
from ..tables import find_named

#: how the hub names a split's files: train-00000-of-00003.parquet
_SHARD = re.compile(r"(\w+?)-\d+-of-\d+.*")


def _tables(source: Source) -> Iterator[Path]:
    """The tables of a data set that hold recordings."""
    files = [source.path] if source.path.is_file() else source.files[0]
    for path in files:
        if path.suffix.lower() == ".parquet" and _column(path):
            yield path


def _column(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return audio_column(pl.read_parquet_schema(file))  # type: ignore[arg-type]
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return None  # what is no such table is another layout's


def is_parquet(source: Source) -> bool:
    return any(True for _ in _tables(source))


def read_parquet(source: Source) -> Listing:
    tables = list(_tables(source))
    if not tables:
        raise ConfigError(f"{source.path}: no Parquet file with a column of recordings; use another layout")
    listing = Listing()
    for path in tables:
        listing.recordings.extend(_rows(path, _split(path, source)))
    return listing


def _split(path: Path, source: Source) -> str:
    shard = _SHARD.fullmatch(path.stem)
    stem = shard[1] if shard else path.stem
    return SPLIT_OF.get(stem.casefold(), "") or split_of_folder(key_of(path, source.root)) or (stem if shard else "")


def _rows(path: Path, split: str) -> Iterator[Recording]:
    with path.open("rb") as file:
        flat = [
            name for name, kind in pl.read_parquet_schema(file).items() if not kind.is_nested() and kind != pl.Binary
        ]
        file.seek(0)
        # the recordings themselves are not read; where nothing else is there, the number of rows is
        if flat:
            table = pl.read_parquet(file, columns=flat)
        else:
            count = int(pl.scan_parquet(file, cache=False).select(pl.len()).collect().item())
            table = pl.DataFrame({"row": range(count)})
    names, label, group, own, dataset = find_named(table)
    classes = _classes(path)
    rest = [name for name in flat if name not in (names, label, group, own, dataset)]
    for number, row in enumerate(table.iter_rows(named=True)):
        said = {key: _text(value, classes.get(key)) for key, value in row.items()}
        extra = tuple((name, said[name]) for name in rest if said[name])
        yield Recording(
            make_path(path, number, PurePath(said.get(names or "", "")).name),
            said.get(label or "") or None, said.get(group or "", ""), said.get(own or "", "") or split,
            said.get(dataset or "", ""), extra,
        )  # fmt: skip


def _text(value: Any, classes: list[str] | None) -> str:
    """A cell as text; of a class its name."""
    if classes is not None and isinstance(value, int) and 0 <= value < len(classes):
        return classes[value]
    return "" if value is None else str(value).strip()


def _classes(path: Path) -> dict[str, list[str]]:
    """The names of classes by column, where the file says them as ``datasets`` does."""
    try:
        with path.open("rb") as file:
            told = json.loads(pl.read_parquet_metadata(file).get("huggingface", "{}"))
        features = told["info"]["features"]
        return {
            str(name): [str(one) for one in feature["names"]]
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and "names" in feature
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
