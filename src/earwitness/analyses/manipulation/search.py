"""The smallest set of changes that flips an answer.

1. the most promising changes alone, a batch at a time: often one flips; then the neighbours of the best;
2. unions: of the best so far, of what the searches for what the model hears have found, and, where those fail, of
   whole bands, ranked by what changing each band does (band ablation); the smallest that flips is shrunk until no
   change can be left out;
3. climbs from the best single changes, each round adding what brings the flip nearest, looking only for smaller
   sets, while the budget allows.

Changes are ordered by gradients where there are some; what was asked decides. Black-box otherwise.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...search.candidates import make_atoms
from ...search.minimality import Best, extend, shrink_into, smallest
from ...search.questions import TOLERANCE, BudgetSpent, Certificate, Found, Part, Search, Target, ask
from ...signal.masks import Mask

Choices = NDArray[np.intp]

SINGLES = 96  #: most promising changes asked alone, or a third of the budget if that is less
BATCHES = (8, 24, 32)  #: of them at a time, the last number again and again
ZOOM = 6  #: best changes whose neighbours are asked
WIDTH = 16  #: changes a round of a climb asks
UNIONS = (2, 3, 4, 5, 6, 8, 12, 16, 25)  #: sizes of unions of the most promising
BANDS = 64  #: of the band ablation, shared among the gains
CLIMBS = 4  #: from different single changes
PATIENCE = 2  #: rounds without gain that end a climb


@dataclass(frozen=True)
class Flipped:
    """The property sought: another top-1 label, or a given one.

    Attributes
    ----------
    target : Target
        The clip's own label.
    goal : int or None
        Index of the label wanted; ``None``: any but the clip's.
    """

    target: Target
    goal: int | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """Itself."""
        return (self,)

    def masks(self, candidates: Mask) -> Mask:
        """Each choice of changes, applied."""
        return candidates

    def slack(self, log_probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
        """How far the wanted label leads (≥ 0: flipped), in nats, float64 [M]."""
        if self.goal is None:
            return -self.target.margin(log_probabilities)
        return Target(self.goal, 0.0, 0.0).margin(log_probabilities)


@dataclass(frozen=True)
class Outcome:
    """What a search for a flip found.

    Attributes
    ----------
    found : Found
    history : tuple of (int, int)
        (size, questions): each smaller flip, and the questions asked until then.
    closest : float
        The largest slack that was seen, in nats, of sets within the limit: how near to a flip the search came.
    """

    found: Found
    history: tuple[tuple[int, int], ...]
    closest: float


@dataclass
class _Track(Best):
    """The smallest flip so far, and when each was found."""

    asked: int = 0
    closest: float = -np.inf
    history: list[tuple[int, int]] = field(default_factory=list)

    def offer(self, mask: Mask, certificate: Certificate | None = None) -> bool:
        """See :meth:`Best.offer`."""
        before = self.size
        taken = super().offer(mask, certificate)
        if taken and self.size < before:
            self.history.append((int(self.size), self.asked))
        return taken

    @property
    def size(self) -> float:
        """Of the smallest flip; infinite while there is none."""
        return np.inf if self.kept is None else self.kept


def smallest_flip(
    flipped: Flipped,
    noise: NDArray[np.float64],
    order: Choices,
    *,
    base: float,
    starts: Sequence[Choices] = (),
    variables: int = 0,
    limit: int | None = None,
    budget: int,
) -> Search[Outcome]:
    """Seek the smallest set of changes that flips the answer.

    Parameters
    ----------
    flipped : Flipped
    noise : float64 [size]
        What each change adds as noise (share of the clip's energy); 0 where there is no change.
    order : int
        Changes, the most promising first.
    base : float
        Slack of the clip itself, in nats.
    starts : sequence of int arrays
        Sets to try whole.
    variables : int
        Of the spectrum: choices this far apart change the same variable.
    limit : int, optional
        Larger sets are of no use, and with one within it the search ends; without, it seeks the smallest.
    budget : int

    Returns
    -------
    Outcome
    """
    track = _Track()
    singles = order if limit == 1 else order[: min(SINGLES, budget // 3)]
    seek = _Seek(flipped, noise, order, singles, base, starts, variables or noise.size, limit, track)
    why = ""
    try:
        yield from _watch(seek.run(), track, flipped, budget, limit or noise.size)
    except BudgetSpent:
        why = "the budget was spent"
    if track.mask is None:
        return Outcome(track.found(why or "none of the changes asked flips the answer"), (), track.closest)
    return Outcome(track.found(why if track.certificate.kind == "none" else ""), tuple(track.history), track.closest)


def _watch(search: Search[None], track: _Track, flipped: Flipped, budget: int, limit: int) -> Search[None]:
    """Run a search, noting the questions asked and how near to a flip sets within the limit came."""
    try:
        masks = next(search)
        while True:
            try:
                answer = yield masks
            except BudgetSpent as event:
                masks = search.throw(event)
                continue
            track.asked = budget - answer.left
            within = flipped.slack(answer.log_probabilities)[masks.sum(axis=1) <= limit]
            track.closest = max(track.closest, float(within.max(initial=-np.inf)))
            masks = search.send(answer)
    except StopIteration:
        return


@dataclass
class _Seek:
    flipped: Flipped
    noise: NDArray[np.float64]
    order: Choices
    singles: Choices
    base: float
    starts: Sequence[Choices]
    variables: int
    limit: int | None
    track: _Track

    def __post_init__(self) -> None:
        self.nothing = np.zeros(self.noise.size, dtype=bool)
        self.slack: dict[int, float] = {}  # of single changes

    @property
    def enough(self) -> bool:
        """Whether what was found will do."""
        return self.track.size <= (self.limit or 1)

    def run(self) -> Search[None]:
        singles = list(map(int, self.singles))
        edges = list(itertools.accumulate(BATCHES, initial=0))
        edges += range(edges[-1] + BATCHES[-1], len(singles) + BATCHES[-1], BATCHES[-1])
        for start, stop in itertools.pairwise(edges):
            yield from self._ask_singles([c for c in singles[start:stop] if c not in self.slack])
            if self.track.size > 1 and start > BATCHES[0]:
                yield from self._ask_singles(list(self._neighbours()))
            if self.track.size == 1:
                return
        if self.limit == 1 or not self.slack:
            return
        yield from self._unite()
        if self.track.mask is None and self.limit is None:
            yield from self._ablate()
        for start in self._ranked()[:CLIMBS]:
            if self.enough:
                return
            yield from self._climb(start)
        if self.track.mask is None and self.limit is not None:  # large sets are the last hope for small ones
            yield from self._ablate()

    def _ask_singles(self, choices: Sequence[int]) -> Search[None]:
        """Ask changes alone; of those that flip, the one with the least noise is taken."""
        if not choices:
            return
        candidates = extend(self.nothing, [np.array([choice]) for choice in choices])
        slack = yield from ask(self.flipped, candidates)
        self.slack.update(zip(choices, map(float, slack), strict=True))
        passing = np.flatnonzero(slack >= TOLERANCE)
        if passing.size:
            softest = passing[np.argmin(self.noise[np.array(choices)[passing]])]
            # without its one change there is the clip itself, which is no flip
            self.track.offer(candidates[softest], Certificate("one_minimal", 1))

    def _neighbours(self) -> Iterator[int]:
        """Changes next to the best ones, not asked yet."""
        found: set[int] = set()
        for best in self._ranked()[:ZOOM]:
            row, variable = divmod(best, self.variables)
            for step in (-1, 1, -2, 2):
                if 0 <= variable + step < self.variables:
                    choice = row * self.variables + variable + step
                    if choice not in self.slack and choice not in found and self.noise[choice] > 0:
                        found.add(choice)
                        yield choice

    def _ranked(self) -> list[int]:
        """The single changes asked, nearest to a flip first."""
        return sorted(self.slack, key=lambda choice: -self.slack[choice])

    def _distinct(self, choices: Sequence[int]) -> list[int]:
        """The choices, at most one for each variable."""
        first: dict[int, int] = {}
        for choice in choices:
            first.setdefault(choice % self.variables, choice)
        return list(first.values())

    def _unite(self) -> Search[None]:
        """Unions of many changes; the smallest that flips is shrunk."""
        ranked = np.array(self._distinct(self._ranked()))
        unions = [ranked[:count] for count in {*UNIONS, self.limit or 1} if 1 < count <= ranked.size]
        starts = [start[self.noise[start] > 0] for start in self.starts]
        candidates = extend(self.nothing, [*unions, *(start for start in starts if start.size)])
        mask = smallest(candidates, (yield from ask(self.flipped, candidates)))
        if mask is not None:
            yield from self._shrink(mask)

    def _ablate(self) -> Search[None]:
        """Change whole bands, of equal amplitude; shrink the smallest union, by effect, that flips."""
        rows = self.noise.reshape(-1, self.variables)
        used = np.flatnonzero(rows.any(axis=1))
        bands = [
            row * self.variables + band
            for row in used
            for band in make_atoms(rows[row] / rows[row].sum(), BANDS // used.size)
        ]
        candidates = extend(self.nothing, bands)
        slack = yield from ask(self.flipped, candidates)
        best = smallest(candidates, slack)
        if best is None:
            best = yield from self._unite_bands(bands, np.argsort(-slack, kind="stable"))
        if best is not None:
            yield from self._shrink(best)

    def _unite_bands(self, bands: list[Choices], ranked: Choices) -> Search[Mask | None]:
        """The smallest union of bands in this order that flips, or of all that one gain can do."""
        counts = sorted({min(len(bands), round(1.4**step)) for step in range(2, 16)})
        unions = extend(self.nothing, [np.concatenate([bands[i] for i in ranked[:count]]) for count in counts])
        whole = np.split(np.arange(self.noise.size), self.noise.size // self.variables)
        whole = [row[self.noise[row] > 0] for row in whole]
        candidates = np.concatenate([unions, extend(self.nothing, whole)])
        return smallest(candidates, (yield from ask(self.flipped, candidates)))

    def _shrink(self, mask: Mask) -> Search[None]:
        score = np.full(self.noise.size, -np.inf)
        score[list(self.slack)] = list(self.slack.values())
        by_effect = np.lexsort((-self.noise, -score))
        yield from shrink_into(self.track, self.flipped, mask, by_effect)

    def _climb(self, start: int) -> Search[None]:
        """Add what brings the flip nearest, round by round."""
        mask, slack, stuck = extend(self.nothing, [np.array([start])])[0], self.slack[start], 0
        limit = min(self.limit or np.inf, self.track.size - 1)
        fresh = iter([choice for choice in map(int, self.order) if choice not in self.slack])
        while int(mask.sum()) < limit and stuck < PATIENCE:
            taken = {int(choice) % self.variables for choice in np.flatnonzero(mask)}
            known = [c for c in self._distinct(self._ranked()) if c % self.variables not in taken]
            new = [c for c in itertools.islice(fresh, WIDTH // 4 * (1 + 3 * stuck)) if c % self.variables not in taken]
            unions = [np.array(known[:n]) for n in UNIONS if n <= len(known) and int(mask.sum()) + n <= limit]
            singles = [*known[:WIDTH], *new]
            if not singles:
                return
            candidates = extend(mask, [*(np.array([choice]) for choice in singles), *unions])
            answers = yield from ask(self.flipped, candidates)
            # what a change adds to this set is the newest there is to know about it
            for choice, answer in zip(singles, answers, strict=False):
                self.slack[choice] = self.base + float(answer) - slack
            grown = smallest(candidates, answers)
            if grown is not None:
                yield from self._shrink(grown)
                return
            top = int(np.argmax(answers))
            stuck = 0 if answers[top] > slack + 1e-6 else stuck + 1
            if stuck == 0:
                mask, slack = candidates[top], float(answers[top])
