"""The running store of a study: one SQLite file, one writer.

Rows are keyed by content (clip hash, model fingerprint, settings), so that a run resumes, extends and never
mixes. Masks are stored as compressed bitmaps; signals are not: clip and mask make them again, bit for bit.
A unit of work is one transaction.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..audio import Clip
from ..datasets import Recording
from ..errors import StoreError
from ..explain import Explanation, Part, SearchSettings, Subset
from ..models import Model
from ..spectrum import Mask, from_runs

Log = NDArray[np.float32]

SCHEMA_VERSION = 2
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- what a study asked for: search settings and aligned labels; its key is their hash
CREATE TABLE settings (key TEXT PRIMARY KEY, search TEXT NOT NULL, labels TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE models (
  id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE, spec TEXT NOT NULL, backend TEXT NOT NULL,
  architecture TEXT NOT NULL, parameters INTEGER NOT NULL, sample_rate INTEGER NOT NULL, labels TEXT NOT NULL,
  notes TEXT NOT NULL);
CREATE TABLE clips (
  id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, path TEXT NOT NULL, label TEXT, grp TEXT NOT NULL,
  split TEXT NOT NULL, dataset TEXT NOT NULL, sample_rate INTEGER NOT NULL, samples INTEGER NOT NULL,
  fitted TEXT NOT NULL);
-- what each model says to each clip itself: natural logarithms of probabilities, float32 little endian
CREATE TABLE originals (
  clip INTEGER NOT NULL, model INTEGER NOT NULL, settings TEXT NOT NULL, log_probabilities BLOB NOT NULL,
  PRIMARY KEY (settings, clip, model)) WITHOUT ROWID;
CREATE TABLE explanations (
  id INTEGER PRIMARY KEY, clip INTEGER NOT NULL, model INTEGER NOT NULL, settings TEXT NOT NULL,
  size INTEGER NOT NULL, queries INTEGER NOT NULL, seconds REAL NOT NULL, why TEXT NOT NULL,
  responsibility BLOB, UNIQUE (settings, clip, model));
-- mask: zlib of numpy.packbits over the variables; NULL, with a reason, where there is no set
CREATE TABLE subsets (
  id INTEGER PRIMARY KEY, explanation INTEGER NOT NULL REFERENCES explanations ON DELETE CASCADE,
  kind TEXT NOT NULL, draw INTEGER NOT NULL, mask BLOB, size INTEGER, energy REAL, certificate TEXT,
  groups INTEGER, queries INTEGER, log_probabilities BLOB, why TEXT NOT NULL,
  -- of a null signal: the set it is the chance baseline of
  parent INTEGER REFERENCES subsets ON DELETE CASCADE, UNIQUE (explanation, kind, draw));
-- what each model says to each subset's signal
CREATE TABLE transfers (
  subset INTEGER NOT NULL REFERENCES subsets ON DELETE CASCADE, model INTEGER NOT NULL,
  log_probabilities BLOB NOT NULL, PRIMARY KEY (subset, model)) WITHOUT ROWID;
CREATE TABLE failures (
  settings TEXT NOT NULL, stage TEXT NOT NULL, clip TEXT NOT NULL, model TEXT NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (settings, stage, clip, model)) WITHOUT ROWID;
-- the deeper analyses: a unit of work's rows as a JSON list of flat records, and a signal where there is one
CREATE TABLE results (
  settings TEXT NOT NULL, analysis TEXT NOT NULL, options TEXT NOT NULL, unit TEXT NOT NULL, rows TEXT NOT NULL,
  signal BLOB, PRIMARY KEY (settings, analysis, options, unit)) WITHOUT ROWID;
-- with what options an analysis was run, by their hash; ``used`` grows with each use
CREATE TABLE options (
  settings TEXT NOT NULL, analysis TEXT NOT NULL, key TEXT NOT NULL, options TEXT NOT NULL, used INTEGER NOT NULL,
  PRIMARY KEY (settings, analysis, key)) WITHOUT ROWID;
"""
#: what brings a store of the version to the next one
MIGRATIONS = {
    1: """
ALTER TABLE subsets ADD COLUMN parent INTEGER REFERENCES subsets ON DELETE CASCADE;
CREATE TABLE results (
  settings TEXT NOT NULL, analysis TEXT NOT NULL, options TEXT NOT NULL, unit TEXT NOT NULL, rows TEXT NOT NULL,
  signal BLOB, PRIMARY KEY (settings, analysis, options, unit)) WITHOUT ROWID;
CREATE TABLE options (
  settings TEXT NOT NULL, analysis TEXT NOT NULL, key TEXT NOT NULL, options TEXT NOT NULL, used INTEGER NOT NULL,
  PRIMARY KEY (settings, analysis, key)) WITHOUT ROWID;
""",
}


