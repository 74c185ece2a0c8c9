"""The running store of a study: one SQLite file, one writer.

Rows are keyed by content (clip hash, model fingerprint, settings), so that a run resumes, extends and never
mixes. Masks are stored as compressed bitmaps; signals are not: clip and mask make them again, bit for bit.
A unit of work is one transaction.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...datasets.recording import Recording
from ...errors import StoreError
from ...explanation import Explanation, Part, Subset
from ...models import Model
from ...search.settings import REVISION, SearchSettings
from ...signal.audio import Clip
from ...signal.masks import Mask, from_runs
from .lock import Lock

Log = NDArray[np.float32]

SCHEMA_VERSION = 3
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
-- of what a study is made, by its settings: the models in the study's order, the clips
CREATE TABLE planned_models (
  settings TEXT NOT NULL, position INTEGER NOT NULL, model INTEGER NOT NULL, PRIMARY KEY (settings, position))
  WITHOUT ROWID;
CREATE TABLE planned_clips (
  settings TEXT NOT NULL, clip INTEGER NOT NULL, PRIMARY KEY (settings, clip)) WITHOUT ROWID;
-- files read before, so that an unchanged one need not be read again to know its clip
CREATE TABLE files (
  path TEXT NOT NULL, sample_rate INTEGER NOT NULL, seconds REAL NOT NULL, bytes INTEGER NOT NULL,
  modified INTEGER NOT NULL, clip INTEGER NOT NULL, PRIMARY KEY (path, sample_rate, seconds)) WITHOUT ROWID;
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
    2: """
CREATE TABLE planned_models (
  settings TEXT NOT NULL, position INTEGER NOT NULL, model INTEGER NOT NULL, PRIMARY KEY (settings, position))
  WITHOUT ROWID;
CREATE TABLE planned_clips (
  settings TEXT NOT NULL, clip INTEGER NOT NULL, PRIMARY KEY (settings, clip)) WITHOUT ROWID;
CREATE TABLE files (
  path TEXT NOT NULL, sample_rate INTEGER NOT NULL, seconds REAL NOT NULL, bytes INTEGER NOT NULL,
  modified INTEGER NOT NULL, clip INTEGER NOT NULL, PRIMARY KEY (path, sample_rate, seconds)) WITHOUT ROWID;
INSERT INTO planned_models
  SELECT json_extract(s.value, '$'), m.key, m.value FROM meta s, meta i, json_each(i.value) m
  WHERE s.key = 'settings' AND i.key = 'models';
