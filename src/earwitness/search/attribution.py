"""The map of the search ``minimal``: how much each variable's presence speaks for the label.

The spectrum is cut into equal cells. A question keeps some cells and is asked with its complement, as in antithetic
sampling; the difference of the two confidences is modelled as a sum of effects, one a cell (the linear model of
KernelSHAP, arXiv 1705.07874, estimated as in BayesSHAP, arXiv 2008.05030). The effects have a Gaussian prior: their
means rise with the logarithm of the cell's energy, and neighbours are alike. So few questions suffice, and where they
establish nothing the map is the order by energy.

Which cells to keep: a few times random runs of cells, after that those highest on a random draw from what is known of
the effects (Thompson sampling), a random number of them, mostly few, so that the others are mostly many. So most
questions are asked where insertion and deletion curves (RISE, arXiv 1806.07421) along the map will pass, and most
where they are steep. The sum of effects is made to follow the answers closely, more closely than a sum can be true;
in return each effect is at the end moved back towards its prior mean by some standard deviations, at most all the
way: what differs from the prior by chance would differ from seed to seed.

Effects do not sum up: sets of cells that each speak for the label may not, together. Where more questions may be asked
than the effects need, the others order the cells, from the top down: of several ways to go on from the cells that are
on top already, the one is taken whose next part of the two curves is best. Such an order follows the model more
closely; but many are about as good, so that those of two seeds agree far less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..signal.masks import Mask
from .problem import Problem
from .questions import BudgetSpent, Search, Target

Real = NDArray[np.float64]

STAGES = (1 / 128, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4)  #: shares of the cells that are put on top
FLAT = 1e-3  #: of the clip's confidence: what differs by less is the same
BOLDNESS = 1.5  #: of the effects' standard deviations: so far other ways to go on are drawn


@dataclass(frozen=True)
class Survey:
    """How the map is made.

    Attributes
    ----------
    cells : int
        Cells of neighbouring variables, at least 2; fewer where there are fewer variables.
    reach : float
        Distance, as a share of the spectrum, over which the correlation of two cells' effects falls to 1/e.
    noise : float
        Variance of a difference of two shares of the confidence around the sum of the effects.
    trust : float
        Prior standard deviations by which 10 dB more energy raise an effect's prior mean.
    rounds : int
        The budget is asked in so many batches; what is known is brought up to date after each.
    wander : float
        Share of the questions that keep random runs.
    shrinkage : float
        Standard deviations by which an effect is moved back to its prior mean.
    questions : int
        What is asked beyond orders the cells.
    """

    cells: int = 256
    reach: float = 0.05
    noise: float = 0.003
    trust: float = 0.5
    rounds: int = 16
    wander: float = 0.2
    shrinkage: float = 3.2
    questions: int = 300

    def __post_init__(self) -> None:
        for name, least in (("cells", 2), ("rounds", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} {getattr(self, name)}: too small; use at least {least}")


def attribute(
    problem: Problem, target: Target, budget: int, *, survey: Survey | None = None
) -> Search[NDArray[np.float32]]:
    """Map how much the presence of each variable speaks for the label.

    Parameters
    ----------
    problem : Problem
        Its seed decides every draw.
    target : Target
        Whose label is to be kept.
    budget : int
        Questions to ask, rounded down to pairs.
    survey : Survey, optional

    Returns
    -------
    float32 [size]
        exp of the effects in standard deviations of the prior, over the largest: in (0, 1], equal within a cell; where
        the cells were ordered, the same values in that order. All zero if not one question could be asked.
    """
    survey = survey or Survey()
    size, rng = problem.spectrum.size, np.random.default_rng(problem.seed)
    cells = min(survey.cells, size)
    cell = np.arange(size) * cells // size
    effects = _Effects(_prior_means(problem.energy, cell), survey)
    beyond = max(0, budget - survey.questions)
    if beyond < 4 * len(STAGES):  # not even two ways to go on, each a pair of questions, at every stage
        beyond = 0
    pairs = (budget - beyond) // 2
    rounds = min(survey.rounds, pairs)
    stage = np.zeros(cells, dtype=np.intp)
    asked, largest = 0, 0.0
    try:
        for number in range(rounds):
            count = pairs * (number + 1) // rounds - pairs * number // rounds
            kept = effects.choose(count, rng)
            gains = yield from _ask(kept, cell, target)
            effects.learn(kept, gains)
            asked, largest = asked + 2 * count, max(largest, float(np.abs(gains).max(initial=0)))
            if largest < FLAT and asked >= problem.effort.hope:  # whatever is kept, the answer is the same
                beyond = 0
                break
        if beyond:
            yield from _order(effects, stage, beyond, cell, target, rng)
    except BudgetSpent:
        pass
    if not effects.known:
        return np.zeros(size, dtype=np.float32)
    effect = effects.judge()
    scores = np.empty(cells)
    scores[np.lexsort((-effect, stage))] = -np.sort(-effect)
    return np.asarray(np.exp(scores - scores.max())[cell], dtype=np.float32)


def _ask(kept: Mask, cell: NDArray[np.intp], target: Target) -> Search[Real]:
    """By how much the confidence with cells kept (bool [M, cells]) exceeds that with the others, over the clip's."""
    answer = yield np.concatenate([kept, ~kept])[:, cell]
    logs = answer.log_probabilities[:, target.label].astype(np.float64)
    with_them, without = np.split(np.exp(logs) / max(target.confidence, 1e-30), 2)
    return np.asarray(with_them - without)


