"""The answers of a study, read from its store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

import polars as pl

from ..search.settings import KINDS
from ..transferability.answers import (
    CLIP_COLUMNS,
    MODEL_COLUMNS,
    NESTED_COLUMNS,
    OVERLAP_COLUMNS,
    SIGNAL_COLUMNS,
    SURVIVAL_COLUMNS,
    TEXT,
    WHOLE,
    Answers,
    assemble,
    unique_names,
)
from ..transferability.definitions import check_epsilon, check_labels, judge, top_labels, top_probabilities
from ..transferability.options import Options
from ..transferability.tables import make_tables
from .file import Study, parse_study
from .store import CURVES, Store, robust_options


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
    found = assemble(labels, models.select(MODEL_COLUMNS.keys()), judged, originals, overlaps)
    names, study = dict(models.select("fingerprint", "model").iter_rows()), study_of(store)
    nested = _read_nested(store, key, study, names, clips)
    return replace(found, nested=nested, survival=read_survival(store, key, study, names, clips))


def _read_models(store: Store, key: str) -> pl.DataFrame:
    schema = {"id": WHOLE, "position": WHOLE, **MODEL_COLUMNS, "fingerprint": TEXT}
    rows = _cast(store.list_models(key).rename({"model": "id", "spec": "model"}).select(schema.keys()), schema)
    names = unique_names(rows["model"].to_list(), rows["fingerprint"].to_list())
    return rows.with_columns(model=pl.Series(names, dtype=pl.String))


def _read_clips(store: Store, key: str) -> pl.DataFrame:
    columns = {**CLIP_COLUMNS, "sha256": TEXT}
    return _cast(store.list_clips(key).select(columns.keys()), columns).with_row_index("place")


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


def _read_nested(
    store: Store, key: str, study: Study | None, names: Mapping[str, str], clips: pl.DataFrame
) -> pl.DataFrame:
    """What judges say to the curves the study asks for."""
    rows = store.results(key, CURVES, asdict(study.curves)) if study and study.curves else pl.DataFrame()
    if rows.is_empty():
        return pl.DataFrame(schema=NESTED_COLUMNS)
    with store.naming(unit="results of curves"):
        rows = rows.filter(pl.col("judge").is_in(list(names)) & pl.col("source").is_in([*names, ""]))
        rows = rows.explode("level", "size", "energy", "accepted", "probability")
        rows = rows.with_columns(pl.col("source", "judge").replace_strict({**names, "": ""}, return_dtype=TEXT))
        rows = rows.join(clips.select("clip", "sha256", "place"), on="sha256")
        rows = rows.sort("place", "judge", "order", "source", "draw", "level", maintain_order=True)
        return _cast(rows.select(NESTED_COLUMNS.keys()), NESTED_COLUMNS)


def read_survival(
    store: Store, key: str, study: Study | None, names: Mapping[str, str], clips: pl.DataFrame
) -> pl.DataFrame:
    """In how many views the sets hold, with what the study asks for."""
    rows = store.list_survival(key, robust_options(study.robust)) if study and study.robust else pl.DataFrame()
    if rows.is_empty():
        return pl.DataFrame(schema=SURVIVAL_COLUMNS)
    with store.naming(unit="results of survival"):
        rows = rows.filter(pl.col("model").is_in(list(names)))
        rows = rows.with_columns(source=pl.col("model").replace_strict(names, return_dtype=TEXT))
        rows = rows.join(clips.select("clip", "sha256", "place"), on="sha256")
        place = {kind: i for i, kind in enumerate(("", *KINDS))}
        rows = rows.sort("place", "source", pl.col("kind").replace_strict(place, return_dtype=WHOLE), "draw")
        return _cast(rows.select(SURVIVAL_COLUMNS.keys()), SURVIVAL_COLUMNS)


def study_of(store: Store) -> Study | None:
    """What the study's file said; ``None`` in a store without it.

    Raises
    ------
    StoreError
        It is damaged.
    """
    with store.naming(unit="fact 'study'"):
        content = store.meta().get("study")
        return None if content is None else parse_study(dict(content), str(store.path))


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
