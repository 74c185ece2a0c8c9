"""Clips, by the hash of their samples, and the files they were read from."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ...signal.cells import find_table
from .connection import Connection

if TYPE_CHECKING:
    import polars as pl

    from ...datasets.recording import Recording
    from ...signal.audio import Clip


class Stamp(NamedTuple):
    """A file as it was when it was read: by what one sees that it has not changed since.

    Attributes
    ----------
    path : str
        Absolute.
    sample_rate : int
        Hz; what the clip was made with.
    seconds : float
        What the clip was made with; 0 for its own duration, less than 0 for no more than so much.
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
    def of(cls, path: str, sample_rate: int, seconds: float) -> Stamp | None:
        """The stamp of a file; None if it cannot be had."""
        try:
            inside = find_table(Path(path))
            stat = os.stat(inside[0] if inside else path)
        except OSError:
            return None
        return cls(path, sample_rate, seconds, stat.st_size, stat.st_mtime_ns)


class Clips(Connection):
    """Rows of ``clips`` and ``files``."""

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

    def known_files(self, sample_rate: int, seconds: float) -> dict[Stamp, tuple[int, str, int]]:
        """Clips of files read before by stamp: row id, hash, number of samples."""
        query = (
            "SELECT f.path, f.sample_rate, f.seconds AS fit, f.bytes, f.modified, c.id AS clip, c.sha256, c.samples"
            " FROM files f JOIN clips c ON c.id = f.clip WHERE f.sample_rate = ? AND f.seconds = ?"
        )
        rows = self.frame(query, (sample_rate, seconds))
        return {Stamp(*row[:5]): row[5:] for row in rows.iter_rows()}

    def list_clips(self, settings: str, *, answered: bool = False) -> pl.DataFrame:
        """The study's clips by path and content, never by row id, which depends on what was done first: ``clip`` (id),
        ``path``, ``sha256``, ``truth``, ``group``, ``split``, ``dataset``, ``sample_rate``, ``samples``, ``fitted``.

        With ``answered``, only those that a model was asked about.
        """
        asked = "AND c.id IN (SELECT clip FROM originals WHERE settings = ?1)" if answered else ""
        return self.frame(
            "SELECT c.id AS clip, c.path, c.sha256, c.label AS truth, c.grp AS 'group', c.split, c.dataset,"
            " c.sample_rate, c.samples, c.fitted FROM clips c JOIN planned_clips p ON p.clip = c.id"
            f" WHERE p.settings = ?1 {asked} ORDER BY c.path, c.sha256",
            (settings,),
        )
