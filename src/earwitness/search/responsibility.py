"""Responsibility: how much each variable is a cause of the label (ReX, arXiv 2411.08875; FreqReX, arXiv 2601.16675).

One iteration cuts the variables at random into contiguous parts and asks all proper combinations of parts, the rest
occluded. A combination *passes* if it keeps the label and is *minimal* if no smaller one inside it passes; a part of
a minimal passing combination has responsibility 1/(number of active parts), the largest of its combinations. What
passes only because it contains a smaller passing combination adds nothing: its other parts are not needed. If no
proper combination passes, all parts together do, and share the responsibility. Responsible parts are then cut
themselves, with the other parts of their combination kept as context (which counts as active), and so on down to a
smallest size. As in ReX, the responsibilities of all levels add up, and iterations with new cuts are averaged.

Two choices keep the map cheap. Of the responsible parts of a level only a few, drawn at random, are refined: many
shallow iterations average to a smoother map than few deep ones. And a part's responsibility, known for the part as a
whole only, is spread over its variables by their magnitude (``spread=0``: evenly, as published): a variable that is
nearly zero already cannot do much by its absence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from ..errors import ConfigError
from ..signal.masks import Mask
from .problem import Problem
from .questions import TOLERANCE, Answer, BudgetSpent, Search, Target

Map = NDArray[np.float64]


@dataclass(frozen=True)
class Refinement:
    """How a responsibility map is made.

    Attributes
    ----------
    parts : int
        Parts a cut makes, 2 to 8; 2^parts - 2 questions each.
    smallest : int
        Parts with fewer than twice so many variables are not cut; 0: 1/256 of all variables.
    width : int
        Parts refined at each level of an iteration.
    iterations : int
        At most so many.
    stability : float
        End when the map's rank agreement (Spearman) with the one before is at least this ...
    patience : int
        ... in so many consecutive iterations (T §2 asks for a stable responsibility).
    spread : float
        A part's responsibility is spread over its variables in proportion to energy^spread; 0: evenly.
    confident : bool
        A passing combination must also reach δ of the confidence; as published, the label is enough.
    """

    parts: int = 4
    smallest: int = 0
    width: int = 2
    iterations: int = 1000
    stability: float = 0.99
    patience: int = 5
    spread: float = 0.5
    confident: bool = False

    def __post_init__(self) -> None:
        if not 2 <= self.parts <= 8:
            raise ConfigError(f"parts {self.parts}: out of range; use 2 to 8")

    def passes(self, target: Target, answer: Answer) -> Mask:
        """Which answers count as passing, bool [M]."""
        judge = target.slack if self.confident else target.margin
        return np.asarray(judge(answer.log_probabilities) >= TOLERANCE)


@dataclass(frozen=True, eq=False)
class _Part:
    """An interval of variables, and the other parts, ``company`` in number, that are active with it."""

    start: int
    stop: int
    context: Mask
    company: int = 0


def responsibility(
    problem: Problem, target: Target, *, refinement: Refinement | None = None
) -> Search[NDArray[np.float32]]:
    """Map how much each variable is a cause of the label.

    Parameters
    ----------
    problem : Problem
        Its seed decides every cut; results do not depend on the batch size.
    target : Target
        Whose label is to be kept.
    refinement : Refinement, optional

    Returns
    -------
    float32 [size]
        Mean over the iterations, not normalised; all zero if the budget did not allow one cut.
    """
    refinement = refinement or Refinement()
    size = problem.spectrum.size
    weight, total = problem.energy**refinement.spread, np.zeros(size)
    done, calm, left = 0, 0, -1
    try:
        while done < refinement.iterations and calm < refinement.patience:
            rng = np.random.default_rng([problem.seed, done])
            found, left = yield from _iterate(target, weight, refinement, rng, left)
            if found is None:
                break
            calm = calm + 1 if done and agreement(total, total + found) >= refinement.stability else 0
            total += found
            done += 1
    except BudgetSpent:
        pass
    return np.asarray(total / max(1, done), dtype=np.float32)


def agreement(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Spearman's rank correlation of two maps; of constant maps 1 if both are, else 0.

    Examples
    --------
    >>> agreement(np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 70.0]))
    1.0
    """
    ranks = [rankdata(values) - (values.size + 1) / 2 for values in (a, b)]
    norms = [float(np.linalg.norm(rank)) for rank in ranks]
    if min(norms) == 0:
        return float(max(norms) == 0)
    return round(float(ranks[0] @ ranks[1]) / (norms[0] * norms[1]), 12)


