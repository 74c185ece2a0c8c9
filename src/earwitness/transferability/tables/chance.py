"""Tables of what chance and silence are accepted for."""

from __future__ import annotations

import polars as pl

from ...analyses.chance import DRAWN
from ...search.settings import JUDGED
from ..answers import Answers
from ..options import Options
from ..statistics.rates import chance_corrected, interval, ratio, resample
from .grid import Cube, Grid, as_column, in_order, judged_by_others


def chance(answers: Answers, options: Options) -> pl.DataFrame:
    """α beside what null signals of the same sets are accepted for.

    ``null`` is ``null_size`` (as many variables), ``null_energy`` (as much energy), ``null_profile`` (both),
    ``silence``, or ``original`` (the clip itself). ``excess`` is α − chance; ``corrected`` is (α − chance) /
    (1 − chance), null where chance accepts all. Only sets with that null signal count. Rows of a model with itself are
    in: does it need *this* set?
    """
    judged, parts = answers.judgements.filter(pl.col("kind").is_in(JUDGED)), []
    nulls = null_rates(answers)
    for name, rows in nulls.items():
        paired = judged.join(rows, on=["subset", "judge"], maintain_order="left")
        by = ["kind", "source", "judge"]
        grid = Grid.of(paired, by, options)
        sums, counts = grid.sums({"alpha": pl.col("accepted").cast(pl.Float64), "chance": pl.col("chance")})
        rates = ratio(sums.sum(axis=0), counts.sum(axis=0))
        replicates = resample(sums, counts, draws=options.draws, seed=options.seed)
        low, high = interval(replicates[:, 0] - replicates[:, 1], (counts[:, 0] > 0).sum(axis=0), options.level)
        parts.append(grid.keys.with_columns(
            null=pl.lit(name), alpha=as_column(rates[0]), chance=as_column(rates[1]),
            excess=as_column(rates[0] - rates[1]), excess_low=as_column(low), excess_high=as_column(high),
            corrected=as_column(chance_corrected(rates[0], rates[1])),
        ))  # fmt: skip
    return in_order(pl.concat(parts), answers, null=list(nulls))


def excess(answers: Answers, kind: str, chance: pl.DataFrame, options: Options) -> Cube:
    """By how much sets of a kind are accepted rather than by chance (of :func:`null_rates`); of sets that have some."""
    rows = answers.judgements.filter(pl.col("kind") == kind).join(chance, on=["subset", "judge"])
    return Cube.summed(answers, rows, rows["accepted"].cast(pl.Float64) - rows["chance"], options)


def silence(answers: Answers, options: Options) -> pl.DataFrame:
    """What each model says to silence, how surely, and how often it accepts others' signals of that label and of
    the others. A model that says ``real`` to silence accepts every ``real`` signal for nothing."""
    quiet = answers.nulls.filter(pl.col("kind") == "silence").unique(["clip", "judge"], maintain_order=True)
    quiet = quiet.select("clip", "judge", "confidence", silent="answer")
    says = quiet.group_by("judge", answer="silent", maintain_order=True).agg(
        says=pl.len(), probability=pl.col("confidence").mean()
    )  # fmt: skip
    top = says.sort("says", descending=True, maintain_order=True).group_by("judge", maintain_order=True).agg(
        clips=pl.col("says").sum(), answer=pl.col("answer").first(),
        share=pl.col("says").first() / pl.col("says").sum(), probability=pl.col("probability").first(),
    )  # fmt: skip
    rows = (
        judged_by_others(answers)
        .filter(pl.col("kind") == "sufficient")
        .join(quiet.drop("confidence"), on=["clip", "judge"])
    )
    same = pl.col("label") == pl.col("silent")
    accepts = rows.group_by("judge").agg(
        same_label=same.sum(), alpha_same=pl.col("accepted").filter(same).mean(),
        other_label=(~same).sum(), alpha_other=pl.col("accepted").filter(~same).mean(),
    )  # fmt: skip
    own = answers.judgements.filter((pl.col("kind") == "sufficient") & (pl.col("source") == pl.col("judge")))
    empty = own.group_by(judge="source").agg(sets=pl.len(), vacuous=(pl.col("size") == 0).sum())
    table = answers.models.select(judge="model")
    for part in (top, accepts, empty):
        table = table.join(part, on="judge", how="left", maintain_order="left")
    return table.rename({"judge": "model"})


def null_rates(answers: Answers) -> dict[str, pl.DataFrame]:
    """What each judge accepts by chance: (``subset``, ``judge``, ``chance``) by name of the null."""
    rates = {}
    for name in DRAWN:
        rows = answers.nulls.filter(pl.col("kind") == name).group_by("parent", "judge")
        rates[name] = rows.agg(chance=pl.col("accepted").mean()).rename({"parent": "subset"})
    sets = answers.judgements.select("subset", "clip", "source", "judge", "label")
    quiet = answers.nulls.filter(pl.col("kind") == "silence").select("clip", "source", "judge", "accepted")
    quiet = sets.join(quiet, on=["clip", "source", "judge"])
    said = sets.join(answers.originals.select("clip", judge="model", said="answer"), on=["clip", "judge"])
    for name, table, accepted in (
        ("silence", quiet, pl.col("accepted")), ("original", said, pl.col("said") == pl.col("label"))
    ):  # fmt: skip
        rates[name] = table.select("subset", "judge", chance=accepted.cast(pl.Float64))
    return rates
