"""Models, by their fingerprint."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .connection import Connection

if TYPE_CHECKING:
    import polars as pl

    from ...models import Model


class Models(Connection):
    """Rows of ``models``."""

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

    def list_models(self, settings: str) -> pl.DataFrame:
        """The study's models in its order: ``model`` (id), ``position``, ``spec``, ``fingerprint``, ``backend``,
        ``architecture``, ``parameters``, ``unsteady`` (of its explanations the largest)."""
        return self.frame(
            "SELECT m.id AS model, p.position, m.spec, m.fingerprint, m.backend, m.architecture, m.parameters,"
            " (SELECT coalesce(max(e.unsteady), 0.0) FROM explanations e"
            " WHERE e.settings = p.settings AND e.model = m.id) AS unsteady"
            " FROM models m JOIN planned_models p ON p.model = m.id WHERE p.settings = ? ORDER BY p.position",
            (settings,),
        )
