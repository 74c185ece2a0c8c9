"""The table of what survives harmless changes."""

from __future__ import annotations

import polars as pl

from ..answers import Answers
from ..options import Options
from .grid import make_frame, rate_table


def survival(answers: Answers, options: Options) -> pl.DataFrame:
    """The share of harmless changes, drawn afresh, in which a model's sets still get their label, by kind and source.

    ``signals`` sets of ``clips`` were measured; ``sought`` counts the clips measured, ``found`` is the share of them
    with a set of the kind. ``survival`` is the mean share of views in which a set holds, ``always`` the share of sets
    that hold in every one.
    """
    sets = answers.survival.filter(pl.col("kind") != "")
    if sets.is_empty():
        return make_frame([], "kind", "source")
    groups = answers.originals.select("clip", "group").unique("clip", maintain_order=True)
    sets = sets.join(groups, on="clip", how="left", maintain_order="left")
    measures = {
        "survival": pl.col("held") / pl.col("views"),
        "always": (pl.col("held") == pl.col("views")).cast(pl.Float64),
    }
    table = rate_table(answers, sets, ["kind", "source"], measures, options)
    sought = answers.survival.group_by("source").agg(sought=pl.col("clip").n_unique())
    table = table.join(sought, on="source", how="left", maintain_order="left")
    return table.with_columns(found=pl.col("clips") / pl.col("sought"))
