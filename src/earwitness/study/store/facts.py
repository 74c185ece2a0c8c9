"""What a study is: facts, search settings with aligned labels, the plan; and how many rows there are of each kind."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from hashlib import blake2b
from typing import Any

from ...errors import StoreError
from ...search.settings import REVISION, SearchSettings
from .connection import Connection
from .schema import PLANNED

#: what is counted of a study, by its name, as what follows FROM
_COUNTS = {
    "clips": "planned_clips e WHERE e.settings = ?1",
    "models": "planned_models e WHERE e.settings = ?1",
    "originals": f"originals e {PLANNED} WHERE e.settings = ?1",
    "explanations": f"explanations e {PLANNED} WHERE e.settings = ?1",
    "signals": f"explanations e {PLANNED} JOIN signals s ON s.explanation = e.id"
    " WHERE e.settings = ?1 AND s.size IS NOT NULL",
    "judgements": f"explanations e {PLANNED} JOIN signals s ON s.explanation = e.id"
    " JOIN transfers t ON t.subset = s.id JOIN planned_models j ON j.settings = e.settings AND j.model = t.model"
    " WHERE e.settings = ?1",
}


#: the same where the store holds nothing else: no joins, so that a million rows are counted at once
_COUNTS_OF_ALL = {
    "clips": "clips", "models": "models", "originals": "originals", "explanations": "explanations",
    "signals": "signals WHERE size IS NOT NULL", "judgements": "transfers",
}  # fmt: skip


class Facts(Connection):
    """What the study is."""

    def set_meta(self, **values: Any) -> None:
        """Note facts about the study as JSON."""
        with self.transaction():
            rows = [(key, json.dumps(value)) for key, value in values.items()]
            self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def meta(self) -> dict[str, Any]:
        """The facts noted about the study."""
        found = {}
        for key, value in self._read("SELECT key, value FROM meta"):
            with self.naming(unit=f"fact {key!r}"):
                found[key] = json.loads(value)
        return found

    def add_settings(self, settings: SearchSettings, labels: tuple[str, ...], only_correct: bool = False) -> str:
        """Note search settings and aligned labels; the key of all that decides what is explained, and how."""
        told = asdict(settings)
        if told["precision"] == "float32":  # as before there was a choice, so that what was found then is found again
            del told["precision"]
        search, names = json.dumps(told, sort_keys=True), json.dumps(labels)
        key = settings_digest(search, names, REVISION, only_correct)
        with self.transaction():
            self._db.execute("INSERT OR IGNORE INTO settings VALUES (?, ?, ?)", (key, search, names))
        return key

    def settings_key(self) -> str:
        """The key of the settings the study was last run with.

        Raises
        ------
        StoreError
            The store holds no study yet.
        """
        key = self.meta().get("settings")
        if not isinstance(key, str):
            raise StoreError(f"{self.path}: no study was run into it yet; run: earwitness study run STUDY.toml")
        return key

    def settings(self, key: str) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Search settings and aligned labels by their key.

        Raises
        ------
        StoreError
            They are not there, or damaged.
        """
        with self.naming(unit=f"settings {key!r}"):
            search, labels = self._read("SELECT search, labels FROM settings WHERE key = ?", (key,)).fetchone()
            found, names = dict(json.loads(search)), tuple(json.loads(labels))
            if not all(isinstance(name, str) for name in names):
                raise ValueError("labels that are no text")
        return found, names

    def search_settings(self, key: str) -> SearchSettings:
        """Search settings by their key.

        Raises
        ------
        StoreError
            They are not there, damaged, or of another version.
        """
        search, _ = self.settings(key)
        with self.naming(unit=f"settings {key!r}"):
            # before there were efforts, searches went on as long as the budget lasted
            return SearchSettings(**{"effort": "thorough", **search})

    def settings_with_map_of(self, key: str) -> list[str]:
        """Keys of other settings with which the searches of today make the same maps."""
        (labels,) = self._read("SELECT labels FROM settings WHERE key = ?", (key,)).fetchone()
        wanted, found = self.search_settings(key).of_map, []
        for other, search in self._read("SELECT key, search FROM settings WHERE labels = ? ORDER BY key", (labels,)):
            today = (settings_digest(search, labels, REVISION, only) for only in (False, True))
            if other != key and other in today and wanted and self.search_settings(other).of_map == wanted:
                found.append(other)
        return found

    def set_plan(self, settings: str, models: Sequence[int], clips: Iterable[int]) -> None:
        """Note of which models (in this order) and clips the study is made; tables are of these alone."""
        with self.transaction():
            self._db.execute("DELETE FROM planned_models WHERE settings = ?", (settings,))
            self._db.execute("DELETE FROM planned_clips WHERE settings = ?", (settings,))
            models_rows = [(settings, position, model) for position, model in enumerate(models)]
            self._db.executemany("INSERT INTO planned_models VALUES (?, ?, ?)", models_rows)
            self._db.executemany("INSERT INTO planned_clips VALUES (?, ?)", ((settings, clip) for clip in clips))

    def planned_models(self, settings: str) -> list[int]:
        """Ids of the models the study is made of, in its order."""
        query = "SELECT model FROM planned_models WHERE settings = ? ORDER BY position"
        return [model for (model,) in self._read(query, (settings,))]

    def count(self, settings: str) -> dict[str, int]:
        """How many ``clips`` and ``models`` the study is made of, how many ``originals``, ``explanations``,
        ``signals`` and ``judgements`` of signals of these there are."""
        (whole,) = self._read(
            "SELECT (SELECT count(*) FROM settings) = 1"
            " AND (SELECT count(*) FROM models) = (SELECT count(*) FROM planned_models)"
            " AND (SELECT count(*) FROM clips) = (SELECT count(*) FROM planned_clips)"
            " AND (SELECT count(*) FROM subsets) = (SELECT count(*) FROM signals)"
        ).fetchone()
        tables = _COUNTS_OF_ALL if whole else _COUNTS
        return {
            name: self._read(f"SELECT count(*) FROM {table}", (settings,)[: table.count("?1")]).fetchone()[0]
            for name, table in tables.items()
        }


def settings_digest(search: str, labels: str, revision: int, only_correct: bool) -> str:
    """The key of settings, both as JSON."""
    content = f"{search}\n{labels}\nrevision {revision}" + ("\nonly correct" if only_correct else "")
    return blake2b(content.encode(), digest_size=12).hexdigest()
