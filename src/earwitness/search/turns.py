"""Several searches for the same thing, so many questions each in turn, until more of them are not worth it.

Which way leads to a small set is not known beforehand: of some clips a climb finds one within fifty questions, of
others none within a thousand, and the same holds of removing from the whole. Taking turns costs at most as many times
the questions of the best way as there are ways.

A search that waits for its turn has asked nothing that is not answered. Each needs a surrogate of its own, for between
a question and its answer a surrogate remembers what was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..signal.masks import Mask
from .effort import Effort
from .evolution import has_to_certify
from .minimality import Best
from .questions import Answer, BudgetSpent, Search

NEARER = 0.01  #: nats: less is no gain
SMALLER = 0.1  #: share of the variables: nor is less


@dataclass
class _Way:
    """One of the searches: what it asks next (``None``: it has not begun), and the questions there are for it."""

    search: Search[None]
    left: int
    masks: Mask | None = None
    over: bool = False


def take_turns(
    searches: Sequence[Search[None]], questions: int, left: int, enough: Callable[[int], bool]
) -> Search[None]:
    """Run searches in turn until all are over, or it is enough.

    Parameters
    ----------
    searches : sequence of Search
        They leave what they find where it was agreed; none needs the end of another.
    questions : int
        That each asks in its turn, about.
    left : int
        Questions there are for each of them.
    enough : callable
        Is told the questions just asked, and says whether to stop. Remembered answers count as one question, so that
        searches which only ask those end too.
    """
    ways = [_Way(search, left) for search in searches]
    try:
        yield from _alternate(ways, questions, enough)
    finally:  # what a search keeps for its end is offered now, not when it is forgotten
        for way in ways:
            way.search.close()


def _alternate(ways: list[_Way], questions: int, enough: Callable[[int], bool]) -> Search[None]:
    before = -1
    while going := [way for way in ways if not way.over]:
        for way in going:
            spent = 0
            try:
                way.masks = next(way.search) if way.masks is None else way.masks
                while spent < questions:
                    if way.left <= 0:
                        way.masks = way.search.throw(BudgetSpent())
                        continue
                    try:
                        answer = yield way.masks
                    except BudgetSpent as event:
                        way.masks = way.search.throw(event)
                        continue
                    cost = max(1, len(way.masks) if before < 0 else before - answer.left)
                    before, spent, way.left = answer.left, spent + cost, way.left - cost
                    if enough(cost):
                        return
                    way.masks = way.search.send(Answer(answer.log_probabilities, max(0, way.left)))
            except StopIteration:
                way.over = True


@dataclass
class Progress:
    """What was gained, and how many questions ago.

    Attributes
    ----------
    effort : Effort
    best : Best
        The smallest set so far.
    nearness : callable
        How near any answer came to what is sought, in nats: 0 where each of its parts was met.
    left : int
        Questions there are.
    parts : int
        Questions that decide a candidate, at most.
    """

    effort: Effort
    best: Best
    nearness: Callable[[], float]
    left: int
    parts: int = 2

    def __post_init__(self) -> None:
        self._asked, self._nearest, self._near_at = 0, -np.inf, 0
        self._sizes: list[tuple[int, int]] = []  #: questions asked and the size of the best set, whenever it changed

    def enough(self, asked: int) -> bool:
        """Take in that so many questions were asked; whether it is time to stop."""
        self._asked += asked
        size = self.best.kept
        if size is None:
            if (nearness := self.nearness()) > self._nearest + NEARER:
                self._nearest, self._near_at = nearness, self._asked
            return self._asked - self._near_at >= self.effort.hope
        if not self._sizes or size < self._sizes[-1][1]:
            self._sizes.append((self._asked, size))
        if self.best.certificate.kind == "none" and has_to_certify(size, self.parts, self.left - self._asked):
            return True
        since = self._asked - self.effort.patience(size)
        earlier = [before for when, before in self._sizes if when <= since]
        return bool(earlier) and size > (1 - SMALLER) * earlier[-1]
