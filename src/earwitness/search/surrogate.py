"""What the answers so far foretell of sets not asked yet: a Gaussian process over their spectra.

A model's answer changes smoothly with where the kept energy lies: over the single bins of spoken digits, slack
correlates at 0.95 over 10 Hz and mostly at 0.9 over 30 Hz. So of many candidates those are asked that promise most
as far as the answers tell, as in Bayesian optimisation (Srinivas et al., arXiv 0912.3995), a batch at a time by
pretending that what was chosen has been answered (Desautels, Krause & Burdick, arXiv 1206.6402).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular

from ..spectrum import Mask
from .questions import Answer, Property

Values = NDArray[np.float64]
#: From means and standard deviations (float64 [M]), how much each candidate is worth asking, float64 [M].
Worth = Callable[[Values, Values], Values]

BANDS = 64  #: of equal width on a logarithmic scale: their levels describe a set
FLOOR = 1e-4  #: of the strongest variable's energy: a band with less is as good as empty
LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0)  #: of the kernel, in bels over all bands: the likeliest is taken
NOISE = 1e-2  #: of the kernel's variance
MEMORY = 250  #: answers kept: the first fifth, and the latest
LOWEST = -20.0  #: nats: an answer below tells no more
NEAR = 150  #: variables that a near miss may have


class Surrogate:
    """Predicts the slack of sets from the energy they keep in each band.

    Parameters
    ----------
    energy : float64 [size]
        Share of the clip's energy in each variable.
    complements : bool
        Whether what a set leaves decides as well.
    """

    def __init__(self, energy: Values, *, complements: bool = False) -> None:
        size = energy.size
        place = log_scale(size) * (BANDS - 1)
        self._band = np.minimum(place.astype(np.intp), BANDS - 2)
        energy = energy / max(float(energy.max()), 1e-30)
        upper = energy * (place - self._band)
        self._shares = (energy - upper, upper)  # of a variable's energy, for the two bands it lies between
        self._total = self._pool(np.ones((1, size), dtype=bool)) if complements else None
        self._levels, self._slack = np.empty((0, BANDS * (1 + complements))), np.empty(0)
        self._length, self._fitted = 2.0, 0

    def learn(self, masks: Mask, slack: Values) -> None:
        """Take in how far sets (bool [M, size]) are from the property (nats, float64 [M])."""
        self._levels = np.concatenate([self._levels, self._describe(masks)])
        self._slack = np.concatenate([self._slack, np.maximum(slack, LOWEST)])
        if (count := self._slack.size) > MEMORY:
            kept = np.r_[: MEMORY // 5, count - MEMORY + MEMORY // 5 : count]
            self._levels, self._slack = self._levels[kept], self._slack[kept]

    def choose(self, masks: Mask, count: int, worth: Worth) -> NDArray[np.intp]:
        """At most ``count`` of the candidates (bool [M, size]): those most worth asking, unlike each other, int."""
        if len(masks) <= count or not self._slack.size:
            return np.arange(min(count, len(masks)))
        values = np.maximum(self._slack, np.quantile(self._slack, 0.05))
        centre, scale = float(values.mean()), max(float(values.std()), 1e-3)
        values = (values - centre) / scale
        distances = _distances(self._levels, self._levels)
        if values.size >= 1.2 * self._fitted:
            self._length = max(LENGTHS, key=lambda length: _likelihood(distances, values, length))
            self._fitted = values.size
        factor = _factor(distances, self._length)
        weights = cho_solve((factor, True), values)
        spread = scale * np.sqrt(max(float(values @ weights) / values.size, 1e-6))
        levels = self._describe(masks)
        kernel = _kernel(_distances(levels, self._levels), self._length)
        known = solve_triangular(factor, kernel.T, lower=True)
        covariance = _kernel(_distances(levels, levels), self._length) - known.T @ known
        mean, chosen = centre + scale * (kernel @ weights), list[int]()
        for _ in range(count):
            score = worth(mean, spread * np.sqrt(np.maximum(np.diag(covariance), 1e-9)))
            score[chosen] = -np.inf
            best = int(np.argmax(score))
            chosen.append(best)
            column = covariance[:, best] / np.sqrt(max(float(covariance[best, best]), 0.0) + NOISE)
            covariance = covariance - np.outer(column, column)
        return np.array(chosen, dtype=np.intp)

    def _describe(self, masks: Mask) -> Values:
        """The level of each band in bels: of what is kept and, if it matters, of what is left."""
        pooled = self._pool(masks)
        if self._total is not None:
            pooled = np.concatenate([pooled, np.maximum(self._total - pooled, 0)], axis=1)
        return np.log10(pooled + FLOOR)

    def _pool(self, masks: Mask) -> Values:
        rows, variables = np.nonzero(masks)
        place, count = rows * BANDS + self._band[variables], len(masks) * BANDS
        lower, upper = self._shares
        pooled = np.bincount(place, lower[variables], count) + np.bincount(place + 1, upper[variables], count)
        return np.asarray(pooled.reshape(len(masks), BANDS))


class Remembered:
    """A property whose answers are learnt, and whose near misses are kept to start from.

    Parameters
    ----------
    property_ : Property
    surrogate : Surrogate
    """

    def __init__(self, property_: Property, surrogate: Surrogate) -> None:
        self._property, self._surrogate = property_, surrogate
        self.target, self.cost = property_.target, property_.cost
        self._missed: list[tuple[float, NDArray[np.intp]]] = []

    def masks(self, candidates: Mask) -> Mask:
        """The property's questions."""
        self._asked = candidates
        return self._property.masks(candidates)

    def slack(self, answer: Answer) -> Values:
        """The property's slack."""
        slack = self._property.slack(answer)
        self._surrogate.learn(self._asked, slack)
        for mask, value in zip(self._asked, slack, strict=True):
            if value < 0 and mask.sum() <= NEAR:
                self._missed.append((float(value), np.flatnonzero(mask)))
        return slack

    def take_nearest(self, limit: int, size: int) -> tuple[Mask, float] | None:
        """Of the sets with at most ``limit`` variables the one that came nearest, and its slack; each only once."""
        fitting = [row for row, (_, variables) in enumerate(self._missed) if variables.size <= limit]
        if not fitting:
            return None
        slack, variables = self._missed.pop(max(fitting, key=lambda row: self._missed[row][0]))
        mask = np.zeros(size, dtype=bool)
        mask[variables] = True
        return mask, slack


def log_scale(size: int) -> Values:
    """Where each variable lies from 0 to 1: about linear in the lowest tenth, logarithmic above, float64 [size]."""
    return np.asarray(np.log1p(11 * np.arange(size) / size) / np.log(12))


def _distances(a: Values, b: Values) -> Values:
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.maximum(squares, 0))


def _kernel(distances: Values, length: float) -> Values:
    return np.asarray(np.exp(-0.5 / length**2 * distances))


def _factor(distances: Values, length: float) -> Values:
    return np.asarray(cholesky(_kernel(distances, length) + NOISE * np.eye(len(distances)), lower=True))


def _likelihood(distances: Values, values: Values, length: float) -> float:
    """Its logarithm up to a constant, with the variance at its likeliest."""
    factor = _factor(distances, length)
    variance = max(float(values @ cho_solve((factor, True), values)) / values.size, 1e-12)
    return float(-0.5 * values.size * np.log(variance) - np.log(np.diag(factor)).sum())
