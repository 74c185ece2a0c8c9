"""What tables share: rows summed by cluster and key, rates with intervals, orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...search.settings import JUDGED
from ..answers import Answers
from ..definitions import signal_table
from ..options import Options
from ..statistics.paired import benjamini_hochberg
from ..statistics.rates import interval, ratio, resample, wilson

Real = NDArray[np.float64]
#: a table is made of the answers and of how to compute it
Table = Callable[[Answers, Options], pl.DataFrame]

#: what is averaged over signals; the kinds tabulated are JUDGED, since the inverse is what is left over, not a claim
SIGNAL_MEASURES = {name: pl.col(name).cast(pl.Float64) for name in ("alpha", "beta", "joint", "transferable")}


@dataclass(frozen=True, eq=False)
class Cube:
    """Accepted signals and signals of one kind by cluster, source and judge, the models in their order.

    Attributes
    ----------
    names : list of str
        The n models.
    sums, counts : float64 [C, n, n]
    """

    names: list[str]
    sums: Real
    counts: Real

    @classmethod
    def of(cls, answers: Answers, kind: str, options: Options) -> Cube:
        """Count the judgements of a kind."""
        rows = answers.judgements.filter(pl.col("kind") == kind)
        return cls.summed(answers, rows, rows["accepted"], options)

    @classmethod
    def summed(cls, answers: Answers, rows: pl.DataFrame, values: pl.Series, options: Options) -> Cube:
        """Sum one value of each of some judgements, in the place of accepted signals."""
        names = answers.models["model"].to_list()
        n = len(names)
        place = {name: i for i, name in enumerate(names)}
        source, judge = (places_of(rows[column], place) for column in ("source", "judge"))
        clusters, cell = clusters_of(rows, options)
        cell = (cell * n + source) * n + judge
        sums, counts = (
            np.bincount(cell, weights, minlength=clusters * n * n).astype(np.float64).reshape(clusters, n, n)
            for weights in (values.cast(pl.Float64).to_numpy(), None)
        )
        return cls(names, sums, counts)

    @property
    def rates(self) -> Real:
        """α, float64 [n, n], the diagonal included."""
        return ratio(self.sums.sum(axis=0), self.counts.sum(axis=0))

    @property
    def pair_clusters(self) -> NDArray[np.intp]:
        """Clusters behind each rate, [n, n]."""
        return np.asarray((self.counts > 0).sum(axis=0))

    def clusters_with(self, axis: int) -> NDArray[np.intp]:
        """Clusters behind the mean over the other models along an axis, [n]."""
        others = self.counts * (1 - np.eye(len(self.names)))
        return np.asarray((others.sum(axis=axis) > 0).sum(axis=0))

    def resampled(self, options: Options) -> Real:
        """α of each resample, float64 [draws, n, n]."""
        return resample(self.sums, self.counts, draws=options.draws, seed=options.seed)


@dataclass(frozen=True, eq=False)
class Grid:
    """Rows of a frame by cluster and key.

    Attributes
    ----------
    keys : polars.DataFrame
        The K keys, with ``signals`` and ``clips``.
    """

    frame: pl.DataFrame
    keys: pl.DataFrame
    cell: NDArray[np.intp]
    size: int

    @classmethod
    def of(cls, frame: pl.DataFrame, by: list[str], options: Options) -> Grid:
        keys = frame.group_by(by, maintain_order=True).agg(signals=pl.len(), clips=pl.col("clip").n_unique())
        numbered = keys.select(by).with_row_index("key")
        key = frame.select(by).join(numbered, on=by, how="left", maintain_order="left")["key"].to_numpy()
        size, cluster = clusters_of(frame, options)
        return cls(frame, keys, np.asarray(cluster * keys.height + key, dtype=np.intp), size)

    def sums(self, measures: Mapping[str, pl.Expr]) -> tuple[Real, Real]:
        """Sums and counts of the values that are not null, float64 [C, measures, K]."""
        values = self.frame.select(**measures)
        shape = (self.size, self.keys.height)
        sums, counts = np.zeros((2, len(measures), self.size * self.keys.height))
        for i, name in enumerate(measures):
            column = values[name].cast(pl.Float64).to_numpy()
            known = ~np.isnan(column)
            sums[i] = np.bincount(self.cell[known], column[known], minlength=sums.shape[1])
            counts[i] = np.bincount(self.cell[known], minlength=sums.shape[1])
        return (part.reshape(len(measures), *shape).swapaxes(0, 1) for part in (sums, counts))  # type: ignore[return-value]


def rate_table(
    answers: Answers, frame: pl.DataFrame, by: list[str], measures: Mapping[str, pl.Expr], options: Options
) -> pl.DataFrame:
    """Mean of each measure by key, with its interval."""
    grid = Grid.of(frame, by, options)
    sums, counts = grid.sums(measures)
    rates = ratio(sums.sum(axis=0), counts.sum(axis=0))
    low, high = interval(
        resample(sums, counts, draws=options.draws, seed=options.seed), (counts > 0).sum(axis=0), options.level
    )
    columns = {
        name: as_column(part[i])
        for i, measure in enumerate(measures)
        for name, part in ((measure, rates), (f"{measure}_low", low), (f"{measure}_high", high))
    }
    return in_order(grid.keys.with_columns(**columns), answers)


def with_wilson(table: pl.DataFrame, options: Options) -> pl.DataFrame:
    """Wilson's interval of ``alpha`` after its other one: clips are the trials, so that several signals of a clip
    do not count as so many proofs."""
    low, high = wilson((table["alpha"] * table["clips"]).to_numpy(), table["clips"].to_numpy(), options.level)
    table = table.with_columns(wilson_low=as_column(low), wilson_high=as_column(high))
    names = [name for name in table.columns if not name.startswith("wilson")]
    place = names.index("alpha_high") + 1
    return table.select(*names[:place], "wilson_low", "wilson_high", *names[place:])


def clusters_of(frame: pl.DataFrame, options: Options) -> tuple[int, NDArray[np.intp]]:
    """How many clusters, and each row's."""
    column = frame[options.cluster]
    return column.n_unique(), (column.rank("dense").cast(pl.Int64) - 1).to_numpy().astype(np.intp)


