"""Two ways from a set to a better one by small random changes: up to a property, and down while it lasts.

Classifiers answer to signals that are far from all they were trained on, and do so erratically: a set that lacks a
property by little often gains it by a change that nothing foretells. So each round draws many varied changes, asks
those that promise most by what was learnt (:mod:`earwitness.search.surrogate`), and goes on from the best. Besides
single variables, *runs* of neighbouring ones are added and dropped: in a Fourier transform of a whole clip neighbours
together hold the envelope of what sounds at their frequency, one alone is a tone that lasts through the clip.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import InitVar, dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ..signal.masks import Mask
from .candidates import NOTHING, Bins, log_scale
from .gaussian import Values, hope
from .minimality import Best, shrink_into, smallest
from .problem import limited
from .questions import TOLERANCE, BudgetSpent, Property, Search, ask
from .surrogate import Surrogate

BANDS = 40  #: of equal width on a logarithmic scale; half of the draws are spread evenly over them
ROUND = 12  #: candidates a round
DRAWN = 6  #: times the changes of :meth:`Climb._changes` that a round chooses from
DROPS = 12  #: times the candidates of a round of thinning that it chooses from
HEAT = 0.3  #: nats: a change for the worse by about so much is taken at first
COOLING = 0.97  #: of the heat, a round
PATIENCE = 12  #: rounds without gain that end a climb
CERTIFY = 1.5  #: times the questions that dropping each variable alone takes are left for it, where no more than ...
RESERVE = 150  #: ... these
DROP = 0.4  #: share of a set that is dropped at first
EXCHANGE = 0.6  #: of the drops add some variables ...
ADDED = (0.1, 0.25, 0.5)  #: ... as many as one of these shares of those dropped
LARGE = 24  #: variables: larger sets are thinned before each variable is tried
CHUNKS = 8  #: that a set is cut into where the budget cannot try each of its variables


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
        self._weights = weights
        band = np.minimum(log_scale(size) * BANDS, BANDS - 1).astype(np.intp)
        loudness = np.bincount(band, weights, BANDS)
        self._by_amplitude = np.cumsum(weights)
        self._by_band = np.cumsum(weights / np.maximum(loudness, 1e-300)[band])

    def single(self, count: int = 1) -> Bins:
        """At most ``count`` variables, by amplitude in the clip or in their own band."""
        weights = self._by_band if self.rng.random() < 0.5 else self._by_amplitude
        found = self._draw(weights, count)
        return found if count == 1 else np.unique(found)

    def near(self, variable: int) -> Bins:
        """A variable near another: by amplitude among those within a random distance."""
        reach = int(np.exp(self.rng.uniform(0, np.log(max(self.energy.size / 20, 2)))))
        low = max(0, variable - reach)
        weights = self._weights[low : variable + reach + 1]
        return low + self._draw(np.cumsum(weights), 1)

    def run(self, longest: int) -> Bins:
        """Neighbours around a variable drawn by amplitude: 2 to ``longest``, short ones more often."""
        width = int(np.exp(self.rng.uniform(np.log(2), np.log(max(longest, 4)))))
        start = int(self._draw(self._by_amplitude, 1)[0]) - int(self.rng.integers(width))
        found = np.arange(max(start, 0), min(start + width, self.energy.size))
        return found if self.allowed is None else found[self.allowed[found]]

    def _draw(self, weights: NDArray[np.float64], count: int) -> Bins:
        total = weights[-1]
        if total <= 0:
            return NOTHING
        found: Bins = weights.searchsorted(self.rng.random(count) * total, side="right")
        return np.minimum(found, weights.size - 1, out=found)

    def among(self, variables: Bins) -> Bins:
        """One of some variables, all alike: what ``rng.choice`` gives, in a tenth of its time."""
        place = int(self.rng.integers(variables.size))
        return variables[place : place + 1]


@dataclass
class Climb:
    """Climbs to a property, and what was learnt on the way.

    Attributes
    ----------
    sought : Property
    draws : Draws
    boldness : float
        Standard deviations that not knowing is worth.
    property_ : Surrogate
        What is sought; its answers are learnt, and foretell which changes are worth asking.
    gains : dict
        By how much each variable, added alone, last brought a set nearer, in nats.
    """

    sought: InitVar[Property]
    draws: Draws
    boldness: float = 1.5
    gains: dict[int, float] = field(default_factory=dict)

    def __post_init__(self, sought: Property) -> None:
        self.property_ = Surrogate(sought, self.draws.energy)

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
            For it, about: half of them if it comes no nearer, half as many again if it nearly arrives.

        Returns
        -------
        bool [size] or None
            ``None`` if the budget or the patience ended.
        """
        top = slack_at_start = min(slack, -TOLERANCE)
        mask, heat, calm, asked = start, HEAT, 0, 0
        # half of the questions where it comes no nearer, half as many again where it nearly arrives
        while calm < PATIENCE and asked < questions * (1.5 - top / slack_at_start):
            drawn = self._draw(mask, limit)
            if not len(drawn):
                return None
            candidates, first = self.property_.choose(drawn, ROUND, hope(self.boldness))
            asking = ask(self.property_, candidates, first, best=True)
            try:
                answers, spent = yield from limited(asking, ROUND * len(self.property_.parts))
            except BudgetSpent:
                return None
            asked += spent
            self._note(mask, slack, candidates, answers)
            found = smallest(candidates, answers)
            if found is not None:
                return found
            best = int(np.argmax(answers))
            if answers[best] > slack - heat * self.draws.rng.exponential():
                mask, slack = candidates[best], float(answers[best])
            calm = 0 if slack > top + 1e-3 else calm + 1
            top, heat = max(top, slack), heat * COOLING
        return None

    def _draw(self, mask: Mask, limit: int) -> Mask:
        """Different changes of a set, none empty or above the limit, bool [M, size]."""
        kept = np.flatnonzero(mask)
        promising = np.array([b for b in sorted(self.gains, key=lambda b: -self.gains[b]) if not mask[b]][:8], np.intp)
        # by what differs from the set: most are too large, or the same as others, and are not even made
        different: dict[tuple[bytes, bytes], tuple[Bins, Bins]] = {}
        for _ in range(DRAWN):
            for added, dropped in self._changes(kept, promising, limit):
                if dropped.size and dropped[0] in added:
                    dropped = NOTHING
                more = np.sort(added[~mask[added]])
                if 0 < kept.size - dropped.size + more.size <= limit:
                    different[more.tobytes(), dropped.tobytes()] = more, dropped
        drawn = np.empty((len(different), mask.size), dtype=bool)
        drawn[:] = mask
        for row, (more, dropped) in zip(drawn, different.values(), strict=True):
            row[dropped] = False
            row[more] = True
        return drawn

    def _changes(self, kept: Bins, promising: Bins, limit: int) -> Iterator[tuple[Bins, Bins]]:
        """Additions, exchanges and omissions: what is added, and what is dropped (one at most)."""
        draws = self.draws
        for _ in range(8):
            yield draws.single(), NOTHING
        for bins in (*promising[:3, None], *(promising[:count] for count in (2, 4, 8) if promising.size >= count)):
            yield bins, NOTHING
        for count in (2, 5, 12):
            yield draws.single(count), NOTHING
        for _ in range(5):
            yield draws.run(limit // 3), NOTHING
        if kept.size:
            for _ in range(4):
                moved = draws.among(kept)
                yield draws.near(int(moved[0])), moved
        if kept.size > 1:
            for _ in range(4):
                added = draws.single()
                yield added, draws.among(kept)
            for _ in range(2):
                yield NOTHING, draws.among(kept)

    def _note(self, mask: Mask, slack: float, candidates: Mask, answers: Values) -> None:
        for candidate, answer in zip(candidates, answers, strict=True):
            added = np.flatnonzero(candidate ^ mask)
            if added.size == 1 and candidate[added[0]]:
                self.gains[int(added[0])] = float(answer) - slack


def attempt(
    climb: Climb, search: Search[Mask | None], most: int, order: Bins, best: Best, left: int, fallback: Mask | None
) -> Search[tuple[bool, int]]:
    """Climb within ``most`` questions; what was found, or else the fallback, is reduced.

    Parameters
    ----------
    climb : Climb
    search : Search
        One of its climbs.
    most : int
    order, best, left
        See :func:`reduce`.
    fallback : bool [size], optional
        A set that has the property, for where the climb finds none.

    Returns
    -------
    (bool, int)
        Whether there was anything to reduce; the questions spent.
    """
    mask, spent = yield from limited(search, most)
    mask = fallback if mask is None else mask
    if mask is not None:
        spent += yield from reduce(climb, mask, order, best, left - spent)
    return mask is not None, spent


def reduce(climb: Climb, mask: Mask, order: Bins, best: Best, left: int) -> Search[int]:
    """Make a set that has the property small: thin it while it is large, then try each of its variables.

    Parameters
    ----------
    climb : Climb
        Its property and draws are used.
    mask : bool [size]
    order : int [size]
        All variables, the most important first.
    best : Best
        Gets each smaller set, and the certificate.
    left : int
        Questions there are for it.

    Returns
    -------
    int
        The questions spent.
    """
    spent = 0
    if np.count_nonzero(mask) > LARGE:
        mask, spent = yield from limited(thin(climb, mask, best, enough=LARGE, left=left), left)
    size = int(np.count_nonzero(mask))
    chunks = CHUNKS if size > left - spent else size
    _, more = yield from limited(shrink_into(best, climb.property_, mask, order, chunks), left - spent)
    return spent + more


def thin(
    climb: Climb, mask: Mask, best: Best, *, enough: int = 1, left: float = np.inf, passes: bool = True
) -> Search[Mask]:
    """Drop runs and single variables while the property lasts, or exchange many for fewer.

    Each round draws sets that lack about the same share, in many ways, and asks those from which most may be
    expected: the variables saved, times the chance that the property lasts. Of those that keep it the smallest is
    taken, a little slack (nats) weighing as much as some variables; the share grows with success and falls without.

    Parameters
    ----------
    climb : Climb
        Its property and draws are used.
    mask : bool [size]
        A set that has the property.
    best : Best
        Gets each smaller set.
    enough : int
        Stop at so many variables.
    left : float
        Questions there are: of a small set some are left for dropping each variable alone.
    passes : bool
        Whether the set has the property; if not, one that has is sought among what is left by dropping some of it.

    Returns
    -------
    bool [size]
        The last set; the budget of this stage may be spent.
    """
    property_, most = climb.property_, ROUND * len(climb.property_.parts)
    if passes:
        best.offer(mask)
    share, failures = DROP, 0
    try:
        while (size := int(np.count_nonzero(mask))) > enough:
            if has_to_certify(size, len(property_.parts), left):
                break
            kept = np.flatnonzero(mask)
            drawn = np.empty((DROPS * ROUND, mask.size), dtype=bool)
            drawn[:] = mask
            for row in drawn:
                _drop(row, kept, share, climb.draws)
            worth = partial(_expect, size - np.count_nonzero(drawn, axis=1))
            candidates, first = property_.choose(drawn, ROUND, worth)
            slack, spent = yield from limited(ask(property_, candidates, first), most)
            left -= spent
            passing = np.flatnonzero(slack >= TOLERANCE)
            if passing.size:
                price = np.count_nonzero(candidates[passing], axis=1) / size - 0.5 * np.minimum(slack[passing], 0.1)
                mask = candidates[passing[np.argmin(price)]]
                best.offer(mask)
                share, failures = min(0.6, share * 1.15), 0
            else:
                share, failures = max(share * 0.7, 1 / size), failures + 1
                if share * size <= 1 and failures >= 8:
                    break
    except BudgetSpent:
        pass
    return mask


def has_to_certify(size: int, parts: int, left: float) -> bool:
    """Whether so many questions are left that they are needed for dropping each variable of a small set alone."""
    return left < CERTIFY * size * parts + ROUND <= RESERVE


def _expect(saved: Values, mean: Values, deviation: Values) -> Values:
    """The variables saved, times the chance that each part of the property lasts."""
    return np.asarray(saved * ndtr(mean / deviation).prod(axis=0))


def _drop(found: Mask, kept: Bins, share: float, draws: Draws) -> None:
    """Drop about the share of what is kept, ``kept``, from a set, sometimes with a few others added instead."""
    rng, size = draws.rng, kept.size
    dropped = max(1, int(size * min(0.8, share * rng.choice([0.5, 1.0, 1.5]))))
    kind, count = rng.random(), dropped
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
    if dropped > 1 and rng.random() < EXCHANGE:
        added = draws.single(max(1, int(dropped * rng.choice(ADDED))))
        if np.count_nonzero(found) + np.count_nonzero(~found[added]) < size:
            found[added] = True
