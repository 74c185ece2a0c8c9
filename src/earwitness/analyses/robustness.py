"""What of an explanation survives harmless changes, and the sets that do.

*Survival* of a set: the share of views (:mod:`earwitness.signal.views`) in which its signal, as it is in the view,
still gets the clip's label with at least δ of the confidence that the clip itself has there. Each kind of set has it,
whatever search found it; of the inverse, which should not get the label, there is none. It is counted in views drawn
afresh, with the one-sided 95 % lower bound of Clopper and Pearson (*Biometrika* 26, 1934): of 64 views 64 give 0.954,
62 give 0.905.

*Robust sets* (:mod:`earwitness.search.robustness`) are sought in other views, and as they are, and verified in these:
one whose bound falls short of the level wanted is no robust set. The search then goes on from it, the views in which it
failed among those that it asks, and what comes of that is verified in views drawn afresh again, never in those that it
has learnt from. After ``ATTEMPTS`` there is no robust set, and it is said so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..explanation import Explanation, Missing, Part, Subset, describe, make_subset, writing
from ..models import Classifier
from ..search.driver import Driver
from ..search.questions import Complete, Found, Sufficient
from ..search.robustness import Makes
from ..search.settings import FOUND, RobustSettings, SearchSettings
from ..signal.audio import Clip
from ..signal.masks import Mask, from_runs
from ..signal.spectrum import Spectrum
from ..signal.views import View, Viewed, draw_views, parse_views
from .panel import Panel, Survival

#: times that a robust set is sought, each in the light of the views in which the one before failed
ATTEMPTS = 3
SHARE = 0.75  #: of the questions left for an attempt, if others may follow it


@dataclass(frozen=True, eq=False)
class Measured:
    """What survives of one model's sets of one clip, and the robust sets.

    Attributes
    ----------
    survival : dict
        By kind and draw.
    robust, robust_complete : Subset or Missing
        Robust sets, verified; their own survival stands under these names in ``survival``.
    queries : int
        Questions asked for all of it.
    """

    survival: dict[tuple[str, int], Survival]
    robust: Part
    robust_complete: Part
    queries: int

    def parts(self) -> Iterator[tuple[str, int, Part]]:
        """The robust sets, as (kind, draw, set)."""
        yield "robust", 0, self.robust
        yield "robust_complete", 0, self.robust_complete

    def counts(self) -> list[tuple[str, int, int, int]]:
        """Kind, draw, views in which it held, and views, of every set; one that was found and did not hold is none.
        Without any set one row, without a kind."""
        gone = {(kind, draw) for kind, draw, part in self.parts() if isinstance(part, Missing)}
        there = {name: one for name, one in self.survival.items() if name not in gone}
        return [(*name, one.held, one.views) for name, one in there.items()] or [("", 0, 0, 0)]


@dataclass(frozen=True, eq=False)
class Robustness:
    """What of an explanation survives, and its robust sets.

    Attributes
    ----------
    explanation : Explanation
    settings : RobustSettings
    measured : Measured
        The survival is of every set that there is but the inverse.
    """

    explanation: Explanation
    settings: RobustSettings
    measured: Measured

    @property
    def survival(self) -> dict[tuple[str, int], Survival]:
        """By kind and draw, of every set that there is but the inverse."""
        return self.measured.survival

    @property
    def robust(self) -> Part:
        """The robust set, or why there is none."""
        return self.measured.robust

    @property
    def robust_complete(self) -> Part:
        """The robust complete set, or why there is none."""
        return self.measured.robust_complete

    @property
    def queries(self) -> int:
        """Questions asked for all of it."""
        return self.measured.queries

    def parts(self) -> Iterator[tuple[str, int, Part]]:
        """The explanation's sets and the robust ones, as (kind, draw, set)."""
        yield from self.explanation.parts()
        yield from self.measured.parts()

    def to_json(self) -> dict[str, Any]:
        """As ``robustness.json``: the settings, and of each set its survival, of the robust ones all else as well."""
        sets: list[dict[str, Any]] = []
        for kind, draw, part in self.parts():
            row: dict[str, Any] = {"kind": kind, "draw": draw}
            if (one := self.survival.get((kind, draw))) is not None:
                row |= {"held": one.held, "views": one.views, "low": round(one.low, 4)}
            if isinstance(part, Missing):
                row["why"] = part.why
            elif kind.startswith("robust"):
                row |= describe(part, self.explanation.labels)
            sets.append(row)
        return {"schema": 1, "settings": asdict(self.settings), "queries": self.queries, "sets": sets}

    def save(self, folder: str | Path) -> Path:
        """Write the explanation (:meth:`Explanation.save`), ``robustness.json``, and the robust sets' signals as WAV.

        Raises
        ------
        ConfigError
            The folder cannot be written.
        """
        folder = Path(folder)
        self.explanation.save(folder)
        with writing(folder):
            return self.explanation.write(folder / "robustness.json", self.measured.parts(), self.to_json())


def find_robust(
    explanation: Explanation,
    classifier: Classifier,
    settings: RobustSettings | None = None,
    *,
    others: Sequence[Clip] = (),
    driver: Driver | None = None,
) -> Robustness:
    """Measure what of an explanation survives harmless changes, and seek the sets that do.

    Parameters
    ----------
    explanation : Explanation
    classifier : Classifier
        The model explained.
    settings : RobustSettings, optional
    others : sequence of Clip
        For the view ``others``: recordings with another label, at the clip's rate.
    driver : Driver, optional

    Raises
    ------
    ConfigError
        A view is of no known form; ``others`` is listed and there are none.
    """
    settings = settings or RobustSettings()
    driver = driver or Driver(
        classifier, repeats=explanation.settings.repeats, precision=explanation.settings.precision
    )
    sets = {
        (kind, draw): from_runs(part.runs, explanation.spectrum.size)
        for kind, draw, part in explanation.parts() if kind != "inverse" and isinstance(part, Subset)
    }  # fmt: skip
    label, search = int(explanation.log_probabilities.argmax()), explanation.settings
    measured = measure(explanation.spectrum, label, sets, search, settings, driver, others)
    return Robustness(explanation, settings, measured)


