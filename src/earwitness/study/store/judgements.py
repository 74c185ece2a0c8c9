"""Judgements: what models say to signals, and which they have not been asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .explanations import Explanations
from .packing import pack

if TYPE_CHECKING:
    import polars as pl

    from .packing import Log

#: signals a clip of the study, by clip, still to be grouped
_SIGNALS = """
SELECT e.clip, count(*) AS signals FROM explanations e
JOIN planned_models p ON p.settings = e.settings AND p.model = e.model
JOIN signals s ON s.explanation = e.id WHERE e.settings = ?1 AND s.mask IS NOT NULL"""


class Judgements(Explanations):
    """Rows of ``transfers``."""

    def add_answers(self, clip: int, model: int, settings: str, original: Log, answers: dict[int, Log]) -> None:
        """Store what a model says to a clip and to subsets of it (by subset id)."""
        with self.transaction():
            self._original(clip, model, settings, pack(original))
            rows = [(subset, model, pack(answer)) for subset, answer in answers.items()]
            self._db.executemany("INSERT OR REPLACE INTO transfers VALUES (?, ?, ?)", rows)

    def unjudged(self, settings: str) -> dict[int, list[int]]:
        """By model: the clips to which, or to a signal of which, it has not answered yet."""
        query = f"""
            WITH asked AS ({_SIGNALS} GROUP BY clip),
            answered AS (
              SELECT e.clip, t.model, count(*) AS signals FROM explanations e
              JOIN planned_models p ON p.settings = e.settings AND p.model = e.model
              JOIN signals s ON s.explanation = e.id JOIN transfers t ON t.subset = s.id
              WHERE e.settings = ?1 AND s.mask IS NOT NULL GROUP BY e.clip, t.model)
            SELECT m.model, c.clip FROM planned_models m JOIN planned_clips c ON c.settings = m.settings
            LEFT JOIN asked ON asked.clip = c.clip
            LEFT JOIN answered ON answered.clip = c.clip AND answered.model = m.model
            LEFT JOIN originals o ON o.settings = m.settings AND o.clip = c.clip AND o.model = m.model
            WHERE m.settings = ?1 AND (o.clip IS NULL OR coalesce(answered.signals, 0) < coalesce(asked.signals, 0))
            ORDER BY m.position, c.clip"""
        found: dict[int, list[int]] = {}
        for model, clip in self._read(query, (settings,)):
            found.setdefault(model, []).append(clip)
        return found

    def unanswered(self, clip: int, model: int, settings: str) -> tuple[int, list[tuple[int, bytes]]]:
        """Signals of a clip that a model has not judged yet: number of variables; ids and packed masks."""
        query = (
            "SELECT e.size, s.id, s.mask FROM explanations e"
            " JOIN planned_models p ON p.settings = e.settings AND p.model = e.model"
            " JOIN signals s ON e.id = s.explanation LEFT JOIN transfers t ON t.subset = s.id AND t.model = ?"
            " WHERE e.clip = ? AND e.settings = ? AND s.mask IS NOT NULL AND t.subset IS NULL"
            " ORDER BY p.position, s.kind, s.draw"
        )
        rows = self._read(query, (model, clip, settings)).fetchall()
        return (rows[0][0] if rows else 0), [(id, mask) for _, id, mask in rows]

    def list_answers(self, settings: str, clip: int | None = None) -> pl.DataFrame:
        """What the study's models say to its signals, or to those of one clip: ``subset``, ``model`` (ids),
        ``log_probabilities`` (packed)."""
        return self.frame(
            "SELECT t.subset, t.model, t.log_probabilities FROM transfers t JOIN signals s ON s.id = t.subset"
            " JOIN explanations e ON e.id = s.explanation"
            " JOIN planned_models p ON p.settings = e.settings AND p.model = t.model"
            " WHERE e.settings = ?1 AND (?2 IS NULL OR e.clip = ?2)",
            (settings, clip),
        )
