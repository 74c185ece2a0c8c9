"""The searches by themselves: against greedy at equal questions, complete sets, agreement over seeds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from earwitness.search.effort import EFFORTS
from earwitness.search.questions import Complete, Found, Search, Sufficient, Target
from earwitness.search.sufficiency import sufficient
from earwitness.signal.masks import Mask

from .bench import (
    SEEDS,
    SUFFICIENT_BUDGET,
    UNLIMITED,
    Cell,
    Settings,
    Store,
    Subjects,
    Task,
    bench_code,
    pairs,
    run_searches,
    search_code,
    seek_complete,
)  # fmt: skip
from .greedy import search_greedily

#: how complete sets are sought: effort, and questions at most
COMPLETE_SETS = (("quick", 3000), ("normal", 3000), ("thorough", 600), ("thorough", 3000))
Seek = Callable[[NDArray[np.float64], Target], Search[Found]]


def list_sufficient(settings: Settings, subjects: Subjects, store: Store) -> Iterator[Task]:
    """Per model and δ: greedy; ours; ours with greedy's median questions a clip, and with a third of them."""
    ours, greedy = f"{search_code()}+{bench_code('bench')}", bench_code("greedy", "bench")
    for model, delta in pairs(settings):
        key = f"{model}/{delta}/{settings.clips}"
        run = partial(_run, subjects, model, delta)
        yield Task(f"{key}/greedy", greedy, partial(run, search_greedily, [UNLIMITED] * settings.clips))
        known = partial(sufficient, budget=SUFFICIENT_BUDGET)
        yield Task(f"{key}/ours", ours, partial(run, known, [SUFFICIENT_BUDGET] * settings.clips))
        for name, divisor in (("ours, greedy's questions", 1), ("ours, a third of them", 3)):
            compute = partial(_run_within, subjects, store, model, delta, f"{key}/greedy", divisor)
            yield Task(f"{key}/{name}", f"{ours}+{greedy}", compute)


def list_complete(settings: Settings, subjects: Subjects, store: Store) -> Iterator[Task]:
    """Per model, δ, effort and budget: complete sets, the sufficient set they grow from included."""
    code = f"{search_code()}+{bench_code('bench')}"
    for model, delta in pairs(settings):
        for effort, budget in COMPLETE_SETS:
            compute = partial(_run_complete, subjects, model, delta, effort, budget, settings.clips)
            yield Task(f"{model}/{delta}/{settings.clips}/{effort}/{budget}", code, compute)


def list_agreement(settings: Settings, subjects: Subjects, store: Store) -> Iterator[Task]:
    """Per model and δ: how far the sufficient sets of five seeds agree."""
    code = f"{search_code()}+{bench_code('bench', 'own')}"
    for model, delta in pairs(settings):
        compute = partial(_agree, subjects, model, delta, settings.clips)
        yield Task(f"{model}/{delta}/{settings.clips}", code, compute)


def jaccard(a: Mask, b: Mask) -> float:
    """Shared share of two sets' union; two empty sets agree."""
    union = int((a | b).sum())
    return float((a & b).sum()) / union if union else 1.0


def _run(subjects: Subjects, model: str, delta: float, search: Seek, budgets: list[int]) -> Cell:
    return run_searches(subjects[model], delta, Sufficient, search, budgets)[0]


def _run_within(subjects: Subjects, store: Store, model: str, delta: float, greedy: str, divisor: int) -> Cell:
    cell = store.fetch("sufficient", greedy)
    assert cell is not None
    budget = int(np.median([trial["questions"] for trial in cell["trials"]])) // divisor
    search = partial(sufficient, budget=budget)
    return _run(subjects, model, delta, search, [budget] * len(cell["trials"]))


def _run_complete(subjects: Subjects, model: str, delta: float, effort: str, budget: int, clips: int) -> Cell:
    search = partial(seek_complete, budget=budget, effort=EFFORTS[effort])
    return run_searches(subjects[model], delta, Complete, search, [budget] * clips)[0]


def _agree(subjects: Subjects, model: str, delta: float, clips: int) -> Cell:
    budgets = [SUFFICIENT_BUDGET] * clips
    masks: list[list[Mask | None]] = []
    questions: list[list[int]] = []
    for seed in range(SEEDS):
        search = partial(sufficient, seed=seed, budget=SUFFICIENT_BUDGET)
        cell, found = run_searches(subjects[model], delta, Sufficient, search, budgets)
        masks.append(found)
        questions.append([trial["questions"] for trial in cell["trials"]])
    rows = []
    for drawn, asked in zip(zip(*masks, strict=True), zip(*questions, strict=True), strict=True):
        there = [mask for mask in drawn if mask is not None]
        values = [jaccard(a, b) for a, b in itertools.combinations(there, 2)]
        sizes = [int(mask.sum()) for mask in there]
        rows.append({"jaccard": float(np.mean(values)) if values else None, "sizes": sizes, "questions": asked})
    return {"clips": rows}
