"""Search ``minimal``: the smallest verified sets for the fewest questions, with certificates. Black-box."""

from __future__ import annotations

from .completeness import complete
from .problem import Outcome, Problem, limited
from .questions import Found, Search, Target
from .sufficiency import sufficient


def minimal(problem: Problem) -> Search[Outcome]:
    """Seek sufficient sets, then the complete set, then the one with the original's confidence."""
    original = yield problem.everything[None]
    target = Target.of(original.log_probabilities[0], problem.delta)
    left = original.left
    kept, spent = yield from limited(sufficient(problem.energy, target, problem.seed), int(left * 0.3))
    left -= spent
    start = kept.mask
    whole, spent_complete = yield from limited(complete(problem.energy, target, start, problem.seed), left // 2)
    left -= spent_complete
    full = Target(target.label, target.confidence, 1.0)
    seed_set = whole.mask if whole.mask is not None else start
    one, spent_one = yield from limited(complete(problem.energy, full, seed_set, problem.seed), left)
    return Outcome(
        original.log_probabilities[0],
        sufficient=((kept, spent),),
        complete=(whole, spent_complete),
        one_complete=(one, spent_one),
    )


__all__ = ["Found", "minimal"]
