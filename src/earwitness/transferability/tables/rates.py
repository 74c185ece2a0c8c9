"""Tables of α, β, joint and ``transferable`` by pair, source, class, data set and ε."""

from __future__ import annotations

import polars as pl

from ..answers import Answers
from ..options import Options
from .grid import (
    SIGNAL_MEASURES,
    in_order,
    judged_by_others,
    kinds_in,
    measure_expressions,
    rate_table,
    rates_by_signal,
    with_wilson,
)

#: the levels of the curves over ε
EPSILONS = tuple(round(step / 20, 2) for step in range(1, 21))


def transfer(answers: Answers, options: Options) -> pl.DataFrame:
    """α, β and joint from each model to each other, for each kind.

    ``agreement`` is the share of these signals whose clip the judge itself gives the source's label;
    ``alpha_agreed`` and ``alpha_disagreed`` are α where it does and where it does not.
    """
    said = answers.originals.select("clip", judge="model", said="answer")
    rows = judged_by_others(answers).join(said, on=["clip", "judge"], how="left", maintain_order="left")
    rows = rows.with_columns(agreed=pl.col("said") == pl.col("label"))
    measures = {**measure_expressions(options), "agreement": pl.col("agreed").cast(pl.Float64)}
    table = rate_table(answers, rows, ["kind", "source", "judge"], measures, options)
    split = rows.group_by("kind", "source", "judge").agg(
        alpha_agreed=pl.col("accepted").filter(pl.col("agreed")).mean(),
        alpha_disagreed=pl.col("accepted").filter(~pl.col("agreed")).mean(),
    )
    table = table.drop("agreement_low", "agreement_high")
    return with_wilson(table, options).join(split, on=["kind", "source", "judge"], how="left", maintain_order="left")


def transferable(answers: Answers, options: Options) -> pl.DataFrame:
    """Definition 4 by source and kind: mean α, β and joint of its signals over the other models, and the share of
    signals that all of them accept and are certain of (``transferable``)."""
    return rate_table(answers, rates_by_signal(answers, options.epsilon), ["kind", "source"], SIGNAL_MEASURES, options)


def curves(answers: Answers, options: Options) -> pl.DataFrame:
    """β, joint and ``transferable`` by kind and source for ε from 0.05 to 1; α does not depend on it."""
    parts = [
        rates_by_signal(answers, epsilon)
        .group_by("kind", "source", maintain_order=True)
        .agg(signals=pl.len(), **{name: pl.col(name).cast(pl.Float64).mean() for name in SIGNAL_MEASURES})
        .with_columns(epsilon=pl.lit(epsilon))
        for epsilon in EPSILONS
    ]
    table = pl.concat(parts).select("kind", "source", "epsilon", "signals", "beta", "joint", "transferable")
    return in_order(table, answers, epsilon=EPSILONS)


def classes(answers: Answers, options: Options) -> pl.DataFrame:
    """As :func:`transferable`, by class: what the source says to the clip. A class that a model never says has a
    row without rates."""
    found = rate_table(
        answers, rates_by_signal(answers, options.epsilon), ["kind", "source", "label"], SIGNAL_MEASURES, options
    )
    grid = pl.DataFrame({"kind": kinds_in(answers)}, schema={"kind": pl.String}).join(
        answers.models.select(source="model"), how="cross"
    )
    grid = grid.join(pl.DataFrame({"label": list(answers.labels)}), how="cross")
    table = grid.join(found, on=["kind", "source", "label"], how="left", maintain_order="left")
    return table.with_columns(pl.col("signals", "clips").fill_null(0))


def datasets(answers: Answers, options: Options) -> pl.DataFrame:
    """As :func:`transferable`, by data set."""
    return rate_table(
        answers, rates_by_signal(answers, options.epsilon), ["kind", "source", "dataset"], SIGNAL_MEASURES, options
    )


def draws(answers: Answers, options: Options) -> pl.DataFrame:
    """How much α depends on which of several sufficient sets of a clip was drawn; of clips with two or more.

    ``alpha`` is over all sets, ``first`` over the first of each clip; ``least`` counts clips of which every set is
    accepted, ``most`` clips of which any is; ``split`` is the share of clips whose sets are judged differently.
    ``draw_sd`` is the standard deviation of α if one set a clip is drawn at random: √(Σ p(1 − p)) / clips, with p
    the accepted share of a clip's sets.
    """
    rows = judged_by_others(answers).filter(pl.col("kind") == "sufficient")
    by_clip = rows.group_by("source", "judge", "clip", maintain_order=True).agg(
        sets=pl.len(), p=pl.col("accepted").mean(), first=pl.col("accepted").sort_by("draw").first(),
    ).filter(pl.col("sets") > 1)  # fmt: skip
    p = pl.col("p")
    table = by_clip.group_by("source", "judge", maintain_order=True).agg(
        clips=pl.len(), sets=pl.col("sets").sum(), alpha=(p * pl.col("sets")).sum() / pl.col("sets").sum(),
        first=pl.col("first").mean(), least=(p == 1).mean(), most=(p > 0).mean(), split=((p > 0) & (p < 1)).mean(),
        draw_sd=(p * (1 - p)).sum().sqrt() / pl.len(),
    )  # fmt: skip
    return in_order(table, answers)


def vacuous(answers: Answers, options: Options) -> pl.DataFrame:
    """α, β and joint with and without the empty sets, which need no signal to convince their model."""
    definitions = measure_expressions(options)
    kept = pl.col("size") > 0
    table = judged_by_others(answers).group_by("kind", "source", "judge", maintain_order=True).agg(
        pl.len().alias("signals"), (~kept).sum().alias("vacuous"),
        *(expression.mean().alias(name) for name, expression in definitions.items()),
        *(expression.filter(kept).mean().alias(f"{name}_without") for name, expression in definitions.items()),
    )  # fmt: skip
    return in_order(table, answers)


def partial_credit(answers: Answers, options: Options) -> pl.DataFrame:
    """How near a judge comes to the source's label where top-1 is all or nothing: the label's mean probability
    and rank (1 is top), share among the first three, and the entropy of the answer in bits and as a share of
    log₂ n."""
    measures = {
        "alpha": pl.col("accepted").cast(pl.Float64), "probability": pl.col("probability"),
        "rank": pl.col("rank").cast(pl.Float64), "top3": (pl.col("rank") <= 3).cast(pl.Float64),
        "entropy": pl.col("entropy"), "entropy_share": pl.col("entropy_share"),
    }  # fmt: skip
    table = rate_table(answers, judged_by_others(answers), ["kind", "source", "judge"], measures, options)
    return table.drop("alpha_low", "alpha_high", "top3_low", "top3_high", "entropy_low", "entropy_high")
