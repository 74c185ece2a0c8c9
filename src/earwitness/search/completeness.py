"""Search ``minimal`` for complete sets: sufficient and necessary at once.

Two starts are tried. One is the shortest complete prefix of the order: a sufficient set, then the others by
energy. The other knows what matters: the clip's strong bins are cut into atoms of equal amplitude, each atom is
taken out of the clip with the sufficient set, and atoms are united in the order in which they brought the label
down. The smaller start is shrunk first, then the other if there is budget left. Both questions about a candidate
(what is kept, what is left) are asked in one batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..spectrum import Mask
from .minimality import Best, ask, extend, shrink, shrink_into, smallest
from .questions import TOLERANCE, Answer, BudgetSpent, Certificate, Complete, Found, Search, Target
from .sufficiency import Bins, shortest_prefix

ATOMS = 64
COVER = 0.98  #: share of the energy that the atoms hold


@dataclass(frozen=True)
class Necessary:
    """What is left without the candidate gets another label."""

    target: Target
    cost: int = field(default=1, init=False)

    def masks(self, candidates: Mask) -> Mask:
        """Each candidate's complement."""
        return ~candidates

    def slack(self, answer: Answer) -> NDArray[np.float64]:
        """The margin against the label, float64 [M]."""
        return np.asarray(-self.target.margin(answer.log_probabilities), dtype=np.float64)


def complete(energy: NDArray[np.float64], target: Target, start: Mask | None = None) -> Search[Found]:
    """Seek the smallest complete set.

    Parameters
    ----------
    energy : float64 [size]
        Share of the clip's energy in each variable.
    target : Target
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
        established = yield from _seek(Complete(target), energy, base, best)
    except BudgetSpent:
        if best.mask is None:
            return Found(everything, Certificate(), "the budget was spent before a smaller complete set was found")
        return best.found("the budget was spent" if best.certificate.kind == "none" else "")
    if best.mask is None:
        return Found(everything, Certificate(), established)
    return best.found()


def _seek(property_: Complete, energy: NDArray[np.float64], base: Mask, best: Best) -> Search[str]:
    order = _rank(energy, base)
    if base.any():
        slack = yield from ask(property_, base[None])
        if slack[0] >= TOLERANCE:  # the sufficient set is necessary too
            yield from shrink(property_, base, order, best)
            return ""
    prefix = yield from shortest_prefix(property_, order, energy.size)
    if prefix is not None:
        best.offer(prefix)
    united, promise = yield from _unite(property_, energy, base)
    if united is not None:
        best.offer(united)
    by_promise = _rank(promise, base)
    if prefix is None and united is None:
        united = yield from _draw(property_, energy, base)
    starts = [(mask, by) for mask, by in ((united, by_promise), (prefix, order)) if mask is not None]
    for mask, by in sorted(starts, key=lambda pair: int(pair[0].sum())):
        yield from shrink_into(best, property_, mask, by, chunks=16)
    return "no smaller complete set was found among those asked"


def _rank(scores: NDArray[np.float64], base: Mask) -> Bins:
    """All variables: those of the base first, each part by falling score, int [size]."""
    order = np.argsort(-scores, kind="stable")
    return np.concatenate([order[base[order]], order[~base[order]]])


def _draw(property_: Complete, energy: NDArray[np.float64], base: Mask) -> Search[Mask | None]:
    """Random unions of atoms, few to many: the last resort where neither start passes, as for a model that says
    the label to silence, so that what must go is not what is strong."""
    atoms, rng = make_atoms(energy), np.random.default_rng(0)
    for share in (0.5, 0.75, 0.25, 0.9):
        candidates = np.repeat(base[None], 32, axis=0)
        for row in candidates:
            for index in np.flatnonzero(rng.random(len(atoms)) < share):
                row[atoms[index]] = True
        drawn = smallest(candidates, (yield from ask(property_, candidates)))
        if drawn is not None:
            return drawn
    return None


def _unite(
    property_: Complete, energy: NDArray[np.float64], base: Mask
) -> Search[tuple[Mask | None, NDArray[np.float64]]]:
    """The smallest passing union of atoms by promise, and each variable's promise, float64 [size]."""
    atoms = make_atoms(energy)
    candidates = np.concatenate([extend(base, atoms), base[None]])
    answers = yield from ask(Necessary(property_.target), candidates)
    gains = (answers[:-1] - answers[-1]) / np.sqrt([atom.size for atom in atoms])
    ranked = np.argsort(-gains, kind="stable")
    promise = np.full(energy.size, 1e-9)
    for atom, gain in zip(atoms, gains, strict=True):
        promise[atom] += max(float(gain), 0.0)
    promise *= np.sqrt(energy)
    counts = sorted({min(len(atoms), round(1.3**step)) for step in range(1, 18)})
    unions = extend(base, (np.concatenate([atoms[i] for i in ranked[:count]]) for count in counts))
    return smallest(unions, (yield from ask(property_, unions))), promise


def make_atoms(energy: NDArray[np.float64], count: int = ATOMS, cover: float = COVER) -> list[Bins]:
    """The strong variables, cut in their own order into at most ``count`` runs of equal amplitude."""
    order = np.argsort(-energy, kind="stable")
    strong = np.sort(order[: int(np.searchsorted(np.cumsum(energy[order]), cover)) + 1])
    amplitude = np.cumsum(np.sqrt(energy[strong]))
    place = np.minimum((amplitude / max(amplitude[-1], 1e-30) * count).astype(np.intp), count - 1)
    return [strong[place == index] for index in np.unique(place)]
