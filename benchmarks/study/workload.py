"""What the benchmarks of studies study: noise, and a light model whose cost is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from earwitness.study.file import Study, parse_study

RATE = 16_000


class Band:
    """Says ``yes`` as surely as there is energy in a few rFFT bins; and multiplies matrices, to cost something."""

    labels = ("yes", "no", "maybe")
    sample_rate = RATE

    def __init__(self, low: int, products: int) -> None:
        self.low, self.products = low, products
        self.fingerprint = f"band {low} {products}"
        self.weights = torch.eye(160)

    def __call__(self, waveforms: Tensor) -> Tensor:
        power = torch.fft.rfft(waveforms)[:, self.low : self.low + 5].abs() ** 2
        score = torch.log(power.min(dim=1).values.double() + 1e-12)
        for waveform in waveforms if self.products else ():  # one at a time: a cost a signal, whatever the batch
            patch = waveform[: 160 * (len(waveform) // 160)].reshape(-1, 160)
            for _ in range(self.products):
                patch = patch @ self.weights
        zero = torch.zeros_like(score)
        return torch.stack([score, zero, zero - 3], dim=1).float()


def light() -> Band:
    """Costs next to nothing."""
    return Band(580, 0)


def heavy() -> Band:
    """Keeps a CPU busy."""
    return Band(580, 40)


def also_heavy() -> Band:
    """Keeps a CPU busy."""
    return Band(2000, 40)


def make_clips(folder: Path, count: int, seconds: float) -> None:
    """Write clips of noise as 16-bit FLAC."""
    folder.mkdir(parents=True)
    for number in range(count):
        noise = np.random.default_rng(number).uniform(-0.5, 0.5, round(seconds * RATE))
        soundfile.write(folder / f"{number:04}.flac", noise, RATE)


def study_of(folder: Path, *models: str, budget: int = 60, **run: object) -> Study:
    """A study of the folder's clips by models of this file."""
    return parse_study({
        "models": [f"python:{Path(__file__).resolve()}:{name}" for name in models],
        "data": [{"path": str(folder)}], "search": {"delta": 0.9, "budget": budget}, "run": run,
        "transfer": {"nulls": 0},
    })  # fmt: skip