INSERT INTO planned_clips SELECT DISTINCT settings, clip FROM originals;
""",
}


class Stamp(NamedTuple):
    """A file as it was when it was read: by what one sees that it has not changed since.

    Attributes
    ----------
    path : str
        Absolute.
    sample_rate : int
        Hz; what the clip was made with.
    seconds : float
        What the clip was made with; 0 for its own duration.
    bytes : int
        Size of the file.
    modified : int
        When it was last changed, in nanoseconds.
    """

    path: str
    sample_rate: int
    seconds: float
    bytes: int
    modified: int

    @classmethod
    def of(cls, path: str, sample_rate: int, seconds: float | None) -> Stamp | None:
        """The stamp of a file; None if it cannot be had."""
        try:
            stat = os.stat(path)
        except OSError:
            return None
        return cls(path, sample_rate, seconds or 0.0, stat.st_size, stat.st_mtime_ns)


#: signals a clip of the study, by clip, still to be grouped
_SIGNALS = """
SELECT e.clip, count(*) AS signals FROM explanations e
JOIN planned_models p ON p.settings = e.settings AND p.model = e.model
JOIN subsets s ON s.explanation = e.id WHERE e.settings = ?1 AND s.mask IS NOT NULL"""


_PLANNED = (
    "JOIN planned_models p ON p.settings = e.settings AND p.model = e.model"
    " JOIN planned_clips c ON c.settings = e.settings AND c.clip = e.clip"
)
#: what is counted of a study, by its name, as what follows FROM
_COUNTS = {
    "clips": "planned_clips e WHERE e.settings = ?1",
    "models": "planned_models e WHERE e.settings = ?1",
    "originals": f"originals e {_PLANNED} WHERE e.settings = ?1",
    "explanations": f"explanations e {_PLANNED} WHERE e.settings = ?1",
    "signals": f"explanations e {_PLANNED} JOIN subsets s ON s.explanation = e.id"
    " WHERE e.settings = ?1 AND s.size IS NOT NULL",
    "judgements": f"explanations e {_PLANNED} JOIN subsets s ON s.explanation = e.id"
    " JOIN transfers t ON t.subset = s.id JOIN planned_models j ON j.settings = e.settings AND j.model = t.model"
    " WHERE e.settings = ?1",
}
#: the same where the store holds nothing else: no joins, so that a million rows are counted at once
_COUNTS_OF_ALL = {
    "clips": "clips", "models": "models", "originals": "originals", "explanations": "explanations",
    "signals": "subsets WHERE size IS NOT NULL", "judgements": "transfers",
}  # fmt: skip


@dataclass(frozen=True)
class Record:
    """An explanation as the rows of the store: what a worker sends to the one writer.

    Attributes
    ----------
    size, queries : int
        Number of variables; questions asked.
    seconds : float
    why : str
    responsibility : bytes or None
        zlib of float32 little endian [size].
    original : bytes
        The model's answer to the clip, see :func:`pack`.
    subsets : tuple of tuple
        Kind, draw, and the other columns of ``subsets`` from ``mask`` to ``why``.
    """

    size: int
    queries: int
    seconds: float
    why: str
    responsibility: bytes | None
    original: bytes
    subsets: tuple[tuple[Any, ...], ...]

    @classmethod
    def of(cls, explanation: Explanation) -> Record:
        """The rows of an explanation."""
        size, responsibility = explanation.spectrum.size, explanation.responsibility
        packed = None if responsibility is None else zlib.compress(responsibility.astype("<f4").tobytes())
        subsets = tuple((kind, draw, *_part_row(part, size)) for kind, draw, part in explanation.parts())
        return cls(
            size, explanation.queries, explanation.seconds, explanation.why, packed,
            pack(explanation.log_probabilities), subsets,
        )  # fmt: skip


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
        self.path, self._write = Path(path), write
        self._lock: Lock | None = None
        if not write and not self.path.is_file():
            raise StoreError(f"{self.path}: no such store; make one with: earwitness study run STUDY.toml")
        try:
            if write:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._lock = Lock(self.path)
            self._db = self._connect()
            self._prepare()
        except (sqlite3.Error, OSError) as error:
            self._release()
            raise StoreError(
                f"{self.path}: not usable as a store ({error}); check the path and its rights, or restore a copy"
            ) from None
        except StoreError:
            self._release()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and free the lock."""
        if self._write:
            # one plain file, that can be read where nothing can be written beside it; not while others read it
            with suppress(sqlite3.Error):
                self._db.execute("PRAGMA busy_timeout = 0")
                self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.close()
        self._release()

    # --- writing: each method is one transaction ------------------------------------------------------------

    def set_meta(self, **values: Any) -> None:
        """Note facts about the study as JSON."""
        with self.transaction():
            rows = [(key, json.dumps(value)) for key, value in values.items()]
            self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def add_settings(self, settings: SearchSettings, labels: tuple[str, ...], only_correct: bool = False) -> str:
        """Note search settings and aligned labels; the key of all that decides what is explained, and how."""
        search, names = json.dumps(asdict(settings), sort_keys=True), json.dumps(labels)
        content = f"{search}\n{names}\nrevision {REVISION}" + ("\nonly correct" if only_correct else "")
        key = blake2b(content.encode(), digest_size=12).hexdigest()
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
        """Note a clip, and what is said of it now; its row id."""
        sha256, path = clip.sha256, os.path.abspath(clip.path)
        with self.transaction():
            self._db.execute(
                "INSERT INTO clips (sha256, path, label, grp, split, dataset, sample_rate, samples, fitted)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sha256) DO UPDATE SET path = excluded.path,"
                " label = excluded.label, grp = excluded.grp, split = excluded.split, dataset = excluded.dataset",
                (sha256, path, recording.label, recording.group, recording.split, recording.dataset,
                 clip.sample_rate, len(clip), clip.fitted),
            )  # fmt: skip
        return self._id("SELECT id FROM clips WHERE sha256 = ?", sha256)

    def add_file(self, stamp: Stamp, clip: int) -> None:
        """Note which clip a file holds."""
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", (*stamp, clip))

    def describe_clips(self, rows: Iterable[tuple[int, Recording]]) -> None:
        """Bring up to date what is said of clips that are noted already."""
        with self.transaction():
            self._db.executemany(
                "UPDATE clips SET path = ?, label = ?, grp = ?, split = ?, dataset = ? WHERE id = ?",
                [(os.path.abspath(r.path), r.label, r.group, r.split, r.dataset, clip) for clip, r in rows],
            )

    def set_plan(self, settings: str, models: Sequence[int], clips: Iterable[int]) -> None:
        """Note of which models (in this order) and clips the study is made; tables are of these alone."""
        with self.transaction():
            self._db.execute("DELETE FROM planned_models WHERE settings = ?", (settings,))
            self._db.execute("DELETE FROM planned_clips WHERE settings = ?", (settings,))
            models_rows = [(settings, position, model) for position, model in enumerate(models)]
            self._db.executemany("INSERT INTO planned_models VALUES (?, ?, ?)", models_rows)
            self._db.executemany("INSERT INTO planned_clips VALUES (?, ?)", ((settings, clip) for clip in clips))

    def add_explanation(self, clip: int, model: int, settings: str, explanation: Explanation | Record) -> None:
        """Store an explanation with all its subsets."""
        record = explanation if isinstance(explanation, Record) else Record.of(explanation)
        with self.transaction():
            cursor = self._db.execute(
                "INSERT INTO explanations (clip, model, settings, size, queries, seconds, why, responsibility)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (clip, model, settings, record.size, record.queries, record.seconds, record.why,
                 record.responsibility),
            )  # fmt: skip
            self._db.executemany(
                "INSERT INTO subsets (explanation, kind, draw, mask, size, energy, certificate, groups, queries,"
                " log_probabilities, why) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(cursor.lastrowid, *row) for row in record.subsets],
            )
            self._original(clip, model, settings, record.original)

    def add_original(self, clip: int, model: int, settings: str, original: Log) -> None:
        """Store what a model says to a clip itself."""
        with self.transaction():
            self._original(clip, model, settings, pack(original))

    def add_nulls(self, explanation: int, nulls: Sequence[tuple[str, int, int, Mask, float]]) -> None:
        """Store null signals of an explanation: (kind, draw, parent subset, mask, share of the clip's energy)."""
        rows = [
            (explanation, kind, draw, pack_mask(mask), int(mask.sum()), energy, parent)
            for kind, draw, parent, mask, energy in nulls
        ]
        with self.transaction():
            self._db.executemany(
                "INSERT INTO subsets (explanation, kind, draw, mask, size, energy, parent, certificate, why)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, 'none', '')",
                rows,
            )

    def add_answers(self, clip: int, model: int, settings: str, original: Log, answers: dict[int, Log]) -> None:
        """Store what a model says to a clip and to subsets of it (by subset id)."""
        with self.transaction():
            self._original(clip, model, settings, pack(original))
            rows = [(subset, model, pack(answer)) for subset, answer in answers.items()]
            self._db.executemany("INSERT OR REPLACE INTO transfers VALUES (?, ?, ?)", rows)

    def add_failure(self, settings: str, stage: str, clip: str, model: str, reason: str) -> None:
        """Store that a unit of work failed, and why."""
        with self.transaction():
            row = (settings, stage, clip, model, reason)
            self._db.execute("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)", row)

    def clear_failures(self, settings: str, stage: str | None = None) -> None:
        """Forget failures (of one stage, where it is named), so that they are tried again."""
        with self.transaction():
            query = "DELETE FROM failures WHERE settings = ?1 AND (?2 IS NULL OR stage = ?2)"
            self._db.execute(query, (settings, stage))

    def forget_failures(self, settings: str, units: Iterable[tuple[str, str, str]]) -> None:
        """Forget the failures of these units (stage, clip, model)."""
        with self.transaction():
            self._db.executemany(
                "DELETE FROM failures WHERE settings = ? AND stage = ? AND clip = ? AND model = ?",
                [(settings, *unit) for unit in units],
            )

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
                if self._db.in_transaction:  # a full disk has ended it already
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: cannot be written ({error}); earlier results are kept") from error

    # --- reading --------------------------------------------------------------------------------------------

    def meta(self) -> dict[str, Any]:
        """The facts noted about the study."""
        return {key: json.loads(value) for key, value in self._read("SELECT key, value FROM meta")}

    def settings(self, key: str) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Search settings and aligned labels by their key."""
        search, labels = self._read("SELECT search, labels FROM settings WHERE key = ?", (key,)).fetchone()
        return json.loads(search), tuple(json.loads(labels))

    def explained(self, settings: str) -> set[tuple[int, int]]:
        """(clip, model) pairs that have an explanation."""
        return set(self._read("SELECT clip, model FROM explanations WHERE settings = ?", (settings,)))

    def failed(self, settings: str, stage: str) -> set[tuple[str, str]]:
        """(clip, model) pairs of a stage that failed."""
        query = "SELECT clip, model FROM failures WHERE settings = ? AND stage = ?"
        return set(self._read(query, (settings, stage)))

    def count_failures(self, settings: str) -> int:
        """How many failed rows there are."""
        return int(self._read("SELECT count(*) FROM failures WHERE settings = ?", (settings,)).fetchone()[0])

    def count(self, settings: str) -> dict[str, int]:
        """How many ``clips`` and ``models`` the study is made of, how many ``originals``, ``explanations``,
        ``signals`` and ``judgements`` of signals of these there are."""
        (whole,) = self._read(
            "SELECT (SELECT count(*) FROM settings) = 1"
            " AND (SELECT count(*) FROM models) = (SELECT count(*) FROM planned_models)"
            " AND (SELECT count(*) FROM clips) = (SELECT count(*) FROM planned_clips)"
        ).fetchone()
        tables = _COUNTS_OF_ALL if whole else _COUNTS
        return {
            name: self._read(f"SELECT count(*) FROM {table}", (settings,)[: table.count("?1")]).fetchone()[0]  # noqa: S608
            for name, table in tables.items()
        }

    def planned_models(self, settings: str) -> list[int]:
        """Ids of the models the study is made of, in its order."""
        query = "SELECT model FROM planned_models WHERE settings = ? ORDER BY position"
        return [model for (model,) in self._read(query, (settings,))]

    def known_files(self, sample_rate: int, seconds: float | None) -> dict[Stamp, tuple[int, str, int]]:
        """Clips of files read before by stamp: row id, hash, number of samples."""
        query = (
            "SELECT f.path, f.sample_rate, f.seconds, f.bytes, f.modified, c.id, c.sha256, c.samples FROM files f"
            " JOIN clips c ON c.id = f.clip WHERE f.sample_rate = ? AND f.seconds = ?"
        )
        rows = self._read(query, (sample_rate, seconds or 0.0))
        return {Stamp(*row[:5]): row[5:] for row in rows}

    def tops(self, settings: str) -> dict[tuple[int, int], int]:
        """By (clip, model): the index of the model's answer to the clip itself."""
        query = "SELECT clip, model, log_probabilities FROM originals WHERE settings = ?"
        return {(clip, model): int(unpack(blob).argmax()) for clip, model, blob in self._read(query, (settings,))}

    def unjudged(self, settings: str) -> dict[int, list[int]]:
        """By model: the clips to which, or to a signal of which, it has not answered yet."""
        query = f"""
            WITH asked AS ({_SIGNALS} GROUP BY clip),
            answered AS (
              SELECT e.clip, t.model, count(*) AS signals FROM explanations e
              JOIN planned_models p ON p.settings = e.settings AND p.model = e.model
              JOIN subsets s ON s.explanation = e.id JOIN transfers t ON t.subset = s.id
              WHERE e.settings = ?1 AND s.mask IS NOT NULL GROUP BY e.clip, t.model)
            SELECT m.model, c.clip FROM planned_models m JOIN planned_clips c ON c.settings = m.settings
            LEFT JOIN asked ON asked.clip = c.clip
            LEFT JOIN answered ON answered.clip = c.clip AND answered.model = m.model
            LEFT JOIN originals o ON o.settings = m.settings AND o.clip = c.clip AND o.model = m.model
            WHERE m.settings = ?1 AND (o.clip IS NULL OR coalesce(answered.signals, 0) < coalesce(asked.signals, 0))
            ORDER BY m.position, c.clip"""  # noqa: S608 - constants
        found: dict[int, list[int]] = {}
        for model, clip in self._read(query, (settings,)):
            found.setdefault(model, []).append(clip)
        return found

    def unanswered(self, clip: int, model: int, settings: str) -> tuple[int, list[tuple[int, bytes]]]:
        """Signals of a clip that a model has not judged yet: number of variables; ids and packed masks."""
        query = (
            "SELECT e.size, s.id, s.mask FROM explanations e"
            " JOIN planned_models p ON p.settings = e.settings AND p.model = e.model"
            " JOIN subsets s ON e.id = s.explanation LEFT JOIN transfers t ON t.subset = s.id AND t.model = ?"
            " WHERE e.clip = ? AND e.settings = ? AND s.mask IS NOT NULL AND t.subset IS NULL"
            " ORDER BY p.position, s.kind, s.draw"
        )
        rows = self._read(query, (model, clip, settings)).fetchall()
        return (rows[0][0] if rows else 0), [(id, mask) for _, id, mask in rows]

    def mask(self, subset: int) -> Mask:
        """The mask of a subset, bool [size]."""
        query = "SELECT s.mask, e.size FROM subsets s JOIN explanations e ON e.id = s.explanation WHERE s.id = ?"
        row = self._read(query, (subset,)).fetchone()
        if row is None or row[0] is None:
            raise StoreError(f"{self.path}: no mask for subset {subset}; ask for one that study tables list")
        return unpack_mask(row[0], row[1])

    def done_units(self, settings: str, analysis: str, options: Mapping[str, Any]) -> set[str]:
        """Units of an analysis whose results are stored."""
        query = "SELECT unit FROM results WHERE settings = ? AND analysis = ? AND options = ?"
        return {unit for (unit,) in self._read(query, (settings, analysis, _options_key(options)[0]))}

    def analyses(self, settings: str) -> list[str]:
        """Names of the analyses that have results."""
        query = "SELECT DISTINCT analysis FROM results WHERE settings = ? ORDER BY analysis"
        return [name for (name,) in self._read(query, (settings,))]

    def last_options(self, settings: str, analysis: str) -> dict[str, Any] | None:
        """The options an analysis was last run with; None if it never was."""
        query = "SELECT options FROM options WHERE settings = ? AND analysis = ? ORDER BY used DESC LIMIT 1"
        row = self._read(query, (settings, analysis)).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def results(self, settings: str, analysis: str, options: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """All rows of an analysis, with the column ``unit``; of the options last used unless others are named."""
        options = self.last_options(settings, analysis) if options is None else options
        if options is None:
            return pl.DataFrame()
        query = "SELECT unit, rows FROM results WHERE settings = ? AND analysis = ? AND options = ? ORDER BY unit"
        found = self._read(query, (settings, analysis, _options_key(options)[0]))
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
        row = self._read(query, (settings, analysis, _options_key(options or {})[0], unit)).fetchone()
        if row is None or row[0] is None:
            raise StoreError(f"{self.path}: no signal of {analysis} {unit!r}; run the analysis first")
        return np.frombuffer(zlib.decompress(row[0]), dtype="<f4").astype(np.float32)

    def frame(self, query: str, parameters: tuple[Any, ...] = ()) -> pl.DataFrame:
        """The rows of a query as a polars frame."""
        cursor = self._read(query, parameters)
        names = [column[0] for column in cursor.description]
        rows = cursor.fetchall()
        return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)

    # --- inside ---------------------------------------------------------------------------------------------

    def _read(self, query: str, parameters: Sequence[Any] = ()) -> _Rows:
        with self._reading():
            return _Rows(self._db.execute(query, parameters), self._reading)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self.path}: cannot be read ({error}); restore a copy of it") from error

    def _original(self, clip: int, model: int, settings: str, answer: bytes) -> None:
        row = (clip, model, settings, answer)
        self._db.execute("INSERT OR IGNORE INTO originals VALUES (?, ?, ?, ?)", row)

    def _id(self, query: str, key: str) -> int:
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
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _prepare(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        fresh = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if fresh and self._write:
            self._db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
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
            for old in range(version, SCHEMA_VERSION):
                self._db.executescript(f"BEGIN; {MIGRATIONS[old]} PRAGMA user_version = {old + 1}; COMMIT;")
        if self._write:
            self._keep_safe()

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
