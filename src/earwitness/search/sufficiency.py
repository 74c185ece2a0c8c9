"""Search ``minimal`` for sufficient sets: grow from nothing, then shrink.

A set found by removing content from the whole clip ends in a local minimum of tens to thousands of bins; one grown
from silence, guided by how much nearer each change brings the label, mostly needs a handful. So:

1. silence, and bins alone (:mod:`earwitness.search.singles`): often one suffices, though only a few of thousands may;
2. the shortest sufficient prefix of the energy order on a coarse grid: large, but from here on there is a set to
   return whenever the budget ends;
3. *climb* (:mod:`earwitness.search.evolution`) from the best single bins;
4. if that fails twice, start from that prefix instead;
5. *reduce* what was found to a certified minimum;
6. climb again from the smaller sets that came nearest, while the budget allows and there is enough to gain.

Sufficiency is not monotone along any order: only what was asked is known, so every step asks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..signal.masks import Mask
from .candidates import Bins, prefixes
from .evolution import Climb, Draws, attempt, reduce
from .minimality import Best
from .problem import limited
from .questions import TOLERANCE, BudgetSpent, Found, Property, Search, Sufficient, Target, ask
from .singles import FIRST, ask_singles, offer_singles

SINGLES = 32  #: questions about silence and bins alone, at most
GRID = 4.0  #: growth of the prefixes
SMALL = 16  #: variables: a prefix no larger is taken to be as good as grown
ATTEMPTS = 12  #: at climbing
LONGEST = 150  #: variables: the largest set that is grown
CLIMB = 180  #: questions an attempt may ask, about
AGAIN = 48  #: questions another attempt may ask once a set was found
BOLDNESS = 1.0  #: standard deviations that not knowing is worth to a climb
WORTH = 5  #: questions that each variable beyond two in the best set found is worth to seek a smaller one


def sufficient(
    energy: NDArray[np.float64],
    target: Target,
    seed: int = 0,
    allowed: Mask | None = None,
    budget: int = 900,
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
        Questions there are, to be shared out between the stages.

    Returns
    -------
    Found
    """
    best, property_ = Best(), Sufficient(target)
    order = np.argsort(-energy, kind="stable")
    if allowed is not None:
        order = order[allowed[order]]
    draws = Draws(energy, np.random.default_rng(seed), allowed)
    try:
        yield from _seek(property_, draws, order, best, budget)
    except BudgetSpent:
        return best.found("the budget was spent" if best.certificate.kind == "none" else "")
    return best.found("" if best.mask is not None else "no sufficient set was found")


def shortest_prefix(property_: Property, order: Bins, size: int, growth: float = 2**0.5) -> Search[Mask | None]:
    """The shortest prefix of an order, on a geometric grid asked in one batch, that has the property."""
    steps = int(np.ceil(np.log(max(order.size, 2)) / np.log(growth))) + 1
    counts = sorted({min(order.size, round(growth**step)) for step in range(steps)} | {order.size})
    candidates = prefixes(order, np.array(counts), size)
    passing = np.flatnonzero((yield from ask(property_, candidates)) >= TOLERANCE)
    return candidates[passing[0]] if passing.size else None


def _seek(property_: Property, draws: Draws, order: Bins, best: Best, budget: int) -> Search[None]:
    size = draws.energy.size
    climb = Climb(property_, draws, BOLDNESS)
    questions = min(SINGLES, max(budget // 2, FIRST))
    alone, slack = yield from ask_singles(climb.property_, draws.energy, order, questions)
    singles = offer_singles(best, alone, slack, size)
    if best.mask is not None:
        return
    left = budget - len(singles)
    climb.gains.update(zip(map(int, alone), map(float, slack[1:] - slack[0]), strict=True))
    prefix, spent = yield from limited(shortest_prefix(climb.property_, order, size, GRID), left)
    left -= spent
    small = prefix is not None and prefix.sum() <= SMALL
    if prefix is not None:
        best.offer(prefix)
        if small:
            left -= yield from reduce(climb, prefix, order, best, left)
    since = left if small else None  # questions left when the first set was found that is no mere prefix
    for number, row in enumerate(np.argsort(-slack, kind="stable")[:ATTEMPTS]):
        least = LONGEST + 1 if best.mask is None else int(best.mask.sum())
        start, nearness, questions = singles[row], float(slack[row]), min(CLIMB, max(budget // 3, AGAIN))
        if since is not None:
            if WORTH * (least - 2) <= since - left:
                return
            start, nearness = climb.property_.take_nearest(least - 1, size) or (start, nearness)
            questions = AGAIN
        fallback = prefix if since is None and number == 1 else None
        search = climb.from_(start, nearness, min(LONGEST, least - 1), questions)
        found, spent = yield from attempt(climb, search, left, order, best, left, fallback)
        left -= spent
        since = left if since is None and found else since
