"""What the answers so far foretell of sets not asked yet, from the spectra that they keep.

A model's answer changes smoothly with where the kept energy lies: over the single bins of spoken digits, slack
correlates at 0.95 over 10 Hz and mostly at 0.9 over 30 Hz.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..spectrum import Mask
from .candidates import log_scale
from .gaussian import GaussianProcess, Values, Worth, smooth
from .questions import Answer, Property

BANDS = 64  #: of equal width on a logarithmic scale: their levels describe a set
FLOOR = 1e-4  #: of the strongest variable's energy: a band with less is as good as empty
LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0)  #: of the kernel, in bels over all bands: the likeliest is taken
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
        self._process = GaussianProcess([np.array([length]) for length in LENGTHS], smooth)

    def learn(self, masks: Mask, slack: Values) -> None:
        """Take in how far sets (bool [M, size]) are from the property (nats, float64 [M])."""
        self._process.learn(self._describe(masks), slack)

    def choose(self, masks: Mask, count: int, worth: Worth) -> NDArray[np.intp]:
        """At most ``count`` of the candidates (bool [M, size]): those most worth asking, unlike each other, int."""
        if len(masks) <= count or not self._process.known:
            return np.arange(min(count, len(masks)))
        return self._process.predict(self._describe(masks)).choose(count, worth)

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
