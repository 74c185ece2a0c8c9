"""Recordings inside tables: Parquet files with a column of audio, as Hugging Face's ``datasets`` writes them.

Such a recording has a path too: the table's, then the row, then a name that says nothing to the program:
``train.parquet/row-12/yes.wav``. So whatever takes a path takes it, and nothing is unpacked. A cell holds the bytes of
a file in any format libsndfile knows; those alone are read, with the row group that they lie in.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import AudioError

if TYPE_CHECKING:
    import polars as pl

#: files that list recordings, or hold them
TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_ROW = re.compile(r"row-(\d{1,12})")


def make_path(table: Path, row: int, name: str = "") -> Path:
    """The path of a table's row, counted from 0."""
    return table / f"row-{row}" / name if name else table / f"row-{row}"


def find_table(path: Path) -> tuple[Path, int] | None:
    """The table and the row that a path means; ``None`` where it means a file.

    Examples
    --------
    >>> find_table(Path("data/yes.wav")) is None
    True
    """
    for table in path.parents:
        if table.suffix.lower() == ".parquet":
            row = _ROW.fullmatch(path.relative_to(table).parts[0])
            return (table, int(row[1])) if row and table.is_file() else None
    return None


def audio_column(schema: pl.Schema) -> str | None:
    """The column with the bytes of recordings: ``audio``, else the first of its kind."""
    import polars as pl

    found = [
        name
        for name, kind in schema.items()
        if isinstance(kind, pl.Struct) and any(one.name == "bytes" and one.dtype == pl.Binary for one in kind.fields)
    ]
    return "audio" if "audio" in found else next(iter(found), None)


def read_cell(table: Path, row: int) -> io.BytesIO:
    """The bytes of a row's recording.

    Raises
    ------
    AudioError
        There is no such row, or no recording in it.
    """
    import polars as pl

    where = f"{table}, row {row}"
    try:
        with table.open("rb") as file:
            lazy = pl.scan_parquet(file, cache=False)
            column = audio_column(lazy.collect_schema())
            if column is None:
                raise AudioError(f"{table}: no column of recordings; write one as datasets.Audio does")
            found = lazy.select(pl.col(column).struct.field("bytes")).slice(row, 1).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).strip().split("\n")[0]
        raise AudioError(f"{where}: not readable ({reason}); write the table anew") from None
    content = found["bytes"][0] if found.height else None
    if content is None:
        lacks = "no recording in it, perhaps only its path" if found.height else "there is no such row"
        raise AudioError(f"{where}: {lacks}; embed the recordings, e.g. with dataset.to_parquet")
    return io.BytesIO(content)
