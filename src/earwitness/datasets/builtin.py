"""The built-in recordings: short, freely licensed excerpts of music, with title, author, licence and source."""

from __future__ import annotations

import csv
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path

from ..errors import ConfigError
from .recording import Recording

FOLDER = Path(str(resources.files("earwitness") / "data" / "recordings"))


def builtin_recordings(limit: int | None = None, include: str | None = None) -> list[Recording]:
    """List the built-in recordings; with a limit, the first so many; of those whose file's name matches a pattern.

    Raises
    ------
    ConfigError
        The pattern matches none.
    """
    with open(FOLDER / "recordings.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    wanted = [row for row in rows if include is None or fnmatchcase(row["file"], include)]
    if not wanted:
        raise ConfigError(f"include {include!r} matches no built-in recording; a name there is {rows[0]['file']!r}")
    return [
        Recording(FOLDER / row["file"], None, group=row["author"], dataset="builtin", extra=(("genre", row["genre"]),))
        for row in wanted[:limit]
    ]
