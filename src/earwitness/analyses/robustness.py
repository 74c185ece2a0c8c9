"""What of an explanation survives harmless changes, and the sets that do.

*Survival* of a set: the share of views (:mod:`earwitness.signal.views`) in which its signal, as it is in the view,
still gets the clip's label with at least δ of the confidence that the clip itself has there. Each kind of set has it,
whatever search found it; of the inverse, which should not get the label, there is none. It is counted in views drawn
afresh, with the one-sided 95 % lower bound of Clopper and Pearson (*Biometrika* 26, 1934): of 64 views 64 give 0.954,
62 give 0.905.

*Robust sets* (:mod:`earwitness.search.robustness`) are sought in other views and verified in these: one whose bound
falls short of the level wanted is no robust set, and said so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from ..explanation import Explanation, Missing, Part, Subset, describe, make_subset, writing
from ..models import Classifier
from ..search.driver import Driver, Job
from ..search.questions import Complete, Found, Sufficient, Target
from ..search.robustness import Makes, Robust, robust
from ..search.settings import FOUND, RobustSettings, SearchSettings
from ..signal.audio import Clip
from ..signal.masks import Mask, from_runs
from ..signal.spectrum import Spectrum
from ..signal.views import Viewed, draw_views, in_view, parse_views

#: one-sided, of the bounds of survival
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Survival:
    """In how many views a set holds.

    Attributes
    ----------
    held, views : int
    """

    held: int
    views: int

    @property
    def share(self) -> float:
        """Of the views in which it holds."""
        return self.held / self.views

    @property
    def low(self) -> float:
        """Lower bound of the share, one-sided, 95 % (Clopper and Pearson)."""
        return float(scipy.stats.beta.ppf(1 - CONFIDENCE, self.held, self.views - self.held + 1)) if self.held else 0.0


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
    driver = driver or Driver(classifier, repeats=explanation.settings.repeats)
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
    kinds, seed, delta = parse_views(settings.views), search.seed, search.delta
    searched = draw_views(kinds, spectrum, settings.searched, seed, "search", others=others)
    verified = draw_views(kinds, spectrum, settings.verified, seed, "verify", others=others)
    aims = Panel(driver, Viewed(spectrum, searched), label, delta)
    fresh = Panel(driver, Viewed(spectrum, verified), label, delta)
    survival = {name: fresh.count(mask, Sufficient) for name, mask in sets.items()}
    known = sorted(sets, key=lambda name: (FOUND.index(name[0]), sets[name].sum(), name[1]))
    sufficient = [sets[name] for name in known]
    robust_set, found = _find(aims, fresh, "robust", Sufficient, sufficient, settings, seed, survival)
    both = [*([] if found is None else [found]), *(sets[name] for name in known if name[0] != "sufficient")]
    whole, _ = _find(aims, fresh, "robust_complete", Complete, both, settings, seed, survival)
    return Measured(survival, robust_set, whole, aims.asked + fresh.asked)


def _find(
    aims: Panel, fresh: Panel, kind: str, of: Makes, known: Sequence[Mask], settings: RobustSettings, seed: int,
    survival: dict[tuple[str, int], Survival],
) -> tuple[Part, Mask | None]:  # fmt: skip
    """A robust set as a record, or why there is none, and what was found; its survival is noted."""
    found, spent = aims.seek(of, known, settings.questions, seed)
    if found.mask is None:
        return Missing(found.why or "none was found"), None
    survival[kind, 0] = one = fresh.count(found.mask, of)
    return _verified(fresh, found, found.mask, one, settings.level, spent), found.mask


class Panel:
    """A clip in some views, and what a set must preserve in each.

    Parameters
    ----------
    driver : Driver
    viewed : Viewed
    label : int
        Index of the clip's own.
    delta : float
        A set holds in a view with at least this share of the confidence that the clip itself has there.
    """

    def __init__(self, driver: Driver, viewed: Viewed, label: int, delta: float) -> None:
        self.driver, self.viewed = driver, viewed
        self.views = len(viewed.views)
        whole = np.ones((1, viewed.spectrum.size), dtype=bool)
        clip = np.concatenate([in_view(whole, view, self.views) for view in range(self.views)])
        answers = driver.evaluate(viewed, clip)
        self.asked = self.views
        self.targets = tuple(
            Target(label, float(np.exp(np.float64(answer[label]))), delta) for answer in answers
        )  # fmt: skip

    def seek(self, of: Makes, known: Sequence[Mask], budget: int, seed: int) -> tuple[Found, int]:
        """A set with a property in every view, and the questions asked for it."""
        search = robust(of, self.targets, self.viewed.spectrum.energy, known, budget=budget, seed=seed)
        job = next(self.driver.run([Job(self.viewed, search, budget)]))
        if job.error is not None:
            raise job.error
        assert job.result is not None
        self.asked += job.asked
        return job.result, job.asked

    def count(self, mask: Mask, of: Makes) -> Survival:
        """In how many of the views a set has a property."""
        parts = Robust(of, self.targets, tuple(range(self.views))).parts
        answers = self.driver.evaluate(self.viewed, np.concatenate([part.masks(mask[None]) for part in parts]))
        self.asked += len(parts)
        slack = np.array([part.slack(answer[None])[0] for part, answer in zip(parts, answers, strict=True)])
        held = slack.reshape(self.views, -1).min(axis=1) >= 0
        return Survival(int(held.sum()), self.views)


def _verified(panel: Panel, found: Found, mask: Mask, survival: Survival, level: float, spent: int) -> Part:
    """A robust set as a record if it survives the views it was not sought in, else the reason why there is none."""
    if survival.low < level:
        held = f"held in {survival.held} of {survival.views} fresh views"
        return Missing(f"the set found {held}: surely in no more than {survival.low:.2f}, wanted {level:g}")
    answer = panel.driver.evaluate(panel.viewed, in_view(mask[None], None, panel.views))[0]
    return make_subset(panel.viewed.spectrum, mask, answer, found.certificate, spent + 1, found.why)
