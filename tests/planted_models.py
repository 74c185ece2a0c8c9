"""Planted models for ``python:FILE.py:ATTR`` specs: what they listen to is known by construction."""

from __future__ import annotations

import os
import random
import time

import numpy as np
import torch
from torch import Tensor

RATE = 16_000


class Band:
    """Says ``yes`` as surely as there is energy in the rFFT bins ``low`` to ``high``, all of them."""

    labels: tuple[str, ...] = ("yes", "no", "maybe")
    sample_rate = RATE
    differentiable = True

    def __init__(self, low: int, high: int, labels: tuple[str, ...] | None = None) -> None:
        self.low, self.high = low, high
        self.labels = labels or self.labels
        self.fingerprint = f"band {low} {high} {self.labels}"

    def __call__(self, waveforms: Tensor) -> Tensor:
        power = torch.fft.rfft(waveforms.double())[:, self.low : self.high].abs() ** 2
        score = torch.log(power.min(dim=1).values + 1e-12)
        zero = torch.zeros_like(score)
        return torch.stack([score, zero, zero - 3], dim=1).float()


class Faulty(Band):
    """Fails in a way of its own on recordings that are loud at the start."""

    def __init__(self, fault: str) -> None:
        super().__init__(58, 63)
        self.fault = fault
        self.fingerprint = f"faulty {fault}"

    def __call__(self, waveforms: Tensor) -> Tensor:
        answer = super().__call__(waveforms)
        if not bool((waveforms[:, 0].abs() > 3).any()):
            return answer
        if self.fault == "raise":
            raise RuntimeError("the model broke")
        if self.fault == "exit":
            raise SystemExit(7)
        if self.fault == "print":
            print("the model talks")
            return answer
        if self.fault == "fork":
            os.fork()  # the child comes back with an answer too
            return answer
        if self.fault == "hang":
            while True:
                time.sleep(0.01)
        return answer * float("nan") if self.fault == "nan" else answer[:, :2]


class Upsetting(Band):
    """Answers rightly, and leaves the process as no guest should."""

    def __init__(self) -> None:
        super().__init__(58, 63)
        self.fingerprint = "upsetting"

    def __call__(self, waveforms: Tensor) -> Tensor:
        answer = super().__call__(waveforms)
        torch.manual_seed(1)
        np.random.seed(1)
        random.seed(1)
        os.chdir("/")
        np.seterr(all="raise")
        torch.set_default_dtype(torch.float64)
        return answer


class Zeroing(Band):
    """Answers rightly, and leaves nothing of the waveforms it was given."""

    def __init__(self) -> None:
        super().__init__(58, 63)
        self.fingerprint = "zeroing"

    def __call__(self, waveforms: Tensor) -> Tensor:
        answer = super().__call__(waveforms)
        waveforms.zero_()
        return answer


class Noisy(Band):
    """Answers the same signal differently each time."""

    deterministic = False

    def __init__(self) -> None:
        super().__init__(58, 63)
        self.fingerprint = "noisy"
        self.noise = torch.Generator().manual_seed(0)

    def __call__(self, waveforms: Tensor) -> Tensor:
        answer = super().__call__(waveforms)
        return answer + 0.5 * torch.randn(answer.shape, generator=self.noise)


def noisy() -> Noisy:
    return Noisy()


def low() -> Band:
    return Band(58, 63)


def also_low() -> Band:
    return Band(58, 62)


def high() -> Band:
    return Band(200, 203)


def other() -> Band:
    return Band(120, 123)


def other_labels() -> Band:
    return Band(58, 63, ("yes", "nein", "vielleicht"))


def raises() -> Faulty:
    return Faulty("raise")


def exits() -> Faulty:
    return Faulty("exit")


def talks() -> Faulty:
    return Faulty("print")


def nan() -> Faulty:
    return Faulty("nan")


def shape() -> Faulty:
    return Faulty("shape")


def forks() -> Faulty:
    return Faulty("fork")


def hangs() -> Faulty:
    return Faulty("hang")


def upsetting() -> Upsetting:
    return Upsetting()


def zeroing() -> Zeroing:
    return Zeroing()


def unusable() -> int:
    return 3
