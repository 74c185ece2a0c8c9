"""Search ``minimal``: the smallest verified sets for the fewest questions, with certificates. Black-box."""

from __future__ import annotations

from ..signal.masks import Mask
from .attribution import attribute
from .completeness import complete
from .multiplicity import several
from .problem import Outcome, Problem, limited
from .questions import Certificate, Found, Search, Target


def minimal(problem: Problem) -> Search[Outcome]:
    """Seek sufficient sets, then the complete set, then the one with the original's confidence.

    A tenth of the budget is kept for the map (:mod:`earwitness.search.attribution`). Of the rest, sufficient sets get
    up to 30 % for one set and up to 70 % for many; the complete set half of what they leave; the last set what then
    remains. The map does not depend on δ, nor on the sets: one that is known already is not made again.
    """
    original = yield problem.everything[None]
    target = Target.of(original.log_probabilities[0], problem.delta)
    mapping = original.left // 10
    left = original.left - mapping
    sets, why = yield from several(problem, target, int(left * min(0.7, 0.2 + 0.1 * problem.count)))
    left -= sum(spent for _, spent in sets)
    start = sets[0][0].mask
    share = left // 2
    whole, spent_whole = yield from _complete(problem, target, start, share)
    left -= spent_whole
    full = Target(target.label, target.confidence, 1.0)
    # a search that gave up with questions left would do so again: what keeps full confidence is complete as well
    gave_up = (whole.mask is None or whole.mask.all()) and spent_whole < share // 2
    one, spent_one = whole, 0
    if problem.effort.endless or not gave_up:
        one, spent_one = yield from _complete(problem, full, whole.mask, left)
    scores = problem.responsibility
    if scores is None:
        scores, _ = yield from limited(attribute(problem, target, mapping), mapping)
    # what is complete with full confidence is complete, and what is complete is sufficient
    whole = smaller(whole, one)
    if problem.count == 1:
        sets = ((smaller(sets[0][0], whole), sets[0][1]),)
    return Outcome(
        original.log_probabilities[0],
        sufficient=sets,
        complete=(whole, spent_whole),
        one_complete=(one, spent_one),
        responsibility=scores,
        why=why,
    )


def _complete(problem: Problem, target: Target, start: Mask | None, budget: int) -> Search[tuple[Found, int]]:
    seek = complete(problem.energy, target, start, budget=budget, seed=problem.seed, effort=problem.effort)
    return (yield from limited(seek, budget))


def smaller(found: Found, stronger: Found) -> Found:
    """The set found, or one with a stronger property where that is smaller: it then has no certificate."""
    if stronger.mask is None or stronger.mask.all():
        return found
    if found.mask is not None and found.mask.sum() <= stronger.mask.sum():
        return found
    return Found(stronger.mask, Certificate(), "found in the search for a complete set")
