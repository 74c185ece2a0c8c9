"""A worker: it holds models and does chunks of one model's work on some clips, wherever it lives.

Results do not depend on how units were put into chunks, nor on which worker had them.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator

import torch

from ...errors import AudioError, ModelError
from ...models import Classifier, Model, aligned, choose_device, open_model
from ...models.batching import lacks_memory
from ...models.resampling import at_rate
from ...search.driver import Driver
from ...signal import audio
from ...signal.audio import Clip
from ..messages import Asked, Chunk, Done, Event, Failed, NoRoom, Setup, Source, describe
from ..steps import STEPS

#: seconds between reports of how many questions were answered
REPORT_EVERY = 0.5


def share_threads(threads: int | None, workers: int) -> int:
    """Threads of a worker: those that were asked for, else this machine's, divided among all."""
    return threads or max(1, torch.get_num_threads() // workers)


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
            classifier, batch=self.setup.batch, repeats=self.setup.settings.repeats,
            time_limit=self.setup.time_limit, progress=self.count, precision=self.setup.settings.precision,
        )  # fmt: skip
        for done in STEPS[chunk.step].do(self, driver, chunk.units):
            if self._progress is None and self._asked:
                yield Asked(self._asked)
                self._asked = 0
            yield done
        self._tell()  # of this step and model, not of the next

    def drop(self) -> None:
        """Give up all models, to leave their memory to another worker."""
        self._held.clear()
        gc.collect()  # models may hold themselves in cycles
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def read(self, source: Source) -> Clip:
        """A clip as it was planned.

        Raises
        ------
        AudioError
            It has changed, or cannot be read.
        """
        setup = self.setup
        clip = audio.read(source.path, setup.sample_rate, setup.seconds, setup.limits, pad=setup.pad)
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

    def count(self, questions: int) -> None:
        """The model answered so many questions."""
        self._asked += questions
        if time.monotonic() - self._told >= REPORT_EVERY:
            self._tell()

    def _tell(self) -> None:
        if self._progress is not None and self._asked:
            self._progress(self._asked)
            self._asked, self._told = 0, time.monotonic()
