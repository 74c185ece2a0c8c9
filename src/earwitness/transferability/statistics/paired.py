"""Differences of pairs, and many tests at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from .rates import Real, check_level

#: numbers that arithmetic may make differ are ties
TIE = 1e-12


@dataclass(frozen=True)
class PairedTest:
    """Differences of pairs, tested two-sided.

    Attributes
    ----------
    n : int
        Pairs with both values.
    difference, low, high : float
        Mean of first − second, and the interval of Student's t.
    t, p_t : float
        Paired t-test, n − 1 degrees of freedom.
    effect : float
        Cohen's d_z: mean over standard deviation of the differences.
    w, p_w : float
        Wilcoxon's signed-rank test, pairs without difference left out.
    biserial : float
        Matched-pairs rank-biserial correlation, (W₊ − W₋) / (W₊ + W₋).
    """

    n: int
    difference: float
    low: float
    high: float
    t: float
    p_t: float
    effect: float
    w: float
    p_w: float
    biserial: float


def compare_pairs(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> PairedTest:
    """Paired t-test and Wilcoxon's signed-rank test of first − second; pairs with a NaN are left out.

    Differences that do not vary have no t: NaN, where scipy says infinite and p = 0 even of two pairs.
    """
    check_level(level)
    gaps = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    gaps = gaps[np.isfinite(gaps)]
    n, nan = gaps.size, float("nan")
    if n == 0:
        return PairedTest(0, nan, nan, nan, nan, nan, nan, nan, nan, nan)
    mean, spread = float(gaps.mean()), float(gaps.std(ddof=1)) if n > 1 else nan
    if n > 1 and np.ptp(gaps) <= TIE:
        spread = 0.0  # not what rounding makes of it
    half = float(stdtrit(n - 1, (1 + level) / 2)) * spread / np.sqrt(n) if n > 1 else nan
    effect = mean / spread if spread > 0 else nan
    t = effect * np.sqrt(n)
    p_t = 2 * float(stdtr(n - 1, -abs(t))) if n > 1 else nan
    return PairedTest(n, mean, mean - half, mean + half, float(t), p_t, float(effect), *signed_rank(gaps))


def signed_rank(gaps: Real) -> tuple[float, float, float]:
    """Wilcoxon's smaller rank sum, its two-sided p-value, and the matched-pairs rank-biserial correlation."""
    gaps = gaps[np.abs(gaps) > TIE]
    if gaps.size == 0:
        return float("nan"), float("nan"), float("nan")
    ranks = scipy.stats.rankdata(np.round(np.abs(gaps), 12))
    up, down = float(ranks[gaps > 0].sum()), float(ranks[gaps < 0].sum())
    # rounded, so that equal differences of unequal rates tie
    found = scipy.stats.wilcoxon(np.round(gaps, 12))
    return min(up, down), float(found.pvalue), (up - down) / (up + down)


def benjamini_hochberg(p: ArrayLike) -> Real:
    """p-values adjusted for the false discovery rate, float64 [n]; NaN stay NaN and do not count as tests.

    The i-th smallest of m becomes the smallest of p₍ⱼ₎ · m / j over j ≥ i.
    """
    values = np.asarray(p, dtype=np.float64)
    adjusted, known = np.full(values.shape, np.nan), np.isfinite(values)
    order = np.argsort(values[known])
    m = order.size
    stepped = values[known][order] * m / np.arange(1, m + 1)
    back = np.empty(m)
    back[order] = np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1)
    adjusted[known] = back
    return adjusted
