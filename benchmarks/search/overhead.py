"""The driver beside bare forward passes: same model, same batch size, same number of signals."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from earwitness.datasets.builtin import builtin_recordings
from earwitness.models import Classifier, Model, open_model
from earwitness.models.batching import choose_batch
from earwitness.models.musicnn import BUILTIN_NAMES
from earwitness.search.driver import Driver, Job
from earwitness.search.questions import Search
from earwitness.signal import audio
from earwitness.signal.masks import Mask
from earwitness.signal.spectrum import Spectrum

from .bench import Cell, Settings, Store, Subjects, Task, bench_code, search_code

SECONDS = 3.0
REPEATS = 9


def list_overhead(settings: Settings, subjects: Subjects, store: Store) -> Iterator[Task]:
    """Per built-in tagger: one excerpt."""
    code = f"{search_code()}+{bench_code('overhead')}"
    for name in BUILTIN_NAMES:
        yield Task(name, code, partial(_compare, name))


def replay(masks: Mask, batch: int) -> Search[int]:
    """A search that only asks, a batch at a time."""
    for start in range(0, len(masks), batch):
        yield masks[start : start + batch]
    return len(masks)


def _compare(name: str) -> Cell:
    classifier = Classifier(open_model(f"builtin:{name}", "cpu"))
    model = classifier.model
    recording = builtin_recordings(1)[0]
    spectrum = Spectrum(audio.read(recording.path, model.sample_rate, SECONDS))
    batch = choose_batch(len(spectrum.clip), model.device)
    masks = np.random.default_rng(0).random((batch, spectrum.size)) < 0.5
    signals = spectrum.invert(masks)
    driver = Driver(classifier)
    driven, bare = [], []
    for repeat in range(REPEATS + 1):  # in turn, so that a busy machine slows both; the first is for warming up
        one = _time(lambda: list(driver.run([Job(spectrum, replay(masks, batch), batch)])))
        other = _time(lambda: _answer(model, signals))
        if repeat:
            driven.append(one)
            bare.append(other)
    wall, cpu = (np.array(driven) / np.array(bare)).T
    return {
        "seconds_of_clip": SECONDS, "bins": spectrum.size, "batch": batch,
        "driver": float(np.median(driven, axis=0)[0]), "bare": float(np.median(bare, axis=0)[0]),
        "overhead": float(np.median(wall)) - 1, "overhead_cpu": float(np.median(cpu)) - 1,
        "overheads": [round(float(ratio) - 1, 4) for ratio in wall],
    }  # fmt: skip


def _answer(model: Model, signals: Tensor) -> Tensor:
    with torch.inference_mode():
        return model.logits(signals)


def _time(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of a piece of work."""
    start = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start[0], time.process_time() - start[1]
