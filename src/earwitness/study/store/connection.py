"""The file of a store: opened, locked, read and written in transactions, damage named as such."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import EarwitnessError, StoreError, brief
from .digests import check, keep, seal
from .lock import Lock
from .mending import mend
from .packing import unpack_all
from .schema import MIGRATIONS, SCHEMA, SCHEMA_VERSION
from .soundness import make_frame, refuse

if TYPE_CHECKING:
    import polars as pl

    from .packing import Log

#: how far from 1 probabilities may add up to: they are float32, and some were float16
WHOLE_WITHIN = 1e-2


class _Rows:
    """The rows of a query, damage met on the way named as such."""

    def __init__(self, cursor: sqlite3.Cursor, reading: Callable[[], AbstractContextManager[None]]) -> None:
        self._cursor, self._reading = cursor, reading
        self.description = cursor.description

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.fetchall())

    def fetchone(self) -> Any:
        """The next row; None after the last."""
        with self._reading():
            return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        with self._reading():
            return self._cursor.fetchall()


class Connection:
    """The file, open; :class:`earwitness.study.store.Store` says how and what may go wrong."""

    def __init__(self, path: str | Path, *, write: bool = False) -> None:
        self.path, self._write = Path(path), write
        self._lock: Lock | None = None
        self.mended = ""  #: what was damaged and dropped at opening; empty: nothing was
        if not write and not self.path.is_file():
            raise StoreError(f"{self.path}: no such store; make one with: earwitness study run STUDY.toml")
        try:
            if write:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._lock = Lock(self.path)
            self._db = self._connect()
            self._prepare()
        except (sqlite3.Error, OSError, UnicodeError) as error:
            self._release()
            raise StoreError(
                f"{self.path}: not usable as a store ({error}); check the path and its rights, or restore a copy"
            ) from None
        except StoreError:
            self._release()
            raise

    def close(self) -> None:
        """Close the file and free the lock."""
        if self._write:
            # one plain file, that can be read where nothing can be written beside it; not while others read it
            with suppress(sqlite3.Error):
                self._db.execute("PRAGMA busy_timeout = 0")
                self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.close()
        self._release()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing.

        Raises
        ------
        StoreError
            The file cannot be written (disk full, read-only, damaged); what was committed before stays.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._db.in_transaction:  # a full disk has ended it already
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: cannot be written ({error}); earlier results are kept") from error

    def frame(self, query: str, parameters: tuple[Any, ...] = ()) -> pl.DataFrame:
        """The rows of a query as a polars frame.

        Raises
        ------
        StoreError
            A value is not of its column's type, or out of range.
        """
        cursor = self._read(query, parameters)
        return make_frame(self.path, [column[0] for column in cursor.description], cursor.fetchall())

    def logs(self, rows: pl.DataFrame, labels: int) -> Log:
        """The column ``log_probabilities`` of rows, unpacked: float32 [rows, labels].

        Raises
        ------
        StoreError
            One is of another length, or no distribution.
        """
        import numpy as np

        packed = rows["log_probabilities"]
        strange = (packed.bin.size() != 4 * labels).fill_null(True).arg_true()
        if len(strange):
            row = rows.row(strange[0], named=True)
            refuse(self.path, row, f"an answer of other than {labels} numbers")
        logs = unpack_all(packed, labels)
        with np.errstate(over="ignore"):
            off = ~(np.abs(np.exp(logs.astype(np.float64)).sum(axis=1) - 1) < WHOLE_WITHIN)
        if off.any():
            refuse(self.path, rows.row(int(off.argmax()), named=True), "its probabilities do not add up to 1")
        return logs

    @contextmanager
    def naming(self, **ids: Any) -> Iterator[None]:
        """Name a row by these where what it holds cannot be unpacked.

        Raises
        ------
        StoreError
        """
        try:
            yield
        except EarwitnessError as error:
            refuse(self.path, ids, str(error))
        except Exception as error:  # whatever a value of another shape makes of the code that takes it
            refuse(self.path, ids, brief(error))

    def _read(self, query: str, parameters: Sequence[Any] = ()) -> _Rows:
        with self._reading():
            return _Rows(self._db.execute(query, parameters), self._reading)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, UnicodeError) as error:
            raise StoreError(f"{self.path}: cannot be read ({error}); restore a copy of it") from error

    def _id(self, query: str, key: str) -> int:
        with self.naming(unit=key):
            return int(self._db.execute(query, (key,)).fetchone()[0])

    def _connect(self) -> sqlite3.Connection:
        mode = "mode=rwc" if self._write else "mode=ro"
        try:
            return self._open(mode)
        except sqlite3.OperationalError:
            # a store left by a writer that was killed wants files beside it, which a read-only place does not give
            if self._write or self.path.with_name(self.path.name + "-wal").exists():
                raise
            return self._open("immutable=1")

    def _open(self, mode: str) -> sqlite3.Connection:
        db = sqlite3.connect(f"file:{_quote(self.path)}?{mode}", uri=True, isolation_level=None)
        try:
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except (sqlite3.Error, UnicodeError):
            db.close()
            raise
        return db

    def _prepare(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        fresh = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if fresh and self._write:
            self._db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION};")
            self._seal()
        elif version == 0:
            raise StoreError(f"{self.path}: a database but no Earwitness store; choose another path")
        elif version > SCHEMA_VERSION:
            raise StoreError(
                f"{self.path}: schema {version}, this version reads up to {SCHEMA_VERSION}; update earwitness"
            )
        elif 0 < version < SCHEMA_VERSION:
            if not self._write:
                raise StoreError(
                    f"{self.path}: schema {version} of an older version; bring it up to date with study run"
                )
            self._db.execute("PRAGMA foreign_keys = OFF")  # a table that is made anew takes none with it
            steps = "".join(MIGRATIONS[old] for old in range(version, SCHEMA_VERSION))
            self._db.executescript(f"BEGIN; {steps} PRAGMA user_version = {SCHEMA_VERSION};")
            self._seal()
            self._db.execute("PRAGMA foreign_keys = ON")
        if self._write:
            self._keep_safe()
            keep(self._db)
        self._check()

    def _seal(self) -> None:
        """Digest all rows, and end the transaction that made the tables."""
        seal(self._db)
        self._db.execute("COMMIT")

    def _check(self) -> None:
        """Hold all rows against their digests; who writes drops what is damaged, if the study makes it again."""
        if not (damage := check(self._db, self.path)):
            return
        if not damage.mendable:
            raise StoreError(f"{self.path}: {damage}; restore a copy of it, or run the study into a new one")
        if not self._write:
            raise StoreError(
                f"{self.path}: {damage}; restore a copy of it, or have it made again: earwitness study run"
            )
        with self.transaction():
            mend(self._db, damage)
        self.mended = f"{self.path}: {damage}: dropped, with what was made of it; study run makes it again"

    def _keep_safe(self) -> None:
        """Write-ahead log where the file system has what that needs (network drives do not)."""
        try:
            mode = self._db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if "readonly" in str(error):
                raise
            mode = self._db.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
        self._db.execute(f"PRAGMA synchronous = {'NORMAL' if mode == 'wal' else 'FULL'}")

    def _release(self) -> None:
        if self._lock:
            self._lock.free()
            self._lock = None


def _quote(path: Path) -> str:
    return str(path.resolve()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
