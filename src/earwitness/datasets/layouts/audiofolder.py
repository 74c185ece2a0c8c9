"""Layout ``audiofolder``: Hugging Face's, with metadata beside the recordings."""

from __future__ import annotations

from dataclasses import replace

from ...errors import ConfigError
from ..recording import Listing
from ..selection import split_of_folder
from ..source import Source, key_of
from ..tables import read_rows


def is_audiofolder(source: Source) -> bool:
    return source.path.is_dir() and bool(source.metadata)


def read_audiofolder(source: Source) -> Listing:
    if not source.metadata:
        raise ConfigError(
            f"{source.path}: no metadata.csv, .jsonl or .parquet with a column file_name;"
            " add one, or use layout 'folder' or 'manifest'"
        )
    listing = Listing(skipped=list(source.unusable))
    for path, table in source.metadata.items():
        rows = read_rows(path, table, ("file_name",))
        listing.recordings.extend(
            replace(r, split=r.split or split_of_folder(key_of(r.path, source.root))) for r in rows.recordings
        )
        listing.skipped.extend(rows.skipped)
    named = {r.path for r in listing.recordings}
    listing.skipped.extend((path, "no metadata names it") for path in source.audio if path not in named)
    return listing
