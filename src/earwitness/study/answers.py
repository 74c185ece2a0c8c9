"""The answers of a study, read from its store."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ..transferability.answers import (
    CLIP_COLUMNS,
    MODEL_COLUMNS,
    OVERLAP_COLUMNS,
    SIGNAL_COLUMNS,
    TEXT,
    WHOLE,
    Answers,
    assemble,
    unique_names,
)
from ..transferability.definitions import check_epsilon, check_labels, judge, top_labels, top_probabilities
from ..transferability.options import Options
from ..transferability.tables import make_tables
from .store import Store


def epsilon_of(store: Store, epsilon: float | None = None) -> float:
    """The ε asked for, else the study's.

    Raises
    ------
    ConfigError
        It is out of range.
    """
    if epsilon is None:
        with store.naming(unit="fact 'epsilon'"):
            epsilon = float(store.meta().get("epsilon", 0.5))
    return check_epsilon(epsilon)


def load_answers(store: Store, settings: str | None = None) -> Answers:
    """Read every judgement of a study from its store: of the models that it was last run with.

    Raises
    ------
    StoreError
        The store holds no study yet.
    LabelError
        The study has fewer than two labels.
    """
    key = settings or store.settings_key()
    labels = check_labels(store.settings(key)[1])
    models, clips = _read_models(store, key), _read_clips(store, key)
    originals = _read_originals(store, key, labels, models, clips)
    signals = _read_signals(store, key, models, clips, originals)
    raw = store.list_answers(key)
    logs = store.logs(raw, len(labels))
    raw = _cast(raw.drop("log_probabilities"), {"subset": WHOLE, "model": WHOLE})
    raw = raw.rename({"model": "id"}).with_row_index("row")
    raw = raw.join(models.select("id", "position", judge="model"), on="id").join(signals, on="subset")
    raw = raw.sort("order", "position")
    judged = judge(raw.select(*SIGNAL_COLUMNS, "judge"), logs[raw["row"].to_numpy()], labels)
    overlaps = _read_overlaps(store, key, signals)
    return assemble(labels, models.select(MODEL_COLUMNS.keys()), judged, originals, overlaps)


def _read_models(store: Store, key: str) -> pl.DataFrame:
    schema = {"id": WHOLE, "position": WHOLE, **MODEL_COLUMNS, "fingerprint": TEXT}
    rows = _cast(store.list_models(key).rename({"model": "id", "spec": "model"}).select(schema.keys()), schema)
    names = unique_names(rows["model"].to_list(), rows["fingerprint"].to_list())
    return rows.with_columns(model=pl.Series(names, dtype=pl.String))


def _read_clips(store: Store, key: str) -> pl.DataFrame:
    return _cast(store.list_clips(key).select(CLIP_COLUMNS.keys()), CLIP_COLUMNS).with_row_index("place")


def _read_originals(
    store: Store, key: str, labels: tuple[str, ...], models: pl.DataFrame, clips: pl.DataFrame
) -> pl.DataFrame:
    raw = store.list_originals(key)
    logs = store.logs(raw, len(labels))
    rows = _cast(raw.drop("log_probabilities").rename({"model": "id"}), {"clip": WHOLE, "id": WHOLE})
    rows = rows.with_columns(answer=top_labels(logs, labels), probability=top_probabilities(logs))
    rows = rows.join(models.select("id", "position", "model"), on="id").join(clips, on="clip")
    rows = rows.sort("place", "position")
    return rows.select(*CLIP_COLUMNS, "model", "answer", "probability")


def _read_signals(
    store: Store, key: str, models: pl.DataFrame, clips: pl.DataFrame, originals: pl.DataFrame
) -> pl.DataFrame:
    """The stored sets and null signals of the models, with what their source says to the clip."""
    own = ("subset", "clip", "id", "kind", "draw", "size", "energy", "certificate", "parent")
    rows = store.list_signals(key).filter(pl.col("size").is_not_null()).rename({"model": "id"}).select(own)
    rows = _cast(rows, {name: SIGNAL_COLUMNS.get(name, WHOLE) for name in own})
    rows = rows.join(models.select("id", "position", source="model"), on="id").join(clips, on="clip")
    said = originals.select("clip", source="model", label="answer")
    rows = rows.join(said, on=["clip", "source"]).sort("place", "position", "kind", "draw")
    return rows.select(SIGNAL_COLUMNS.keys()).with_row_index("order")


def _read_overlaps(store: Store, key: str, signals: pl.DataFrame) -> pl.DataFrame:
    rows = store.results(key, "overlap")
    if rows.is_empty():
        return pl.DataFrame(schema=OVERLAP_COLUMNS)
    with store.naming(unit="results of overlap"):
        pairs = _cast(rows.select("subset", "other", "jaccard", "weighted"), OVERLAP_COLUMNS)
    mine = signals.select("subset", "clip", "kind", "source", "order")
    theirs = signals.select(other="subset", judge="source", other_order="order")
    # a clip whose sets have changed is compared again; what was compared before is still the same
    pairs = pairs.unique(["subset", "other"], maintain_order=True)
    both = pl.concat([pairs, pairs.rename({"subset": "other", "other": "subset"}).select(pairs.columns)])
    both = both.join(mine, on="subset").join(theirs, on="other").sort("order", "other_order")
    return both.select(OVERLAP_COLUMNS.keys())


def _cast(table: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Columns to their types: a column without any value has none of its own."""
    return table.cast({name: schema[name] for name in table.columns})


def study_tables(store: Store, options: Options | None = None) -> dict[str, pl.DataFrame]:
    """Every table of a study by name.

    Raises
    ------
    StoreError
        The store holds no study yet.
    """
    return make_tables(load_answers(store), options)
