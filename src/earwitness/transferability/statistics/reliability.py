"""Whether other recordings would rank the pairs of models alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .correlations import spearman
from .rates import Real, ratio

#: halves that the clusters are split into at random
SPLITS = 200
#: fewer clusters have no halves of two, and two pairs of models are always in perfect order
LEAST_CLUSTERS, LEAST_PAIRS = 4, 3


@dataclass(frozen=True)
class Reliability:
    """How alike two halves of the clusters rank the ordered pairs of models, and what follows for more of them.

    Attributes
    ----------
    pairs, clusters : int
        That have a rate.
    halves : float
        Spearman's ρ of the rates of two random halves; a mean over splits.
    least, most : float
        The ρ of all but 2.5 % of the splits on either side.
    whole : float
        The ρ to expect between these clusters and as many others, 2 r / (1 + r) with r = ``halves``.
    why : str
        Why there is none; NaN then.
    """

    pairs: int
    clusters: int
    halves: float
    least: float
    most: float
    whole: float
    why: str = ""

    def wanted(self, rho: float) -> float:
        """Clusters that agree so well with as many others, 4 at least; NaN where some halves do not agree at all."""
        if not self.least > 0:
            return float("nan")
        # for an infinite number ρ is 1: what differs between halves is taken to be chance
        return max(LEAST_CLUSTERS, self.clusters / 2 * odds(rho) / odds(self.halves))


def odds(share: float) -> float:
    """share / (1 − share)."""
    return share / (1 - share) if share < 1 else float("inf")


def split_half(sums: Real, counts: Real, *, splits: int = SPLITS, seed: int = 0) -> Reliability:
    """Rank the ordered pairs by each of two halves of the clusters, many times over.

    Where what differs between the halves is chance, and r is the correlation of two samples of m clusters, that of two
    samples of k m is k r / (1 + (k − 1) r) (Spearman, Brit. J. Psychol. 3, 1910; Brown, ibid.): the odds r / (1 − r)
    grow as the number of clusters. It is exact for Pearson's correlation of means; of ranks it holds about.

    Parameters
    ----------
    sums, counts : float64 [C, n, n]
        By cluster, source and judge; the diagonal is left out, and so are pairs without a rate in either half.
    splits, seed : int
    """
    off = ~np.eye(sums.shape[-1], dtype=bool)
    sums, counts = (part[:, off] for part in (sums, counts))
    there = (counts != 0).any(axis=1)
    sums, counts = sums[there], counts[there]
    clusters, pairs = len(sums), int((counts.sum(axis=0) != 0).sum())
    nan = float("nan")
    if pairs < LEAST_PAIRS:
        return Reliability(pairs, clusters, nan, nan, nan, nan, f"fewer than {LEAST_PAIRS} pairs have a rate")
    if clusters < LEAST_CLUSTERS:
        return Reliability(pairs, clusters, nan, nan, nan, nan, f"fewer than {LEAST_CLUSTERS} clusters have a rate")
    rng, found = np.random.default_rng(seed), []
    for _ in range(splits):
        first = rng.permutation(clusters) < clusters // 2
        rates = (ratio(sums[half].sum(axis=0), counts[half].sum(axis=0)) for half in (first, ~first))
        found.append(spearman(*rates))
    known = np.array(found)[np.isfinite(found)]
    if not known.size:
        return Reliability(pairs, clusters, nan, nan, nan, nan, "the pairs do not differ")
    halves = float(known.mean())
    least, most = (float(bound) for bound in np.quantile(known, [0.025, 0.975]))
    whole = 2 * halves / (1 + halves) if halves > -1 else nan
    return Reliability(pairs, clusters, halves, least, most, whole)
