"""Explain every clip with every model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...explanation import finish, make_job
from ...models import fold
from ...search.driver import Driver, Job
from ..messages import Done, Outcome, Source, Unit
from ..store import Record
from ..store.packing import unsqueeze
from .step import LARGEST, Desk, Running, Step, settled, stream


@dataclass(frozen=True)
class ToExplain(Unit):
    """A clip to explain.

    Attributes
    ----------
    truth : int or None
        Explain only a clip to which the model says this label (an index).
    responsibility : bytes or None
        The map that a search with another δ made of it, compressed.
    """

    truth: int | None = None
    responsibility: bytes | None = None


@dataclass(frozen=True)
class LeftOut:
    """A clip that is not explained, as the model does not say its own label to it."""

    original: NDArray[np.float32]


class Explain(Step):
    """See the module."""

    name = "explain"

    def __init__(self, running: Running) -> None:
        super().__init__(running)
        store, key = running.store, running.key
        self._explained = store.explained(key)
        self._same_maps = store.settings_with_map_of(key)
        self._truths = self._list_truths() if running.plan.study.only_correct else {}
        self._said = store.tops(key) if self._truths else {}

    def wanted(self, model: int) -> list[Source]:
        """See :class:`Step`; where only clips that a model labels rightly are explained, not the others."""
        id, truths = self.running.ids[model], self._truths
        return [
            clip
            for clip, _ in self.running.clips
            if (clip.id, id) not in self._explained
            and self.is_open(clip, model)
            and self._said.get((clip.id, id), truths.get(clip.id)) == truths.get(clip.id)
            and truths.get(clip.id) != -1
        ]

    def unit(self, clip: Source, model: int) -> ToExplain:
        """See :class:`Step`."""
        known = self.running.store.known_map(self._same_maps, clip.id, self.running.ids[model])
        return ToExplain(clip, self._truths.get(clip.id), known)

    @staticmethod
    def do(desk: Desk, driver: Driver, units: Sequence[ToExplain]) -> Iterator[Done]:
        """See :class:`Step`."""
        settings = desk.setup.settings

        def prepare(unit: ToExplain) -> Job[Any]:
            known = None if unit.responsibility is None else unsqueeze(unit.responsibility)
            job = make_job(desk.read(unit.clip), settings, known)
            if unit.truth is not None:
                original = driver.original(job.spectrum)
                desk.count(driver.repeats)
                if int(original.argmax()) != unit.truth:
                    return settled(LeftOut(original))
            return job

        def close(unit: ToExplain, job: Job[Any]) -> Outcome:
            return job.result if isinstance(job.result, LeftOut) else Record.of(finish(job, driver, settings))

        return stream(driver, units, prepare, close)

    def keep(self, clip: Source, model: int, outcome: Record | LeftOut) -> bool:
        """See :class:`Step`."""
        store, key, id = self.running.store, self.running.key, self.running.ids[model]
        if isinstance(outcome, LeftOut):
            store.add_original(clip.id, id, key, outcome.original)
            return False
        store.add_explanation(clip.id, id, key, outcome)
        return True

    def chunk_size(self, total: int, workers: int) -> int:
        """One chunk where one worker does it all, so that all clips run side by side."""
        return max(1, total if workers == 1 else min(LARGEST, -(-total // (4 * workers))))

    def _list_truths(self) -> dict[int, int]:
        """The index of each clip's own label among the shared ones, -1 where it is none of them."""
        running = self.running
        index = {fold(label): i for i, label in enumerate(running.plan.alignment.labels)}
        mapping = running.plan.study.labels
        truths = {
            clip.id: -1
            if recording.label is None
            else index.get(fold(mapping.get(recording.label, recording.label)), -1)
            for clip, recording in running.clips
        }
        unknown = list(truths.values()).count(-1)
        if unknown:
            running.reporter.say(
                f"only_correct: {unknown} clips are not explained, their own label is not a shared one"
            )
        return truths
