"""Failures: units of work that could not be done, and why."""

from __future__ import annotations

from collections.abc import Iterable

from .connection import Connection


class Failures(Connection):
    """Rows of ``failures``."""

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

    def failed(self, settings: str, stage: str) -> set[tuple[str, str]]:
        """(clip, model) pairs of a stage that failed."""
        query = "SELECT clip, model FROM failures WHERE settings = ? AND stage = ?"
        return set(self._read(query, (settings, stage)))

    def count_failures(self, settings: str) -> int:
        """How many failed rows there are."""
        return int(self._read("SELECT count(*) FROM failures WHERE settings = ?", (settings,)).fetchone()[0])

    def list_failures(self, settings: str) -> list[dict[str, str]]:
        """What failed, and why: ``stage``, ``clip``, ``model``, ``reason``."""
        query = "SELECT stage, clip, model, reason FROM failures WHERE settings = ? ORDER BY stage, clip, model"
        names = ("stage", "clip", "model", "reason")
        return [dict(zip(names, row, strict=True)) for row in self._read(query, (settings,))]
