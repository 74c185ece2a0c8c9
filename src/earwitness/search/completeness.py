"""Search ``minimal`` for complete sets: sufficient and necessary at once.

The shortest complete prefix of an order (a sufficient set, then the others by energy) is the set to return whenever the
search ends. Two ways lead from there to smaller ones. One *removes* from the prefix. The other *climbs* from the small
sufficient set: what is added must keep the label and, by its loss, take it from the rest; what it arrives at is
reduced, and the next climb is for a smaller one. Which is the better one differs from clip to clip, so they take turns
(:mod:`earwitness.search.turns`) until what more questions promise is not worth them
(:mod:`earwitness.search.effort`).

Of the two questions about a candidate (what is kept, what is left) the likelier to fail is asked first; mostly it does,
and the other need not be asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..signal.masks import Mask
from .candidates import Bins
from .effort import ENDLESS, THOROUGH, Effort
from .evolution import CHUNKS, RESERVE, Climb, Draws, attempt, has_to_certify, reduce, thin
from .minimality import Best, shrink, shrink_into
from .problem import limited
from .questions import TOLERANCE, BudgetSpent, Certificate, Complete, Found, Search, Target, ask
from .sufficiency import shortest_prefix
from .turns import Progress, take_turns

BASE = 100  #: variables: a larger sufficient set is not grown; silence is
FEW = 270  #: questions: with fewer, one way after the other
TURN = 180  #: questions that each way asks in its turn
CLIMB = 120  #: questions that one climb may ask, about
LAST = 200  #: the same with few questions, at most
LONGEST = 400  #: the largest set that is grown


def complete(
    energy: NDArray[np.float64],
    target: Target,
    start: Mask | None = None,
    *,
    budget: int = 2000,
    seed: int = 0,
    effort: Effort = THOROUGH,
) -> Search[Found]:
    """Seek the smallest complete set.

    Parameters
    ----------
    energy, target, budget, seed
        As of :func:`earwitness.search.sufficiency.sufficient`.
    start : bool [size], optional
        A sufficient set to grow from.
    effort : Effort
        When to stop before the budget is spent.

    Returns
    -------
    Found
        The set of all variables where no smaller one was found: it is sufficient, and its inverse is undefined.
    """
    best = Best()
    everything = np.ones(energy.size, dtype=bool)
    search = _Search(Complete(target), Draws(energy, np.random.default_rng(seed)), best)
    try:
        yield from search.seek(np.zeros(energy.size, dtype=bool) if start is None else start, budget, effort)
    except BudgetSpent:
        if best.mask is None:
            return Found(everything, Certificate(), "the budget was spent before a smaller complete set was found")
        return best.found("the budget was spent" if best.certificate.kind == "none" else "")
    if best.mask is None:
        return Found(everything, Certificate(), "no smaller complete set was found among those asked")
    return best.found()


@dataclass
class _Search:
    """The search under way: what is sought, and the best set so far."""

    sought: Complete
    draws: Draws
    best: Best

    def seek(self, start: Mask, left: int, effort: Effort) -> Search[None]:
        """The shortest complete prefix, then smaller sets both ways."""
        climb = Climb(self.sought, self.draws)
        start = np.zeros_like(start) if start.all() else start
        slack = float((yield from ask(climb.property_, start[None]))[0])
        if slack >= TOLERANCE:  # the sufficient set is necessary too
            yield from shrink(climb.property_, start, rank(self.draws.energy, start), self.best)
            return
        together = left >= FEW
        if together and start.sum() > BASE:
            start = np.zeros_like(start)
            slack = float((yield from ask(climb.property_, start[None]))[0])
            left -= len(self.sought.parts)
        order = rank(self.draws.energy, start)
        prefix, spent = yield from limited(shortest_prefix(climb.property_, order, order.size, 2.0), left)
        left -= spent + len(self.sought.parts)
        # where no prefix passes, omissions from the whole clip might
        mask, passes = (np.ones_like(start), False) if prefix is None else (prefix, True)
        if not together:
            yield from self._remove_then_climb(climb, mask, passes, start, slack, order, left)
            return
        ways = [self._remove(mask, passes, order, left), self._climb(climb, start, slack, order, left)]
        progress = Progress(effort, self.best, lambda: climb.property_.nearest, left)
        yield from take_turns(ways, TURN, left, progress.enough)
        yield from self._certify(climb, order)

    def _remove(self, mask: Mask, passes: bool, order: Bins, left: int) -> Search[None]:
        """Omissions; what comes of them is reduced."""
        climb = Climb(self.sought, self.draws)
        yield from thin(climb, mask, self.best, passes=passes)
        if self.best.mask is not None and self.best.certificate.kind == "none":
            yield from reduce(climb, self.best.mask, order, self.best, left)

    def _climb(self, climb: Climb, start: Mask, slack: float, order: Bins, left: int) -> Search[None]:
        """Climbs for smaller and smaller sets; each is reduced."""
        while self._limit > 0:
            search = climb.from_(start, slack, self._limit, CLIMB)
            _, spent = yield from attempt(climb, search, ENDLESS, order, self.best, left, None)
            if spent == 0:
                return

    def _remove_then_climb(
        self, climb: Climb, mask: Mask, passes: bool, start: Mask, slack: float, order: Bins, left: int
    ) -> Search[None]:
        """One way after the other, until the budget is spent."""
        best = self.best
        _, spent = yield from limited(thin(climb, mask, best, left=left, passes=passes), left)
        left -= spent
        if best.mask is not None:
            left -= yield from reduce(climb, best.mask, order, best, left)
        while left > 0:
            search = climb.from_(start, slack, self._limit, left)
            fallback = best.mask if best.certificate.kind == "none" else None
            _, spent = yield from attempt(climb, search, LAST, order, best, left, fallback)
            left -= spent
            if spent == 0:
                return

    @property
    def _limit(self) -> int:
        """The largest set that a climb is to find."""
        return LONGEST if self.best.kept is None else min(LONGEST, self.best.kept - 1)

    def _certify(self, climb: Climb, order: Bins) -> Search[None]:
        """Try what is left of the best set where that was not done: each variable of a small one, chunks of others."""
        mask = self.best.mask
        if mask is None or self.best.certificate.kind != "none":
            return
        small = has_to_certify(int(mask.sum()), len(self.sought.parts), 0)
        trying = shrink_into(self.best, climb.property_, mask, order, int(mask.sum()) if small else CHUNKS)
        yield from limited(trying, RESERVE)


def rank(scores: NDArray[np.float64], first: Mask) -> Bins:
    """All variables: those of a set first, each part by falling score, int [size]."""
    order = np.argsort(-scores, kind="stable")
    return np.concatenate([order[first[order]], order[~first[order]]])
