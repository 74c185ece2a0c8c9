"""The line to beat: plain greedy removal from the order by energy.

Silence and the 32 strongest single bins first; then the shortest passing prefix of the energy order on a grid;
then chunks are dropped in parallel. Each chunk is dropped alone, all in one batch; those that passed are dropped
together if that passes, else only the one with the most slack; when none passes, chunks are halved.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earwitness.search.minimality import Best, without
from earwitness.search.questions import (
    TOLERANCE,
    BudgetSpent,
    Certificate,
    Found,
    Property,
    Search,
    Sufficient,
    Target,
    ask,
)
from earwitness.signal.masks import Mask

SINGLES = 32
GROWTH = 1.25
CHUNKS = 8
LIMIT = 1500


def search_greedily(energy: NDArray[np.float64], target: Target, limit: int = LIMIT) -> Search[Found]:
    """Seek a small sufficient set with about ``limit`` questions: no round starts once they are asked.

    Parameters
    ----------
    energy : float64 [size]
        Share of the clip's energy in each variable.
    target : Target
    limit : int
        Questions after which no round is started.
    """
    best, property_ = Best(), Sufficient(target)
    order = np.argsort(-energy, kind="stable")
    try:
        start, asked = yield from _start(property_, order)
        if start is None:
            return Found(None, why="no prefix of the energy order is sufficient")
        best.offer(start)
        if start.sum() <= 1:  # silence was asked too and failed, or is the set itself
            best.offer(start, Certificate("one_minimal", int(start.sum())))
        else:
            yield from _remove(property_, start, order, best, limit - asked)
    except BudgetSpent:
        pass
    return best.found()


def _start(property_: Property, order: NDArray[np.intp]) -> Search[tuple[Mask | None, int]]:
    """The first that passes of silence, strong single bins and prefixes, and the questions it took."""
    count = min(SINGLES, order.size)
    singles = np.zeros((count + 1, order.size), dtype=bool)
    singles[np.arange(1, count + 1), order[:count]] = True
    passing = np.flatnonzero((yield from ask(property_, singles)) >= TOLERANCE)
    if passing.size:
        return singles[passing[0]], len(singles)
    lengths, length = [], 2
    while length < order.size:
        lengths.append(length)
        length = int(np.ceil(length * GROWTH))
    lengths.append(order.size)
    rank = np.empty(order.size, dtype=np.intp)
    rank[order] = np.arange(order.size)
    prefixes = rank[None] < np.array(lengths)[:, None]
    passing = np.flatnonzero((yield from ask(property_, prefixes)) >= TOLERANCE)
    asked = len(singles) + len(prefixes)
    return (prefixes[passing[0]] if passing.size else None), asked


def _remove(property_: Property, mask: Mask, order: NDArray[np.intp], best: Best, left: int) -> Search[None]:
    chunks = CHUNKS
    while left > 0 and mask.any():
        kept = order[mask[order]]
        chunks = min(chunks, kept.size)
        parts = np.array_split(kept, chunks)
        candidates = without(mask, parts)
        slack = yield from ask(property_, candidates)
        left -= chunks
        passing = np.flatnonzero(slack >= TOLERANCE)
        if not passing.size:
            if chunks == kept.size:
                best.offer(mask, Certificate("one_minimal", chunks))
                return
            chunks *= 2
            continue
        together = mask & candidates[passing].all(axis=0)
        left -= 1
        passes = (yield from ask(property_, together[None]))[0] >= TOLERANCE
        mask = together if passes else candidates[passing[np.argmax(slack[passing])]]
        best.offer(mask)
