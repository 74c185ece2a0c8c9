"""Whether as many other recordings would say the same of who convinces whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import product
from typing import Any

import polars as pl

from ..answers import Answers
from ..options import Options
from ..statistics.reliability import split_half
from .chance import excess, null_rates
from .evidence import Shared
from .grid import Cube, Real, kinds_in, make_frame

#: the agreement that is asked for
RHO = 0.9
#: random sets that transfer is measured beyond
NULLS = ("null_energy", "null_profile")


def reliability(answers: Answers, options: Options) -> pl.DataFrame:
    """Agreement of random halves of the clusters on the order of the pairs.

    ``what`` is α of each kind of set, its ``excess`` over what random sets of the same energy or profile (``null``) are
    accepted for, the ``gain`` of nested sets, and the evidence that is ``shared``. ``halves`` is the mean Spearman's ρ,
    ``least`` and ``most`` what 95 % of the halves lie between, ``whole`` the ρ to expect between this study and one of
    as many other clusters, ``wanted`` the clusters for which that is 0.9.
    """
    rows: list[dict[str, Any]] = []
    for what, kind, null, sums, counts in _measures(answers, options):
        found = split_half(sums, counts, seed=options.seed)
        told = asdict(found)
        why = told.pop("why")
        rows.append({"what": what, "kind": kind, "null": null, **told, "wanted": found.wanted(RHO), "why": why})
    return make_frame(rows, "what", "kind", "null")


def _measures(answers: Answers, options: Options) -> Iterator[tuple[str, str, str, Real, Real]]:
    for kind in kinds_in(answers):
        cube = Cube.of(answers, kind, options)
        yield "alpha", kind, "", cube.sums, cube.counts
    chance = null_rates(answers)
    for null, kind in product(NULLS, kinds_in(answers)):
        cube = excess(answers, kind, chance[null], options)
        if cube.counts.any():
            yield "excess", kind, null, cube.sums, cube.counts
    if not answers.nested.is_empty():
        shared = Shared.of(answers, options)
        yield "gain", "", "", shared.gained, shared.counts
        yield "shared", "", "", shared.gained, shared.defined
