"""Robust sets: they have a property not once but in views, random harmless changes of the signal.

A set is *robustly sufficient* at level τ if with probability at least τ over views the model answers its signal, as it
is in the view, with the clip's label and at least δ of the confidence that the clip itself has in that view; robustly
complete if what is left without it also has another label there. For other data such sets are known as probabilistic
prime implicants or δ-relevant sets (Wäldchen et al., JAIR 2021; Izza et al., IJAR 2023) and, with a rule's precision in
place of τ, as anchors (Ribeiro et al., AAAI 2018).

The search asks K seeded views, but seldom all of them. It climbs in one view at a time, the one in which the set it has
lacks most; what it learns of one view it takes for the others too, since they differ by little. A set that has the
property there is asked in the others, a few at a time and the likeliest to fail first: either it fails in one, and the
climb goes on in that, or it holds in all K. Then it is made smaller, each step asked in all views as far as it holds;
so the certificate says that without any one of its variables the set fails in one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..signal.masks import Mask
from ..signal.views import in_view
from .candidates import Bins
from .evolution import LARGE, Climb, Draws, reduce, thin
from .minimality import Best
from .problem import limited
from .questions import TOLERANCE, BudgetSpent, Certificate, Found, Part, Property, Search, Target, ask
from .singles import ask_singles, offer_singles
from .sufficiency import shortest_prefix

Makes = Callable[[Target], Property]

SINGLES = 32  #: questions about silence and variables alone, about
ABREAST = 4  #: views in which a set is asked at once
FEW = 2  #: views in which a set is made smaller at first
STEP = 0.4  #: of a large set is left before it is asked in all views again
CLIMB = 120  #: questions of a climb in one view
LONGEST = 40  #: variables: the largest set that is grown
MOST = 3  #: times that, of climbs in one view after the other
UNLIMITED = 1 << 30
AGAIN = 48  #: questions of another climb once a set was found
WORTH = 8  #: questions that each variable beyond two in the best set found is worth to seek a smaller one
GRID = 2.0  #: growth of the prefixes
BOLDNESS = 1.0  #: standard deviations that not knowing is worth to a climb


@dataclass(frozen=True)
class InView:
    """A part of a property, in one view.

    Attributes
    ----------
    part : Part
        With the target that the clip sets in the view.
    view, views : int
        Its number, and how many there are.
    """

    part: Part
    view: int
    views: int

    def masks(self, candidates: Mask) -> Mask:
        """The part's questions in the view, bool [M, size] → bool [M, size + views]."""
        return in_view(self.part.masks(candidates), self.view, self.views)

    def slack(self, log_probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
        """The part's slack."""
        return self.part.slack(log_probabilities)


@dataclass(frozen=True)
class Robust:
    """A property in several views at once.

    Attributes
    ----------
    of : callable
        Makes the property of a target: ``Sufficient`` or ``Complete``.
    targets : tuple of Target
        What the clip sets in each of the K views.
    order : tuple of int
        The views that are asked, the first first.
    """

    of: Makes
    targets: tuple[Target, ...]
    order: tuple[int, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        """The property's parts in each view."""
        views = len(self.targets)
        return tuple(InView(part, view, views) for view in self.order for part in self.of(self.targets[view]).parts)


@dataclass
class Moving:
    """A property in one view, another from time to time: what is learnt of it is learnt of all.

    Attributes
    ----------
    of, targets
        See :class:`Robust`.
    view : int
    """

    of: Makes
    targets: tuple[Target, ...]
    view: int = 0

    @property
    def parts(self) -> tuple[Part, ...]:
        """The property's parts in the view there is when they are asked."""
        count = len(self.of(self.targets[0]).parts)
        return tuple(_MovingPart(self, number) for number in range(count))

    def now(self, number: int) -> Part:
        """A part in the present view."""
        return Robust(self.of, self.targets, (self.view,)).parts[number]


@dataclass(frozen=True)
class _MovingPart:
    moving: Moving
    number: int

    def masks(self, candidates: Mask) -> Mask:
        return self.moving.now(self.number).masks(candidates)

    def slack(self, log_probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
        return self.moving.now(self.number).slack(log_probabilities)


def robust(
    of: Makes,
    targets: Sequence[Target],
    energy: NDArray[np.float64],
    start: Mask | None = None,
    *,
    budget: int = 900,
    seed: int = 0,
) -> Search[Found]:
    """Seek the smallest set that has a property in every view.

    Parameters
    ----------
    of : callable
        Makes the property of a target: ``Sufficient`` or ``Complete``.
    targets : sequence of Target
        What the clip sets in each view.
    energy : float64 [size]
        Share of the clip's energy in each variable.
    start : bool [size], optional
        A set to grow from; otherwise from the most promising single variables.
    budget : int
        Questions there are.
    seed : int

    Returns
    -------
    Found
    """
    search = _Search(of, tuple(targets), Draws(energy, np.random.default_rng(seed)))
    with suppress(BudgetSpent):
        yield from search.seek(start, budget)
    best = search.best
    if best.mask is None:
        return Found(None, why="the budget was spent before a set was found that holds in every view")
    return best.found("the budget was spent" if best.certificate.kind == "none" else "")


@dataclass(frozen=True, eq=False)
class _Starts:
    """Sets that climbs start from, bool [S, size], and their slack, float64 [S]."""

    masks: Mask
    slack: NDArray[np.float64]


@dataclass
class _Search:
    """The search under way: what it has learnt, the best set so far, and how hard each view is."""

    of: Makes
    targets: tuple[Target, ...]
    draws: Draws
    best: Best = field(default_factory=Best)

    def __post_init__(self) -> None:
        self.hardest = list(range(len(self.targets)))
        self.moving = Moving(self.of, self.targets)
        self.climb = Climb(self.moving, self.draws, BOLDNESS)
        self.order: Bins = np.argsort(-self.draws.energy, kind="stable")

    @property
    def everywhere(self) -> Robust:
        """What is sought: the property in all views, the hardest first."""
        return Robust(self.of, self.targets, tuple(self.hardest))

    def seek(self, start: Mask | None, left: int) -> Search[None]:
        """From a set, or from single variables, to one that holds in all views, and on to smaller ones."""
        starts = yield from self._begin(start)
        left -= len(starts.slack)
        if self.best.mask is not None:
            if start is not None:
                yield from self._reduce(self.best.mask, left)
            return
        ranked, since, number = np.argsort(-starts.slack, kind="stable"), -1, 0
        while left > 0:
            row = ranked[number % ranked.size]
            mask, nearness, questions = starts.masks[row], float(starts.slack[row]), CLIMB
            limit = LONGEST
            if self.best.mask is not None:
                least = int(self.best.mask.sum())
                if WORTH * (least - 2) <= since - left:
                    return
                mask, nearness = self.climb.property_.take_nearest(least - 1, mask.size) or (mask, nearness)
                limit, questions = min(LONGEST, least - 1), AGAIN
            found, spent = yield from limited(self._climb(mask, nearness, limit, questions), left)
            if found is None and number == 1 and self.best.mask is None:
                found, more = yield from limited(
                    shortest_prefix(self.everywhere, self.order, mask.size, GRID), left - spent
                )
                spent += more
            left, number = left - spent, number + 1
            if found is not None:
                left -= yield from self._reduce(found, left)
                since = left if since < 0 else since
            elif spent == 0:  # nothing is left to try
                return

    def _begin(self, start: Mask | None) -> Search[_Starts]:
        """Where climbs may start; what holds already is taken."""
        if start is not None:
            slack = yield from ask(self.everywhere, start[None])
            if slack[0] >= TOLERANCE:
                self.best.offer(start)
            return _Starts(start[None], slack)
        draws = self.draws
        alone, slack = yield from ask_singles(self.everywhere, draws.energy, self.order, SINGLES)
        masks = offer_singles(self.best, alone, slack, draws.energy.size)
        self.climb.gains.update(zip(map(int, alone), map(float, slack[1:] - slack[0]), strict=True))
        return _Starts(masks, slack)

    def _climb(self, mask: Mask, slack: float, limit: int, questions: int) -> Search[Mask | None]:
        """To a set that holds in all views, by climbs in one after the other."""
        total = 0
        while total < MOST * questions:
            found, spent = yield from limited(self.climb.from_(mask, slack, limit, questions), UNLIMITED)
            total += spent
            if found is None:
                return None
            view, slack = yield from self._check(found)
            if slack >= TOLERANCE:
                return found
            mask, self.moving.view = found, view
        return None

    def _check(self, mask: Mask) -> Search[tuple[int, float]]:
        """Ask a set in all views, a few at a time: the first of these with a view that it fails in, the worst; and its
        slack there."""
        slack: dict[int, float] = {}
        for first in range(0, len(self.hardest), ABREAST):
            views = self.hardest[first : first + ABREAST]
            parts = [part for view in views for part in Robust(self.of, self.targets, (view,)).parts]
            answer = yield np.concatenate([part.masks(mask[None]) for part in parts])
            found = [part.slack(row[None])[0] for part, row in zip(parts, answer.log_probabilities, strict=True)]
            slack |= zip(views, np.reshape(found, (len(views), -1)).min(axis=1).tolist(), strict=True)
            if min(slack.values()) < TOLERANCE:
                break
        self.hardest.sort(key=lambda view: slack.get(view, np.inf))
        return self.hardest[0], slack[self.hardest[0]]

    def _reduce(self, mask: Mask, left: int) -> Search[int]:
        """Make a set that holds in all views smaller, step by step: in a few views, and in one more whenever what came
        of it fails there; the questions spent."""
        self.best.offer(mask)
        views, total = self.hardest[:FEW], 0
        while total < left:
            (smaller, certificate), spent = yield from limited(self._step(mask, views, left - total), left - total)
            total += spent
            if smaller is None:
                break
            (view, slack), spent = yield from limited(self._check(smaller), left - total)
            total += spent
            if slack < TOLERANCE:
                views = [view, *views]
                continue
            self.best.offer(smaller, certificate)
            if mask.sum() <= LARGE or smaller.sum() == mask.sum():
                break
            mask = smaller
        return total

    def _step(self, mask: Mask, views: list[int], left: int) -> Search[tuple[Mask | None, Certificate]]:
        """A smaller set that holds in some views: of a large one a share, else as small as it gets."""
        own, within = Best(), Climb(Robust(self.of, self.targets, tuple(views)), self.draws)
        size = int(mask.sum())
        if size > LARGE:
            yield from limited(thin(within, mask, own, enough=max(LARGE, int(size * STEP))), left)
        else:
            yield from reduce(within, mask, self.order, own, left)
        return own.mask, own.certificate
