"""A clip in views, and in how many of them a set holds."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from ..search.certify import confirm_certificate
from ..search.driver import Driver, Job
from ..search.precision import Doubt
from ..search.questions import Found, Target
from ..search.robustness import Makes, Robust, robust
from ..search.settings import CONFIDENCE
from ..signal.masks import Mask
from ..signal.views import Viewed, in_view


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
        self.driver, self.viewed, self.asked = driver, viewed, 0
        self.views = len(viewed.views)
        whole = np.ones((1, viewed.spectrum.size), dtype=bool)
        answers = self._evaluate(np.concatenate([in_view(whole, view, self.views) for view in range(self.views)]))
        self.targets = tuple(
            Target(label, float(np.exp(np.float64(answer[label]))), delta) for answer in answers
        )  # fmt: skip

    def joined(self, other: Panel, views: NDArray[np.intp]) -> Panel:
        """The same with some views of another before its own; nothing is asked for it."""
        panel = copy(self)
        panel.viewed = Viewed(self.viewed.spectrum, [*(other.viewed.views[view] for view in views), *self.viewed.views])
        panel.targets = (*(other.targets[view] for view in views), *self.targets)
        panel.views, panel.asked = len(panel.targets), 0
        return panel

    def seek(self, of: Makes, known: Sequence[Mask], budget: int, seed: int) -> tuple[Found, int]:
        """A set with a property in every view, and the questions asked for it."""
        search = robust(of, self.targets, self.viewed.spectrum.energy, known, budget=budget, seed=seed)
        doubt = Doubt(self.targets[0].delta, self.targets)
        job = self.driver.run_one(Job(self.viewed, search, budget, doubt=doubt))
        assert job.result is not None
        property_ = Robust(of, self.targets, tuple(range(self.views)))
        found, certified = confirm_certificate(job.result, property_, self.viewed, self.driver)
        asked = job.asked + job.again * self.driver.repeats + certified
        self.asked += asked
        return found, asked

    def ask(self, mask: Mask, of: Makes) -> NDArray[np.bool_]:
        """Whether a set has a property, in each of the views: bool [views]."""
        parts = Robust(of, self.targets, tuple(range(self.views))).parts
        answers = self._evaluate(np.concatenate([part.masks(mask[None]) for part in parts]))
        slack = np.array([part.slack(answer[None])[0] for part, answer in zip(parts, answers, strict=True)])
        return np.asarray(slack.reshape(self.views, -1).min(axis=1) >= 0)

    def count(self, mask: Mask, of: Makes) -> Survival:
        """In how many of the views a set has a property."""
        return Survival(int(self.ask(mask, of).sum()), self.views)

    def evaluate(self, mask: Mask) -> NDArray[np.float32]:
        """What the model says to a set's signal as it is, in no view: log-probabilities."""
        return np.asarray(self._evaluate(in_view(mask[None], None, self.views))[0])

    def _evaluate(self, questions: Mask) -> NDArray[np.float32]:
        self.asked += len(questions)
        return self.driver.evaluate(self.viewed, questions)
