"""Whether as many other recordings would say the same of who convinces whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from ..answers import Answers
from ..options import Options
from ..statistics.reliability import split_half
from .evidence import Shared
from .grid import Cube, Real, kinds_in, make_frame

#: the agreement that is asked for
RHO = 0.9


def reliability(answers: Answers, options: Options) -> pl.DataFrame:
    """Agreement of random halves of the clusters on the order of the pairs: of α by kind, of gains, of shared evidence.

    ``halves`` is the mean Spearman's ρ, ``least`` and ``most`` what 95 % of the halves lie between, ``whole`` the ρ to
    expect between this study and one of as many other clusters, ``wanted`` the clusters for which that is 0.9.
    """
    rows: list[dict[str, Any]] = []
    for what, kind, sums, counts in _measures(answers, options):
        found = split_half(sums, counts, seed=options.seed)
        rows.append({
            "what": what, "kind": kind, "pairs": found.pairs, "clusters": found.clusters, "halves": found.halves,
            "least": found.least, "most": found.most, "whole": found.whole, "wanted": found.wanted(RHO),
            "why": found.why,
        })  # fmt: skip
    return make_frame(rows, "what", "kind")


def _measures(answers: Answers, options: Options) -> Iterator[tuple[str, str, Real, Real]]:
    for kind in kinds_in(answers):
        cube = Cube.of(answers, kind, options)
        yield "alpha", kind, cube.sums, cube.counts
    if not answers.nested.is_empty():
        shared = Shared.of(answers, options)
        yield "gain", "", shared.gained, shared.counts
        yield "shared", "", shared.gained, shared.defined
