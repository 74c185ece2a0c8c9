"""What a rate is worth: the same rate for random signals, and without the empty sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...analyses.chance import NULLS
from ...search.settings import JUDGED
from ...study.store import Store
from ...transferability.statistics.rates import chance_corrected
from ..data import StudyData
from ..rates import clip_sums, mean_of_pairs, mean_with_interval, rates
from .blocks import Estimates, Section, Table

#: kinds of signal that chance is told apart from, and what it is
KINDS = JUDGED
NAMES = {
    "one_complete": "one-complete", "robust_complete": "robust complete", "null_size": "random, same size",
    "null_energy": "random, same energy", "null_profile": "random, same size and energy",
    "original": "the recordings themselves",
}  # fmt: skip


def chance(store: Store, data: StudyData) -> Section | None:
    """Rates of random signals beside those of the sets; where the study drew none, with and without empty sets."""
    if data.alone or "sufficient" not in data.signals:
        return None
    rows = []
    nulls = [kind for kind in data.signals if kind.startswith(tuple(NULLS))]
    for kind in (*KINDS, *nulls, "original"):
        if kind in data.signals:
            rows.append((_name(kind), *_mean(data, kind, np.ones(len(data.signals[kind].clip), dtype=bool))))
            if kind in KINDS and (data.signals[kind].size == 0).any():
                rows.append((f"{_name(kind)}, without empty sets", *_mean(data, kind, _full(data, kind))))
    known = [row for row in rows if not np.isnan(row[1])]
    blocks: list[Estimates | Table] = [
        Estimates(
            "Accepted by another model", tuple(known), "mean α over pairs of different models",
            note="Intervals: bootstrap over clips, 95 %.",
        )
    ]  # fmt: skip
    if "null_size" in data.signals:
        blocks.append(_by_model(data))
    intro = "A rate is read against chance: how often the same model accepts random signals that keep as many variables"
    intro += ", as much energy, or both, and silence. "
    intro += "A model that gives one answer to silence accepts every signal of it."
    if not nulls:
        intro += " This study drew no random signals; what is left is the agreement on the recordings themselves."
    return Section("chance", "Chance", intro, blocks)


def _name(kind: str) -> str:
    base, _, of = kind.partition("_of_")
    whose = of or ("sufficient" if base.startswith("null_") else "")
    return NAMES.get(base, base) + (f" as {NAMES.get(whose, whose)}" if whose else "")


def _full(data: StudyData, kind: str) -> NDArray[np.bool_]:
    return np.asarray(data.signals[kind].size > 0)


def _mean(data: StudyData, kind: str, wanted: NDArray[np.bool_]) -> tuple[float, float | None, float | None]:
    return mean_with_interval(*clip_sums(data.signals[kind], len(data.clips), wanted))


def _by_model(data: StudyData) -> Table:
    """α of each model's sets on the others, of random signals of the same size, and the excess."""
    found, null = (rates(data.signals[kind], 1.0)[0] for kind in ("sufficient", "null_size"))
    rows = []
    for i, model in enumerate(data.models):
        mine = [None if j == i else (found[i, j], null[i, j]) for j in range(len(data.models))]
        pairs = [pair for pair in mine if pair is not None and not np.isnan(pair).any()]
        if pairs:
            alpha, random = (float(np.mean([pair[k] for pair in pairs])) for k in (0, 1))
            rows.append((model.name, alpha, random, alpha - random, float(chance_corrected(alpha, random))))
    mean = [mean_of_pairs(share) for share in (found, null)]
    if mean[0] is not None and mean[1] is not None:
        corrected = float(chance_corrected(mean[0], mean[1]))
        rows.append(("mean over pairs", mean[0], mean[1], mean[0] - mean[1], corrected))
    columns = ("model", "sufficient", "random, same size", "difference", "beyond chance")
    note = "Beyond chance: (rate − chance) / (1 − chance), 0 at chance and 1 where all is accepted."
    return Table("How convincing, beyond chance", columns, tuple(rows), note)
