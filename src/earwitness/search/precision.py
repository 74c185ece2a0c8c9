"""Precision: most questions in 16 bits, and in float32 whatever hangs on the difference.

A network in 16 bits answers two to seven times as fast where the device has instructions for it, and some hundredths
of a nat off (in bfloat16; float16 has three bits more, but may overflow, and what overflowed is asked again too). A
search only asks whether an answer lies above or below a threshold, so that most answers are good enough: the others,
too near a threshold to tell, are asked again in float32. How near is too near is learnt from the questions that were
asked twice. What a search finds is verified in float32, and so is every certificate.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..signal.masks import Mask
from .questions import Target

FIRST = 16  #: questions asked twice whatever is answered: what is learnt first
DEVIATIONS = 3.0  #: standard deviations of the difference between the two answers: nearer is too near
DTYPES = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
SURE = 1e-3  #: share of the probability that others have at least, where what a difference means is measured by it


def choose_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """What most questions are computed in: ``None`` is float32.

    Parameters
    ----------
    precision : {"float32", "auto", "bfloat16", "float16"}
        ``auto``: float16 or bfloat16 where the device computes it faster than float32.
    device : torch.device
    """
    return _find_fast(device) if precision == "auto" else DTYPES[precision]


def _find_fast(device: torch.device) -> torch.dtype | None:
    """What a device has instructions for beside float32; without them 16 bits take several times as long."""
    if device.type == "cuda":  # tensor cores: from Volta on
        return torch.float16 if torch.cuda.get_device_capability(device) >= (7, 0) else None
    if device.type != "cpu":
        return None
    tests = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return torch.bfloat16 if any(test() for test in tests if test is not None) else None


def is_number(answers: NDArray[np.float32]) -> Mask:
    """Which answers are numbers, bool [M], of float32 [M, n]; a logarithm of 0 is one."""
    return np.asarray(~np.isnan(answers).any(axis=1))


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Float32 as its name says, within: left to themselves, GPUs round what convolutions multiply to TF32 (10 bits)."""
    switches = _find_switches() if device.type == "cuda" else []
    before = [getattr(owner, name) for owner, name, _ in switches]
    for owner, name, exact in switches:
        setattr(owner, name, exact)
    try:
        yield
    finally:
        for (owner, name, _), value in zip(switches, before, strict=True):
            setattr(owner, name, value)


@contextmanager
def computed_in(dtype: torch.dtype | None, device: torch.device) -> Iterator[None]:
    """Networks compute in 16 bits, within; without a type in float32, also where a caller left them in 16 bits."""
    low = torch.autocast(device.type, dtype or torch.float16, enabled=dtype is not None)
    with low, full_precision(device) if dtype is None else nullcontext():
        yield


def _find_switches() -> list[tuple[Any, str, Any]]:
    """What PyTorch rounds by: where it is said, by which name, and as what nothing is rounded."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    old = [(owner, "allow_tf32", False) for owner in (cudnn, matmul)]
    try:
        for owner, name, _ in old:
            getattr(owner, name)
    except RuntimeError:  # somebody has set the newer names, and PyTorch refuses a mixture of both
        return [(owner, "fp32_precision", "ieee") for owner in (cudnn.conv, cudnn.rnn, matmul)]  # type: ignore[attr-defined]
    return old


@dataclass
class Doubt:
    """Which answers of one search are too near a threshold to be believed as they are.

    Attributes
    ----------
    delta : float
        A subset keeps at least this share of the clip's confidence. The thresholds are that, the whole confidence, and
        the lead over the other labels; of the answer to the clip itself, which searches ask first.
    views : tuple of Target
        Of a search in views, what the clip sets in each: these, in place of its answer to the clip.
    """

    delta: float
    views: tuple[Target, ...] = ()
    _targets: tuple[Target, ...] = ()
    _seen: int = 0
    _differences: list[float] = field(default_factory=list)

    @property
    def width(self) -> float:
        """In nats, for labels about as likely as the others together: nearer to a threshold is too near."""
        return DEVIATIONS * float(np.sqrt(np.mean(np.square(self._differences)))) if self._differences else np.inf

    def of(self, masks: Mask, answers: NDArray[np.float32]) -> Mask:
        """Which answers (float32 [M, n]) to masks (bool [M, size]) are to be asked again, bool [M]."""
        first = np.arange(self._seen, self._seen + len(answers)) < FIRST
        self._seen += len(answers)
        target = self._target
        if target is None:
            return np.ones(len(answers), dtype=bool)
        overflown = ~is_number(answers)
        scores = answers[:, target.label, None].astype(np.float64)
        near = np.abs(scores - self._floors(masks)) < self.width * self._others(answers)[:, None]
        return np.asarray(first | overflown | near.any(axis=1) | (np.abs(target.margin(answers)) < self.width))

    def learn(self, answers: NDArray[np.float32], again: NDArray[np.float32]) -> None:
        """Take in what was answered to the same questions (float32 [M, n]) first, and in float32."""
        told = is_number(answers)
        answers, again = answers[told], again[told]
        if not len(again):
            return
        if self._target is None:
            self._targets = (Target.of(again[0], self.delta), Target.of(again[0], 1.0))
        target = self._target
        assert target is not None
        differences = np.abs(answers[:, target.label] - again[:, target.label])
        leads = np.abs(target.margin(answers) - target.margin(again))
        share = np.maximum(self._others(answers), self._others(again))
        self._differences += np.maximum(differences / share, leads).tolist()

    @property
    def _target(self) -> Target | None:
        """Whose label is to be kept."""
        return next(iter(self.views or self._targets), None)

    def _floors(self, masks: Mask) -> NDArray[np.float64]:
        """Logarithms of the confidences that decide each question, [M or 1, thresholds]."""
        if not self.views:
            return np.array([[target.floor for target in self._targets]])
        number = masks[:, -len(self.views) :].argmax(axis=1)
        return np.array([target.floor for target in self.views])[number, None]

    def _others(self, answers: NDArray[np.float32]) -> NDArray[np.float64]:
        """What other labels get, float64 [M]: the logarithm of a probability near 1 hardly moves when a logit does."""
        target = self._target
        assert target is not None
        return np.maximum(-np.expm1(answers[:, target.label].astype(np.float64)), SURE)
