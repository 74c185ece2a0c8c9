"""Planted models: what must be found is known, and clips grow from 8,001 to 240,001 bins."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earwitness.models import Classifier, Model
from earwitness.search.driver import Driver, Job
from earwitness.search.questions import Sufficient, Target
from earwitness.search.sufficiency import sufficient
from earwitness.signal.audio import Clip
from earwitness.signal.spectrum import Spectrum

from .bench import SUFFICIENT_BUDGET, Cell, Settings, Store, Subjects, Task, bench_code, check, search_code

#: name → whether the bins are neighbours, confidence grows with each, they are stronger than the noise
KINDS = {
    "band": (True, True, True),
    "scattered": (False, True, True),
    "all or nothing": (True, False, True),
    "faint, all or nothing": (True, False, False),
}
SAMPLES = (16_000, 48_000, 160_000, 480_000)
DRAWS = 5
RATE = 16_000


class PlantedModel(Model):
    """Says "there" by how many of the planted bins it hears, at least half as strong as in the clip.

    Parameters
    ----------
    clip : Clip
    bins : int [planted]
    soft : bool
        Confidence grows with each bin heard; else it hangs on all of them at once.
    """

    def __init__(self, clip: Clip, bins: NDArray[np.intp], soft: bool) -> None:
        self.labels, self.sample_rate = ("elsewhere", "there"), clip.sample_rate
        self.spec = self.fingerprint = "planted"
        self._bins, self._soft = torch.from_numpy(bins), soft
        self._least = self._strength(torch.from_numpy(clip.samples.copy())[None])[0] / 2

    def _strength(self, waveforms: Tensor) -> Tensor:
        strength: Tensor = torch.fft.rfft(waveforms.double(), dim=1)[:, self._bins].abs()
        return strength

    def logits(self, waveforms: Tensor) -> Tensor:
        """See :meth:`Model.logits`."""
        heard = (self._strength(waveforms) >= self._least).double().mean(dim=1)
        score = 8 * heard - 7 if self._soft else 4 * (heard > 0.999).double() - 2
        return torch.stack([torch.zeros_like(score), score], dim=1).float()


def list_planted(settings: Settings, subjects: Subjects, store: Store) -> Iterator[Task]:
    """Per kind and length: five bins planted in noise, over five draws."""
    code = f"{search_code()}+{bench_code('planted')}"
    for kind in KINDS:
        for samples in SAMPLES:
            yield Task(f"{kind}/{samples // 2 + 1}", code, partial(_find, kind, samples))


def plant(kind: str, samples: int, draw: int) -> tuple[Clip, NDArray[np.intp]]:
    """A clip of noise and the five bins planted in it: ten times as strong as the noise, or as strong."""
    neighbours, _, strong = KINDS[kind]
    rng = np.random.default_rng([samples, draw])
    size = samples // 2 + 1
    bins = rng.choice(np.arange(10, size - 20), 5, replace=False)
    bins = np.sort(bins[0] + np.arange(5) if neighbours else bins)
    values = rng.standard_normal(size) + 1j * rng.standard_normal(size)
    values[bins] *= (10 if strong else 1) / np.abs(values[bins])
    wave = np.fft.irfft(values, samples)
    return Clip((0.5 * wave / np.abs(wave).max()).astype(np.float32), RATE), bins


def _find(kind: str, samples: int) -> Cell:
    rows = []
    for draw in range(DRAWS):
        clip, bins = plant(kind, samples, draw)
        model, spectrum = PlantedModel(clip, bins, KINDS[kind][1]), Spectrum(clip)
        driver = Driver(Classifier(model))
        target = Target.of(driver.original(spectrum), 0.9)
        job = Job(spectrum, sufficient(spectrum.energy, target, draw, budget=SUFFICIENT_BUDGET), SUFFICIENT_BUDGET)
        start = time.perf_counter()
        list(driver.run([job]))
        seconds = time.perf_counter() - start
        assert job.result is not None
        trial = check(driver, spectrum, Sufficient(target), job.result, job.asked)
        exact = job.result.mask is not None and np.array_equal(np.flatnonzero(job.result.mask), bins)
        rows.append({
            "questions": trial.questions, "bins": trial.bins, "exact": bool(exact), "certificate": trial.certificate,
            "verified": trial.verified, "refuted": trial.refuted, "seconds": round(seconds, 3),
        })  # fmt: skip
    return {"draws": rows}
