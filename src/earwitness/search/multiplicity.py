"""Several sufficient sets of one clip (Chockler, Kelly & Kroening, arXiv 2309.14309): one is an arbitrary choice.

Each further set is sought among the variables the earlier ones leave. Where those do not suffice and overlap is
allowed, a share of each earlier set is given back at random. Every pair's overlap, as a share of the smaller set,
is at most the bound.
"""

from __future__ import annotations

import numpy as np

from ..signal.masks import Mask
from .problem import Counted, Problem, limited
from .questions import Found, Search, Target
from .sufficiency import sufficient


def several(problem: Problem, target: Target, budget: int) -> Search[tuple[tuple[Counted, ...], str]]:
    """Seek ``problem.count`` sufficient sets with a budget for all; the sets, and why there are not more."""
    share = _share(budget, problem.count)
    first, spent = yield from limited(sufficient(problem.energy, target, problem.seed, None, share), share)
    sets: list[Counted] = [(first, spent)]
    if problem.count == 1 or first.mask is None:
        return tuple(sets), first.why if problem.count > 1 else ""
    if not first.mask.any():
        return tuple(sets), "silence suffices: every further set would hold a set that does"
    left, rng = budget - spent, np.random.default_rng([problem.seed, 1])
    while len(sets) < problem.count:
        share = _share(left, problem.count - len(sets))
        earlier = [found.mask for found, _ in sets if found.mask is not None]
        found, spent, why = yield from _another(problem, target, earlier, share, rng)
        left -= spent
        if found is None:
            return tuple(sets), f"{len(sets)} of {problem.count} sets: {why}"
        sets.append((found, spent))
    return tuple(sets), ""


def overlap(a: Mask, b: Mask) -> float:
    """Share of the smaller of two sets that lies in the other."""
    return float((a & b).sum() / max(1, min(a.sum(), b.sum())))


def _another(
    problem: Problem, target: Target, earlier: list[Mask], budget: int, rng: np.random.Generator
) -> Search[tuple[Found | None, int, str]]:
    """One more set, disjoint or within the bound; the questions spent, and why there is none."""
    used = np.logical_or.reduce(earlier)
    seed = problem.seed + len(earlier)
    found, spent = yield from limited(sufficient(problem.energy, target, seed, ~used, budget), budget)
    if found.mask is None and problem.overlap > 0 and spent < budget:
        allowed = ~used
        for mask in earlier:
            bins = np.flatnonzero(mask)
            allowed[rng.choice(bins, int(problem.overlap * bins.size), replace=False)] = True
        found, more = yield from limited(
            sufficient(problem.energy, target, seed, allowed, budget - spent), budget - spent
        )
        spent += more
    if found.mask is None:
        return None, spent, found.why or "no further set was found"
    if max(overlap(found.mask, mask) for mask in earlier) > problem.overlap:
        return None, spent, "the next set found overlaps more than the bound"
    return found, spent, ""


def _share(budget: int, parts: int) -> int:
    return budget // max(1, parts)
