"""Layout ``manifest``: a table that names the recordings."""

from __future__ import annotations

from ...errors import ConfigError
from ..recording import Listing
from ..source import Source
from ..tables import list_tables, load_table, name_some, read_rows


def read_manifest(source: Source) -> Listing:
    path = source.path if source.path.is_file() else source.manifest
    if path is None:
        tables = list_tables(source.root)
        if len(tables) != 1:
            names = name_some([table.name for table in tables]) or "none"
            raise ConfigError(f"{source.path}: no manifest.csv, tables found: {names}; give the manifest's own path")
        path = tables[0]
    return read_rows(path, load_table(path))
