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

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from .errors import ConfigError

Real = NDArray[np.float64]

#: resamples of an interval, and relabellings of a permutation test
DRAWS = 2000
#: numbers in memory at once while resampling
BLOCK = 1 << 22
#: orders of so few things are tried out, not drawn
EXACT = 8
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


@dataclass(frozen=True)
class Correlation:
    """A rank correlation of ``n`` things, its interval, and a two-sided permutation p-value."""

    n: int
    rho: float
    low: float
    high: float
    p: float


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


# --- rates ----------------------------------------------------------------------------------------------------


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


# --- tests ----------------------------------------------------------------------------------------------------


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


# --- correlations ---------------------------------------------------------------------------------------------


def rank_correlation(
    x: ArrayLike, y: ArrayLike, *, level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> Correlation:
    """Spearman's ρ (ties share their mean rank) with a permutation p-value.

    Up to :data:`EXACT` things all orders are tried. The interval is tanh(atanh ρ ± z √((1 + ρ²/2)/(n − 3)))
    (Bonett & Wright 2000); it needs n ≥ 4. A perfect ρ is taken half the smallest possible step short of 1 for its
    inner end: five models in perfect order do not make the correlation certain.
    """
    check_level(level)
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    known = np.isfinite(a) & np.isfinite(b)
    a, b = (scipy.stats.rankdata(values[known]) for values in (a, b))
    n = a.size
    a, b = (values - values.mean() if n else values for values in (a, b))
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    if n < 2 or scale == 0:
        return Correlation(n, float("nan"), float("nan"), float("nan"), float("nan"))
    rho = float(a @ b) / scale
    nulls = (a[_orders(n, draws, seed)] @ b) / scale
    return Correlation(n, rho, *correlation_interval(rho, n, level), _two_sided(rho, nulls, n))


def matrix_correlation(x: Real, y: Real, *, level: float = 0.95, draws: int = DRAWS, seed: int = 0) -> Correlation:
    """Spearman's ρ of the off-diagonal entries of two matrices [n, n], tested by permuting models (Mantel's test).

    Pairs that share a model are not independent, so rows and columns are permuted together, and the interval takes
    the number of models, not of pairs. Entries that are NaN in either matrix are left out.
    """
    check_level(level)
    n = len(x)
    known = np.isfinite(x) & np.isfinite(y) & ~np.eye(n, dtype=bool)
    models = int((known.any(axis=0) | known.any(axis=1)).sum())
    whole = rank_correlation(x[known], y[known], draws=0)
    if not np.isfinite(whole.rho):
        return Correlation(models, whole.rho, float("nan"), float("nan"), float("nan"))
    mine, theirs = _centred_ranks(x), _centred_ranks(y)
    orders = _orders(n, draws, seed)
    nulls = np.einsum("dij,ij->d", mine[orders[:, :, None], orders[:, None, :]], theirs)
    p = _two_sided(float((mine * theirs).sum()), nulls, n)
    return Correlation(models, whole.rho, *correlation_interval(whole.rho, models, level), p)


def correlation_interval(rho: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """See :func:`rank_correlation`; NaN for fewer than 4 things."""
    if n < 4 or not np.isfinite(rho):
        return float("nan"), float("nan")
    inner = float(np.clip(rho, -1 + 6 / (n**3 - n), 1 - 6 / (n**3 - n)))
    reach = float(ndtri((1 + level) / 2)) * np.sqrt((1 + inner**2 / 2) / (n - 3))
    low, high = np.tanh(np.arctanh(inner) - reach), np.tanh(np.arctanh(inner) + reach)
    return min(float(low), rho), max(float(high), rho)


def _orders(n: int, draws: int, seed: int) -> NDArray[np.intp]:
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


# --- overlap --------------------------------------------------------------------------------------------------


def jaccard(masks: NDArray[np.bool_], weights: Real | None = None) -> Real:
    """Weight of what two sets share over the weight of what either holds, for all pairs.

    Parameters
    ----------
    masks : bool [M, F]
    weights : float64 [F], optional
        The energy of each variable; by default all count the same.

    Returns
    -------
    float64 [M, M]
        NaN where neither set weighs anything: two empty sets say nothing about what was listened to.
    """
    kept = masks.astype(np.float64)
    shared = (kept if weights is None else kept * weights) @ kept.T
    own = np.diag(shared)
    either = own[:, None] + own[None] - shared
    return ratio(shared, np.where(either > 0, either, 0))


# --- flat-earthers --------------------------------------------------------------------------------------------


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
    orders = _orders(n, 0, 0)
    return orders[rng.integers(len(orders), size=(rows, clusters))]


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
