"""Who stands apart from its peers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..options import DRAWS
from .correlations import EXACT, draw_orders
from .paired import TIE
from .rates import Real, interval, ratio, resample


@dataclass(frozen=True, eq=False)
class FlatEarthers:
    """How far each of n models stands apart from its peers; float64 [n] each.

    Attributes
    ----------
    convincing, convinced : mean rate of its signals on the others, of the others' on it.
    peers : mean rate of the others among themselves.
    score : see :func:`flat_earther_scores`.
    low, high : interval of the score.
    p : family-wise, see :func:`find_flat_earthers`.
    """

    convincing: Real
    convinced: Real
    peers: Real
    score: Real
    low: Real
    high: Real
    p: Real


def flat_earther_scores(rates: Real) -> tuple[Real, Real, Real, Real]:
    """Convincing, convinced, peers and score of each model from transfer rates.

    With α the rates from row to column, n models, and means over pairs of different models that have a rate:
    convincing(m) = mean of α[m, j], convinced(m) = mean of α[i, m], peers(m) = mean of α[i, j] with i, j ≠ m, and
    score(m) = min(peers − convincing, peers − convinced). A flat-earther is rejected *and* rejects, so both must
    fall short. 0: like its peers; 1: they believe each other always, it neither convinces nor is convinced.

    Parameters
    ----------
    rates : float64 [..., n, n]

    Returns
    -------
    convincing, convinced, peers, score : float64 [..., n]
        NaN for fewer than three models: there are no peers.
    """
    known = np.isfinite(rates) & ~np.eye(rates.shape[-1], dtype=bool)
    filled = np.where(known, rates, 0.0)
    rows, columns, cells = filled.sum(axis=-1), filled.sum(axis=-2), known.astype(np.float64)
    row_counts, column_counts = cells.sum(axis=-1), cells.sum(axis=-2)
    rest = rows.sum(axis=-1, keepdims=True) - rows - columns
    rest_counts = row_counts.sum(axis=-1, keepdims=True) - row_counts - column_counts
    convincing, convinced, peers = ratio(rows, row_counts), ratio(columns, column_counts), ratio(rest, rest_counts)
    return convincing, convinced, peers, np.minimum(peers - convincing, peers - convinced)


def find_flat_earthers(
    sums: Real, counts: Real, *, margin: float = 0.1, level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> FlatEarthers:
    """Score every model, with an interval and a permutation p-value.

    If no model is special, it does not matter which of them is called which. So the models' names are shuffled
    within each cluster, and the largest score of all models noted: p = (1 + shuffles whose largest score reaches
    score − margin) / (1 + shuffles). Taking the largest keeps the chance of *any* false verdict in the family
    below p (Westfall & Young 1993).

    Parameters
    ----------
    sums, counts : float64 [C, n, n]
        Accepted signals and signals by cluster, source and judge.
    margin : float
        How far apart models may ordinarily stand: no two are alike, and with clips enough any difference is beyond
        chance.
    level : float
    draws : int
    seed : int

    Returns
    -------
    FlatEarthers
        All NaN but ``convincing`` and ``convinced`` for fewer than three models.
    """
    rates = ratio(sums.sum(axis=0), counts.sum(axis=0))
    convincing, convinced, peers, score = flat_earther_scores(rates)
    replicates = flat_earther_scores(resample(sums, counts, draws=draws, seed=seed))[3]
    own = counts * (1 - np.eye(counts.shape[1]))
    clusters = ((own.sum(axis=2) > 0) | (own.sum(axis=1) > 0)).sum(axis=0)
    low, high = interval(replicates, clusters, level)
    largest = _largest_scores(sums, counts, draws, seed)
    reached = (largest[None] >= (score - margin)[:, None] - TIE).sum(axis=1)
    p = np.where(np.isfinite(score), (1 + reached) / (1 + len(largest)), np.nan)
    return FlatEarthers(convincing, convinced, peers, score, low, high, p)


def _largest_scores(sums: Real, counts: Real, draws: int, seed: int) -> Real:
    """The largest score of each shuffle of names within clusters, float64 [draws]."""
    clusters, n = counts.shape[:2]
    if n < 3:
        return np.full(draws, np.nan)
    rng = np.random.default_rng([seed, 1])
    start, found = np.arange(clusters)[:, None, None] * n * n, []
    # as many signals everywhere: shuffling does not change how many there are
    even = np.ptp(counts[:, ~np.eye(n, dtype=bool)]) == 0
    totals = np.broadcast_to(counts.sum(axis=0), (1, n, n))
    block = max(1, (1 << 19) // max(1, clusters * n * n))
    for first in range(0, draws, block):
        order = _shuffles(rng, min(block, draws - first), clusters, n)
        cells = start + order[..., :, None] * n + order[..., None, :]
        if not even:
            totals = np.take(counts.reshape(-1), cells).sum(axis=1)
        rates = ratio(np.take(sums.reshape(-1), cells).sum(axis=1), totals)
        found.append(flat_earther_scores(rates)[3].max(axis=1))
    return np.concatenate(found)


def _shuffles(rng: np.random.Generator, rows: int, clusters: int, n: int) -> NDArray[np.intp]:
    """An order of n models for each row and cluster, intp [rows, clusters, n]."""
    if n > EXACT:
        return np.argsort(rng.random((rows, clusters, n)), axis=2)
    orders = draw_orders(n, 0, 0)
    return orders[rng.integers(len(orders), size=(rows, clusters))]
