"""Robust sets, and what survives: rows of ``subsets`` with the key of what they were sought with, and results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...search.settings import FOUND, KINDS, ROBUST_REVISION
from .explanations import Explanations, part_rows
from .packing import unpack
from .results import Results, options_key

if TYPE_CHECKING:
    import polars as pl

    from ...analyses.robustness import Measured
    from ...search.settings import RobustSettings

#: the name of the results
SURVIVAL = "survival"


def robust_options(settings: RobustSettings) -> dict[str, Any]:
    """What decides robust sets and survival, apart from the study."""
    from dataclasses import asdict

    return {**asdict(settings), "revision": ROBUST_REVISION}


@dataclass(frozen=True)
class RobustRecord:
    """What survives of an explanation, as rows.

    Attributes
    ----------
    subsets : tuple of tuple
        The robust sets: kind, draw, and the other columns of ``subsets`` from ``mask`` to ``why``.
    survival : tuple of dict
        ``sha256`` of the clip, ``model`` (fingerprint), ``kind``, ``draw``, ``held``, ``views`` of every set, and the
        ``questions`` that all of it took. Without any set one row, without a kind.
    """

    subsets: tuple[tuple[Any, ...], ...]
    survival: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, measured: Measured, size: int, sha256: str, fingerprint: str) -> RobustRecord:
        """The rows of what was measured; a set that was found and did not hold is none."""
        facts = {"sha256": sha256, "model": fingerprint, "questions": measured.queries}
        rows = tuple(
            {**facts, "kind": kind, "draw": draw, "held": held, "views": views}
            for kind, draw, held, views in measured.counts()
        )
        return cls(part_rows(measured.parts(), size), rows)


@dataclass(frozen=True)
class Explained:
    """An explanation, as what survives of it is measured from.

    Attributes
    ----------
    size : int
        Number of variables.
    label : int
        Index of the model's answer to the clip.
    sets : tuple of (str, int, bytes)
        Kind, draw and packed mask of each set that is to get the label.
    """

    size: int
    label: int
    sets: tuple[tuple[str, int, bytes], ...]


class RobustSets(Explanations, Results):
    """Robust sets of explanations."""

    def add_robust(
        self, clip: int, model: int, settings: str, options: Mapping[str, Any], record: RobustRecord
    ) -> None:
        """Store the robust sets of an explanation and what survives of its others."""
        facts = record.survival[0]
        unit = f"{facts['sha256'][:16]}:{facts['model'][:16]}"
        key = options_key(options)
        query = "SELECT id FROM explanations WHERE settings = ? AND clip = ? AND model = ?"
        with self.transaction():
            (explanation,) = self._db.execute(query, (settings, clip, model)).fetchone()
            self._add_parts(explanation, record.subsets, key)
            self._results(settings, SURVIVAL, options, unit, record.survival)

    def tested(self, settings: str, options: Mapping[str, Any]) -> set[tuple[int, int]]:
        """(clip, model) pairs whose robust sets were sought with these options."""
        query = (
            "SELECT DISTINCT e.clip, e.model FROM explanations e JOIN subsets s ON s.explanation = e.id"
            " WHERE e.settings = ? AND s.options = ?"
        )
        return set(self._read(query, (settings, options_key(options))))

    def explanation(self, clip: int, model: int, settings: str) -> Explained:
        """What there is of one explanation."""
        where = " WHERE e.settings = ? AND e.clip = ? AND e.model = ?"
        query = (
            "SELECT e.size, o.log_probabilities FROM explanations e JOIN originals o"
            f" ON o.settings = e.settings AND o.clip = e.clip AND o.model = e.model{where}"
        )
        sets = (
            "SELECT s.kind, s.draw, s.mask FROM explanations e JOIN subsets s ON s.explanation = e.id"
            f"{where} AND s.mask IS NOT NULL ORDER BY s.kind, s.draw"
        )
        with self.naming(clip=clip, model=model):
            size, said = self._read(query, (settings, clip, model)).fetchone()
            found = [row for row in self._read(sets, (settings, clip, model)) if row[0] in FOUND]
            found.sort(key=lambda row: (KINDS.index(row[0]), row[1]))
            return Explained(int(size), int(unpack(said).argmax()), tuple(found))

    def list_survival(self, settings: str, options: Mapping[str, Any]) -> pl.DataFrame:
        """In how many views each set holds: ``unit`` and the columns of :attr:`RobustRecord.survival`."""
        return self.results(settings, SURVIVAL, options)
