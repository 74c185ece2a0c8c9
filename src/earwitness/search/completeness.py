"""Search ``minimal`` for complete sets: sufficient and necessary at once.

The shortest complete prefix of the order (a sufficient set, then the others by energy) is the set to return whenever
the budget ends. It is thinned. With what is left the search climbs from the sufficient set, for a smaller one: what is
added must keep the label and, by its loss, take it from the rest; what was found is shrunk. Of the two questions about
a candidate (what is kept, what is left) the likelier to fail is asked first; mostly it does, and the other need not be
asked.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..signal.masks import Mask
from .candidates import Bins
from .evolution import Climb, Draws, attempt, reduce, thin
from .minimality import Best, shrink
from .problem import limited
from .questions import TOLERANCE, BudgetSpent, Certificate, Complete, Found, Search, Target, ask
from .sufficiency import shortest_prefix

THIN = 0.4  #: share of the budget for thinning the prefix; all of it where that is less than ...
PLENTY = 1000  #: ... questions: climbing from silence needs as many
CLIMB = 200  #: questions that one attempt at climbing may ask at least
LONGEST = 400  #: the largest set that is grown


def complete(
    energy: NDArray[np.float64], target: Target, start: Mask | None = None, *, budget: int = 2000, seed: int = 0
) -> Search[Found]:
    """Seek the smallest complete set.

    Parameters
    ----------
    energy, target, budget, seed
        As of :func:`earwitness.search.sufficiency.sufficient`.
    start : bool [size], optional
        A sufficient set to grow from.

    Returns
    -------
    Found
        The set of all variables where no smaller one was found: it is sufficient, and its inverse is undefined.
    """
    best = Best()
    everything = np.ones(energy.size, dtype=bool)
    base = np.zeros(energy.size, dtype=bool) if start is None or start.all() else start
    try:
        yield from _seek(Complete(target), Draws(energy, np.random.default_rng(seed)), base, best, budget)
    except BudgetSpent:
        if best.mask is None:
            return Found(everything, Certificate(), "the budget was spent before a smaller complete set was found")
        return best.found("the budget was spent" if best.certificate.kind == "none" else "")
    if best.mask is None:
        return Found(everything, Certificate(), "no smaller complete set was found among those asked")
    return best.found()


def _seek(property_: Complete, draws: Draws, base: Mask, best: Best, left: int) -> Search[None]:
    order = _rank(draws.energy, base)
    climb = Climb(property_, draws)
    slack = float((yield from ask(climb.property_, base[None]))[0])
    if slack >= TOLERANCE:  # the sufficient set is necessary too
        yield from shrink(property_, base, order, best)
        return
    prefix, spent = yield from limited(shortest_prefix(climb.property_, order, draws.energy.size, 2.0), left)
    left -= spent + 2
    # where no prefix passes, omissions from the whole clip might
    whole, plenty = np.ones(base.size, dtype=bool), left >= PLENTY
    thinning = thin(
        climb, whole if prefix is None else prefix, best, left=np.inf if plenty else left, passes=prefix is not None
    )
    _, spent = yield from limited(thinning, int(THIN * left) if plenty else left)
    left -= spent
    if not plenty and best.mask is not None:
        left -= yield from reduce(climb, best.mask, order, best, left)
    while left > 0:
        limit = LONGEST if best.mask is None else min(LONGEST, int(best.mask.sum()) - 1)
        search = climb.from_(base, slack, limit, left)
        fallback = best.mask if best.certificate.kind == "none" else None
        _, spent = yield from attempt(climb, search, max(CLIMB, left // 2), order, best, left, fallback)
        left -= spent
        if spent == 0:
            return


def _rank(scores: NDArray[np.float64], base: Mask) -> Bins:
    """All variables: those of the base first, each part by falling score, int [size]."""
    order = np.argsort(-scores, kind="stable")
    return np.concatenate([order[base[order]], order[~base[order]]])
