"""What every search is given, and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..signal.masks import Mask
from ..signal.spectrum import Spectrum
from .effort import THOROUGH, Effort
from .questions import Answer, BudgetSpent, Found, Search

T = TypeVar("T")
Counted = tuple[Found, int]


@dataclass(frozen=True, eq=False)
class Problem:
    """One clip and what is sought of it.

    Attributes
    ----------
    spectrum : Spectrum
    delta : float
        A subset keeps at least this share of the original's confidence.
    count : int
        Sufficient sets wanted.
    overlap : float
        Largest share of the smaller of two sufficient sets that may lie in the other (0: disjoint).
    seed : int
    effort : Effort
        When to stop seeking complete sets before the budget is spent.
    responsibility : float32 [size], optional
        The map that a search with another δ made of the same clip, budget and seed: it would be the same again.
    """

    spectrum: Spectrum
    delta: float
    count: int = 1
    overlap: float = 0.0
    seed: int = 0
    effort: Effort = THOROUGH
    responsibility: NDArray[np.float32] | None = None

    @property
    def energy(self) -> NDArray[np.float64]:
        """Share of the clip's energy in each variable."""
        return self.spectrum.energy

    @property
    def everything(self) -> Mask:
        """The mask that keeps all variables: asking it gives the original's answer."""
        return np.ones(self.spectrum.size, dtype=bool)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a search found, each set with the questions spent on it.

    Attributes
    ----------
    original : float32 [n]
        Log-probabilities of the clip itself.
    sufficient : tuple of (Found, int)
        At least one.
    complete, one_complete : (Found, int)
    responsibility : float32 [size] or None
    why : str
        Why there are fewer sufficient sets than wanted.
    """

    original: NDArray[np.float32]
    sufficient: tuple[Counted, ...]
    complete: Counted
    one_complete: Counted
    responsibility: NDArray[np.float32] | None = None
    why: str = ""


Method = Callable[[Problem], Search[Outcome]]


def limited(search: Search[T], budget: int) -> Search[tuple[T, int]]:
    """Run a search within the first ``budget`` questions of the budget there is; also return those spent."""
    spent, before = 0, -1
    try:
        masks = next(search)
        while True:
            if spent + len(masks) > budget:
                masks = search.throw(BudgetSpent())
                continue
            try:
                answer = yield masks
            except BudgetSpent as event:
                masks = search.throw(event)
                continue
            spent += len(masks) if before < 0 else before - answer.left
            before = answer.left
            masks = search.send(Answer(answer.log_probabilities, max(0, budget - spent)))
    except StopIteration as stop:
        return stop.value, spent
