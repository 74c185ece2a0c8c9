"""Two ways from a set to a better one by small random changes: up to a property, and down while it lasts.

Classifiers answer to signals that are far from all they were trained on, and do so erratically: a set that lacks a
property by little often gains it by a change that nothing foretells. So each round asks a batch of varied changes
and goes on from the best. Besides single variables, *runs* of neighbouring ones are added and dropped: in a Fourier
transform of a whole clip neighbours together hold the envelope of what sounds at their frequency, one alone is a
tone that lasts through the clip.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..spectrum import Mask
from .candidates import Bins
from .minimality import Best, ask, smallest
from .questions import TOLERANCE, BudgetSpent, Property, Search

BANDS = 40  #: of equal width on a logarithmic scale; half of the draws are spread evenly over them
BATCH = 24  #: questions a round
HEAT = 0.3  #: nats: a change for the worse by about so much is taken at first
COOLING = 0.97  #: of the heat, a round
PATIENCE = 12  #: rounds without gain that end a climb
RESERVE = 150  #: questions left for a certificate, at most
DROP = 0.4  #: share of a set that is dropped at first
LONGEST = 150  #: the largest set that is grown


@dataclass
class Draws:
    """Random variables and runs of them, the strong more often.

    Attributes
    ----------
    energy : float64 [size]
        Share of the clip's energy in each variable.
    rng : numpy.random.Generator
    allowed : bool [size], optional
        Only these are drawn.
    """

    energy: NDArray[np.float64]
    rng: np.random.Generator
    allowed: Mask | None = None

    def __post_init__(self) -> None:
        size = self.energy.size
        self.amplitude = np.sqrt(self.energy)
        weights = self.amplitude + 1e-12 * max(float(self.amplitude.max()), 1e-12)
        if self.allowed is not None:
            weights = np.where(self.allowed, weights, 0.0)
        band = np.minimum(np.log1p(11 * np.arange(size) / size) / np.log(12) * BANDS, BANDS - 1).astype(np.intp)
        loudness = np.bincount(band, weights, BANDS)
        self._by_amplitude = np.cumsum(weights)
        self._by_band = np.cumsum(weights / np.maximum(loudness, 1e-300)[band])

    def single(self, count: int = 1) -> Bins:
        """At most ``count`` variables, by amplitude in the clip or in their own band."""
        weights = self._by_band if self.rng.random() < 0.5 else self._by_amplitude
        return np.unique(self._draw(weights, count))

    def run(self, longest: int) -> Bins:
        """Neighbours around a variable drawn by amplitude: 2 to ``longest``, short ones more often."""
        width = int(np.exp(self.rng.uniform(np.log(2), np.log(max(longest, 4)))))
        start = int(self._draw(self._by_amplitude, 1)[0]) - int(self.rng.integers(width))
        found = np.arange(max(start, 0), min(start + width, self.energy.size))
        return found if self.allowed is None else found[self.allowed[found]]

    def _draw(self, weights: NDArray[np.float64], count: int) -> Bins:
        if weights[-1] <= 0:
            return np.empty(0, dtype=np.intp)
        found = np.searchsorted(weights, self.rng.random(count) * weights[-1], side="right")
        return np.asarray(np.minimum(found, weights.size - 1))


@dataclass
class Climb:
    """Climbs to a property, and what was learnt of single variables on the way.

    Attributes
    ----------
    property_ : Property
    draws : Draws
    gains : dict
        By how much each variable, added alone, last brought a set nearer, in nats.
    top : float
        The slack that the last climb reached.
    """

    property_: Property
    draws: Draws
    gains: dict[int, float] = field(default_factory=dict)
    top: float = field(default=-np.inf, init=False)

    def from_(self, start: Mask, slack: float, limit: int, questions: int) -> Search[Mask | None]:
        """From a set that lacks the property to one that has it.

        Parameters
        ----------
        start : bool [size]
        slack : float
            How far it is from the property, in nats (negative).
        limit : int
            Largest set wanted.
        questions : int
            There are for it; it ends at half of them if it has not come half of the way.

        Returns
        -------
        bool [size] or None
            ``None`` if the budget or the patience ended.
        """
        self.top = slack
        mask, heat, calm, asked = start, HEAT, 0, 0
        halfway = slack / 2
        while calm < PATIENCE and asked < questions and (asked < questions // 2 or self.top > halfway):
            candidates = np.array([c for c in self._changes(mask, limit) if 0 < c.sum() <= limit])
            if not candidates.size:
                return None
            try:
                answers = yield from ask(self.property_, candidates)
            except BudgetSpent:
                return None
            asked += len(candidates) * self.property_.cost
            self._learn(mask, slack, candidates, answers)
            found = smallest(candidates, answers)
            if found is not None:
                return found
            best = int(np.argmax(answers))
            if answers[best] > slack - heat * self.draws.rng.exponential():
                mask, slack = candidates[best], float(answers[best])
            calm = 0 if slack > self.top + 1e-3 else calm + 1
            self.top, heat = max(self.top, slack), heat * COOLING
        return None

    def _changes(self, mask: Mask, limit: int) -> Iterator[Mask]:
        """A round's candidates: about :data:`BATCH` questions' worth of additions, exchanges and omissions."""
        draws, kept, share = self.draws, np.flatnonzero(mask), 1 / self.property_.cost
        for _ in range(int(8 * share)):
            yield _with(mask, draws.single())
        promising = np.array([b for b in sorted(self.gains, key=lambda b: -self.gains[b]) if not mask[b]][:8], np.intp)
        for bins in (*promising[:3, None], *(promising[:count] for count in (2, 4, 8) if promising.size >= count)):
            yield _with(mask, bins)
        for count in (2, 5, 12):
            yield _with(mask, draws.single(count))
        for _ in range(int(5 * share)):
            yield _with(mask, draws.run(limit // 3))
        if kept.size > 1:
            for _ in range(int(4 * share)):
                yield _with(_without(mask, draws.rng.choice(kept)), draws.single())
            for _ in range(int(2 * share)):
                yield _without(mask, draws.rng.choice(kept))

    def _learn(self, mask: Mask, slack: float, candidates: Mask, answers: NDArray[np.float64]) -> None:
        for candidate, answer in zip(candidates, answers, strict=True):
            added = np.flatnonzero(candidate ^ mask)
            if added.size == 1 and candidate[added[0]]:
                self.gains[int(added[0])] = float(answer) - slack


def thin(
    property_: Property, mask: Mask, draws: Draws, best: Best, reserve: float = 0.0, *, passes: bool = True
) -> Search[Mask]:
    """Drop runs and single variables at random while the property lasts.

    Each round drops about the same share of the set in many ways. Of those that keep the property the smallest is
    taken, a little slack (nats) weighing as much as some variables; the share grows with success and falls without.

    Parameters
    ----------
    property_ : Property
    mask : bool [size]
        A set that has the property.
    draws : Draws
    best : Best
        Gets each smaller set.
    reserve : float
        Leave so many times the questions that dropping each variable alone would take, :data:`RESERVE` at most.
    passes : bool
        Whether the set has the property; if not, one that has is sought among what is left by dropping some of it.

    Returns
    -------
    bool [size]
        The last set; the budget of this stage may be spent.
    """
    if passes:
        best.offer(mask)
    share, failures, left = DROP, 0, np.inf
    try:
        while (size := int(mask.sum())) > 1:
            if reserve and left < min(reserve * size * property_.cost + BATCH, RESERVE):
                break
            kept = np.flatnonzero(mask)
            candidates = np.array([_drop(mask, kept, share, draws) for _ in range(BATCH // property_.cost)])
            answer = yield property_.masks(candidates)
            left, slack = answer.left, property_.slack(answer)
            passing = np.flatnonzero(slack >= TOLERANCE)
            if passing.size:
                worth = candidates[passing].sum(axis=1) / size - 0.5 * np.minimum(slack[passing], 0.1)
                mask = candidates[passing[np.argmin(worth)]]
                best.offer(mask)
                share, failures = min(0.6, share * 1.15), 0
            else:
                share, failures = max(share * 0.7, 1 / size), failures + 1
                if share * size <= 1 and failures >= 8:
                    break
    except BudgetSpent:
        pass
    return mask


def _drop(mask: Mask, kept: Bins, share: float, draws: Draws) -> Mask:
    rng, size = draws.rng, kept.size
    count = max(1, int(size * min(0.8, share * rng.choice([0.5, 1.0, 1.5]))))
    kind, found = rng.random(), mask.copy()
    if kind < 0.8:  # runs of what is kept, some long, some short
        while count > 0:
            width = min(count, int(np.exp(rng.uniform(0, np.log(max(2, size / 2))))))
            start = int(rng.integers(1 - width, size))
            found[kept[max(start, 0) : start + width]] = False
            count -= width
    elif kind < 0.9:
        found[rng.choice(kept, count, replace=False)] = False
    else:  # the weak more often: Efraimidis and Spirakis' draw without replacement
        keys = rng.exponential(size=size) * (draws.amplitude[kept] + 1e-12)
        found[kept[np.argpartition(keys, count - 1)[:count]]] = False
    return found


def _with(mask: Mask, bins: NDArray[np.intp]) -> Mask:
    found = mask.copy()
    found[bins] = True
    return found


def _without(mask: Mask, bins: NDArray[np.intp] | np.intp) -> Mask:
    found = mask.copy()
    found[bins] = False
    return found
