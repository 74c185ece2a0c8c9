"""Tables that compare models with each other, and kinds of set."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from ..answers import Answers
from ..definitions import agreement_table, model_table
from ..options import Options
from ..statistics.correlations import matrix_correlation, rank_correlation
from ..statistics.flat_earthers import find_flat_earthers
from ..statistics.paired import compare_pairs
from ..statistics.rates import cohen_h, interval, ratio, resample
from .grid import (
    Cube,
    Grid,
    Real,
    as_column,
    as_drawn,
    in_order,
    judged_by_others,
    kinds_in,
    make_frame,
    mean_of_others,
    places_of,
    rates_by_signal,
    with_adjusted,
)

#: fewer models than this, and correlations over models come with a warning
FEW = 10


def flat_earthers(answers: Answers, options: Options) -> pl.DataFrame:
    """Who stands apart: score, interval and family-wise permutation p-value, see
    :func:`earwitness.transferability.statistics.flat_earthers.find_flat_earthers`."""
    parts = []
    for kind in kinds_in(answers):
        cube = Cube.of(answers, kind, options)
        found = find_flat_earthers(
            cube.sums, cube.counts, margin=options.margin, level=options.level, draws=options.draws, seed=options.seed
        )
        values = {name: as_column(column) for name, column in vars(found).items()}
        parts.append(pl.DataFrame({"kind": kind, "model": cube.names, **values}))
    return pl.concat(parts) if parts else make_frame([], "kind", "model")


def asymmetry(answers: Answers, options: Options) -> pl.DataFrame:
    """Whether one model of a pair convinces the other more than the other way round.

    ``forward`` is α from ``first`` to ``second``, ``difference`` forward − backward with its interval, ``effect``
    Cohen's h; paired t-test and Wilcoxon over clips, adjusted over all pairs by Benjamini and Hochberg.
    """
    rows: list[dict[str, Any]] = []
    for kind in kinds_in(answers):
        cube = Cube.of(answers, kind, options)
        clips, rates, replicates = ratio(cube.sums, cube.counts), cube.rates, cube.resampled(options)
        low, high = interval(replicates - replicates.swapaxes(1, 2), cube.pair_clusters, options.level)
        for a, first in enumerate(cube.names):
            for b, second in list(enumerate(cube.names))[a + 1 :]:
                test = compare_pairs(clips[:, a, b], clips[:, b, a], options.level)
                rows.append({
                    "kind": kind, "first": first, "second": second, "clips": test.n, "forward": rates[a, b],
                    "backward": rates[b, a], "difference": rates[a, b] - rates[b, a], "low": low[a, b],
                    "high": high[a, b], "effect": float(cohen_h(rates[a, b], rates[b, a])), "t": test.t,
                    "p_t": test.p_t, "w": test.w, "p_w": test.p_w,
                })  # fmt: skip
    return with_adjusted(make_frame(rows, "kind", "first", "second"), "p_t", "p_w")


def overlap(answers: Answers, options: Options) -> pl.DataFrame:
    """Whether models that are convinced listen to the same: overlap of a signal's set with the judge's own.

    ``jaccard`` counts variables, ``weighted`` their energy; of several sets of the judge on the clip, the most alike
    counts. ``accepted`` and ``rejected`` are the mean weighted overlap of signals that it accepts and rejects,
    ``difference`` their difference with an interval.
    """
    best = answers.overlaps.group_by("subset", "judge").agg(pl.col("jaccard").max(), pl.col("weighted").max())
    rows = judged_by_others(answers).join(best, on=["subset", "judge"], maintain_order="left")
    rows = rows.filter(pl.col("weighted").is_not_null())
    by = ["kind", "source", "judge"]
    grid = Grid.of(rows, by, options)
    taken, weighted = pl.col("accepted").cast(pl.Float64), pl.col("weighted")
    sums, counts = grid.sums({
        "jaccard": pl.col("jaccard"), "weighted": weighted, "alpha": taken,
        "accepted": pl.when(pl.col("accepted")).then(weighted), "rejected": pl.when(~pl.col("accepted")).then(weighted),
    })  # fmt: skip
    rates = ratio(sums.sum(0), counts.sum(0))
    replicates = resample(sums, counts, draws=options.draws, seed=options.seed)
    low, high = interval(replicates[:, 3] - replicates[:, 4], (counts[:, 3:] > 0).sum(0).min(0), options.level)
    names = ("jaccard", "weighted", "alpha", "accepted", "rejected")
    table = grid.keys.with_columns(
        **{name: as_column(rates[i]) for i, name in enumerate(names)},
        difference=as_column(rates[3] - rates[4]), low=as_column(low), high=as_column(high),
    )  # fmt: skip
    return in_order(table, answers)


def correlations(answers: Answers, options: Options) -> pl.DataFrame:
    """Rank correlation of transfer with what might explain it.

    ``convincing`` and ``convinced`` of models against accuracy, number of parameters and median size of their sets;
    α of pairs (``transfer``) against shared back end, shared architecture, agreement on the clips and overlap.
    Intervals take the number of models; p-values are permutation tests over models, adjusted over the table.
    """
    described = model_table(answers)
    rows: list[dict[str, Any]] = []
    for kind in kinds_in(answers):
        cube = Cube.of(answers, kind, options)
        table = model_table(answers, kind)
        factors = {
            "accuracy": described["accuracy"], "parameters": described["parameters"].replace(0, None),
            "median_size": table["median_size"],
        }  # fmt: skip
        for what, axis in (("convincing", -1), ("convinced", -2)):
            means = mean_of_others(cube.rates, axis)
            for name, column in factors.items():
                found = rank_correlation(means, column.cast(pl.Float64).to_numpy(), **as_drawn(options))
                rows.append({"kind": kind, "what": what, "with": name, **asdict(found)})
        for name, values in pair_factors(answers, kind, cube, options).items():
            found = matrix_correlation(cube.rates, values, **as_drawn(options))
            rows.append({"kind": kind, "what": "transfer", "with": name, **asdict(found)})
    table = with_adjusted(make_frame(rows, "kind", "what", "with").rename({"n": "models"} if rows else {}), "p")
    if not rows:
        return table
    few = pl.format("{} models are few: read the interval, not ρ", pl.col("models"))
    return table.with_columns(caution=pl.when(pl.col("models") < FEW).then(few).otherwise(pl.lit("")))


def complete_against_sufficient(answers: Answers, options: Options) -> pl.DataFrame:
    """Whether complete signals transfer better than sufficient ones, and those with δ = 1 better still.

    Paired by clip for each source and for all together (mean α of a clip's signals over the other models), and
    by pairs of models (``unit`` = ``pair``: the cells of two matrices). Paired t-test as in T, Wilcoxon beside it,
    both adjusted over the table; ``effect`` is Cohen's d_z.
    """
    rows: list[dict[str, Any]] = []
    signals = rates_by_signal(answers, options.epsilon)
    for kind, base in (("complete", "sufficient"), ("one_complete", "sufficient"), ("one_complete", "complete")):
        by_clip = [
            signals.filter(pl.col("kind") == own)
            .group_by("source", "clip", maintain_order=True)
            .agg(pl.col("alpha").mean())
            for own in (kind, base)
        ]
        # in the clips' order: sums differ in their last bits by it
        paired = by_clip[0].join(by_clip[1], on=["source", "clip"], suffix="_base", maintain_order="left")
        units = [(name, "clip", paired.filter(pl.col("source") == name)) for name in answers.models["model"]]
        whole = paired.group_by("clip", maintain_order=True).agg(pl.col("alpha").mean(), pl.col("alpha_base").mean())
        cubes = [Cube.of(answers, own, options) for own in (kind, base)]
        off = ~np.eye(len(answers.models), dtype=bool)
        cells = pl.DataFrame({"alpha": cubes[0].rates[off], "alpha_base": cubes[1].rates[off]}).drop_nans()
        for source, unit, values in (*units, ("all", "clip", whole), ("all", "pair", cells)):
            test = compare_pairs(values["alpha"].to_numpy(), values["alpha_base"].to_numpy(), options.level)
            if test.n:
                rows.append({
                    "kind": kind, "against": base, "source": source, "unit": unit,
                    "alpha": values["alpha"].mean(), "alpha_against": values["alpha_base"].mean(), **asdict(test),
                })  # fmt: skip
    return with_adjusted(make_frame(rows, "kind", "against", "source", "unit"), "p_t", "p_w")


def pair_factors(answers: Answers, kind: str, cube: Cube, options: Options) -> dict[str, Real]:
    """What pairs of models have in common, float64 [n, n] each."""
    place = {name: i for i, name in enumerate(cube.names)}

    def square(table: pl.DataFrame, value: str) -> Real:
        cells = np.full((len(place), len(place)), np.nan)
        cells[places_of(table["source"], place), places_of(table["judge"], place)] = table[value].to_numpy()
        return cells

    shared = {
        f"shared_{name}": (answers.models[name].to_numpy()[:, None] == answers.models[name].to_numpy()).astype(float)
        for name in ("backend", "architecture")
    }
    alike = overlap(answers, options).filter(pl.col("kind") == kind)
    return {
        **shared, "agreement": square(agreement_table(answers), "agreement"),
        "overlap": square(alike, "weighted"),
    }  # fmt: skip
