"""Robust sets: they have a property not once but in views, random harmless changes of the signal.

A set is *robustly sufficient* at level τ if with probability at least τ over views the model answers its signal, as it
is in the view, with the clip's label and at least δ of the confidence that the clip itself has in that view; robustly
complete if what is left without it also has another label there. For other data such sets are known as probabilistic
prime implicants or δ-relevant sets (Wäldchen et al., JAIR 2021; Izza et al., IJAR 2023) and, with a rule's precision in
place of τ, as anchors (Ribeiro et al., AAAI 2018).

The search asks K seeded views, but seldom all of them. Sets that are known to have the property as it stands are asked
first, a few views at a time and the likeliest to fail first. One that holds in all K is taken; else the nearest small
one is *grown*, gently, in the one view in which it lacks most: what is learnt of one view is taken for the others too,
since they differ by little. A set that has the property there is asked in the others: either it fails in one, and the
climb goes on in that, or it holds in all K. Then it is made smaller in the hardest views, and in one more whenever what
came of it fails there; so the certificate says that without any one of its variables the set fails in one of them.

Growing gently is what keeps robust sets small and cheap: a climb that may take forty variables takes them, and to drop
them again costs more questions than the climb.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..signal.masks import Mask
from ..signal.views import in_view
from .candidates import Bins, prefixes
from .evolution import LARGE, Climb, Draws, reduce, thin
from .minimality import Best
from .problem import limited
from .questions import TOLERANCE, BudgetSpent, Certificate, Found, Part, Property, Search, Target
from .singles import ask_singles, offer_singles

Makes = Callable[[Target], Property]

SINGLES = 32  #: questions about silence and variables alone, about
ABREAST = 4  #: views in which a set is asked at once
FEW = 2  #: views in which a set is made smaller at first
STEP = 0.4  #: of a large set is left before it is asked in all views again
SMALL = 16  #: variables: a known set no larger is grown
GROWTH = ((4, 60), (10, 80), (38, 120))  #: variables more, and questions of a climb in one view, for each try
LONGEST, CLIMB = 40, 120  #: the same where no known set can be grown: variables, and questions
MOST = 3  #: times the questions of one, of climbs in one view after the other
UNLIMITED = 1 << 30
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
    known: Sequence[Mask] = (),
    *,
    budget: int = 900,
    seed: int = 0,
) -> Search[Found]:
    """Seek a small set that has a property in every view.

    Parameters
    ----------
    of : callable
        Makes the property of a target: ``Sufficient`` or ``Complete``.
    targets : sequence of Target
        What the clip sets in each view.
    energy : float64 [size]
        Share of the clip's energy in each variable.
    known : sequence of bool [size]
        Sets to begin with, the ones most wanted first: those that have the property as it stands.
    budget : int
        Questions there are.
    seed : int

    Returns
    -------
    Found
    """
    search = _Search(of, tuple(targets), Draws(energy, np.random.default_rng(seed)))
    with suppress(BudgetSpent):
        yield from search.seek(known, budget)
    best = search.best
    if best.mask is None:
        return Found(None, why="no set was found within the budget that holds in every view")
    return best.found("the budget was spent" if best.certificate.kind == "none" else "")


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

    def seek(self, known: Sequence[Mask], left: int) -> Search[None]:
        """From known sets, else from single variables, to one that holds in all views and is as small as it gets."""
        (holds, nearest), spent = yield from limited(self._begin(known), left)
        left -= spent
        if nearest is not None and (holds is None or holds.sum() > SMALL):
            grown, spent = yield from limited(self._grow(*nearest), left // 2)
            left -= spent
            holds = holds if grown is None else grown
        if holds is None and nearest is not None:
            holds, spent = yield from limited(self._prefix(nearest[0]), left)
            left -= spent
        if holds is not None:
            yield from self._reduce(holds, left)
        else:
            yield from self._from_singles(left)

    def _grow(self, mask: Mask, slack: float) -> Search[Mask | None]:
        """From a small set to one that holds in all views, by as few variables as may be."""
        with suppress(BudgetSpent):
            for more, questions in GROWTH:
                found: Mask | None = yield from self._climb(mask, slack, int(mask.sum()) + more, questions)
                if found is not None:
                    return found
        return None

    def _prefix(self, mask: Mask) -> Search[Mask | None]:
        """To a set that holds in all views, by the variables of most energy: 1, 2, 4, 8, ... of them."""
        lengths = 2 ** np.arange((2 * mask.size - 1).bit_length())
        candidates: Mask = mask | prefixes(self.order, lengths, mask.size)
        for longer in candidates:
            _, slack = yield from self._check(longer)
            if slack >= TOLERANCE:
                return np.asarray(longer)
        return None

    def _begin(self, known: Sequence[Mask]) -> Search[tuple[Mask | None, tuple[Mask, float] | None]]:
        """The first known set that holds in all views, and the small one that comes nearest, with its slack."""
        nearest: tuple[Mask, float] | None = None
        for mask in known:
            view, slack = yield from self._check(mask)
            if slack >= TOLERANCE:
                return mask, nearest
            if mask.sum() <= SMALL and (nearest is None or slack > nearest[1]):
                nearest, self.moving.view = (mask, slack), view
        return None, nearest

    def _from_singles(self, left: int) -> Search[None]:
        """From the most promising single variables; what holds already is taken."""
        energy = self.draws.energy
        (alone, slack), spent = yield from limited(ask_singles(self.everywhere, energy, self.order, SINGLES), left)
        singles = offer_singles(self.best, alone, slack, energy.size)
        if self.best.mask is not None:
            return
        left -= spent
        self.climb.gains.update(zip(map(int, alone), map(float, slack[1:] - slack[0]), strict=True))
        for number, row in enumerate(np.argsort(-slack, kind="stable")):
            found, spent = yield from limited(self._climb(singles[row], float(slack[row]), LONGEST, CLIMB), left)
            left -= spent
            if found is None and number == 1:
                found, spent = yield from limited(self._prefix(singles[row]), left)
                left -= spent
            if found is not None:
                yield from self._reduce(found, left)
                return

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
