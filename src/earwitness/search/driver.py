"""The one place that turns questions into model calls.

The driver runs many searches side by side, merges their masks into full batches of signals, asks the model, and
sends the answers back. It remembers what was asked, counts questions, and keeps to each search's budget. Waiting
masks are packed as bits, only the searches under way hold spectra, and a batch is all that exists as signals.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from ..errors import ModelError
from ..models import Classifier
from ..models.batching import lacks_memory
from ..models.guarded import guarded
from ..signal.masks import Mask
from ..signal.spectrum import Signals
from .precision import Doubt, choose_dtype, computed_in, is_number
from .questions import Answer, BudgetSpent, Search

SIDE_BY_SIDE = (8, 32)  #: searches, on a CPU and on a GPU

T = TypeVar("T")
Log = NDArray[np.float32]


@dataclass
class Job(Generic[T]):
    """One search of one clip.

    Attributes
    ----------
    spectrum : Signals
        Of the clip: what makes signals of the search's masks.
    search : Search
    budget : int
        Questions it may ask; remembered answers are free.
    memory : dict
        Answers by packed mask; pass one dict to several jobs of one clip and model to share it.
    asked : int
        Questions the model has answered.
    result : T or None
    error : Exception or None
        What the model raised on this clip; other searches go on.
    doubt : Doubt or None
        Which answers in low precision are to be asked again; without it all are in float32.
    sure : set of bytes
        The packed masks whose answers are in float32, where others are not.
    again : int
        How many of the questions were asked again.
    started : float
        ``time.perf_counter()`` when the job was made.
    """

    spectrum: Signals
    search: Search[T]
    budget: int
    memory: dict[bytes, Log] = field(default_factory=dict)
    asked: int = 0
    result: T | None = None
    error: Exception | None = None
    doubt: Doubt | None = None
    sure: set[bytes] = field(default_factory=set)
    again: int = 0
    started: float = field(default_factory=time.perf_counter)


@dataclass
class _Waiting:
    """Questions under way: the packed masks asked for, and which of them are still unanswered."""

    job: Job[Any]
    keys: list[bytes]
    todo: deque[bytes]


class Driver:
    """Asks one classifier.

    Parameters
    ----------
    classifier : Classifier
    batch : int, optional
        Signals a model call; by default what the classifier's :class:`earwitness.models.batching.Batches` say. It
        never changes a result of a deterministic model.
    repeats : int
        Ask a noisy model so often and average the probabilities; each asking counts as a question.
    precision : {"float32", "auto", "bfloat16", "float16"}
        Of the answers that searches may doubt, see :mod:`earwitness.search.precision`; all others are in float32.
    side_by_side : int, optional
        Searches under way at once: enough to fill a batch, few enough to hold their spectra.
    time_limit : float, optional
        Seconds a model call may take, see :func:`earwitness.models.guarded.guarded`.
    progress : callable, optional
        Called with the number of questions just answered; what is asked again, or verifies, is not among them.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        batch: int | None = None,
        repeats: int = 1,
        precision: str = "float32",
        side_by_side: int | None = None,
        time_limit: float | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.classifier = classifier
        self.batch, self.repeats = batch, max(1, repeats)
        self.dtype = choose_dtype(precision, classifier.model.device)
        self.side_by_side = max(1, side_by_side or SIDE_BY_SIDE[classifier.model.device.type == "cuda"])
        self.time_limit, self.progress = time_limit, progress
        self._libraries = ThreadpoolController()

    def run(self, jobs: Iterable[Job[Any]]) -> Iterator[Job[Any]]:
        """Run searches; yield each when it is done, in the order in which they end."""
        source, waiting = iter(jobs), deque[_Waiting]()
        while True:
            while len(waiting) < self.side_by_side and (job := next(source, None)) is not None:
                state = self._advance(job, None)
                if state is None:
                    yield job
                else:
                    waiting.append(state)
            if not waiting:
                return
            self._ask(waiting)
            for state in list(waiting):
                if state.job.error is not None:
                    waiting.remove(state)
                    yield state.job
                elif not state.todo:
                    waiting.remove(state)
                    next_state = self._advance(state.job, state)
                    if next_state is None:
                        yield state.job
                    else:
                        waiting.append(next_state)

    def run_one(self, job: Job[T]) -> Job[T]:
        """Run one search to its end; what the model raises on it is raised."""
        done = next(self.run([job]))
        if done.error is not None:
            raise done.error
        return job

    def evaluate(self, spectrum: Signals, masks: Mask) -> Log:
        """Answer masks afresh, nothing remembered, in float32: float32 [M, n] log-probabilities."""
        parts: list[Log] = []
        done = 0
        while done < len(masks):
            samples = len(spectrum.clip)
            size = self.room(samples)
            try:
                parts.append(self._time([(spectrum, masks[done : done + size])]))
                done += size
            except Exception as error:
                self._shrink(min(size, len(masks) - done), samples, error)
        return np.concatenate(parts)

    def original(self, spectrum: Signals) -> Log:
        """The answer to the clip itself: float32 [n] log-probabilities."""
        waveform = torch.tensor(spectrum.clip.samples).to(self.classifier.model.device)
        answer: Log = self._average(waveform[None])[0]
        return answer

    def _advance(self, job: Job[Any], state: _Waiting | None) -> _Waiting | None:
        """Send the answers to a search until it asks something not yet known; ``None`` when it is done."""
        # what searches compute is small: several threads would cost five times as long, and the model's are waiting
        with self._libraries.limit(limits=1, user_api="blas"):
            return self._send(job, state)

    def _send(self, job: Job[Any], state: _Waiting | None) -> _Waiting | None:
        answer: Answer | None = None
        if state is not None:
            answer = Answer(np.stack([job.memory[key] for key in state.keys]), job.budget - job.asked)
        try:
            while True:
                keys, todo = _look_up(job, next(job.search) if answer is None else job.search.send(answer))
                while job.asked + len(todo) * self.repeats > job.budget:
                    keys, todo = _look_up(job, job.search.throw(BudgetSpent()))
                if todo:
                    return _Waiting(job, keys, deque(todo))
                answer = Answer(np.stack([job.memory[key] for key in keys]), job.budget - job.asked)
        except StopIteration as stop:
            job.result = stop.value
            return None
        except Exception as error:  # a fault of this search is no reason to end the others
            job.error = error
            return None

    def _ask(self, waiting: deque[_Waiting]) -> None:
        """One model call: fill a batch with questions on clips as long as the first one's."""
        samples = len(waiting[0].job.spectrum.clip)
        room = self.room(samples)
        taken: list[tuple[Job[Any], list[bytes]]] = []
        for state in waiting:
            if room == 0:
                break
            if len(state.job.spectrum.clip) == samples:
                keys = [state.todo.popleft() for _ in range(min(room, len(state.todo)))]
                taken.append((state.job, keys))
                room -= len(keys)
        try:
            self._answer(taken)
        except Exception as error:
            if lacks_memory(error) and sum(len(keys) for _, keys in taken) > 1:
                self._put_back(taken, waiting, error)
                return
            if len(taken) == 1:
                taken[0][0].error = error
                return
            for one in taken:  # find out whose signals the model cannot judge
                try:
                    self._answer([one])
                except Exception as own:
                    one[0].error = own

    def _put_back(self, taken: list[tuple[Job[Any], list[bytes]]], waiting: deque[_Waiting], error: Exception) -> None:
        """Ask the same again, in smaller batches."""
        self._shrink(sum(len(keys) for _, keys in taken), len(taken[0][0].spectrum.clip), error)
        todo = {id(state.job): state.todo for state in waiting}
        for job, keys in taken:
            todo[id(job)].extendleft(reversed(keys))

    def room(self, samples: int) -> int:
        """How many signals of so many samples the model is asked at once now."""
        return self.batch or self.classifier.batches.room(self._heard(samples))

    def _heard(self, samples: int) -> int:
        """A model with a length of its own fills up shorter clips to it."""
        return max(samples, self.classifier.model.samples or 0)

    def _shrink(self, size: int, samples: int, error: Exception) -> None:
        """Halve the batches if the last one found no memory."""
        if size <= 1 or not lacks_memory(error):
            raise error
        if self.batch:
            self.batch = size // 2
        else:
            self.classifier.batches.limit(self._heard(samples), size // 2)
        if self.classifier.model.device.type == "cuda":
            torch.cuda.empty_cache()

    def _answer(self, taken: list[tuple[Job[Any], list[bytes]]]) -> None:
        parts = [(job.spectrum, _unpack(keys, job.spectrum.size)) for job, keys in taken]
        dtype = self.dtype if all(job.doubt for job, _ in taken) else None
        answers = self._time(parts, dtype)
        ends = np.cumsum([len(keys) for _, keys in taken])
        by_job = np.split(answers, ends[:-1])
        if dtype:
            if is_number(answers).mean() < 0.5:
                self.dtype = None  # this model's numbers are too large for it
            self._ask_again(taken, parts, by_job)
        for (job, keys), own in zip(taken, by_job, strict=True):
            job.memory.update(zip(keys, own, strict=True))
            job.asked += len(keys) * self.repeats
        if self.progress:
            self.progress(len(answers) * self.repeats)

    def _ask_again(
        self, taken: list[tuple[Job[Any], list[bytes]]], parts: list[tuple[Signals, Mask]], answers: list[Log]
    ) -> None:
        """Put answers in float32 in the place of those that are in doubt."""
        doubted = [
            job.doubt.of(masks, own)
            for (job, _), (_, masks), own in zip(taken, parts, answers, strict=True) if job.doubt
        ]  # fmt: skip
        if not any(rows.any() for rows in doubted):
            return
        full = self._call([(spectrum, masks[rows]) for (spectrum, masks), rows in zip(parts, doubted, strict=True)])
        for (job, keys), own, rows in zip(taken, answers, doubted, strict=True):
            again, full = np.split(full, [int(rows.sum())])
            assert job.doubt is not None
            job.doubt.learn(own[rows], again)
            own[rows] = again
            job.sure.update(keys[row] for row in np.flatnonzero(rows))
            job.again += len(again)

    def _time(self, parts: list[tuple[Signals, Mask]], dtype: torch.dtype | None = None) -> Log:
        """A call that tells how long a batch of its size takes."""
        start = time.perf_counter()
        answers = self._call(parts, dtype)
        if dtype == self.dtype:  # those in the other precision take another time
            samples = self._heard(len(parts[0][0].clip))
            self.classifier.batches.took(samples, len(answers), time.perf_counter() - start)
        return answers

    def _call(self, parts: list[tuple[Signals, Mask]], dtype: torch.dtype | None = None) -> Log:
        device = self.classifier.model.device
        signals = [spectrum.invert(masks, device) for spectrum, masks in parts if len(masks)]
        return self._average(torch.cat(signals) if len(signals) > 1 else signals[0], dtype)

    def _average(self, waveforms: torch.Tensor, dtype: torch.dtype | None = None) -> Log:
        computed = computed_in(dtype, waveforms.device)
        with torch.inference_mode(), computed, guarded(self.classifier.model.spec, self.time_limit):
            # a model may compute in the very memory it is given: all but the last asking get a copy
            answers = [
                self.classifier.log_probabilities(waveforms.clone() if left else waveforms).float()
                for left in reversed(range(self.repeats))
            ]
        total = answers[0] if self.repeats == 1 else torch.stack(answers).logsumexp(0) - np.log(self.repeats)
        if dtype is None and not bool(torch.isfinite(total.exp()).all()):
            raise ModelError(f"{self.classifier.model.spec}: answered with NaN; the model cannot judge this clip")
        return np.asarray(total.cpu().numpy(), dtype=np.float32)


def recall(job: Job[Any], masks: Mask) -> list[Log | None]:
    """What the model answered to masks in float32 while a search asked, None where it was not asked."""
    return [None if job.sure and key not in job.sure else job.memory.get(key) for key in _pack(masks)]


def _look_up(job: Job[Any], masks: Mask) -> tuple[list[bytes], list[bytes]]:
    """The packed masks asked for, and those of them not answered yet, each once."""
    keys = _pack(masks)
    return keys, [key for key in dict.fromkeys(keys) if key not in job.memory]


def _pack(masks: Mask) -> list[bytes]:
    return [row.tobytes() for row in np.packbits(masks, axis=1)]


def _unpack(keys: list[bytes], size: int) -> Mask:
    packed = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), -1)
    return np.unpackbits(packed, axis=1, count=size).astype(bool)