def _order(
    effects: _Effects,
    stage: NDArray[np.intp],
    questions: int,
    cell: NDArray[np.intp],
    target: Target,
    rng: np.random.Generator,
) -> Search[None]:
    """Write into ``stage`` (int [cells], all zero) in which part of the order a cell comes."""
    top = np.zeros(stage.size, dtype=bool)
    for number, share in enumerate(STAGES):
        ways = questions // (2 * (len(STAGES) - number))
        foretold = effects.judge()
        drawn = np.concatenate([foretold[None], effects.draw(ways - 1, rng, BOLDNESS)])
        ranked = np.argsort(-np.where(top, np.inf, drawn), axis=1, kind="stable")
        kept = np.zeros(drawn.shape, dtype=bool)
        np.put_along_axis(kept, ranked[:, : int(np.ceil(share * stage.size))], True, axis=1)
        kept = kept[np.sort(np.unique(kept, axis=0, return_index=True)[1])]  # what is asked twice teaches nothing
        questions -= 2 * len(kept)
        gains = yield from _ask(kept, cell, target)
        effects.learn(kept, gains)
        top = kept[np.argmax(gains)]
        stage[~top] += 1


class _Effects:
    """What is known of the effects of cells, in the prior's standard deviation of one."""

    def __init__(self, prior: Real, survey: Survey) -> None:
        cells = np.arange(prior.size)
        self.survey, self.prior = survey, survey.trust * prior
        self.mean: Real = self.prior
        self.covariance: Real = np.exp(-np.abs(cells[:, None] - cells) / (survey.reach * prior.size))
        # between everything and nothing lies an effect of variance 1
        self.unit = float(1 / np.sqrt(self.covariance.sum()))
        self.known = False

    def choose(self, count: int, rng: np.random.Generator) -> Mask:
        """Cells to keep, bool [count, cells]."""
        size = self.mean.size
        kept = np.zeros((count, size), dtype=bool)
        for row, drawn in zip(kept, self.draw(count, rng), strict=True):
            if not self.known or rng.random() < self.survey.wander:
                runs = int(np.clip(np.exp(rng.uniform(np.log(8), np.log(64))), 2, size))
                starts = np.sort(rng.choice(np.arange(1, size), runs - 1, replace=False))
                row[:] = (rng.random(runs) < 0.5)[np.searchsorted(starts, np.arange(size), side="right")]
            else:
                row[np.argsort(-drawn, kind="stable")[: int(np.ceil(size * rng.random() ** 2))]] = True
        return kept

    def draw(self, count: int, rng: np.random.Generator, boldness: float = 1.0) -> Real:
        """Effects as they may be, that many standard deviations of what is known from the likeliest, [count, cells]."""
        size = self.mean.size
        root = np.linalg.cholesky(self.covariance + 1e-9 * np.eye(size))
        return np.asarray(self.mean + boldness * rng.standard_normal((count, size)) @ root.T)

    def learn(self, kept: Mask, differences: Real) -> None:
        """Take in by how much the confidence with cells kept (bool [M, cells]) exceeds that with the others kept."""
        signs = np.where(kept, self.unit, -self.unit)
        cross = self.covariance @ signs.T
        inner = signs @ cross + self.survey.noise * np.eye(len(signs))
        gain = np.linalg.solve(inner, cross.T).T
        self.mean = self.mean + gain @ (differences - signs @ self.mean)
        covariance = self.covariance - gain @ cross.T
        self.covariance = (covariance + covariance.T) / 2
        self.known = True

    def judge(self) -> Real:
        """The effects as far as the answers establish them, float64 [cells]."""
        moved = self.mean - self.prior
        doubt = self.survey.shrinkage * np.sqrt(np.maximum(np.diag(self.covariance), 0))
        return np.asarray(self.prior + np.sign(moved) * np.maximum(np.abs(moved) - doubt, 0))


def _prior_means(energy: Real, cell: NDArray[np.intp]) -> Real:
    """Logarithms of the cells' mean energies, less their mean, in units of 10 dB."""
    logs = np.log10(np.bincount(cell, energy) / np.bincount(cell) + 1e-12)
    return np.asarray(logs - logs.mean())
