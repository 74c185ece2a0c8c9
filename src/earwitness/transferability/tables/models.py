"""Tables of the models themselves, their sets, and the matrices of α."""

from __future__ import annotations

import numpy as np
import polars as pl

from ...search.settings import JUDGED, ROBUST
from ..answers import Answers
from ..definitions import agreement_table, model_table
from ..options import Options
from ..statistics.rates import interval, wilson
from .grid import Cube, Real, Table, as_column, in_order, kinds_in, make_frame, mean_of, mean_of_others


def models(answers: Answers, options: Options) -> pl.DataFrame:
    """What each model is, how accurate on the study's own labels, how convincing and convinced, with intervals.

    Accuracy is of the clips whose own label is one of the aligned ones. ``vacuous`` counts empty sufficient sets.
    """
    table = model_table(answers)
    low, high = wilson(table["accuracy"].to_numpy() * table["labelled"].to_numpy(), table["labelled"], options.level)
    cube = Cube.of(answers, "sufficient", options)
    replicates = cube.resampled(options)
    columns: dict[str, Real] = {"accuracy_low": low, "accuracy_high": high}
    for name, axis in (("convincing", -1), ("convinced", -2)):
        means = mean_of_others(replicates, axis)
        columns[f"{name}_low"], columns[f"{name}_high"] = interval(means, cube.clusters_with(axis), options.level)
    order = [
        "model", "backend", "architecture", "parameters", "labelled", "accuracy", "accuracy_low", "accuracy_high",
        "convincing", "convincing_low", "convincing_high", "convinced", "convinced_low", "convinced_high", "sets",
        "vacuous", "median_size", "unsteady",
    ]  # fmt: skip
    return table.with_columns(**{name: as_column(values) for name, values in columns.items()}).select(order)


def sets(answers: Answers, options: Options) -> pl.DataFrame:
    """What the signals are made of: sets by source and kind, how many are empty, up to what they are minimal, and
    their median size and share of the clip's energy."""
    rows = answers.judgements.unique("subset", maintain_order=True)
    counts = {name: (pl.col("certificate") == name).sum() for name in ("one_minimal", "group_minimal", "none")}
    table = rows.filter(pl.col("kind").is_in(JUDGED)).group_by("kind", "source", maintain_order=True).agg(
        sets=pl.len(), clips=pl.col("clip").n_unique(), vacuous=(pl.col("size") == 0).sum(), **counts,
        median_size=pl.col("size").median(), median_energy=pl.col("energy").median(),
    )  # fmt: skip
    return in_order(table, answers)


def matrix(kind: str) -> Table:
    """The table of α from each model (row) to each model (column), as in T's Tables 1 to 3.

    ``average`` is how convincing a row's model is, the last row how convinced a column's; both leave the model
    itself out. Parameters, accuracy and back end stand beside.
    """

    def table(answers: Answers, options: Options) -> pl.DataFrame:
        if kind in ROBUST and kind not in kinds_in(answers):  # mostly not sought at all
            return make_frame([], "model")
        described = model_table(answers, kind).select("model", "parameters", "accuracy", "backend")
        return as_matrix(described, Cube.of(answers, kind, options).rates)

    return table


def as_matrix(described: pl.DataFrame, rates: Real) -> pl.DataFrame:
    """Rates [n, n] with the means over the other models after each row and below each column.

    ``described`` has ``model``, the n names, and what is to stand beside.
    """
    names = described["model"].to_list()
    cells = pl.DataFrame({name: as_column(rates[:, i]) for i, name in enumerate(names)})
    cells = cells.with_columns(average=as_column(mean_of_others(rates, -1)))
    body = pl.concat([described.select("model"), cells, described.drop("model")], how="horizontal")
    columns = mean_of_others(rates, -2)
    pairs = rates[~np.eye(len(names), dtype=bool)]
    last = pl.DataFrame({
        "model": ["average"], **{name: [value] for name, value in zip(names, columns.tolist(), strict=True)},
        "average": [mean_of(pairs)],
    })  # fmt: skip
    return pl.concat([body, last], how="diagonal_relaxed").fill_nan(None)


def agreement(answers: Answers, options: Options) -> pl.DataFrame:
    """How often two models agree on the clips themselves, with Wilson intervals: what transfer is to be read
    against. The diagonal is included."""
    table = agreement_table(answers)
    low, high = wilson(table["agreement"].to_numpy() * table["clips"].to_numpy(), table["clips"], options.level)
    return table.with_columns(wilson_low=as_column(low), wilson_high=as_column(high))
