"""Results of the analyses: a unit of work's rows, a signal where there is one, and with what options."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from ...errors import StoreError
from .connection import Connection
from .packing import squeeze, unsqueeze

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray


#: of curves of nested sets, as an analysis: a row a curve and judge, its values by level
CURVES = "curves"


class Results(Connection):
    """Rows of ``results`` and ``options``."""

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
        with self.transaction():
            self._results(settings, analysis, options, unit, rows, array)

    def _results(
        self, settings: str, analysis: str, options: Mapping[str, Any], unit: str,
        rows: Sequence[Mapping[str, Any]], array: NDArray[np.float32] | None = None,
    ) -> None:  # fmt: skip
        signal = None if array is None else squeeze(array)
        content = json.dumps([dict(row) for row in rows])
        self._db.execute(
            "INSERT OR REPLACE INTO options SELECT ?, ?, ?, ?, coalesce(max(used), 0) + 1 FROM options",
            (settings, analysis, options_key(options), _options_text(options)),
        )
        row = (settings, analysis, options_key(options), unit, content, signal)
        self._db.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?)", row)

    def done_units(self, settings: str, analysis: str, options: Mapping[str, Any]) -> set[str]:
        """Units of an analysis whose results are stored."""
        query = "SELECT unit FROM results WHERE settings = ? AND analysis = ? AND options = ?"
        return {unit for (unit,) in self._read(query, (settings, analysis, options_key(options)))}

    def analyses(self, settings: str) -> list[str]:
        """Names of the analyses that have results."""
        query = "SELECT DISTINCT analysis FROM results WHERE settings = ? ORDER BY analysis"
        return [name for (name,) in self._read(query, (settings,))]

    def last_options(self, settings: str, analysis: str) -> dict[str, Any] | None:
        """The options an analysis was last run with; None if it never was."""
        query = "SELECT options FROM options WHERE settings = ? AND analysis = ? ORDER BY used DESC LIMIT 1"
        row = self._read(query, (settings, analysis)).fetchone()
        with self.naming(unit=f"options of {analysis}"):
            return None if row is None else dict(json.loads(row[0]))

    def results(self, settings: str, analysis: str, options: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """All rows of an analysis, with the column ``unit``; of the options last used unless others are named."""
        import polars as pl

        options = self.last_options(settings, analysis) if options is None else options
        if options is None:
            return pl.DataFrame()
        query = "SELECT unit, rows FROM results WHERE settings = ? AND analysis = ? AND options = ? ORDER BY unit"
        found = self._read(query, (settings, analysis, options_key(options)))
        records: list[dict[str, Any]] = []
        for unit, rows in found:
            with self.naming(unit=f"{analysis} {unit}"):
                records += ({"unit": str(unit), **row} for row in json.loads(rows))
        with self.naming(unit=f"results of {analysis}"):
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
        row = self._read(query, (settings, analysis, options_key(options or {}), unit)).fetchone()
        if row is None or row[0] is None:
            raise StoreError(f"{self.path}: no signal of {analysis} {unit!r}; run the analysis first")
        with self.naming(unit=f"{analysis} {unit}"):
            return unsqueeze(row[0])


def options_key(options: Mapping[str, Any]) -> str:
    """The key of options, by their content."""
    return blake2b(_options_text(options).encode(), digest_size=12).hexdigest()


def _options_text(options: Mapping[str, Any]) -> str:
    return json.dumps(dict(options), sort_keys=True)
