"""Search ``minimal`` for sufficient sets: grow from nothing, then shrink.

A set found by removing content from the whole clip ends in a local minimum of tens to thousands of bins; one grown
from silence, guided by how much nearer each change brings the label, mostly needs a handful. So:

1. silence, and the strongest bins alone: often one suffices;
2. the shortest sufficient prefix of the energy order on a coarse grid: large, but from here on there is a set to
   return whenever the budget ends;
3. *climb* (:mod:`.evolution`) from the best single bins;
4. if that fails twice, *thin* that prefix;
5. *shrink* what was found to a certified minimum;
6. climb again, looking only for smaller sets, while the budget allows and there is much to gain.

Sufficiency is not monotone along any order: only what was asked is known, so every step asks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..spectrum import Mask
from .candidates import Bins
from .evolution import LONGEST, Climb, Draws, thin
from .minimality import Best, ask, extend, shrink_into
from .problem import limited
from .questions import TOLERANCE, BudgetSpent, Certificate, Found, Property, Search, Sufficient, Target

FIRST = 16  #: strongest bins asked alone
ATTEMPTS = 5  #: at climbing
CLIMB = 300  #: questions one attempt may ask
CHUNKS = 8  #: that a set is cut into where the budget cannot try each of its bins
AGAIN = 80  #: questions another attempt may ask once a set was found


def sufficient(
    energy: NDArray[np.float64],
    target: Target,
    seed: int = 0,
    allowed: Mask | None = None,
    budget: int = 5 * CLIMB,
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
    rank = np.full(size, order.size, dtype=np.intp)
    rank[order] = np.arange(order.size)
    candidates = rank[None] < np.array(counts)[:, None]
    passing = np.flatnonzero((yield from ask(property_, candidates)) >= TOLERANCE)
    return candidates[passing[0]] if passing.size else None


def _seek(property_: Property, draws: Draws, order: Bins, best: Best, budget: int) -> Search[None]:
    silence = np.zeros(draws.energy.size, dtype=bool)
    first = order[:FIRST]
    singles = np.concatenate([silence[None], extend(silence, first[:, None])])
    slack = yield from ask(property_, singles)
    passing = np.flatnonzero(slack >= TOLERANCE)
    if passing.size:
        # silence was asked in the same batch: a single bin that passes without it is minimal
        certain = passing[0] == 0 or slack[0] < -TOLERANCE
        mask = singles[passing[0]]
        best.offer(mask, Certificate("one_minimal", int(mask.sum())) if certain else None)
        return
    left = budget - len(singles)
    climb = Climb(property_, draws, dict(zip(map(int, first), map(float, slack[1:] - slack[0]), strict=True)))
    # with few questions, a coarser grid
    growth = 2.0 if budget >= 200 else 4.0
    prefix, spent = yield from limited(shortest_prefix(property_, order, draws.energy.size, growth), left)
    left -= spent
    if prefix is not None:
        best.offer(prefix)
        if prefix.sum() <= FIRST:
            _, spent = yield from limited(shrink_into(best, property_, prefix, order, int(prefix.sum())), left)
            left -= spent
    for attempt, row in enumerate(np.argsort(-slack, kind="stable")[:ATTEMPTS]):
        size = LONGEST if best.mask is None else int(best.mask.sum())
        if size <= 2 or (size <= 4 and attempt >= 3):
            return
        questions = min(CLIMB, max(budget // 3, AGAIN)) if best.mask is None or best.mask is prefix else AGAIN
        mask, spent = yield from limited(
            climb.from_(singles[row], float(slack[row]), min(LONGEST, size - 1), questions), left
        )
        left -= spent
        if mask is None and attempt == 1 and prefix is not None and best.mask is prefix:
            mask = prefix
        if mask is None:
            continue
        if mask.sum() > 8:
            mask, spent = yield from limited(thin(property_, mask, draws, best, reserve=1.5), left)
            left -= spent
        _, spent = yield from limited(
            shrink_into(best, property_, mask, order, CHUNKS if mask.sum() > left else size), left
        )
        left -= spent
