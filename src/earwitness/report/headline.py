"""The numbers to read first, each with an interval: a bootstrap over clips, whose signals are not independent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..transferability.statistics.rates import cluster_bootstrap
from .columns import Real
from .data import ORIGINAL, Signals, StudyData
from .rates import clip_sums, hits_of, mean_with_interval


@dataclass(frozen=True)
class Number:
    """A number with its 95 % interval.

    Attributes
    ----------
    id, name : str
        Its name, short.
    text : str
        What it is the share of, as the rest of a sentence.
    value : float
    low, high : float or None
        ``None`` where fewer than two clips leave nothing to resample.
    """

    id: str
    name: str
    text: str
    value: float
    low: float | None
    high: float | None


KINDS = (
    ("sufficient", "sufficient, α", "of the sufficient signals are accepted by another model (mean α over pairs)"),
    ("complete", "complete, α", "of the complete signals are accepted"),
    ("one_complete", "one-complete, α", "of the complete signals with the clip’s full confidence are accepted"),
    ("null_size", "random, same size", "of random signals of the same size are accepted: chance"),
    (ORIGINAL, "agreement",
     "is how often two models agree on the recordings themselves: read the others against this"),
)  # fmt: skip


def headline(data: StudyData) -> tuple[Number, ...]:
    """The numbers that a study has something to compute from."""
    found: list[Number] = []
    if not data.alone:
        for kind, name, text in KINDS:
            if kind in data.signals:
                found.append(
                    Number(kind, name, text, *mean_with_interval(*clip_sums(data.signals[kind], len(data.clips))))
                )
        if "sufficient" in data.signals:
            text = "of the sufficient signals convince every other model, with certainty (Definition 4,"
            sums = transferable_sums(data.signals["sufficient"], len(data.clips), data.epsilon)
            value, low, high = (_known(float(part)) for part in cluster_bootstrap(*sums))
            if value is not None:
                found.append(Number("transferable", "transferable", f"{text} ε = {data.epsilon:g})", value, low, high))
    return (*(number for number in found if np.isfinite(number.value)), *_kept(data))


def transferable_sums(signals: Signals, clips: int, epsilon: float) -> tuple[Real, Real]:
    """Per clip, signals that every other model accepts with certainty, and signals: float64 [clips], twice."""
    asked = signals.judged & signals.others()
    convinced = np.where(asked, hits_of(signals, epsilon, "joint"), True).all(axis=1)
    counted = asked.any(axis=1)
    sums = np.zeros((2, clips))
    np.add.at(sums[0], signals.clip, convinced & counted)
    np.add.at(sums[1], signals.clip, counted)
    return sums[0], sums[1]


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _kept(data: StudyData) -> list[Number]:
    """The median share of the variables in a sufficient set, with the middle half of the sets as its range."""
    signals = data.signals.get("sufficient")
    if signals is None or not (signals.size >= 0).any():
        return []
    of = np.zeros((len(data.clips), len(data.models)))
    original = data.signals[ORIGINAL]
    of[original.clip, original.source] = original.size
    there = signals.size >= 0
    share = signals.size[there] / np.maximum(of[signals.clip[there], signals.source[there]], 1)
    empty = int((signals.size == 0).sum())
    silence = "silence" if data.settings.occlusion == "zero" else "the occlusion alone"
    note = (
        f"; {empty} of {int(there.sum())} sets {'is' if empty == 1 else 'are'} empty: {silence} suffices"
        if empty
        else ""
    )
    low, middle, high = np.quantile(share, [0.25, 0.5, 0.75])
    text = f"of the {data.unit}s are in the median sufficient set{note}"
    return [Number("kept", "kept, median", text, float(middle), float(low), float(high))]