def measure(
    spectrum: Spectrum,
    label: int,
    sets: Mapping[tuple[str, int], Mask],
    search: SearchSettings,
    settings: RobustSettings,
    driver: Driver,
    others: Sequence[Clip] = (),
) -> Measured:
    """Measure what survives of one model's sets of one clip, and seek the sets that do.

    Parameters
    ----------
    spectrum : Spectrum
        Of the clip.
    label : int
        Index of what the model says to it.
    sets : mapping of (kind, draw) to bool [F]
    search : SearchSettings
        That the sets were found with: δ and the seed are theirs.
    settings : RobustSettings
    driver : Driver
        Asks the model.
    others : sequence of Clip
        See :func:`find_robust`.

    Raises
    ------
    ConfigError
        See :func:`find_robust`.
    """
    kinds = parse_views(settings.views)

    def draw(count: int, *purpose: object, first: Sequence[View] = ()) -> Panel:
        views = draw_views(kinds, spectrum, count, search.seed, *purpose, others=others)
        return Panel(driver, Viewed(spectrum, [*first, *views]), label, search.delta)

    # noise can be evidence itself: of a model that gives it the label nothing at all would survive. So what is sought
    # must hold as it is as well
    unchanged = [View(sample_rate=spectrum.clip.sample_rate)]
    aims, fresh = draw(settings.searched, "search", first=unchanged), draw(settings.verified, "verify")
    plain = Panel(driver, Viewed(spectrum, unchanged), label, search.delta)
    survival = {name: fresh.count(mask, Sufficient) for name, mask in sets.items()}
    draw_fresh = partial(draw, settings.verified, "verify")
    seeker = _Seeker(settings, search.seed, survival, draw_fresh, [aims], [fresh], plain)
    known = sorted(sets, key=lambda name: (FOUND.index(name[0]), sets[name].sum(), name[1]))
    robust_set, found = seeker.seek("robust", Sufficient, [sets[name] for name in known])
    both = [*([] if found is None else [found]), *(sets[name] for name in known if name[0] != "sufficient")]
    whole, _ = seeker.seek("robust_complete", Complete, both)
    return Measured(survival, robust_set, whole, seeker.queries)


@dataclass
class _Seeker:
    """Seeks robust sets and verifies them; the survival of each is noted.

    Attributes
    ----------
    settings : RobustSettings
    seed : int
    survival : dict
        By kind and draw.
    draw : callable
        Draws views to verify in: a number, each with views of its own.
    aims, fresh : list of Panel
        The views that searches asked, and those that verified; no search has learnt from the last of these.
    plain : Panel
        Of the clip as it is.
    """

    settings: RobustSettings
    seed: int
    survival: dict[tuple[str, int], Survival]
    draw: Callable[[int], Panel]
    aims: list[Panel]
    fresh: list[Panel]
    plain: Panel

    @property
    def queries(self) -> int:
        """Questions asked by all of it."""
        return sum(panel.asked for panel in (*self.aims, *self.fresh, self.plain))

    def seek(self, kind: str, of: Makes, known: Sequence[Mask]) -> tuple[Part, Mask | None]:
        """A robust set as a record, or why there is none, and what was found last."""
        aims, spent, last = self.aims[0], 0, None
        part: Part = Missing("none was found")
        for attempt in range(1, ATTEMPTS + 1):
            left = self.settings.questions - spent
            budget = left if attempt == ATTEMPTS else math.ceil(left * SHARE)
            found, asked = aims.seek(of, known, budget, self.seed)
            spent += asked
            if found.mask is None:
                part = Missing(found.why) if last is None else part
                break
            last = found.mask
            holds = self.fresh[-1].ask(last, of)
            self.survival[kind, 0] = Survival(int(holds.sum()), holds.size)
            part = self._verified(found, last, of, self.survival[kind, 0], spent)
            if isinstance(part, Subset) or attempt == ATTEMPTS or spent >= self.settings.questions:
                break
            aims, known = self._learn(aims, holds), [last, *known]
        return part, last

    def _learn(self, aims: Panel, holds: NDArray[np.bool_]) -> Panel:
        """Views to ask: those in which the last set failed as well; what verifies next is drawn afresh."""
        self.aims.append(aims.joined(self.fresh[-1], np.flatnonzero(~holds)))
        self.fresh.append(self.draw(len(self.fresh)))
        return self.aims[-1]

    def _verified(self, found: Found, mask: Mask, of: Makes, one: Survival, spent: int) -> Part:
        """A robust set as a record if it survives the views it was not sought in, else the reason why there is none."""
        if one.low < self.settings.level:
            held, level = f"held in {one.held} of {one.views} fresh views", self.settings.level
            return Missing(f"the set found {held}: surely in no more than {one.low:.2f}, wanted {level:g}")
        if not self.plain.ask(mask, of).all():
            return Missing("the set found survives harmless changes, and does not hold as it is")
        panel = self.fresh[-1]
        return make_subset(panel.viewed.spectrum, mask, panel.evaluate(mask), found.certificate, spent + 1, found.why)
