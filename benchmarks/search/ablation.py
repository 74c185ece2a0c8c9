"""What each stage and each constant of the search ``minimal`` is worth: bins and questions without it.

Every variant seeks the same clips of the same models, with one thing changed. What a mask was answered is remembered
from one variant to the next, so that only what is new is asked of the models; questions are counted all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earwitness.search.attribution import Survey, attribute
from earwitness.search.driver import Driver
from earwitness.search.problem import Problem
from earwitness.search.questions import Answer, BudgetSpent, Found, Search, Target
from earwitness.search.sufficiency import sufficient
from earwitness.signal.masks import Mask
from earwitness.signal.spectrum import Spectrum

from .bench import (
    SUFFICIENT_BUDGET,
    Cell,
    Settings,
    Store,
    Subject,
    Subjects,
    Task,
    bench_code,
    load_clips,
    load_model,
    search_code,
    seek_complete,
)  # fmt: skip
from .variants import COMPLETE, MAP, SUFFICIENT, Variant, list_variants

DELTA = 0.9
#: clips a model, and questions a clip, by what is sought
CLIPS = {SUFFICIENT: 6, COMPLETE: 2, MAP: 2}
BUDGETS = {SUFFICIENT: (SUFFICIENT_BUDGET,), COMPLETE: (600, 1500), MAP: (300,)}
#: points of an insertion or deletion curve
STEPS = 40
Memory = dict[bytes, NDArray[np.float32]]


class Panel:
    """The digit models with some clips, and every answer they have given; ``offset`` as of :func:`load_clips`."""

    def __init__(self, models: tuple[str, ...], offset: int = 0) -> None:
        self._models, self._offset = models, offset
        self._subjects: dict[tuple[str, int], Subject] = {}
        self._memory: dict[tuple[str, str], Memory] = {}

    def subjects(self, kind: str) -> Iterator[Subject]:
        """Each model, with as many clips as the kind takes."""
        for name in self._models:
            key = (name, CLIPS[kind])
            if key not in self._subjects:
                spectra = [Spectrum(clip) for clip in load_clips(CLIPS[kind], self._offset)]
                self._subjects[key] = Subject(name, Driver(load_model(name)), spectra)
            yield self._subjects[key]

    def ask(self, subject: Subject, spectrum: Spectrum, masks: Mask) -> NDArray[np.float32]:
        """Answers, from memory where there are some."""
        memory = self._memory.setdefault((subject.name, spectrum.clip.sha256), {})
        keys = [row.tobytes() for row in np.packbits(masks, axis=1)]
        new = [row for key, row in {key: row for row, key in enumerate(keys)}.items() if key not in memory]
        if new:
            answers = subject.driver.evaluate(spectrum, masks[new])
            memory.update(zip((keys[row] for row in new), answers, strict=True))
        return np.stack([memory[key] for key in keys])


def answer(search: Search[Any], ask: Callable[[Mask], NDArray[np.float32]], budget: int) -> tuple[Any, int]:
    """Answer a search within a budget: what it returns, and the questions it asked, each counted once."""
    asked: set[bytes] = set()
    try:
        masks = next(search)
        while True:
            keys = {row.tobytes() for row in np.packbits(masks, axis=1)}
            if len(asked | keys) > budget:
                masks = search.throw(BudgetSpent())
                continue
            asked |= keys
            masks = search.send(Answer(ask(masks), budget - len(asked)))
    except StopIteration as stop:
        return stop.value, len(asked)


def list_ablation(settings: Settings, subjects: Subjects, store: Store) -> Iterator[Task]:
    """Each variant of the search for sufficient sets, for complete ones, and of the map."""
    panel, code = Panel(settings.models), f"{search_code()}+{bench_code('ablation', 'variants')}"
    for kind in (SUFFICIENT, COMPLETE):
        for variant in list_variants(kind):
            for budget in BUDGETS[kind]:
                compute = partial(_seek, panel, kind, variant, budget)
                yield Task(f"{kind}/{budget}/{variant.name}", code, compute)
    for name, survey in list_surveys():
        yield Task(f"{MAP}/{BUDGETS[MAP][0]}/{name}", code, partial(_map, panel, survey))


def list_surveys() -> Iterator[tuple[str, Survey]]:
    """The map as it is (``""``), then with half and twice of each of its settings."""
    survey = Survey()
    yield "", survey
    for one in fields(Survey):
        value = getattr(survey, one.name)
        if one.name != "questions":  # what is asked beyond them is another map
            for factor in (0.5, 2):
                tried = type(value)(value * factor)
                yield f"Survey.{one.name} = {tried:g}", replace(survey, **{one.name: tried})


def _seek(panel: Panel, kind: str, variant: Variant, budget: int) -> Cell:
    """Bins, questions and certificate of every model's clips."""
    rows = []
    with variant.applied():
        for subject in panel.subjects(kind):
            for spectrum, target in zip(subject.spectra, subject.targets(DELTA), strict=True):
                found, asked = answer(
                    _search(kind, spectrum, target, budget), partial(panel.ask, subject, spectrum), budget
                )
                bins = spectrum.size if found.mask is None else int(found.mask.sum())
                rows.append([subject.name, bins, asked, found.certificate.kind])
    return {"rows": rows}


def _search(kind: str, spectrum: Spectrum, target: Target, budget: int) -> Search[Found]:
    if kind == SUFFICIENT:
        return sufficient(spectrum.energy, target, budget=budget)
    return seek_complete(spectrum.energy, target, budget)


def _map(panel: Panel, survey: Survey) -> Cell:
    """Insertion and deletion areas of every model's clips."""
    rows = []
    for subject in panel.subjects(MAP):
        for spectrum, target in zip(subject.spectra, subject.targets(DELTA), strict=True):
            ask = partial(panel.ask, subject, spectrum)
            budget = BUDGETS[MAP][0]
            scores, asked = answer(attribute(Problem(spectrum, DELTA), target, budget, survey=survey), ask, budget)
            order = np.lexsort((-spectrum.energy, -scores))
            rank = np.empty(order.size, dtype=np.intp)
            rank[order] = np.arange(order.size)
            kept = rank[None] < np.linspace(0, order.size, STEPS + 1).round()[:, None]
            areas = [float(np.exp(ask(masks)[:, target.label]).mean()) / target.confidence for masks in (kept, ~kept)]
            rows.append([subject.name, *areas, asked])
    return {"rows": rows}
