"""Intervals, tests and scores: how sure a rate, a difference or a verdict is.

*Conventions.* Rates are ratios of sums over clusters (clips, or speakers): ``sums`` and ``counts`` have a cluster an
entry of their first axis and the same shape [C, ...]. Several signals of one clip, and several models that judge
it, are not independent, so whole clusters are resampled. What cannot be computed is NaN, never a guess.

*References.* Wilson, *Probable inference*, JASA 22 (1927); Hesterberg, *What teachers should know about the
bootstrap*, Am. Stat. 69 (2015); Bonett & Wright, *Sample size requirements for estimating correlations*,
Psychometrika 65 (2000); Benjamini & Hochberg, JRSS B 57 (1995); Westfall & Young, *Resampling-based multiple
testing* (1993); Mantel, Cancer Research 27 (1967); Kerby, *The simple difference formula*, Comprehensive
Psychology 3 (2014).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtrit

from ...errors import ConfigError
from ..options import DRAWS

Real = NDArray[np.float64]

#: numbers in memory at once while resampling
BLOCK = 1 << 22


def wilson(successes: ArrayLike, trials: ArrayLike, level: float = 0.95) -> tuple[Real, Real]:
    """Wilson's score interval of proportions.

    (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n) with p = successes / trials and z the normal quantile of
    (1 + level) / 2. Unlike the bootstrap it says something where all or none succeed.

    Parameters
    ----------
    successes, trials : array-like
        ``successes`` need not be whole: p may be a mean of rates over ``trials`` clips.
    level : float

    Returns
    -------
    low, high : float64
        NaN where there were no trials.

    Examples
    --------
    >>> low, high = wilson(3, 10)
    >>> round(float(low), 3), round(float(high), 3)
    (0.108, 0.603)
    """
    check_level(level)
    n = np.asarray(trials, dtype=np.float64)
    n = np.where(n > 0, n, np.nan)
    p, z = np.asarray(successes, dtype=np.float64) / n, ndtri((1 + level) / 2)
    centre, spread = p + z**2 / (2 * n), z * np.sqrt(np.maximum(p * (1 - p), 0) / n + z**2 / (4 * n**2))
    low, high = ((centre + side * spread) / (1 + z**2 / n) for side in (-1, 1))
    return np.asarray(np.where(p == 0, 0, low)), np.asarray(np.minimum(high, 1))


def ratio(sums: Real, counts: Real) -> Real:
    """``sums / counts``, NaN where nothing was counted."""
    rates: Real = np.divide(sums, counts, out=np.full(np.broadcast(sums, counts).shape, np.nan), where=counts > 0)
    return rates


def draw_weights(clusters: int, draws: int = DRAWS, seed: int = 0) -> Iterator[Real]:
    """How often each cluster is in each resample: blocks float64 [some draws, clusters] whose rows add up to it.

    Clusters drawn with replacement; the same for the same arguments, so that rates computed apart stay paired.
    """
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK // max(1, clusters))
    for first in range(0, draws, block):
        rows = min(block, draws - first)
        drawn = rng.integers(clusters, size=(rows, clusters)) + clusters * np.arange(rows)[:, None]
        yield np.bincount(drawn.reshape(-1), minlength=rows * clusters).reshape(rows, clusters).astype(np.float64)


def resample(sums: Real, counts: Real, *, draws: int = DRAWS, seed: int = 0) -> Real:
    """The cluster bootstrap: the rate of each resample, [C, ...] → float64 [draws, ...]."""
    if len(sums) == 0:
        return np.full((draws, *sums.shape[1:]), np.nan)
    flat = [part.reshape(len(part), -1) for part in (sums, counts)]
    rates = [ratio(*(weights @ part for part in flat)) for weights in draw_weights(len(sums), draws, seed)]
    return np.concatenate(rates).reshape(draws, *sums.shape[1:])


def interval(replicates: Real, clusters: ArrayLike, level: float = 0.95) -> tuple[Real, Real]:
    """The expanded percentile interval of bootstrap replicates.

    A percentile interval of few clusters C is too narrow twice over: the resamples' variance is (C − 1)/C of what
    it should be, and the normal tail takes the place of Student's. So the percentiles are not (1 ∓ level)/2 but
    Φ(∓ √(C/(C − 1)) t), with t the quantile of C − 1 degrees of freedom (Hesterberg 2015).

    Parameters
    ----------
    replicates : float64 [draws, ...]
        NaN where a resample held nothing; those are left out.
    clusters : int or array [...]
        Clusters that hold something.
    level : float

    Returns
    -------
    low, high : float64 [...]
        NaN for fewer than two clusters: one clip says nothing about others.
    """
    check_level(level)
    c = np.broadcast_to(np.asarray(clusters, dtype=np.float64), replicates.shape[1:])
    enough = c >= 2
    safe = np.where(enough, c, 2.0)
    tail = ndtr(-np.sqrt(safe / (safe - 1)) * stdtrit(safe - 1, (1 + level) / 2))
    ordered = np.sort(replicates, axis=0)  # NaN last
    known = np.isfinite(ordered).sum(axis=0)
    enough = enough & (known > 0)
    return tuple(_quantile(ordered, known, share, enough) for share in (tail, 1 - tail))  # type: ignore[return-value]


def _quantile(ordered: Real, known: NDArray[np.intp], share: Real, enough: NDArray[np.bool_]) -> Real:
    place = share * (np.maximum(known, 1) - 1)
    below = np.floor(place).astype(np.intp)[None]
    above = np.minimum(below + 1, np.maximum(known, 1) - 1)
    low, high = (np.take_along_axis(ordered, index, axis=0)[0] for index in (below, above))
    return np.where(enough, low + (high - low) * (place - below[0]), np.nan)


def cluster_bootstrap(
    sums: Real, counts: Real, *, level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> tuple[Real, Real, Real]:
    """Rates and their intervals from sums and counts by cluster, [C, ...] → value, low, high [...]."""
    replicates = resample(sums, counts, draws=draws, seed=seed)
    return ratio(sums.sum(axis=0), counts.sum(axis=0)), *interval(replicates, (counts > 0).sum(axis=0), level)


def chance_corrected(rate: ArrayLike, chance: ArrayLike) -> Real:
    """(rate − chance) / (1 − chance): 0 at chance, 1 where all is accepted; NaN where chance accepts all."""
    a, null = np.asarray(rate, dtype=np.float64), np.asarray(chance, dtype=np.float64)
    corrected: Real = np.divide(a - null, 1 - null, out=np.full(np.broadcast(a, null).shape, np.nan), where=null < 1)
    return corrected


def cohen_h(first: ArrayLike, second: ArrayLike) -> Real:
    """Cohen's h of two proportions, 2 asin √p₁ − 2 asin √p₂: the same distance means as much near 0 as near ½."""
    angles = (2 * np.arcsin(np.sqrt(np.clip(np.asarray(p, dtype=np.float64), 0, 1))) for p in (first, second))
    return np.asarray(next(angles) - next(angles))


def check_level(level: float) -> float:
    """The level of an interval, between 0 and 1.

    Raises
    ------
    ConfigError
        It is out of range.
    """
    if not 0 < level < 1:
        raise ConfigError(f"level {level}: out of range; use more than 0 and less than 1, e.g. 0.95")
    return level
