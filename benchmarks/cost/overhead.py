"""What a question costs in the search, in making its signal, and in a model that costs next to nothing."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from earwitness.explanation import make_job
from earwitness.models import Classifier, Model
from earwitness.search.driver import Driver
from earwitness.search.settings import SearchSettings
from earwitness.signal.audio import Clip

SECONDS = (1.0, 3.0, 30.0)  # 8,001, 24,001 and 240,001 bins
BUDGET, TONES, HEARD = 1500, 50, 3000
RATE = 16_000


class Tones(Model):
    """Needs most of fifty tones, heard through some samples: erratic, and next to free."""

    def __init__(self, samples: int) -> None:
        self.labels, self.sample_rate = ("tones", "few", "other"), RATE
        self.spec = self.fingerprint = "tones"
        rng = np.random.default_rng(0)
        self.hertz = np.sort(rng.uniform(100, 4000, TONES))
        self.heard = np.sort(rng.choice(samples, HEARD, replace=False))
        phase = 2 * np.pi * self.hertz * self.heard[:, None] / RATE
        self.weights = torch.tensor(np.concatenate([np.cos(phase), np.sin(phase)], axis=1) / 1500, dtype=torch.float32)

    def logits(self, waveforms: Tensor) -> Tensor:
        """See :meth:`Model.logits`."""
        parts = waveforms[:, self.heard] @ self.weights
        loud = (parts[:, :TONES] ** 2 + parts[:, TONES:] ** 2).sqrt()
        share = torch.tanh(loud / 0.01).mean(dim=1)
        return torch.stack([12 * share, torch.full_like(share, 7), 6 - 2 * share + torch.sin(40 * loud.sum(1))], dim=1)

    def clip(self, samples: int) -> Clip:
        """The tones in noise that fades every half second."""
        at = np.arange(samples) / RATE
        tones = sum(np.cos(2 * np.pi * hertz * at + k) * 0.02 for k, hertz in enumerate(self.hertz))
        noise = np.random.default_rng(1).standard_normal(samples) * 0.05 * np.exp(-8 * (at % 0.5))
        return Clip((tones + noise).astype(np.float32), RATE)


def measure(seconds: float) -> dict[str, Any]:
    """One search, in milliseconds a question, on one thread."""
    torch.set_num_threads(1)
    samples = round(seconds * RATE)
    model = Tones(samples)
    classifier = Classifier(model)
    job = make_job(model.clip(samples), SearchSettings(delta=0.9, effort="thorough", budget=BUDGET))
    spent = {"signals": 0.0, "model": 0.0}
    job.spectrum.invert = timed(job.spectrum.invert, spent, "signals")  # type: ignore[method-assign]
    model.logits = timed(model.logits, spent, "model")  # type: ignore[method-assign]
    start = time.perf_counter()
    Driver(classifier).run_one(job)
    total = time.perf_counter() - start
    each = 1000 / job.asked
    return {
        "bins": job.spectrum.size, "questions": job.asked, "search": each * (total - sum(spent.values())),
        **{name: each * part for name, part in spent.items()},
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }  # fmt: skip


def timed(work: Callable[..., Any], spent: dict[str, float], name: str) -> Callable[..., Any]:
    """A function that adds to ``spent`` what each of its calls takes, in seconds."""

    def run(*given: Any, **named: Any) -> Any:
        start = time.perf_counter()
        try:
            return work(*given, **named)
        finally:
            spent[name] += time.perf_counter() - start

    return run


def measure_all() -> list[dict[str, Any]]:
    """Each length in a process of its own, so that a peak of memory is its own."""
    rows = []
    for seconds in SECONDS:
        words = [sys.executable, "-m", "benchmarks.cost.overhead", str(seconds)]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout))
    return rows


if __name__ == "__main__":
    print(json.dumps(measure(float(sys.argv[1]))))