def rank_by(scores: NDArray[np.floating], energy: NDArray[np.float64]) -> NDArray[np.intp]:
    """All variables, the highest score first, ties by energy, int [size]."""
    return np.lexsort((-energy, -scores))


def _iterate(
    target: Target, weight: Map, refinement: Refinement, rng: np.random.Generator, left: int
) -> Search[tuple[Map | None, int]]:
    """One random recursive partition: its map, or ``None`` if not one cut was affordable, and the budget left."""
    size, found = weight.size, None
    smallest = refinement.smallest or max(1, size // 256)
    level = [_Part(0, size, np.zeros(size, dtype=bool))]
    while True:
        level = [part for part in level if part.stop - part.start >= 2 * smallest]
        if len(level) > refinement.width:
            level = [level[i] for i in np.sort(rng.choice(len(level), refinement.width, replace=False))]
        if left >= 0:  # once the first answer has told
            level = level[: left // (2**refinement.parts - 2)]
        if not level:
            return found, left
        cuts = [_cut(part, refinement.parts, rng) for part in level]
        batches = [_combine(part, edges) for part, edges in zip(level, cuts, strict=True)]
        answer = yield np.concatenate(batches)
        left = answer.left
        found = np.zeros(size) if found is None else found
        passing = np.split(refinement.passes(target, answer), np.cumsum([len(batch) for batch in batches])[:-1])
        below: list[_Part] = []
        for part, edges, passed in zip(level, cuts, passing, strict=True):
            below += _judge(part, edges, passed, found, weight, rng)
        level = below


def _cut(part: _Part, parts: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Random edges of contiguous, non-empty parts of an interval, int [parts + 1]."""
    inner = rng.choice(np.arange(part.start + 1, part.stop), min(parts, part.stop - part.start) - 1, replace=False)
    return np.concatenate([[part.start], np.sort(inner), [part.stop]])


@cache
def _combinations(parts: int) -> Mask:
    """All non-empty proper subsets of parts, the smaller first, bool [2^parts - 2, parts]."""
    active = (np.arange(1, 2**parts - 1)[:, None] >> np.arange(parts) & 1).astype(bool)
    ordered: Mask = active[np.argsort(active.sum(axis=1), kind="stable")]
    ordered.flags.writeable = False
    return ordered


def _combine(part: _Part, edges: NDArray[np.intp]) -> Mask:
    """The questions of one cut: every combination of its parts with the context kept, bool [2^parts - 2, size]."""
    combinations = _combinations(edges.size - 1)
    masks = np.repeat(part.context[None], len(combinations), axis=0)
    masks[:, part.start : part.stop] = np.repeat(combinations, np.diff(edges), axis=1)
    return masks


def _minimal(combinations: Mask, rng: np.random.Generator) -> Mask:
    """Of passing combinations, those that contain no other, in random order within a size; all parts if none."""
    if not len(combinations):
        return np.ones((1, combinations.shape[1]), dtype=bool)
    sizes = combinations.sum(axis=1)
    inside = combinations.astype(np.intp) @ combinations.T.astype(np.intp)  # [i, j]: parts of j that i has
    holds = (inside == sizes[None]) & (sizes[None] < sizes[:, None])
    minimal = rng.permutation(combinations[~holds.any(axis=1)])
    return np.asarray(minimal[np.argsort(minimal.sum(axis=1), kind="stable")])


def _judge(
    part: _Part, edges: NDArray[np.intp], passed: Mask, found: Map, weight: Map, rng: np.random.Generator
) -> list[_Part]:
    """Add the responsibilities of one cut to the map; the responsible parts, with their contexts."""
    minimal = _minimal(_combinations(edges.size - 1)[passed], rng)
    responsible = []
    for number in range(edges.size - 1):
        rows = np.flatnonzero(minimal[:, number])
        if not rows.size:
            continue
        active = minimal[rows[0]]  # the smallest: it gives the part its largest responsibility
        start, stop = int(edges[number]), int(edges[number + 1])
        mean = weight[start:stop].mean()
        count = int(active.sum()) + part.company
        found[start:stop] += (weight[start:stop] / mean if mean > 0 else 1.0) / count
        context = part.context.copy()
        context[part.start : part.stop] = np.repeat(active, np.diff(edges))
        context[start:stop] = False
        responsible.append(_Part(start, stop, context, count - 1))
    return responsible
