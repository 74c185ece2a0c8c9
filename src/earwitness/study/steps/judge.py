"""Ask every model about every signal that it has not judged yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ...search.driver import Driver, Job
from ...search.questions import ask_once
from ...signal.spectrum import Spectrum
from ..messages import Done, Outcome, Source, Unit
from ..store import unpack_mask
from .step import Desk, Running, Step, stream

Log = NDArray[np.float32]


@dataclass(frozen=True)
class ToJudge(Unit):
    """Signals of a clip.

    Attributes
    ----------
    size : int
        Number of variables.
    masks : tuple of (int, bytes)
        Subset ids and their packed masks.
    """

    size: int = 0
    masks: tuple[tuple[int, bytes], ...] = ()


@dataclass(frozen=True)
class Judged:
    """What a model says to a clip, and to signals made of it by subset id."""

    original: Log
    answers: dict[int, Log]


class Judge(Step):
    """See the module."""

    name = "judge"

    def __init__(self, running: Running) -> None:
        super().__init__(running)
        self._waiting = {id: set(clips) for id, clips in running.store.unjudged(running.key).items()}

    def wanted(self, model: int) -> list[Source]:
        """See :class:`Step`."""
        waiting = self._waiting.get(self.running.ids[model], set())
        return [clip for clip, _ in self.running.clips if clip.id in waiting and self.is_open(clip, model)]

    def unit(self, clip: Source, model: int) -> ToJudge:
        """See :class:`Step`."""
        running = self.running
        size, masks = running.store.unanswered(clip.id, running.ids[model], running.key)
        return ToJudge(clip, size, tuple(masks))

    @staticmethod
    def do(desk: Desk, driver: Driver, units: Sequence[ToJudge]) -> Iterator[Done]:
        """See :class:`Step`."""

        def prepare(unit: ToJudge) -> Job[Any]:
            spectrum = Spectrum(desk.read(unit.clip), desk.setup.settings.variables)
            whole = np.ones(spectrum.size, dtype=bool)
            masks = np.stack([whole, *(unpack_mask(mask, unit.size) for _, mask in unit.masks)])
            return Job(spectrum, ask_once(masks), len(masks) * driver.repeats)

        def close(unit: ToJudge, job: Job[Any]) -> Outcome:
            answers = cast(Log, job.result)
            return Judged(answers[0], {id: answer for (id, _), answer in zip(unit.masks, answers[1:], strict=True)})

        return stream(driver, units, prepare, close)

    def keep(self, clip: Source, model: int, outcome: Judged) -> bool:
        """See :class:`Step`."""
        running = self.running
        running.store.add_answers(clip.id, running.ids[model], running.key, outcome.original, outcome.answers)
        return True
