"""The numbers to read first, each with an interval: a bootstrap over clips, whose signals are not independent.

What survives and what convinces beyond chance comes first, where the study sought it; then the published rates, each
with its chance in the same tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..study.answers import load_answers
from ..study.store import Store
from ..transferability.options import Options
from ..transferability.statistics.rates import cluster_bootstrap
from ..transferability.tables.evidence import Shared
from .columns import Real
from .data import ORIGINAL, Signals, StudyData
from .rates import clip_sums, difference_with_interval, hits_of, mean_with_interval


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
    beside : tuple of (str, float)
        What it is to be read against, by name.
    signed : bool
        Whether it is a difference.
    told : bool
        Whether there is enough to tell it by; else it stands there without its value.
    """

    id: str
    name: str
    text: str
    value: float
    low: float | None
    high: float | None
    beside: tuple[tuple[str, float], ...] = ()
    signed: bool = False
    told: bool = True


KINDS = (
    ("robust", "robust, α", "of the robust signals are accepted by another model (mean α over pairs)"),
    ("sufficient", "sufficient, α", "of the sufficient signals are accepted by another model (mean α over pairs)"),
    ("complete", "complete, α", "of the complete signals are accepted"),
    ("one_complete", "one-complete, α", "of the complete signals with the clip’s full confidence are accepted"),
    (ORIGINAL, "agreement",
     "is how often two models agree on the recordings themselves: read the others against this"),
)  # fmt: skip
#: chance, and its names in a tile
CHANCES = {"null_profile": "random, same size and energy", "null_energy": "random, same energy"}
BEYOND = (
    "more of the robust signals than of random ones convince another model; the random ones keep as many variables"
    " and as much energy"
)
SURVIVES = "of harmless changes leave a sufficient set’s answer as it is"


def headline(data: StudyData, store: Store | None = None) -> tuple[Number, ...]:
    """The numbers that a study has something to compute from; those of curves need its store."""
    found = [*_evidence(data), *_shared(data, store), *_survival(data), *_published(data)]
    known = [*(number for number in found if np.isfinite(number.value)), *_kept(data)]
    return tuple(sorted(known, key=lambda number: not number.told))  # what cannot be told comes last


def _evidence(data: StudyData) -> Iterator[Number]:
    """By how much robust signals beat random ones of the same profile."""
    null = data.signals.get("null_profile_of_robust")
    if data.alone or null is None or "robust" not in data.signals:
        return
    robust, chance = (clip_sums(signals, len(data.clips)) for signals in (data.signals["robust"], null))
    value = difference_with_interval(robust, chance)
    beside = (("robust", mean_with_interval(*robust)[0]), ("random", mean_with_interval(*chance)[0]))
    yield Number("robust", "robust, beyond chance", BEYOND, *value, beside, signed=True)


def _shared(data: StudyData, store: Store | None) -> Iterator[Number]:
    """The mean over pairs of shared evidence, where it is defined."""
    answers = load_answers(store, data.key) if store is not None and not data.alone else None
    if answers is None or answers.nested.is_empty():
        return
    options = Options(epsilon=data.epsilon)
    shared = Shared.of(answers, options)
    pairs = int((shared.why[~np.eye(len(data.models), dtype=bool)] == "").sum())
    text = "of the evidence that a model’s own map gives it another model’s map gives it too, beyond chance"
    among = len(data.models) * (len(data.models) - 1)
    if pairs < among:
        text += f"; defined for {pairs} of {among} pairs"
    value, low, high = mean_with_interval(shared.gained, shared.defined)
    # a ratio of small differences: told where most pairs have one, and not where its interval is wider than from no
    # shared evidence to all of it
    told = 2 * pairs >= among and low is not None and high is not None and high - low < 1
    yield Number("shared", "shared evidence", text, value, low, high, told=told)


def _survival(data: StudyData) -> Iterator[Number]:
    """The mean share of views in which sufficient sets hold, beside that of robust ones."""
    held = {kind: _held(data, kind) for kind in ("sufficient", "robust") if kind in data.signals}
    if not held.get("sufficient", np.zeros(0)).size:
        return
    share, low, high = (_known(float(part)) for part in cluster_bootstrap(*_held_sums(data, "sufficient")))
    robust = held.get("robust", np.zeros(0))
    beside = (("of a robust set’s", float(robust.mean())),) if robust.size else ()
    if share is not None:
        yield Number("survival", "survival", SURVIVES, share, low, high, beside)


def _held(data: StudyData, kind: str) -> Real:
    signals = data.signals[kind]
    return np.asarray(signals.held[signals.held >= 0] / max(data.drawn, 1), dtype=np.float64)


def _held_sums(data: StudyData, kind: str) -> tuple[Real, Real]:
    signals, sums = data.signals[kind], np.zeros((2, len(data.clips)))
    measured = signals.held >= 0
    np.add.at(sums[0], signals.clip[measured], signals.held[measured] / max(data.drawn, 1))
    np.add.at(sums[1], signals.clip[measured], 1.0)
    return sums[0], sums[1]


def _published(data: StudyData) -> Iterator[Number]:
    """The rates of the papers, each with its chance."""
    if data.alone:
        return
    for kind, name, text in KINDS:
        if kind in data.signals and (kind != "robust" or "null_profile_of_robust" not in data.signals):
            mean = mean_with_interval(*clip_sums(data.signals[kind], len(data.clips)))
            yield Number(kind, name, text, *mean, _chances(data, kind))
    if "sufficient" in data.signals:
        text = "of the sufficient signals convince every other model, with certainty (Definition 4,"
        sums = transferable_sums(data.signals["sufficient"], len(data.clips), data.epsilon)
        value, low, high = (_known(float(part)) for part in cluster_bootstrap(*sums))
        if value is not None:
            yield Number("transferable", "transferable", f"{text} ε = {data.epsilon:g})", value, low, high)


def _chances(data: StudyData, kind: str) -> tuple[tuple[str, float], ...]:
    names = {null: null if kind == "sufficient" else f"{null}_of_{kind}" for null in CHANCES}
    rates = {
        null: mean_with_interval(*clip_sums(data.signals[name], len(data.clips)))[0]
        for null, name in names.items() if name in data.signals
    }  # fmt: skip
    return tuple((CHANCES[null], rate) for null, rate in rates.items() if np.isfinite(rate))


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
