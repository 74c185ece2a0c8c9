"""Layout ``inthewild``: In-the-Wild by its ``meta.csv``."""

from __future__ import annotations

from pathlib import Path

from ...errors import ConfigError
from ..recording import Listing
from ..source import Source
from ..tables import load_table, name_some, read_rows


def _inthewild_table(source: Source) -> Path | None:
    candidates = (source.root / "meta.csv", source.root / "release_in_the_wild" / "meta.csv")
    return next((path for path in candidates if path.is_file()), None)


def is_inthewild(source: Source) -> bool:
    path = _inthewild_table(source) if source.path.is_dir() else None
    return path is not None and {"file", "speaker", "label"} <= set(load_table(path).columns)


def read_inthewild(source: Source) -> Listing:
    path = _inthewild_table(source)
    if path is None:
        raise ConfigError(f"{source.path}: no meta.csv; give the folder release_in_the_wild, with its meta.csv")
    table = load_table(path)
    lacking = [name for name in ("file", "speaker", "label") if name not in table.columns]
    if lacking:
        raise ConfigError(
            f"{path}: no column {lacking[0]!r} among {name_some(table.columns)}; use In-the-Wild's own meta.csv"
        )
    return read_rows(path, table.select("file", "speaker", "label"))
