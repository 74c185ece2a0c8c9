"""What a worker does: one model's work on some clips, wherever the worker lives.

A worker never sees the store. It is sent chunks of units and gives back an event for each unit done; the process
that sent them is the only writer. Everything that crosses is plain, small and picklable: paths, hashes, packed
masks, rows. Results do not depend on how units were put into chunks, nor on which worker had them.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import AudioError, EarwitnessError, ModelError
from ...explanation import finish, make_job
from ...models import Alignment, Classifier, Model, aligned, choose_device, open_model
from ...models.resampling import at_rate
from ...search.driver import Driver, Job, lacks_memory
from ...search.questions import Search
from ...search.settings import SearchSettings
from ...signal import audio
from ...signal.audio import Clip
from ...signal.limits import USUAL, Limits
from ...signal.masks import Mask
from ...signal.spectrum import Spectrum
from ..store import Record, unpack_mask

Log = NDArray[np.float32]

#: clips whose searches run side by side: enough to fill a batch, few enough to hold their spectra
SIDE_BY_SIDE = 8
#: seconds between reports of how many questions were answered
REPORT_EVERY = 0.5


@dataclass(frozen=True)
class Setup:
    """All a worker must know of a study.

    Attributes
    ----------
    specs, fingerprints : tuple of str
        Of the models; a model whose fingerprint is another on the worker's machine is refused.
    alignment : Alignment
    settings : SearchSettings
    sample_rate : int
        Hz.
    seconds : float or None
        Crop or zero-pad every clip to this.
    device : str
    batch : int or None
        Signals a model call.
    threads : int or None
        Threads of this worker; None leaves them as they are.
    allow_pickle, trust_remote_code : bool
        What the models may do, see :func:`earwitness.models.open_model`.
    limits : Limits
        Of recordings.
    """

    specs: tuple[str, ...]
    fingerprints: tuple[str, ...]
    alignment: Alignment
    settings: SearchSettings
    sample_rate: int
    seconds: float | None = None
    device: str = "auto"
    batch: int | None = None
    threads: int | None = None
    allow_pickle: bool = False
    trust_remote_code: bool = False
    limits: Limits = USUAL


@dataclass(frozen=True)
class Source:
    """A clip as the store knows it: row id, path, hash of the samples as studied, their number."""

    id: int
    path: str
    sha256: str
    samples: int


@dataclass(frozen=True)
class Unit:
    """One model's work on one clip.

    Attributes
    ----------
    clip : Source
    truth : int or None
        Explain only a clip to which the model says this label (an index; -1: none of them).
    masks : tuple of (int, bytes)
        To judge: subset ids and their packed masks.
    size : int
        To judge: the number of variables.
    """

    clip: Source
    truth: int | None = None
    masks: tuple[tuple[int, bytes], ...] = ()
    size: int = 0


@dataclass(frozen=True)
class Chunk:
    """Units of one model, for one worker to do.

    Attributes
    ----------
    stage : {"explain", "judge"}
    model : int
        Its position in the setup.
    units : tuple of Unit
    last_try : bool
        All other workers have given up their models to make room for this one.
    losses : int
        Workers that were lost with these units.
    """

    stage: str
    model: int
    units: tuple[Unit, ...]
    last_try: bool = False
    losses: int = 0


@dataclass(frozen=True)
class Judged:
    """What a model says to a clip, and to signals made of it by subset id."""

    original: Log
    answers: dict[int, Log]


@dataclass(frozen=True)
class LeftOut:
    """A clip that is not explained, as the model does not say its own label to it."""

    original: Log


@dataclass(frozen=True)
class Failed:
    """A unit that could not be done, and why."""

    reason: str


Outcome = Record | Judged | LeftOut | Failed


@dataclass(frozen=True)
class Done:
    """The unit with this index in its chunk is done."""

    index: int
    outcome: Outcome


@dataclass(frozen=True)
class Asked:
    """The model answered so many questions since this was last said."""

    questions: int


@dataclass(frozen=True)
class NoRoom:
    """The model does not fit beside what else is in the device's memory; the rest of the chunk is not done."""

    reason: str


Event = Done | Asked | NoRoom


