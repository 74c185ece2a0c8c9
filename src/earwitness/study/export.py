"""Every table of a study as files that pandas, polars, DuckDB and spreadsheets read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from .. import __version__
from ..errors import ConfigError, nearest
from ..signal.masks import to_runs
from ..transferability.options import Options
from ..transferability.tables import make_tables
from .answers import epsilon_of, load_answers
from .store import CURVES, SURVIVAL, Store
from .verify import receipt

#: with one of these a cell begins a formula, for a spreadsheet; what a label or a path is called is not ours to run
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def to_csv(table: pl.DataFrame) -> str:
    """A table as CSV in which no text begins a formula: where one would, an apostrophe stands before it.

    Examples
    --------
    >>> print(to_csv(pl.DataFrame({"label": ["=1+1", "rock"], "gain": [-1.5, 2.0]})), end="")
    label,gain
    '=1+1,-1.5
    rock,2.0
    """
    quoted = table.with_columns(
        pl.when(pl.col(name).str.contains("^[" + "".join(map(re.escape, FORMULA)) + "]"))
        .then(pl.lit("'") + pl.col(name))
        .otherwise(pl.col(name))
        .alias(name)
        for name, kind in table.schema.items()
        if kind == pl.String
    )
    return quoted.rename(lambda name: f"'{name}" if name.startswith(FORMULA) else name).write_csv()


#: format → what writes a table so; a new format is one line
EXPORTS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    "parquet": lambda table, path: table.write_parquet(path),
    "csv": lambda table, path: path.write_text(to_csv(table), encoding="utf-8", newline=""),
}


def export_tables(store: Store, epsilon: float | None = None) -> Iterator[tuple[str, pl.DataFrame]]:
    """Every table of a study by name, one after the other.

    ``judgements`` has a row for each signal and judging model, ``nulls`` the same of null signals, ``probabilities``
    the whole distribution of each, ``overlaps`` how much two models' sets of a clip have in common,
    ``originals`` what each model says to each clip; ``clips``, ``subsets`` (with ``runs``, half-open intervals of
    variables), ``explanations`` and ``failures`` are as stored. Then ``table-…``: what ``study tables`` prints, and
    ``result-…``: what the deeper analyses found.

    Parameters
    ----------
    store : Store
    epsilon : float, optional
        Definition 4's ε; by default the study's.

    Raises
    ------
    StoreError
        The store holds no study.
    """
    options = Options(epsilon_of(store, epsilon))  # refused before anything is written
    key = store.settings_key()
    answers = load_answers(store)
    yield "models", answers.models
    yield "clips", store.list_clips(key)
    yield "originals", answers.originals
    explanations = _named(store, key, store.list_explanations(key)).sort("place", "position")
    yield "explanations", explanations.select("clip", "path", "model", "variables", "queries", "seconds", "why")
    yield "subsets", _subsets(store, key)
    yield "judgements", answers.judgements
    yield "nulls", answers.nulls
    yield "overlaps", answers.overlaps
    yield "nested", answers.nested
    yield "survival", answers.survival
    yield "probabilities", _probabilities(store, key, answers.labels)
    yield "receipt", pl.DataFrame({"receipt": [receipt(store)], "version": [__version__]})
    failed = dict.fromkeys(("stage", "clip", "model", "reason"), pl.String())
    yield "failures", pl.DataFrame(store.list_failures(key), schema=failed)
    for name, table in make_tables(answers, options).items():
        yield f"table {name}", table
    for name in store.analyses(key):
        if name not in (CURVES, SURVIVAL):  # told above
            yield f"result {name}", store.results(key, name)


def write_export(store: Store, out: Path, style: str = "parquet", epsilon: float | None = None) -> list[Path]:
    """Write every table of a study to a folder; each file appears whole or not at all.

    Parameters
    ----------
    store : Store
    out : Path
    style : {"parquet", "csv"}
    epsilon : float, optional
        Definition 4's ε; by default the study's.

    Returns
    -------
    list of Path

    Raises
    ------
    ConfigError
        The format is unknown, or the folder cannot be written.
    """
    if style not in EXPORTS:
        raise ConfigError(f"format {style!r}: {nearest(style, EXPORTS)}use {' or '.join(EXPORTS)}")
    paths = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, table in export_tables(store, epsilon):
            path = out / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.{style}"
            temporary = path.with_name(path.name + ".tmp")
            EXPORTS[style](table, temporary)
            os.replace(temporary, path)
            paths.append(path)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written ({error}); choose another --out") from None
    return paths


def _named(store: Store, key: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with the clip's path and the model's spec, and where these two stand (``place``, ``position``)."""
    clips = store.list_clips(key).select("clip", "path").with_row_index("place")
    models = store.list_models(key).select("model", "position", "spec")
    return rows.join(clips, on="clip").join(models, on="model").drop("model").rename({"spec": "model"})


def _subsets(store: Store, key: str) -> pl.DataFrame:
    rows = _named(store, key, store.list_signals(key, masks=True)).sort("place", "position", "kind", "draw")
    runs = [
        None if row[1] is None else " ".join(f"{a}:{b}" for a, b in to_runs(store.unpack_mask(*row)))
        for row in rows.select("subset", "mask", "variables", "size").iter_rows()
    ]
    return rows.with_columns(runs=pl.Series(runs, dtype=pl.String)).select(
        "subset", "clip", "path", "model", "kind", "draw", "size", "energy", "certificate", "groups", "queries",
        "parent", "why", "variables", "runs",
    )  # fmt: skip


def _probabilities(store: Store, key: str, labels: tuple[str, ...]) -> pl.DataFrame:
    signals = _named(store, key, store.list_signals(key)).select("subset", "place", "position", "kind", "draw")
    judges = store.list_models(key).select("model", second="position", judge="spec")
    rows = store.list_answers(key).join(signals, on="subset").join(judges, on="model")
    rows = rows.sort("place", "position", "kind", "draw", "second")
    logs = store.logs(rows, len(labels))
    distribution = pl.DataFrame(np.exp(logs), schema=[f"p_{label}" for label in labels])
    return pl.concat([rows.select("subset", "judge"), distribution], how="horizontal")
