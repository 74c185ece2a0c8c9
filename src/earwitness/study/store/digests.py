"""Digests of all rows of a store: damage and edits by other hands are seen before a number is read.

The table ``digests`` holds a digest of every row there should be. Triggers of the connection that writes keep it, so
that whatever changes a row in another way - a flipped bit, an editor, another program - leaves a row without a digest
or a digest without a row. Beside that the definitions of the tables are digested, and SQLite checks the file's own
structure, indices included, so that no query can miss a row that is there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ...errors import StoreError

#: tables whose rows a study makes again when they are gone
MADE_AGAIN = {"explanations", "subsets", "originals", "transfers", "results", "failures", "files"}
#: the column that says of what a row is a part, where that must be made again with it
PART = {"subsets": "explanation"}
#: as the digests call the definitions of tables
DEFINITIONS = "definitions"


@dataclass(frozen=True)
class Damage:
    """Rows that are not as they were written.

    Attributes
    ----------
    strange : tuple of (str, dict)
        Table and values of rows that were not written by this program.
    lost : tuple of (int, str, int or None)
        Digest, table and part of rows that were written and are gone, or changed.
    """

    strange: tuple[tuple[str, dict[str, Any]], ...] = ()
    lost: tuple[tuple[int, str, int | None], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.strange or self.lost)

    @property
    def tables(self) -> set[str]:
        """In which there is any."""
        return {name for name, _ in self.strange} | {name for _, name, _ in self.lost}

    @property
    def mendable(self) -> bool:
        """Whether a study makes all of it again."""
        return self.tables <= MADE_AGAIN

    def __str__(self) -> str:
        strange, lost = len(self.strange), len(self.lost)
        rows = max(strange, lost)
        which = f" (the first: {_name(*self.strange[0])})" if self.strange else ""
        return f"{rows} row{'s' * (rows > 1)} of {', '.join(sorted(self.tables))} not as written{which}"


def row_digest(name: str, *values: object) -> int:
    """Digest of a row with its table's name, 63 bits: BLAKE2b of all values, of bytes the length first."""
    head = [[len(value)] if type(value) is bytes else value for value in values]
    blobs = b"".join([value for value in values if type(value) is bytes])
    content = repr((name, head)).encode("utf-8", "surrogatepass") + blobs
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big") >> 1


def keep(db: sqlite3.Connection) -> None:
    """Have a connection digest whatever it writes."""
    db.create_function("row_digest", -1, row_digest, deterministic=True)
    db.execute("PRAGMA recursive_triggers = ON")  # else what is replaced is not seen to go
    for name, columns in list_columns(db).items():
        old, new = (
            f"row_digest('{name}', {', '.join(f'{row}.{column}' for column in columns)})" for row in ("OLD", "NEW")
        )
        part = f"NEW.{PART[name]}" if name in PART else "NULL"
        drop = f"DELETE FROM digests WHERE digest = {old};"
        add = f"INSERT OR REPLACE INTO digests VALUES ({new}, '{name}', {part});"
        for event, body in (("INSERT", add), ("DELETE", drop), ("UPDATE", drop + add)):
            db.execute(f"CREATE TEMP TRIGGER {name}_{event} AFTER {event} ON main.{name} BEGIN {body} END")


def seal(db: sqlite3.Connection) -> None:
    """Digest all that there is, as it is: of a new store, or one of a version that had no digests."""
    db.execute("DELETE FROM digests")
    for name, columns, rows in _tables(db):
        at = columns.index(PART[name]) if name in PART else None
        digests = [(row_digest(name, *row), name, None if at is None else row[at]) for row in rows]
        db.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", digests)


def check(db: sqlite3.Connection, path: Path) -> Damage:
    """What is not as it was written.

    Raises
    ------
    StoreError
        The file's structure is damaged.
    """
    db.execute("BEGIN")  # one moment, whoever writes meanwhile
    try:
        found = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise StoreError(f"{path}: the file is damaged ({found}); restore a copy of it")
        written = {digest for (digest,) in db.execute("SELECT digest FROM digests")}
        strange, met = [], set()
        for name, columns, rows in _tables(db):
            for row in rows:
                digest = row_digest(name, *row)
                if digest in written:
                    met.add(digest)
                else:
                    strange.append((name, dict(zip(columns, row, strict=True))))
        query = "SELECT digest, name, part FROM digests WHERE digest = ?"
        lost = [db.execute(query, (digest,)).fetchone() for digest in sorted(written - met)]
    finally:
        db.execute("COMMIT")
    return Damage(tuple(strange), tuple(lost))


def list_columns(db: sqlite3.Connection) -> dict[str, list[str]]:
    """The columns of each table whose rows are digested."""
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return {
        name: [column[1] for column in db.execute(f"PRAGMA table_info({name})")]
        for name in names if name != "digests" and not name.startswith("sqlite_")
    }  # fmt: skip


def _tables(db: sqlite3.Connection) -> Iterator[tuple[str, list[str], Iterable[tuple[Any, ...]]]]:
    """Names, columns and rows of all tables; the definitions of tables first."""
    yield (
        DEFINITIONS,
        ["type", "name", "table", "sql"],
        db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"),
    )
    for name, columns in list_columns(db).items():
        yield name, columns, db.execute(f"SELECT {', '.join(columns)} FROM {name}")


def _name(table: str, row: dict[str, Any]) -> str:
    facts = [f"{column} {value!r:.20}" for column, value in row.items() if not isinstance(value, bytes)]
    return f"{table}, {', '.join(facts[:3])}"
