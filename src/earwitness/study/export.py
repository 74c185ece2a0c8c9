"""Every table of a study as files that pandas, polars, DuckDB and spreadsheets read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from ..errors import ConfigError, nearest
from ..signal.masks import to_runs
from ..transferability.definitions import check_epsilon
from ..transferability.options import Options
from ..transferability.tables import make_tables
from .answers import latest_settings, load_answers
from .store import Store, unpack_mask

#: format → what writes a table so; a new format is one line
EXPORTS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    "parquet": lambda table, path: table.write_parquet(path),
    "csv": lambda table, path: table.write_csv(path),
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
    key = latest_settings(store)
    answers = load_answers(store)
    yield "models", answers.models
    yield (
        "clips",
        store.frame(
            "SELECT c.id AS clip, c.path, c.sha256, c.label AS truth, c.grp AS 'group', c.split, c.dataset,"
            " c.sample_rate, c.samples, c.fitted FROM clips c JOIN planned_clips p ON p.clip = c.id"
            " WHERE p.settings = ? ORDER BY c.path, c.sha256",
            (key,),
        ),
    )
    yield "originals", answers.originals
    yield (
        "explanations",
        store.frame(
            "SELECT e.clip, c.path, m.spec AS model, e.size AS variables, e.queries, e.seconds, e.why"  # noqa: S608
            f" FROM explanations e {_OF_THE_STUDY} ORDER BY c.path, c.sha256, pm.position",
            (key,),
        ),
    )
    yield "subsets", _subsets(store, key)
    yield "judgements", answers.judgements
    yield "nulls", answers.nulls
    yield "overlaps", answers.overlaps
    yield "probabilities", _probabilities(store, key, answers.labels)
    yield (
        "failures",
        store.frame(
            "SELECT stage, clip, model, reason FROM failures WHERE settings = ? ORDER BY stage, clip, model", (key,)
        ),
    )
    level = check_epsilon(epsilon if epsilon is not None else float(store.meta().get("epsilon", 0.5)))
    for name, table in make_tables(answers, Options(level)).items():
        yield f"table {name}", table
    for name in store.analyses(key):
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


#: explanations ``e`` of the study's clips ``c`` by its models ``m``
_OF_THE_STUDY = (
    "JOIN clips c ON c.id = e.clip JOIN models m ON m.id = e.model"
    " JOIN planned_clips pc ON pc.settings = e.settings AND pc.clip = e.clip"
    " JOIN planned_models pm ON pm.settings = e.settings AND pm.model = e.model WHERE e.settings = ?"
)


def _subsets(store: Store, key: str) -> pl.DataFrame:
    rows = store.frame(
        "SELECT s.id AS subset, e.clip, c.path, m.spec AS model, s.kind, s.draw, s.size, s.energy, s.certificate,"  # noqa: S608
        " s.groups, s.queries, s.parent, s.why, s.mask, e.size AS variables FROM explanations e"
        f" JOIN subsets s ON s.explanation = e.id {_OF_THE_STUDY}"
        " ORDER BY c.path, c.sha256, pm.position, s.kind, s.draw",
        (key,),
    )
    runs = [
        None if mask is None else " ".join(f"{start}:{stop}" for start, stop in to_runs(unpack_mask(mask, size)))
        for mask, size in rows.select("mask", "variables").iter_rows()
    ]
    return rows.drop("mask").with_columns(runs=pl.Series(runs, dtype=pl.String))


def _probabilities(store: Store, key: str, labels: tuple[str, ...]) -> pl.DataFrame:
    rows = store.frame(
        "SELECT t.subset, j.spec AS judge, t.log_probabilities FROM explanations e"  # noqa: S608
        " JOIN subsets s ON s.explanation = e.id JOIN transfers t ON t.subset = s.id"
        " JOIN planned_models pj ON pj.settings = e.settings AND pj.model = t.model JOIN models j ON j.id = t.model"
        f" {_OF_THE_STUDY} ORDER BY c.path, c.sha256, pm.position, s.kind, s.draw, pj.position",
        (key,),
    )
    logs = np.frombuffer(b"".join(rows["log_probabilities"].to_list()), dtype="<f4").reshape(-1, len(labels))
    distribution = pl.DataFrame(np.exp(logs), schema=[f"p_{label}" for label in labels])
    return pl.concat([rows.drop("log_probabilities"), distribution], how="horizontal")
