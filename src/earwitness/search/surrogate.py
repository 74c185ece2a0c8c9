"""What the answers so far foretell of sets not asked yet, from the spectra that they keep.

A model's answer changes smoothly with where the kept energy lies: over the single bins of spoken digits, slack
correlates at 0.95 over 10 Hz and mostly at 0.9 over 30 Hz.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..signal.masks import Mask
from .candidates import log_scale
from .gaussian import GaussianProcess, Values, Worth, choose, smooth
from .questions import Part, Property

BANDS = 64  #: of equal width on a logarithmic scale: their levels describe a set
FLOOR = 1e-4  #: of the strongest variable's energy: a band with less is as good as empty
LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0)  #: of the kernel, in bels over all bands: the likeliest is taken
NEAR = 150  #: variables that a near miss may have


class Surrogate:
    """A property whose answers are learnt: foretells the slack of sets from the energy they keep in each band.

    Parameters
    ----------
    property_ : Property
    energy : float64 [size]
        Share of the clip's energy in each variable.
    """

    def __init__(self, property_: Property, energy: Values) -> None:
        size = energy.size
        place = log_scale(size) * (BANDS - 1)
        self._band = np.minimum(place.astype(np.intp), BANDS - 2)
        energy = energy / max(float(energy.max()), 1e-30)
        upper = energy * (place - self._band)
        self._shares = (energy - upper, upper)  # of a variable's energy, for the two bands it lies between
        # of nothing, a part that asks about what is left asks about everything: then that decides as well
        silence = np.zeros((1, size), dtype=bool)
        left = any(part.masks(silence)[:, :size].any() for part in property_.parts)
        self._total = self._pool(~silence) if left else None
        # sets that came near are started from again where one part decides: of several it is not known who came near
        self._missed: list[tuple[float, NDArray[np.intp]]] | None = [] if len(property_.parts) == 1 else None
        self.parts = tuple(_Learnt(part, self._describe, self._missed) for part in property_.parts)

    @property
    def nearest(self) -> float:
        """How near answers came, in nats: to the part that was least nearly met; 0 where each was met by one."""
        return min(0.0, *(part.nearest for part in self.parts))

    def choose(self, masks: Mask, count: int, worth: Worth) -> tuple[Mask, NDArray[np.intp]]:
        """At most ``count`` of the candidates: those most worth asking, unlike each other.

        Parameters
        ----------
        masks : bool [M, size]
        count : int
        worth : Worth
            Of the slack of each part.

        Returns
        -------
        masks : bool [count, size]
        first : int [count]
            The part that each most likely lacks.
        """
        if len(masks) <= count or not all(part.process.known for part in self.parts):
            return masks[:count], np.zeros(min(count, len(masks)), dtype=np.intp)
        points = self._describe(masks)
        foretold = [part.process.predict(points) for part in self.parts]
        chosen = choose(foretold, count, worth)
        odds = np.stack([of.mean[chosen] / of.deviation[chosen] for of in foretold])
        return masks[chosen], odds.argmin(axis=0)

    def take_nearest(self, limit: int, size: int) -> tuple[Mask, float] | None:
        """Of the sets with at most ``limit`` variables the one that came nearest, and its slack; each only once."""
        missed = self._missed or []
        fitting = [row for row, (_, variables) in enumerate(missed) if variables.size <= limit]
        if not fitting:
            return None
        slack, variables = missed.pop(max(fitting, key=lambda row: missed[row][0]))
        mask = np.zeros(size, dtype=bool)
        mask[variables] = True
        return mask, slack

    def _describe(self, masks: Mask) -> Values:
        """The level of each band in bels: of what is kept and, if it matters, of what is left."""
        pooled = self._pool(masks)
        if self._total is not None:
            pooled = np.concatenate([pooled, np.maximum(self._total - pooled, 0)], axis=1)
        return np.log10(pooled + FLOOR)

    def _pool(self, masks: Mask) -> Values:
        # a mask at a time: what is kept of one stays in the cache, and of all it would fill the memory
        lower, upper = self._shares
        pooled = np.empty((len(masks), BANDS))
        for row, mask in enumerate(masks):
            kept = np.flatnonzero(mask)
            band = self._band[kept]
            pooled[row] = np.bincount(band, lower[kept], BANDS)
            pooled[row] += np.bincount(band + 1, upper[kept], BANDS)
        return pooled


class _Learnt:
    """A part of a property: what is answered is learnt, and near misses are kept where they are asked for."""

    def __init__(
        self, part: Part, describe: Callable[[Mask], Values], missed: list[tuple[float, NDArray[np.intp]]] | None
    ) -> None:
        self._part, self._describe, self._missed = part, describe, missed
        self.process = GaussianProcess([np.array([length]) for length in LENGTHS], smooth)
        self.nearest = -np.inf

    def masks(self, candidates: Mask) -> Mask:
        """The part's questions."""
        self._asked = candidates
        return self._part.masks(candidates)

    def slack(self, log_probabilities: NDArray[np.float32]) -> Values:
        """The part's slack."""
        slack = self._part.slack(log_probabilities)
        self.process.learn(self._describe(self._asked), slack)
        self.nearest = max(self.nearest, float(slack.max()))
        if self._missed is not None:
            near = np.flatnonzero((slack < 0) & (np.count_nonzero(self._asked, axis=1) <= NEAR))
            self._missed += [(float(slack[row]), np.flatnonzero(self._asked[row])) for row in near]
        return slack