@dataclass(frozen=True)
class StoredSubset:
    """A set read back from the store."""

    id: int
    kind: str
    draw: int
    model: int
    mask: Mask


class Store:
    """One study's file.

    Parameters
    ----------
    path : str or Path
    write : bool
        Open for writing: makes the file if it is missing, and locks it against other writers.

    Raises
    ------
    StoreError
        The file is missing, no store, damaged, of a newer version, not writable, or in use by another process.
    """

    def __init__(self, path: str | Path, *, write: bool = False) -> None:
        self.path = Path(path)
        self._lock: IO[str] | None = None
        if not write and not self.path.is_file():
            raise StoreError(f"{self.path}: no such store; make one with: earwitness study run STUDY.toml")
        try:
            if write:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._take_lock()
            mode = "rwc" if write else "ro"
            uri = f"file:{_quote(self.path)}?mode={mode}"
            self._db = sqlite3.connect(uri, uri=True, isolation_level=None)
            self._db.execute("PRAGMA foreign_keys = ON")
            self._prepare(write)
        except (sqlite3.Error, OSError) as error:
            self._release()
            raise StoreError(f"{self.path}: not usable as a store ({error}); check the path and its rights") from None
        except StoreError:
            self._release()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and free the lock."""
        self._db.close()
        self._release()

    # --- writing: each method is one transaction ------------------------------------------------------------

    def set_meta(self, **values: Any) -> None:
        """Note facts about the study as JSON."""
        with self.transaction():
            rows = [(key, json.dumps(value)) for key, value in values.items()]
            self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def add_settings(self, settings: SearchSettings, labels: tuple[str, ...]) -> str:
        """Note search settings and aligned labels; their key."""
        search, names = json.dumps(asdict(settings), sort_keys=True), json.dumps(labels)
        key = blake2b(f"{search}\n{names}".encode(), digest_size=12).hexdigest()
        with self.transaction():
            self._db.execute("INSERT OR IGNORE INTO settings VALUES (?, ?, ?)", (key, search, names))
        return key

    def add_model(self, model: Model) -> int:
        """Note a model; its row id."""
        with self.transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO models (fingerprint, spec, backend, architecture, parameters, sample_rate,"
                " labels, notes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (model.fingerprint, model.spec, model.backend, model.architecture, model.parameters,
                 model.sample_rate, json.dumps(model.labels), json.dumps(model.notes)),
            )  # fmt: skip
        return self._id("SELECT id FROM models WHERE fingerprint = ?", model.fingerprint)

    def add_clip(self, clip: Clip, recording: Recording) -> int:
        """Note a clip; its row id."""
        sha256, path = clip.sha256, os.path.abspath(clip.path)
        with self.transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO clips (sha256, path, label, grp, split, dataset, sample_rate, samples, fitted)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (sha256, path, recording.label, recording.group, recording.split, recording.dataset,
                 clip.sample_rate, len(clip), clip.fitted),
            )  # fmt: skip
        return self._id("SELECT id FROM clips WHERE sha256 = ?", sha256)

    def add_explanation(self, clip: int, model: int, settings: str, explanation: Explanation) -> None:
        """Store an explanation with all its subsets."""
        responsibility = explanation.responsibility
        packed = None if responsibility is None else zlib.compress(responsibility.astype("<f4").tobytes())
        with self.transaction():
            cursor = self._db.execute(
                "INSERT INTO explanations (clip, model, settings, size, queries, seconds, why, responsibility)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (clip, model, settings, explanation.spectrum.size, explanation.queries, explanation.seconds,
                 explanation.why, packed),
            )  # fmt: skip
            rows = [
                (cursor.lastrowid, kind, draw, *_part_row(part, explanation.spectrum.size))
                for kind, draw, part in explanation.parts()
            ]
            self._db.executemany(
                "INSERT INTO subsets (explanation, kind, draw, mask, size, energy, certificate, groups, queries,"
                " log_probabilities, why) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            self._original(clip, model, settings, explanation.log_probabilities)

    def add_answers(self, clip: int, model: int, settings: str, original: Log, answers: dict[int, Log]) -> None:
        """Store what a model says to a clip and to subsets of it (by subset id)."""
        with self.transaction():
            self._original(clip, model, settings, original)
            rows = [(subset, model, pack(answer)) for subset, answer in answers.items()]
            self._db.executemany("INSERT OR REPLACE INTO transfers VALUES (?, ?, ?)", rows)

    def add_failure(self, settings: str, stage: str, clip: str, model: str, reason: str) -> None:
        """Store that a unit of work failed, and why."""
        with self.transaction():
            row = (settings, stage, clip, model, reason)
            self._db.execute("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)", row)

    def clear_failures(self, settings: str) -> None:
        """Forget failures, so that they are tried again."""
        with self.transaction():
            self._db.execute("DELETE FROM failures WHERE settings IN (?, '')", (settings,))

    def add_results(
        self, settings: str, analysis: str, options: Mapping[str, Any], unit: str,
        rows: Sequence[Mapping[str, Any]], array: NDArray[np.float32] | None = None,
    ) -> None:  # fmt: skip
        """Store what an analysis found in one unit of its work, in place of what it found there before.

        Parameters
        ----------
        settings : str
            Key of the study's settings.
        analysis : str
            Its name, e.g. ``composition``.
        options : mapping
            All that decides its result, apart from the study: JSON scalars and lists.
        unit : str
            The unit's own name within the analysis.
        rows : sequence of mapping
            Flat records of JSON scalars; may be empty.
        array : float32, optional
            A signal that belongs to the unit.
        """
        key, text = _options_key(options)
        signal = None if array is None else zlib.compress(np.asarray(array, dtype="<f4").tobytes())
        content = json.dumps([dict(row) for row in rows])
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO options SELECT ?, ?, ?, ?, coalesce(max(used), 0) + 1 FROM options",
                (settings, analysis, key, text),
            )
            row = (settings, analysis, key, unit, content, signal)
            self._db.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?)", row)

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
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: cannot be written ({error}); earlier results are kept") from error

    # --- reading --------------------------------------------------------------------------------------------

    def meta(self) -> dict[str, Any]:
        """The facts noted about the study."""
        return {key: json.loads(value) for key, value in self._db.execute("SELECT key, value FROM meta")}

    def explained(self, settings: str) -> set[tuple[int, int]]:
        """(clip, model) pairs that have an explanation."""
        return set(self._db.execute("SELECT clip, model FROM explanations WHERE settings = ?", (settings,)))

    def failed(self, settings: str, stage: str) -> set[tuple[str, str]]:
        """(clip, model) pairs of a stage that failed."""
        query = "SELECT clip, model FROM failures WHERE settings IN (?, '') AND stage = ?"
        return set(self._db.execute(query, (settings, stage)))

    def unanswered(self, clip: int, model: int, settings: str) -> list[StoredSubset]:
        """Subsets of a clip that a model has not judged yet."""
        query = (
            "SELECT s.id, s.kind, s.draw, e.model, s.mask, e.size FROM subsets s JOIN explanations e"
            " ON e.id = s.explanation LEFT JOIN transfers t ON t.subset = s.id AND t.model = ?"
            " WHERE e.clip = ? AND e.settings = ? AND s.mask IS NOT NULL AND t.subset IS NULL ORDER BY s.id"
        )
        rows = self._db.execute(query, (model, clip, settings))
        return [StoredSubset(i, kind, draw, m, unpack_mask(mask, size)) for i, kind, draw, m, mask, size in rows]

    def has_original(self, clip: int, model: int, settings: str) -> bool:
        """Whether a model's answer to the clip itself is stored."""
        query = "SELECT 1 FROM originals WHERE settings = ? AND clip = ? AND model = ?"
        return self._db.execute(query, (settings, clip, model)).fetchone() is not None

    def mask(self, subset: int) -> Mask:
        """The mask of a subset, bool [size]."""
        query = "SELECT s.mask, e.size FROM subsets s JOIN explanations e ON e.id = s.explanation WHERE s.id = ?"
        row = self._db.execute(query, (subset,)).fetchone()
        if row is None or row[0] is None:
            raise StoreError(f"{self.path}: no mask for subset {subset}; ask for one that study tables list")
        return unpack_mask(row[0], row[1])

    def done_units(self, settings: str, analysis: str, options: Mapping[str, Any]) -> set[str]:
        """Units of an analysis whose results are stored."""
        query = "SELECT unit FROM results WHERE settings = ? AND analysis = ? AND options = ?"
        return {unit for (unit,) in self._db.execute(query, (settings, analysis, _options_key(options)[0]))}

    def analyses(self, settings: str) -> list[str]:
        """Names of the analyses that have results."""
        query = "SELECT DISTINCT analysis FROM results WHERE settings = ? ORDER BY analysis"
        return [name for (name,) in self._db.execute(query, (settings,))]

    def last_options(self, settings: str, analysis: str) -> dict[str, Any] | None:
        """The options an analysis was last run with; None if it never was."""
        query = "SELECT options FROM options WHERE settings = ? AND analysis = ? ORDER BY used DESC LIMIT 1"
        row = self._db.execute(query, (settings, analysis)).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def results(self, settings: str, analysis: str, options: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """All rows of an analysis, with the column ``unit``; of the options last used unless others are named."""
        options = self.last_options(settings, analysis) if options is None else options
        if options is None:
            return pl.DataFrame()
        query = "SELECT unit, rows FROM results WHERE settings = ? AND analysis = ? AND options = ? ORDER BY unit"
        found = self._db.execute(query, (settings, analysis, _options_key(options)[0]))
        records = [{"unit": unit, **row} for unit, rows in found for row in json.loads(rows)]
        return pl.DataFrame(records, infer_schema_length=None)

    def result_array(
        self, settings: str, analysis: str, unit: str, options: Mapping[str, Any] | None = None
    ) -> NDArray[np.float32]:
        """The signal stored with a unit of an analysis, float32 [N].

        Raises
        ------
        StoreError
            There is none.
        """
        options = self.last_options(settings, analysis) if options is None else options
        query = "SELECT signal FROM results WHERE settings = ? AND analysis = ? AND options = ? AND unit = ?"
        row = self._db.execute(query, (settings, analysis, _options_key(options or {})[0], unit)).fetchone()
        if row is None or row[0] is None:
            raise StoreError(f"{self.path}: no signal of {analysis} {unit!r}; run the analysis first")
        return np.frombuffer(zlib.decompress(row[0]), dtype="<f4").astype(np.float32)

    def frame(self, query: str, parameters: tuple[Any, ...] = ()) -> pl.DataFrame:
        """The rows of a query as a polars frame."""
        cursor = self._db.execute(query, parameters)
        names = [column[0] for column in cursor.description]
        return pl.DataFrame(cursor.fetchall(), schema=names, orient="row", infer_schema_length=None)

    # --- inside ---------------------------------------------------------------------------------------------

    def _original(self, clip: int, model: int, settings: str, answer: Log) -> None:
        row = (clip, model, settings, pack(answer))
        self._db.execute("INSERT OR IGNORE INTO originals VALUES (?, ?, ?, ?)", row)

    def _id(self, query: str, key: str) -> int:
        return int(self._db.execute(query, (key,)).fetchone()[0])

    def _prepare(self, write: bool) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        fresh = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if fresh and write:
            self._db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        elif version == 0:
            raise StoreError(f"{self.path}: a database but no Earwitness store; choose another path")
        elif version > SCHEMA_VERSION:
            raise StoreError(
                f"{self.path}: schema {version}, this version reads up to {SCHEMA_VERSION}; update earwitness"
            )
        elif 0 < version < SCHEMA_VERSION:
            if not write:
                raise StoreError(
                    f"{self.path}: schema {version} of an older version; bring it up to date with study run"
                )
            for old in range(version, SCHEMA_VERSION):
                self._db.executescript(f"BEGIN; {MIGRATIONS[old]} PRAGMA user_version = {old + 1}; COMMIT;")
        if write:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")

    def _take_lock(self) -> None:
        self._lock = open(self.path.with_name(self.path.name + ".lock"), "a+")  # noqa: SIM115 - held while open
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.seek(0)
            other = self._lock.read().strip() or "unknown"
            raise StoreError(f"{self.path}: process {other} is writing to it; wait for it or stop it") from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    def _release(self) -> None:
        if self._lock:
            self._lock.close()
            self._lock = None


def pack(log_probabilities: Log) -> bytes:
    """Float32, little endian."""
    return np.asarray(log_probabilities, dtype="<f4").tobytes()


def unpack(blob: bytes) -> Log:
    """The inverse of :func:`pack`: float32 [n]."""
    return np.frombuffer(blob, dtype="<f4").astype(np.float32)


def pack_mask(mask: Mask) -> bytes:
    """A mask as a compressed bitmap."""
    return zlib.compress(np.packbits(mask).tobytes())


def unpack_mask(blob: bytes, size: int) -> Mask:
    """The inverse of :func:`pack_mask`: bool [size]."""
    return np.unpackbits(np.frombuffer(zlib.decompress(blob), dtype=np.uint8), count=size).astype(bool)


def _options_key(options: Mapping[str, Any]) -> tuple[str, str]:
    text = json.dumps(dict(options), sort_keys=True)
    return blake2b(text.encode(), digest_size=12).hexdigest(), text


def _part_row(part: Part, size: int) -> tuple[Any, ...]:
    if not isinstance(part, Subset):
        return (None, None, None, None, None, None, None, part.why)
    return (
        pack_mask(from_runs(part.runs, size)), part.size, part.energy, part.certificate.kind,
        part.certificate.groups, part.queries, pack(part.log_probabilities), part.why,
    )  # fmt: skip


def _quote(path: Path) -> str:
    return str(path.resolve()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
