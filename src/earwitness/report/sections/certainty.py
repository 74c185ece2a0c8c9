"""How sure the models are: acceptance, certainty and both over ε."""

from __future__ import annotations

import numpy as np

from ...search.settings import JUDGED
from ...study.store import Store
from ..data import StudyData
from ..rates import mean_of_pairs, rates
from .blocks import Curves, Section

#: levels of ε that the curves pass through
LEVELS = tuple(k / 50 for k in range(1, 51))
MEASURES = {"alpha": "accepted (α)", "beta": "certain (β)", "joint": "both"}


def certainty(store: Store, data: StudyData) -> Section | None:
    """α, β and the joint share over ε, by kind of set."""
    kinds = [kind for kind in JUDGED if kind in data.signals]
    if data.alone or not kinds:
        return None
    intro = "Definition 4 asks not only for the label but for certainty: an entropy below ε · log₂ n. As ε grows, more"
    intro += " answers count as certain; the share that accepts does not depend on it."
    return Section("certainty", "Certainty", intro, [epsilon_curves(data, kind) for kind in kinds])


def epsilon_curves(data: StudyData, kind: str = "sufficient") -> Curves:
    """α, β and the joint share over ε, each the mean over pairs of different models."""
    curves = []
    for measure, name in MEASURES.items():
        means = [mean_of_pairs(rates(data.signals[kind], level, measure)[0]) for level in LEVELS]
        curves.append((name, LEVELS, tuple(np.nan if mean is None else mean for mean in means)))
    return Curves(f"Over ε, {kind.replace('_', '-')}", "ε", "mean share over pairs", tuple(curves))
