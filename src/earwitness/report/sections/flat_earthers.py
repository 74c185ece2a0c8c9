"""Models that the others do not believe and that do not believe the others."""

from __future__ import annotations

import numpy as np

from ...study.store import Store
from ...transferability.statistics.flat_earthers import find_flat_earthers
from ..data import StudyData
from ..rates import clip_sums
from .blocks import Estimates, Section, Table


def flat_earthers(store: Store, data: StudyData) -> Section | None:
    """Every model's score with an interval and a permutation p-value; needs three models."""
    if len(data.models) < 3 or "sufficient" not in data.signals:
        return None
    found = find_flat_earthers(*clip_sums(data.signals["sufficient"], len(data.clips)))
    score = tuple(
        (model.name, float(found.score[i]), _known(found.low[i]), _known(found.high[i]))
        for i, model in enumerate(data.models) if np.isfinite(found.score[i])
    )  # fmt: skip
    parts = (found.convincing, found.convinced, found.peers, found.score, found.p)
    table = tuple(
        (model.name, *(float(part[i]) for part in parts))
        for i, model in enumerate(data.models)
    )  # fmt: skip
    intro = (
        "A flat-earther’s signals convince no other model, and no other model’s signals convince it. The score is how"
    )
    intro += " far a model falls short of its peers in both: 0, like them; 1, they always believe each other and it"
    intro += " neither convinces nor is convinced. The p-value is family-wise, by shuffling the models’ names within"
    intro += " clips. A handful of models is few: read it with the interval."
    columns = ("model", "convincing", "convinced", "peers among themselves", "score", "p")
    return Section("flat-earthers", "Flat-earthers", intro, [
        Estimates("Score", score, "score", reference=0.0, note="Intervals: bootstrap over clips, 95 %."),
        Table("Beside its peers", columns, table),
    ])  # fmt: skip


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
