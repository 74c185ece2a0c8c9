"""The built-in recordings: short, freely licensed excerpts of music, with title, author, licence and source."""

from __future__ import annotations

import csv
from importlib import resources
from pathlib import Path

from .recording import Recording

FOLDER = Path(str(resources.files("earwitness") / "data" / "recordings"))


def builtin_recordings(limit: int | None = None) -> list[Recording]:
    """List the built-in recordings; with a limit, the first so many."""
    with open(FOLDER / "recordings.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        Recording(FOLDER / row["file"], None, group=row["author"], dataset="builtin", extra=(("genre", row["genre"]),))
        for row in rows[:limit]
    ]
