"""Search ``minimal`` for complete sets: sufficient and necessary at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..spectrum import Mask
from .minimality import Best, shrink
from .questions import BudgetSpent, Certificate, Complete, Found, Search, Target
from .sufficiency import shortest_prefix


def complete(energy: NDArray[np.float64], target: Target, start: Mask | None = None, seed: int = 0) -> Search[Found]:
    """Seek the smallest complete set.

    Parameters
    ----------
    energy : float64 [size]
        Share of the clip's energy in each variable.
    target : Target
    start : bool [size], optional
        A sufficient set to grow from.
    seed : int

    Returns
    -------
    Found
        The set of all variables where no smaller one was found: it is complete by convention, its inverse is
        undefined.
    """
    best, property_ = Best(), Complete(target)
    everything = np.ones(energy.size, dtype=bool)
    order = np.argsort(-energy, kind="stable")
    if start is not None:
        order = np.concatenate([order[start[order]], order[~start[order]]])
    try:
        mask = yield from shortest_prefix(property_, order)
        if mask is not None:
            yield from shrink(property_, mask, order, best)
    except BudgetSpent:
        if best.mask is None:
            return Found(everything, Certificate(), "the budget was spent before a smaller complete set was found")
        return best.found("the budget was spent")
    if best.mask is None:
        return Found(everything, Certificate(), "no smaller complete set was found")
    return best.found()
