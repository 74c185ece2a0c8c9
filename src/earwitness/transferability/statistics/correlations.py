"""Rank correlations with intervals and permutation tests."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from ..options import DRAWS
from .paired import TIE
from .rates import Real, check_level

#: orders of so few things are tried out, not drawn
EXACT = 8


@dataclass(frozen=True)
class Correlation:
    """A rank correlation of ``n`` things, its interval, and a two-sided permutation p-value."""

    n: int
    rho: float
    low: float
    high: float
    p: float


def rank_correlation(
    x: ArrayLike, y: ArrayLike, *, level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> Correlation:
    """Spearman's ρ (ties share their mean rank) with a permutation p-value.

    Up to :data:`EXACT` things all orders are tried. The interval is tanh(atanh ρ ± z √((1 + ρ²/2)/(n − 3)))
    (Bonett & Wright 2000); it needs n ≥ 4. A perfect ρ is taken half the smallest possible step short of 1 for its
    inner end: five models in perfect order do not make the correlation certain.
    """
    check_level(level)
    a, b, scale = _paired_ranks(x, y)
    n = a.size
    if scale == 0:
        return Correlation(n, float("nan"), float("nan"), float("nan"), float("nan"))
    rho = float(a @ b) / scale
    nulls = (a[draw_orders(n, draws, seed)] @ b) / scale
    return Correlation(n, rho, *correlation_interval(rho, n, level), _two_sided(rho, nulls, n))


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's ρ alone, of what is known of both; NaN for fewer than two things, or where all are alike."""
    a, b, scale = _paired_ranks(x, y)
    return float(a @ b) / scale if scale else float("nan")


def _paired_ranks(x: ArrayLike, y: ArrayLike) -> tuple[Real, Real, float]:
    """Ranks of what is known of both, about their means, and the root of the product of their squares."""
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    known = np.isfinite(a) & np.isfinite(b)
    a, b = (scipy.stats.rankdata(values[known]) for values in (a, b))
    a, b = (values - values.mean() if values.size else values for values in (a, b))
    return a, b, float(np.sqrt((a**2).sum() * (b**2).sum()))


def matrix_correlation(x: Real, y: Real, *, level: float = 0.95, draws: int = DRAWS, seed: int = 0) -> Correlation:
    """Spearman's ρ of the off-diagonal entries of two matrices [n, n], tested by permuting models (Mantel's test).

    Pairs that share a model are not independent, so rows and columns are permuted together, and the interval takes
    the number of models, not of pairs. Entries that are NaN in either matrix are left out.
    """
    check_level(level)
    n = len(x)
    known = np.isfinite(x) & np.isfinite(y) & ~np.eye(n, dtype=bool)
    models = int((known.any(axis=0) | known.any(axis=1)).sum())
    rho = spearman(x[known], y[known])
    if not np.isfinite(rho):
        return Correlation(models, rho, float("nan"), float("nan"), float("nan"))
    mine, theirs = _centred_ranks(x), _centred_ranks(y)
    orders = draw_orders(n, draws, seed)
    nulls = np.einsum("dij,ij->d", mine[orders[:, :, None], orders[:, None, :]], theirs)
    p = _two_sided(float((mine * theirs).sum()), nulls, n)
    return Correlation(models, rho, *correlation_interval(rho, models, level), p)


def pooled_matrix_correlation(
    families: Sequence[tuple[Real, Real]], *, level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> Correlation:
    """:func:`matrix_correlation` over several sets of models, ranked within each: no pair spans two.

    Ranks are centred within a family, so that a family in which both are high makes no correlation, and are shares of
    its pairs. Rows and columns are permuted within families. ``n``, which the interval takes, counts models, less one
    for each family after the first: each has a mean of its own.

    Parameters
    ----------
    families : sequence of (float64 [n, n], float64 [n, n])
    """
    check_level(level)
    nan = float("nan")
    ranks = []
    for x, y in families:
        known = np.isfinite(x) & np.isfinite(y) & ~np.eye(len(x), dtype=bool)
        one, two = (_centred_ranks(np.where(known, part, np.nan)) for part in (x, y))
        # of a large family no more than of a small one: ranks are as shares of its pairs
        ranks.append((one / max(known.sum(), 1), two / max(known.sum(), 1), known))
    n = sum(int((known.any(axis=0) | known.any(axis=1)).sum()) for *_, known in ranks) - len(ranks) + 1
    scale = float(np.sqrt(sum((one**2).sum() for one, *_ in ranks) * sum((two**2).sum() for _, two, _ in ranks)))
    if scale == 0:
        return Correlation(n, nan, nan, nan, nan)
    rho = float(sum((one * two).sum() for one, two, _ in ranks)) / scale
    nulls = np.zeros(draws)
    for place, (one, two, _) in enumerate(ranks):
        rng = np.random.default_rng([seed, place])
        orders = np.argsort(rng.random((draws, len(one))), axis=1)
        nulls += np.einsum("dij,ij->d", one[orders[:, :, None], orders[:, None, :]], two) / scale
    extreme = int((np.abs(nulls) >= abs(rho) * (1 - TIE) - TIE).sum())
    return Correlation(n, rho, *correlation_interval(rho, n, level), (1 + extreme) / (1 + draws))


def correlation_interval(rho: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """See :func:`rank_correlation`; NaN for fewer than 4 things."""
    if n < 4 or not np.isfinite(rho):
        return float("nan"), float("nan")
    inner = float(np.clip(rho, -1 + 6 / (n**3 - n), 1 - 6 / (n**3 - n)))
    reach = float(ndtri((1 + level) / 2)) * np.sqrt((1 + inner**2 / 2) / (n - 3))
    low, high = np.tanh(np.arctanh(inner) - reach), np.tanh(np.arctanh(inner) + reach)
    return min(float(low), rho), max(float(high), rho)


def draw_orders(n: int, draws: int, seed: int) -> NDArray[np.intp]:
    if n <= EXACT:
        return np.array(list(itertools.permutations(range(n))), dtype=np.intp)
    rng = np.random.default_rng(seed)
    return np.argsort(rng.random((draws, n)), axis=1)


def _two_sided(value: float, nulls: Real, n: int) -> float:
    nulls = nulls[np.isfinite(nulls)]
    extreme = int((np.abs(nulls) >= abs(value) * (1 - TIE) - TIE).sum())
    # a drawn sample of orders counts the one observed; all orders hold it already
    return extreme / max(len(nulls), 1) if n <= EXACT else (1 + extreme) / (1 + len(nulls))


def _centred_ranks(matrix: Real) -> Real:
    """Ranks of the off-diagonal entries about their mean; 0 on the diagonal and where there is none."""
    known = np.isfinite(matrix) & ~np.eye(len(matrix), dtype=bool)
    ranks = np.zeros(matrix.shape)
    ranks[known] = scipy.stats.rankdata(matrix[known])
    ranks[known] -= ranks[known].mean()
    return ranks