class Worker:
    """Does chunks; holds the models it has needed as long as its device has room for them.

    Parameters
    ----------
    setup : Setup
    progress : callable, optional
        Called with the number of questions answered; without it, :class:`Asked` events say so.
    models : sequence of Model, optional
        Models that are loaded already, in the order of the setup's.
    """

    def __init__(
        self, setup: Setup, progress: Callable[[int], None] | None = None, models: tuple[Model, ...] = ()
    ) -> None:
        self.setup = setup
        if setup.threads is not None:
            torch.set_num_threads(setup.threads)
        self._progress, self._asked, self._told = progress, 0, time.monotonic()
        self._held = dict(enumerate(aligned(models, setup.alignment))) if models else {}

    def work(self, chunk: Chunk) -> Iterator[Event]:
        """Do a chunk; an event for each unit, in the order in which they end."""
        try:
            classifier = self._hold(chunk.model)
        except Exception as error:
            if lacks_memory(error):
                yield NoRoom(describe(error))
            else:
                yield from (Done(index, Failed(describe(error))) for index in range(len(chunk.units)))
            return
        driver = Driver(
            classifier, batch=self.setup.batch, repeats=self.setup.settings.repeats, side_by_side=SIDE_BY_SIDE,
            progress=self._ask,
        )  # fmt: skip
        do = self._explain if chunk.stage == "explain" else self._judge
        for done in do(driver, chunk.units):
            if self._progress is None and self._asked:
                yield Asked(self._asked)
                self._asked = 0
            yield done

    def drop(self) -> None:
        """Give up all models, to leave their memory to another worker."""
        self._held.clear()
        gc.collect()  # models may hold themselves in cycles
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _explain(self, driver: Driver, units: tuple[Unit, ...]) -> Iterator[Done]:
        def prepare(unit: Unit) -> Job[Any]:
            job = make_job(self._read(unit.clip), self.setup.settings)
            if unit.truth is not None:
                original = driver.original(job.spectrum)
                self._ask(driver.repeats)
                if int(original.argmax()) != unit.truth:
                    return _settled(LeftOut(original))
            return job

        def close(unit: Unit, job: Job[Any]) -> Outcome:
            return Record.of(finish(job, driver, self.setup.settings))

        return _stream(driver, units, prepare, close)

    def _judge(self, driver: Driver, units: tuple[Unit, ...]) -> Iterator[Done]:
        def prepare(unit: Unit) -> Job[Any]:
            spectrum = Spectrum(self._read(unit.clip), self.setup.settings.variables)
            whole = np.ones(spectrum.size, dtype=bool)
            masks = np.stack([whole, *(unpack_mask(mask, unit.size) for _, mask in unit.masks)])
            return Job(spectrum, _ask_once(masks), len(masks) * driver.repeats)

        def close(unit: Unit, job: Job[Any]) -> Outcome:
            answers = cast(Log, job.result)
            return Judged(answers[0], {id: answer for (id, _), answer in zip(unit.masks, answers[1:], strict=True)})

        return _stream(driver, units, prepare, close)

    def _read(self, source: Source) -> Clip:
        clip = audio.read(source.path, self.setup.sample_rate, self.setup.seconds, self.setup.limits)
        if clip.sha256 != source.sha256:
            raise AudioError(f"{source.path}: has changed since the study was planned; run it again")
        return clip

    def _hold(self, model: int) -> Classifier:
        if model not in self._held:
            try:
                self._held[model] = self._open(model)
            except Exception as error:
                if not lacks_memory(error) or not self._held:
                    raise
                self.drop()
                self._held[model] = self._open(model)
        return self._held[model]

    def _open(self, model: int) -> Classifier:
        setup = self.setup
        trust = {"allow_pickle": setup.allow_pickle, "trust_remote_code": setup.trust_remote_code}
        opened = at_rate(open_model(setup.specs[model], choose_device(setup.device), **trust), setup.sample_rate)
        if opened.fingerprint != setup.fingerprints[model]:
            raise ModelError(f"{opened.spec}: other weights here than where the study was planned; use the same files")
        return Classifier(opened, setup.alignment.labels, setup.alignment.members[model])

    def _ask(self, questions: int) -> None:
        self._asked += questions
        now = time.monotonic()
        if self._progress is not None and now - self._told >= REPORT_EVERY:
            self._progress(self._asked)
            self._asked, self._told = 0, now


def describe(error: Exception) -> str:
    """An error as the reason of a failed row."""
    return str(error) if isinstance(error, EarwitnessError) else repr(error)


def _ask_once(masks: Mask) -> Search[Log]:
    answer = yield masks
    return answer.log_probabilities


def _settled(outcome: Outcome) -> Job[Any]:
    """A job that asks nothing, for a unit that is settled already."""

    def search() -> Search[Outcome]:
        return outcome
        yield

    return Job(cast(Spectrum, None), search(), 0)  # only a job that asks needs its spectrum


def _stream(
    driver: Driver,
    units: tuple[Unit, ...],
    prepare: Callable[[Unit], Job[Any]],
    close: Callable[[Unit, Job[Any]], Outcome],
) -> Iterator[Done]:
    """Run the units' jobs side by side; what one of them raises is its own failure."""
    index_of: dict[int, int] = {}

    def jobs() -> Iterator[Job[Any]]:
        for index, unit in enumerate(units):
            try:
                job = prepare(unit)
            except Exception as error:
                job = _settled(Failed(describe(error)))
            index_of[id(job)] = index
            yield job

    for job in driver.run(jobs()):
        index = index_of.pop(id(job))
        try:
            if job.error is not None:
                raise job.error
            result = job.result
            outcome = result if isinstance(result, (LeftOut, Failed)) else close(units[index], job)
        except Exception as error:
            outcome = Failed(describe(error))
        yield Done(index, outcome)
