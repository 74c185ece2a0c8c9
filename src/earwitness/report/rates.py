"""Rates counted from a study's signals, with intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..transferability.statistics.rates import interval, ratio, resample
from .columns import Real
from .data import Signals, Whole


def rates(signals: Signals, epsilon: float, measure: str = "alpha") -> tuple[Real, Whole]:
    """From each model (row) to each (column): the share of signals that are accepted, certain, or both, and of how
    many.

    Parameters
    ----------
    signals : Signals
    epsilon : float
    measure : {"alpha", "beta", "joint"}

    Returns
    -------
    share : float64 [M, M]
        NaN where there are no signals.
    count : int64 [M, M]
    """
    hits, judged = hits_of(signals, epsilon, measure), signals.judged
    made_for = [signals.source == model for model in range(signals.answer.shape[1])]
    share, count = (np.stack([part[mine].sum(axis=0) for mine in made_for]) for part in (hits, judged))
    return ratio(share.astype(np.float64), count.astype(np.float64)), count


def hits_of(signals: Signals, epsilon: float, measure: str) -> NDArray[np.bool_]:
    """Where a signal is accepted (``alpha``), answered with certainty (``beta``), or both: bool [S, M]."""
    if measure == "alpha":
        return signals.accepted & signals.judged
    certain = signals.certain(epsilon) & signals.judged
    return certain if measure == "beta" else certain & signals.accepted


def clip_sums(signals: Signals, clips: int, wanted: NDArray[np.bool_] | None = None) -> tuple[Real, Real]:
    """Accepted and judged signals by clip, source and judge: float64 [clips, M, M], twice.

    Parameters
    ----------
    signals : Signals
    clips : int
    wanted : bool [S], optional
        Only these signals.
    """
    models = signals.answer.shape[1]
    keep = slice(None) if wanted is None else wanted
    place = (signals.clip * models + signals.source)[keep]

    def total(counted: NDArray[np.bool_]) -> Real:
        columns = [np.bincount(place, weights=column, minlength=clips * models) for column in counted[keep].T]
        return np.asarray(np.stack(columns, axis=1).reshape(clips, models, models), dtype=np.float64)

    return total(hits_of(signals, 1.0, "alpha")), total(signals.judged)


def mean_with_interval(sums: Real, counts: Real) -> tuple[float, float | None, float | None]:
    """The mean over pairs of different models of the rate, with a 95 % interval by cluster bootstrap over clips.

    Parameters
    ----------
    sums, counts : float64 [clips, M, M]

    Returns
    -------
    value : float
        NaN where there is nothing to count.
    low, high : float or None
        ``None`` where fewer than two clips leave nothing to resample.
    """
    others = ~np.eye(sums.shape[1], dtype=bool)
    hits, of = sums[:, others], counts[:, others]
    value = _nanmean(ratio(hits.sum(axis=0), of.sum(axis=0)))
    low, high = interval(_nanmean(resample(hits, of)), int((of.sum(axis=1) > 0).sum()))
    known = bool(np.isfinite(low) and np.isfinite(high))
    return float(value), float(low) if known else None, float(high) if known else None


def difference_with_interval(
    one: tuple[Real, Real], other: tuple[Real, Real]
) -> tuple[float, float | None, float | None]:
    """As :func:`mean_with_interval` of the difference of two rates, on the same resampled clips.

    Parameters
    ----------
    one, other : (float64 [clips, M, M], float64 [clips, M, M])
        Sums and counts.
    """
    others = ~np.eye(one[0].shape[1], dtype=bool)
    hits, of = (
        np.stack([first[:, others], second[:, others]], axis=1) for first, second in zip(one, other, strict=True)
    )
    of = np.where((of.sum(axis=0) > 0).all(axis=0), of, 0.0)  # pairs that have both
    hits = np.where(of > 0, hits, 0.0)
    share = ratio(hits.sum(axis=0), of.sum(axis=0))
    drawn = resample(hits, of)
    low, high = interval(_nanmean(drawn[:, 0] - drawn[:, 1]), int((of.sum(axis=(1, 2)) > 0).sum()))
    known = bool(np.isfinite(low) and np.isfinite(high))
    return float(_nanmean(share[0] - share[1])), float(low) if known else None, float(high) if known else None


def _nanmean(values: Real) -> Real:
    """Mean over the last axis of what is known, NaN where nothing is."""
    known = np.isfinite(values)
    return ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1).astype(np.float64))


def mean_of_pairs(share: Real) -> float | None:
    """The mean over pairs of different models, or ``None`` where there are none."""
    others = share[~np.eye(len(share), dtype=bool)]
    known = others[~np.isnan(others)]
    return float(known.mean()) if known.size else None
