"""Search ``minimal`` for sufficient sets: grow from nothing, then shrink.

A set found by removing content from the whole clip ends in a local minimum of tens to hundreds of bins; one grown
from silence, guided by how much nearer each bin brings the label, mostly needs a handful. So:

1. silence, and the strongest bins alone: often one suffices; then the shortest sufficient prefix of the energy
   order on a coarse grid: large, but from here on there is a set to return whenever the budget ends;
2. *grow*: each round asks, in one batch, the bins that promised most, some new ones, and unions of the most
   promising; the best becomes the next set, until one is sufficient;
3. if growing fails twice, that prefix, thinned at random;
4. *shrink* what was found to a certified minimum;
5. grow again from the best single bins, looking only for smaller sets, while the budget allows.

Sufficiency is not monotone along any order: only what was asked is known, so every step asks.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..spectrum import Mask
from .minimality import Best, ask, extend, shrink_into, smallest
from .questions import TOLERANCE, BudgetSpent, Certificate, Found, Property, Search, Sufficient, Target

Bins = NDArray[np.intp]

FIRST = 16  #: strongest bins asked alone
WIDTH = 12  #: promising bins a round of growing asks
UNIONS = (2, 3, 4, 6, 8, 12)  #: how many of the most promising are added together
SPARE = 1024  #: new bins are drawn from so many of the strongest
GROWTH = 400  #: questions one attempt at growing may ask
ATTEMPTS = 5  #: at growing
LARGEST = 150  #: a set this large is not grown further
PATIENCE = 4  #: rounds without gain that end an attempt


def sufficient(
    energy: NDArray[np.float64],
    target: Target,
    seed: int = 0,
    allowed: Mask | None = None,
    budget: int = 5 * GROWTH,
) -> Search[Found]:
    """Seek the smallest sufficient set.

    Parameters
    ----------
    energy : float64 [size]
        Share of the clip's energy in each variable.
    target : Target
    seed : int
    allowed : bool [size], optional
        Only these variables may be kept.
    budget : int
        Questions there are: growing gets a fifth of them an attempt at most, so that some are left for the rest.

    Returns
    -------
    Found
    """
    best, property_ = Best(), Sufficient(target)
    order = np.argsort(-energy, kind="stable")
    if allowed is not None:
        order = order[allowed[order]]
    try:
        yield from _seek(property_, energy, order, np.random.default_rng(seed), best, min(GROWTH, budget // 5))
    except BudgetSpent:
        return best.found("the budget was spent" if best.certificate.kind == "none" else "")
    return best.found("" if best.mask is not None else "no sufficient set was found")


def shortest_prefix(property_: Property, order: Bins, size: int, growth: float = 2**0.5) -> Search[Mask | None]:
    """The shortest prefix of an order, on a geometric grid asked in one batch, that has the property."""
    steps = int(np.ceil(np.log(max(order.size, 2)) / np.log(growth))) + 1
    counts = sorted({min(order.size, round(growth**step)) for step in range(steps)} | {order.size})
    rank = np.full(size, order.size, dtype=np.intp)
    rank[order] = np.arange(order.size)
    candidates = rank[None] < np.array(counts)[:, None]
    passing = np.flatnonzero((yield from ask(property_, candidates)) >= TOLERANCE)
    return candidates[passing[0]] if passing.size else None


def _seek(
    property_: Property,
    energy: NDArray[np.float64],
    order: Bins,
    rng: np.random.Generator,
    best: Best,
    questions: int,
) -> Search[None]:
    silence = np.zeros(energy.size, dtype=bool)
    first = order[:FIRST]
    singles = np.concatenate([silence[None], extend(silence, [np.array([b]) for b in first])])
    slack = yield from ask(property_, singles)
    passing = np.flatnonzero(slack >= TOLERANCE)
    if passing.size:
        # silence was asked in the same batch: a single bin that passes without it is minimal
        certain = passing[0] == 0 or slack[0] < -TOLERANCE
        mask = singles[passing[0]]
        best.offer(mask, Certificate("one_minimal", int(mask.sum())) if certain else None)
        return
    growth = _Growth(property_, energy, order, rng, questions)
    growth.learn(first, slack[1:] - slack[0])
    prefix = yield from shortest_prefix(property_, order, energy.size, growth=2.0)
    if prefix is not None:
        best.offer(prefix)
    ranked = np.argsort(-slack[1:], kind="stable")[: ATTEMPTS - 1] + 1
    for attempt, row in enumerate([0, *ranked]):
        limit = LARGEST if best.mask is None else min(LARGEST, int(best.mask.sum()) - 1)
        if limit < 1:
            return
        mask = yield from growth.attempt(singles[row], float(slack[row]), limit)
        if mask is None and attempt == 1 and prefix is not None and best.mask is prefix:
            mask = yield from _thin(property_, energy, prefix, order, rng, best)
        if mask is not None:
            yield from shrink_into(best, property_, mask, order)


@dataclass
class _Growth:
    """Growing sets, and what was learnt of each bin's promise on the way."""

    property_: Property
    energy: NDArray[np.float64]
    order: Bins
    rng: np.random.Generator
    questions: int

    def __post_init__(self) -> None:
        pool = diverse(self.energy, self.order)
        self.gains: dict[int, float] = dict.fromkeys(map(int, pool), np.inf)
        self.spare = self.order[:SPARE]

    def learn(self, bins: Bins, gains: NDArray[np.float64]) -> None:
        """Note how much nearer each bin brought a set."""
        self.gains.update(zip(map(int, bins), map(float, gains), strict=True))

    def attempt(self, start: Mask, slack: float, limit: int) -> Search[Mask | None]:
        """Grow a set that has the property from one that has not; ``None`` after too many rounds or bins."""
        mask, stuck, asked = start, 0, 0
        while (
            int(mask.sum()) < limit
            and stuck < (PATIENCE if mask is not start else PATIENCE // 2)
            and asked < self.questions
        ):
            bins = self._promising(mask, stuck)
            known = self._known(mask)
            unions = [known[:k] for k in UNIONS if k <= known.size and int(mask.sum()) + k <= limit]
            if not bins.size and not unions:
                return None
            candidates = extend(mask, [*(np.array([b]) for b in bins), *unions])
            answers = yield from ask(self.property_, candidates)
            asked += len(candidates)
            self.learn(bins, answers[: bins.size] - slack)
            grown = smallest(candidates, answers)
            if grown is not None:
                return grown
            top = int(np.argmax(answers))
            stuck = 0 if answers[top] > slack + 1e-6 else stuck + 1
            if stuck == 0:
                mask, slack = candidates[top], float(answers[top])
        return None

    def _known(self, mask: Mask) -> Bins:
        """Bins outside the set whose gain was measured, the most promising first."""
        bins = [b for b, gain in self.gains.items() if np.isfinite(gain) and not mask[b]]
        return np.array(sorted(bins, key=lambda b: -self.gains[b]), dtype=np.intp)

    def _promising(self, mask: Mask, stuck: int) -> Bins:
        """The bins to ask alone: those not asked yet and those with most gain, and some drawn by energy."""
        bins = sorted((b for b in self.gains if not mask[b]), key=lambda b: -self.gains[b])[:WIDTH]
        rest = self.spare[~mask[self.spare]]
        count = min(WIDTH // 3 * (1 + stuck), rest.size)
        weights = np.sqrt(self.energy[rest]) + 1e-12
        if count:
            bins += map(int, self.rng.choice(rest, count, replace=False, p=weights / weights.sum()))
        return np.array(list(dict.fromkeys(bins)), dtype=np.intp)


def diverse(energy: NDArray[np.float64], order: Bins, strong: int = 48, bands: int = 48) -> Bins:
    """The strongest bins, and the strongest of each of some bands: those that are asked first, int [≤ 96]."""
    edges = np.unique(np.concatenate([[0], np.geomspace(max(4, energy.size / 160), energy.size, bands)]).astype(int))
    rank = np.full(energy.size, energy.size, dtype=np.intp)
    rank[order] = np.arange(order.size)
    tops = [low + int(np.argmin(rank[low:high])) for low, high in itertools.pairwise(edges)]
    chosen = {int(b) for b in order[:strong]} | {b for b in tops if rank[b] < energy.size and energy[b] > 0}
    return np.array(sorted(chosen, key=lambda b: rank[b]), dtype=np.intp)


def _thin(
    property_: Property,
    energy: NDArray[np.float64],
    mask: Mask,
    order: Bins,
    rng: np.random.Generator,
    best: Best,
) -> Search[Mask]:
    """Replace a set by the smallest of some random draws from it, for as long as one passes."""
    while mask.sum() > 3:
        best.offer(mask)
        kept = order[mask[order]]
        weights = np.sqrt(energy[kept]) + 1e-12
        counts = [max(1, int(kept.size * share)) for share in (0.5, 0.6, 0.7, 0.8) for _ in range(6)]
        draws = [rng.choice(kept, count, replace=False, p=weights / weights.sum()) for count in counts]
        candidates = extend(np.zeros(energy.size, dtype=bool), draws)
        thinner = smallest(candidates, (yield from ask(property_, candidates)))
        if thinner is None:
            break
        mask = thinner
    return mask
