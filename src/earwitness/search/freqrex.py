"""Search ``freqrex``: the papers' way (FreqReX, arXiv 2601.16675; arXiv 2604.02937), to compare with their numbers.

Responsibility first; then variables are added in its order, ties by energy, until what is kept is sufficient, then
until it is necessary as well, then until the original's confidence is reached. The label must hold for several
consecutive additions (the chain length of T §2); the first set of the chain is the result. Nothing is shrunk
afterwards, so no set has a certificate.

Additions start with one variable at a time. Where the budget cannot pay for that up to the whole clip, they grow with
the set, by the smallest share that it can pay for; all stages walk the same grid of prefixes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..signal.masks import Mask, to_runs
from .candidates import prefixes
from .problem import Counted, Outcome, Problem, limited
from .questions import TOLERANCE, BudgetSpent, Certificate, Complete, Found, Property, Search, Sufficient, Target, ask
from .responsibility import Refinement, rank_by, responsibility

#: Shares by which additions may grow with the set; 0 adds a constant number.
GROWTHS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0)
#: Prefixes asked at once: at most so many questions are wasted beyond the end of a chain.
LOOKAHEAD = 16


@dataclass(frozen=True)
class Extraction:
    """How sets are extracted from a responsibility map.

    Attributes
    ----------
    chain : int
        Consecutive additions for which a property must hold (T §2); at least 1.
    step : int
        Variables an addition, at least.
    mapping : float
        Share of the budget for the responsibility map.
    refinement : Refinement
        How the map is made.
    """

    chain: int = 3
    step: int = 1
    mapping: float = 0.5
    refinement: Refinement = field(default_factory=Refinement)

    def __post_init__(self) -> None:
        for name in ("chain", "step"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}: too small; use at least 1")


def freqrex(problem: Problem, extraction: Extraction | None = None) -> Search[Outcome]:
    """Seek sufficient, complete and one-complete sets by adding variables in order of responsibility.

    Parameters
    ----------
    problem : Problem
    extraction : Extraction, optional

    Returns
    -------
    Outcome
        Every set's certificate is ``none``: the published method tries no smaller one.
    """
    extraction = extraction or Extraction()
    original = yield np.stack([problem.everything, ~problem.everything])
    target = Target.of(original.log_probabilities[0], problem.delta)
    silent = bool(target.slack(original.log_probabilities[1:])[0] >= TOLERANCE)
    left = original.left
    mapping = responsibility(problem, target, refinement=extraction.refinement)
    mapped, spent = yield from limited(mapping, int(left * extraction.mapping))
    left -= spent
    # a walk to the end costs one question a prefix for a sufficient set, two for each of the complete ones
    share = int(left * min(0.7, 0.2 + 0.1 * problem.count))
    most = max(1, min(left // 6, share // problem.count))
    walk = _Walk(rank_by(mapped, problem.energy), extraction, most)
    sets, why = yield from _several(problem.count, Sufficient(target), walk, silent, share)
    left -= sum(spent for _, spent in sets)
    whole = yield from _further(Complete(target), walk, sets[0][0], left // 2)
    full = Target(target.label, target.confidence, 1.0)
    last = yield from _further(Complete(full), walk, whole[0], left - whole[1])
    return Outcome(original.log_probabilities[0], sets, whole, last, mapped, why)


@dataclass(frozen=True, eq=False)
class _Walk:
    """The order in which all variables are added, and on how many prefixes at most a property is tried."""

    order: NDArray[np.intp]
    extraction: Extraction
    most: int


def make_grid(size: int, step: int, most: int) -> NDArray[np.intp]:
    """Ascending lengths of prefixes from ``step`` to ``size``, at most about ``most`` of them.

    Examples
    --------
    >>> make_grid(6, 2, 10)
    array([2, 4, 6])
    >>> make_grid(100, 1, 9)
    array([  1,   2,   4,   8,  16,  32,  64, 100])
    """
    lengths: list[int] = []
    for growth in GROWTHS:
        lengths = [min(step, size)]
        while lengths[-1] < size and (len(lengths) < most or growth == GROWTHS[-1]):
            lengths.append(min(size, lengths[-1] + max(step, int(lengths[-1] * growth))))
        if lengths[-1] == size:
            break
    return np.array(lengths, dtype=np.intp)


def extend(
    property_: Property, order: NDArray[np.intp], grid: NDArray[np.intp], size: int, chain: int, budget: int
) -> Search[tuple[Mask | None, str]]:
    """Add variables in order until the property holds for ``chain`` consecutive additions.

    Parameters
    ----------
    property_ : Property
    order : int [<= size]
        The variables that may be added, the first first.
    grid : int [G]
        Lengths of the prefixes to try, ascending.
    size : int
        The number of variables of a mask.
    chain : int
        A chain that reaches the end of the grid counts whatever its length: nothing is left to add.
    budget : int
        Questions it may ask.

    Returns
    -------
    (bool [size] or None, str)
        The first set of the chain; where there is none, the first of the longest shorter one, and why.
    """
    holds: list[bool] = []
    chained = ended = False
    try:
        while not chained and len(holds) < grid.size:
            ahead = grid[len(holds) :][: min(LOOKAHEAD, budget // len(property_.parts))]
            if not ahead.size:
                break
            slack, spent = yield from limited(ask(property_, prefixes(order, ahead, size)), budget)
            budget -= spent
            holds += (slack >= TOLERANCE).tolist()
            chained = any(stop - start >= chain for start, stop in to_runs(np.array(holds)))
        ended = len(holds) == grid.size
    except BudgetSpent:
        pass
    at, length = _first(holds, chain, ended)
    why = "" if chained or ended else "the budget was spent"
    if length == 0:
        return None, why or "no prefix of the order by responsibility will do"
    if length < chain and not (ended and at + length == grid.size):
        why = f"it held for {length} of {chain} additions in a row" + (f" before {why}" if why else ", never for more")
    return prefixes(order, grid[at : at + 1], size)[0], why


def _first(holds: list[bool], chain: int, ended: bool) -> tuple[int, int]:
    """Where the first chain starts, else the one that reaches the end, else the longest; and its length."""
    runs = to_runs(np.array(holds, dtype=bool))
    if not runs:
        return 0, 0
    last = [runs[-1]] if ended and runs[-1][1] == len(holds) else []
    chains = [run for run in runs if run[1] - run[0] >= chain] or last
    start, stop = chains[0] if chains else max(runs, key=lambda run: run[1] - run[0])
    return start, stop - start


def _several(
    count: int, property_: Sufficient, walk: _Walk, silent: bool, budget: int
) -> Search[tuple[tuple[Counted, ...], str]]:
    """Disjoint sufficient sets, each from the order without the variables of the earlier; why there are not more."""
    size = walk.order.size
    free = np.ones(size, dtype=bool)
    if silent:  # its one question was asked with the clip's own
        return ((Found(~free, Certificate()), 1),), "silence suffices: any set would do" if count > 1 else ""
    sets: list[Counted] = []
    while len(sets) < count:
        order = walk.order[free[walk.order]]
        grid = make_grid(order.size, walk.extraction.step, walk.most)
        share = budget // (count - len(sets))
        (mask, why), spent = yield from limited(
            extend(property_, order, grid, size, walk.extraction.chain, share), share
        )
        if mask is None and sets:
            return tuple(sets), f"{len(sets)} of {count} sets: {why}"
        if mask is None:
            mask, why = free.copy(), f"all variables: {why}"
        budget -= spent
        sets.append((Found(mask, Certificate(), why), spent))
        free &= ~mask
        if not free.any() and len(sets) < count:
            return tuple(sets), f"{len(sets)} of {count} sets: they leave no variable"
    return tuple(sets), ""


def _further(property_: Complete, walk: _Walk, start: Found, budget: int) -> Search[Counted]:
    """Go on adding to a set, a prefix of the order, until it is complete."""
    assert start.mask is not None
    size, reached = walk.order.size, int(start.mask.sum())
    if reached == size:
        return Found(start.mask, Certificate(), "all variables: the set before it has them all"), 0
    grid = make_grid(size, walk.extraction.step, walk.most)
    grid = grid[grid >= reached]
    (mask, why), spent = yield from limited(
        extend(property_, walk.order, grid, size, walk.extraction.chain, budget), budget
    )
    if mask is None:
        return Found(np.ones(size, dtype=bool), Certificate(), f"all variables: {why}"), spent
    return Found(mask, Certificate(), why), spent
