"""Two studies of the same recordings beside each other: two searches, two settings, two versions of a model.

Every number is paired: a clip counts with those of its sets that both studies have, by the same model and of the same
kind. Values are averaged within clips (groups, where clips of one are resampled together), then over them; the
intervals of the differences are of a bootstrap over clips, p-values of the paired t-test over clips, adjusted for all
rows (Benjamini and Hochberg).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from ..search.settings import JUDGED
from .answers import Answers
from .options import Options
from .statistics.paired import compare_pairs
from .statistics.rates import cluster_bootstrap
from .tables.chance import null_rates
from .tables.grid import with_adjusted

#: what is compared, and what it means
MEASURES = {
    "found": "share of clips with such a set",
    "size": "variables kept",
    "energy": "share of the clip's energy",
    "survives": "share of harmless changes in which the set holds",
    "accepted": "share of other models that accept the signal",
    "chance": "the same of sets of its profile",
    "beyond": "accepted − chance",
    "questions": "asked of the model for the clip's sets, robust ones apart",
}
#: compared by their ratio, since they span orders of magnitude
RATIOS = ("size", "questions")
RATES = {
    "kind": pl.String, "measure": pl.String, "source": pl.String, "clips": pl.Int64, "first": pl.Float64,
    "second": pl.Float64, "difference": pl.Float64, "low": pl.Float64, "high": pl.Float64, "p": pl.Float64,
    "p_adjusted": pl.Float64,
}  # fmt: skip


def compare_answers(
    first: Answers, second: Answers, options: Options | None = None,
    questions: tuple[pl.DataFrame, pl.DataFrame] | None = None,
) -> pl.DataFrame:  # fmt: skip
    """What differs between two studies whose clips and models go by the same ids and names.

    Parameters
    ----------
    first, second : Answers
        What only one of them has is left out.
    options : Options, optional
    questions : (polars.DataFrame, polars.DataFrame), optional
        Of each ``clip`` and ``source`` the ``questions`` that its explanation took.

    Returns
    -------
    polars.DataFrame
        A row a ``kind`` of set, ``measure`` (:data:`MEASURES`) and ``source`` (``all`` models, or one): ``first`` and
        ``second`` are means over ``clips``, ``difference`` is second − first, with ``low``, ``high``, ``p`` and
        ``p_adjusted``. Of ``size`` and ``questions`` the means are geometric, and the difference is the ratio second
        / first.
    """
    options = options or Options()
    groups = first.originals.select("clip", "group").unique("clip", maintain_order=True)
    cluster = pl.col("group") if options.cluster == "group" else pl.col("clip").cast(pl.String)
    keys = ["clip", "source", "kind", "measure"]
    asked = questions or (None, None)
    rows = _values(first, asked[0]).join(_values(second, asked[1]), on=keys, suffix="_second", maintain_order="left")
    rows = rows.join(groups, on="clip", how="left", maintain_order="left").with_columns(cluster=cluster)
    both = pl.concat([rows.with_columns(source=pl.lit("all")), rows])
    table = pl.DataFrame(
        [
            _compare(str(kind), str(measure), str(source), part, options)
            for (kind, measure, source), part in both.group_by("kind", "measure", "source", maintain_order=True)
        ],
        schema={name: kind for name, kind in RATES.items() if name != "p_adjusted"}, orient="row",
    )  # fmt: skip
    order = {"kind": ("", *JUDGED), "measure": tuple(MEASURES), "source": ("all", *first.models["model"].to_list())}
    places = [
        pl.col(name).replace_strict({value: i for i, value in enumerate(values)}, return_dtype=pl.Int64)
        for name, values in order.items()
    ]
    return with_adjusted(table.sort(places, maintain_order=True), "p")


def _values(answers: Answers, questions: pl.DataFrame | None) -> pl.DataFrame:
    """Every measure of every clip, source and kind: ``clip``, ``source``, ``kind``, ``measure``, ``value``."""
    keys = ["clip", "source", "kind"]
    parts = [
        part.group_by(keys, maintain_order=True).agg(value=pl.col("value").mean()).with_columns(measure=pl.lit(name))
        for name, part in _measures(answers)
    ]
    if questions is not None:
        count = pl.col("questions").cast(pl.Float64).log1p()
        parts.append(questions.select("clip", "source", kind=pl.lit(""), measure=pl.lit("questions"), value=count))
    columns = [*keys, "measure", "value"]
    return pl.concat([part.select(columns) for part in parts]).filter(pl.col("value").is_finite())


def _measures(answers: Answers) -> Iterator[tuple[str, pl.DataFrame]]:
    real, keys = pl.Float64, ["clip", "source", "kind"]
    judged = answers.judgements.filter(pl.col("kind").is_in(JUDGED))
    sets = judged.unique("subset", maintain_order=True)
    asked = answers.originals.select("clip", source="model")
    kinds = pl.DataFrame({"kind": sets["kind"].unique(maintain_order=True)}, schema={"kind": pl.String})
    there = sets.select(keys).unique().with_columns(value=pl.lit(1.0))
    every = asked.join(kinds, how="cross").join(there, on=keys, how="left", maintain_order="left")
    yield "found", every.with_columns(pl.col("value").fill_null(0.0))
    yield "size", sets.select(*keys, value=pl.col("size").cast(real).log1p())
    yield "energy", sets.select(*keys, value="energy")
    held = answers.survival.filter(pl.col("kind") != "")
    yield "survives", held.select(*keys, value=pl.col("held") / pl.col("views"))
    others = judged.filter(pl.col("source") != pl.col("judge"))
    yield "accepted", others.select(*keys, value=pl.col("accepted").cast(real))
    chance = others.join(null_rates(answers)["null_profile"], on=["subset", "judge"], maintain_order="left")
    yield "chance", chance.select(*keys, value="chance")
    yield "beyond", chance.select(*keys, value=pl.col("accepted").cast(real) - pl.col("chance"))


def _compare(kind: str, measure: str, source: str, rows: pl.DataFrame, options: Options) -> tuple[object, ...]:
    means = rows.group_by("cluster", maintain_order=True).agg(pl.col("value", "value_second").mean())
    one, two = (means[name].to_numpy() for name in ("value", "value_second"))
    ones = np.ones((len(one), 1))
    gap = cluster_bootstrap((two - one)[:, None], ones, level=options.level, draws=options.draws, seed=options.seed)
    p = compare_pairs(two, one, options.level).p_t if len(one) > 1 else np.nan
    numbers = [one.mean(), two.mean(), *(float(end[0]) for end in gap)]
    if measure in RATIOS:
        numbers = [np.expm1(numbers[0]), np.expm1(numbers[1]), *(float(np.exp(end)) for end in numbers[2:])]
    cells = (float(number) if np.isfinite(number) else None for number in (*numbers, p))
    return kind, measure, source, len(one), *cells
