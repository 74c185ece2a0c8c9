"""Search ``minimal`` for sufficient sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..spectrum import Mask
from .minimality import Best, ask, shrink
from .questions import TOLERANCE, BudgetSpent, Found, Property, Search, Sufficient, Target


def sufficient(energy: NDArray[np.float64], target: Target, seed: int = 0) -> Search[Found]:
    """Seek the smallest sufficient set.

    Parameters
    ----------
    energy : float64 [size]
        Share of the clip's energy in each variable.
    target : Target
    seed : int

    Returns
    -------
    Found
    """
    best, property_ = Best(), Sufficient(target)
    try:
        yield from _seek(property_, energy, best)
    except BudgetSpent:
        return best.found("the budget was spent")
    return best.found("" if best.mask is not None else "no sufficient set was found")


def _seek(property_: Property, energy: NDArray[np.float64], best: Best) -> Search[None]:
    size = energy.size
    order = np.argsort(-energy, kind="stable")
    singles = np.zeros((min(32, size) + 1, size), dtype=bool)
    singles[np.arange(1, len(singles)), order[: len(singles) - 1]] = True
    slack = yield from ask(property_, singles)
    passing = np.flatnonzero(slack >= TOLERANCE)
    if passing.size:
        yield from shrink(property_, singles[passing[0]], order, best)
        return
    mask = yield from shortest_prefix(property_, order)
    if mask is not None:
        yield from shrink(property_, mask, order, best)


def shortest_prefix(property_: Property, order: NDArray[np.intp], growth: float = 2**0.5) -> Search[Mask | None]:
    """The shortest prefix of an order, on a geometric grid asked in one batch, that has the property."""
    size = order.size
    steps = int(np.ceil(np.log(size) / np.log(growth))) + 1
    counts = sorted({min(size, round(growth**step)) for step in range(steps)} | {size})
    rank = np.empty(size, dtype=np.intp)
    rank[order] = np.arange(size)
    candidates = rank[None] < np.array(counts)[:, None]
    passing = np.flatnonzero((yield from ask(property_, candidates)) >= TOLERANCE)
    return candidates[passing[0]] if passing.size else None