def places_of(column: pl.Series, place: Mapping[str, int]) -> NDArray[np.intp]:
    return column.replace_strict(place, return_dtype=pl.Int64).to_numpy().astype(np.intp)


def judged_by_others(answers: Answers) -> pl.DataFrame:
    """Judgements of the other models' signals."""
    return answers.judgements.filter((pl.col("source") != pl.col("judge")) & pl.col("kind").is_in(JUDGED))


def rates_by_signal(answers: Answers, epsilon: float) -> pl.DataFrame:
    return signal_table(answers, epsilon).filter(pl.col("kind").is_in(JUDGED))


def kinds_in(answers: Answers) -> list[str]:
    there = set(answers.judgements["kind"])
    return [kind for kind in JUDGED if kind in there]


def measure_expressions(options: Options) -> dict[str, pl.Expr]:
    """Definition 5 for one judgement."""
    accepted, certain = pl.col("accepted"), pl.col("entropy_share") < options.epsilon
    return {
        "alpha": accepted.cast(pl.Float64), "beta": certain.cast(pl.Float64),
        "joint": (accepted & certain).cast(pl.Float64),
    }  # fmt: skip


def mean_of_others(rates: Real, axis: int) -> Real:
    """Means of rates [..., n, n] along an axis, the diagonal and what is NaN left out."""
    known = np.isfinite(rates) & ~np.eye(rates.shape[-1], dtype=bool)
    return ratio(np.where(known, rates, 0).sum(axis=axis), known.sum(axis=axis).astype(np.float64))


def mean_of(values: Real) -> float:
    return float(values[np.isfinite(values)].mean()) if np.isfinite(values).any() else float("nan")


def as_column(values: Any) -> pl.Series:
    """Numbers as a column, null where there is none."""
    return pl.Series(np.asarray(values, dtype=np.float64)).fill_nan(None)


def without_nan(table: pl.DataFrame) -> pl.DataFrame:
    """Null for NaN and infinity, which not every format knows."""
    real = pl.selectors.float()
    return table.with_columns(pl.when(real.is_finite()).then(real))


def as_drawn(options: Options) -> dict[str, Any]:
    return {"level": options.level, "draws": options.draws, "seed": options.seed}


def make_frame(rows: list[dict[str, Any]], *keys: str) -> pl.DataFrame:
    if not rows:
        return pl.DataFrame(schema=dict.fromkeys(keys, pl.String()))
    return pl.DataFrame(rows, infer_schema_length=None).fill_nan(None)


def with_adjusted(table: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Beside each column of p-values, the ones adjusted for all rows."""
    return table.with_columns(
        as_column(benjamini_hochberg(table[name].cast(pl.Float64).to_numpy())).alias(f"{name}_adjusted")
        for name in columns
        if name in table.columns
    )


def in_order(table: pl.DataFrame, answers: Answers, **orders: Sequence[Any]) -> pl.DataFrame:
    """Rows by kind, source, judge, ..., each in its own order, not the alphabet's."""
    names = answers.models["model"].to_list()
    known: dict[str, Sequence[Any]] = {
        "kind": JUDGED, "source": ["", *names], "judge": names, "label": answers.labels, **orders
    }  # fmt: skip
    keys = [
        pl.col(name).replace_strict({value: i for i, value in enumerate(known[name])}, return_dtype=pl.Int64)
        for name in ("kind", *(name for name in known if name != "kind"))
        if name in table.columns
    ]
    return table.sort(keys, maintain_order=True) if keys else table
