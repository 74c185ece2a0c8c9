"""Numbers near thresholds: what is found holds on machines whose arithmetic differs by as much as is stated."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import blake2b

import numpy as np
import pytest
import torch
from torch import Tensor

from earwitness import Classifier, Explanation, SearchSettings, Subset, as_classifier, explain
from earwitness.search.driver import Driver
from earwitness.search.questions import TOLERANCE, Target
from earwitness.signal.audio import Clip
from earwitness.signal.masks import from_runs
from planted_models import RATE

SAMPLES, CLIPS, MACHINES, DELTA = 512, 6, 6, 0.9
#: nats by which answers of one machine differ from another's: what `TOLERANCE` is said to leave room for
ARITHMETIC = 2e-6


class Machine:
    """A model with a set exactly at the threshold, on a machine with errors of its own.

    With the bins 20 and 30 it has a confidence of 0.9; with 20 alone of just δ times that, which no error may turn into
    a pass or a failure; else 0.2. Each answer is off by up to ``error`` nats, always the same for the same signal.
    """

    labels = ("yes", "no")
    sample_rate = RATE

    def __init__(self, number: int, error: float, dtype: torch.dtype = torch.float64) -> None:
        self.number, self.error, self.dtype = number, error, dtype

    def __call__(self, waveforms: Tensor) -> Tensor:
        there = torch.fft.rfft(waveforms.to(self.dtype)).abs()[:, [20, 30]] > 1e-2
        first, both = there[:, 0], there.all(dim=1)
        confidence = torch.full(first.shape, 0.2, dtype=self.dtype)
        confidence[first] = DELTA * 0.9
        confidence[both] = 0.9
        errors = [self._errors(waveform.numpy().tobytes()) for waveform in waveforms]
        return torch.stack([confidence, 1 - confidence], dim=1).log() + torch.tensor(errors, dtype=self.dtype)

    def _errors(self, content: bytes) -> list[float]:
        seed = blake2b(content, digest_size=8, key=bytes([self.number + 1])).digest()
        return list(np.random.default_rng(int.from_bytes(seed, "big")).uniform(-self.error, self.error, 2))


def on(number: int, error: float, dtype: torch.dtype = torch.float64) -> Classifier:
    machine = Machine(number, error, dtype)
    return as_classifier(machine, labels=machine.labels, sample_rate=RATE)


@cache
def found(number: int, error: float, dtype: torch.dtype = torch.float64) -> Sequence[Explanation]:
    """What a search on a machine finds."""
    settings = SearchSettings(delta=DELTA, budget=1000, count=1)
    clips = [np.random.default_rng(seed).uniform(-1, 1, SAMPLES).astype(np.float32) for seed in range(CLIPS)]
    return [explain(Clip(samples, RATE), on(number, error), settings) for samples in clips]


def broken_on(explanation: Explanation, classifier: Classifier) -> int:
    """Claims that are false on a machine: sets that do not keep δ of the clip's confidence there, variables of
    one-minimal sets that could be dropped there."""
    spectrum, driver, wrong = explanation.spectrum, Driver(classifier), 0
    whole = np.ones((1, spectrum.size), dtype=bool)
    target = Target.of(driver.evaluate(spectrum, whole)[0], explanation.settings.delta)
    for kind, _, part in explanation.parts():
        if kind != "sufficient" or not isinstance(part, Subset):
            continue
        mask = from_runs(part.runs, spectrum.size)
        wrong += int((target.slack(driver.evaluate(spectrum, mask[None])) < 0).sum())
        if part.certificate.kind == "one_minimal":
            dropped = np.repeat(mask[None], part.size, axis=0)
            dropped[np.arange(part.size), np.flatnonzero(mask)] = False
            wrong += int((target.slack(driver.evaluate(spectrum, dropped)) >= 0).sum())
    return wrong


@pytest.mark.parametrize("machine", range(MACHINES))
def test_what_is_at_the_threshold_neither_passes_nor_fails(machine: int) -> None:
    for explanation in found(machine, ARITHMETIC):
        (part,) = explanation.sufficient
        assert isinstance(part, Subset)
        assert part.runs == ((20, 21), (30, 31))  # 20 alone might be enough elsewhere, and might not
        assert part.certificate.kind != "one_minimal"  # for the same reason


@pytest.mark.parametrize("machine", range(1, MACHINES))
def test_what_one_machine_finds_holds_on_another(machine: int) -> None:
    assert 4 * ARITHMETIC < TOLERANCE  # errors of clip and signal, on both machines
    assert [broken_on(explanation, on(machine, ARITHMETIC)) for explanation in found(0, ARITHMETIC)] == [0] * CLIPS


def test_errors_beyond_what_is_stated_are_seen() -> None:
    beyond = 20 * TOLERANCE
    wrong = [broken_on(one, on(machine, beyond)) for machine in range(1, MACHINES) for one in found(0, beyond)]
    assert sum(wrong) > 0


def test_what_float64_finds_holds_in_float32() -> None:
    assert [broken_on(one, on(0, 0, torch.float32)) for one in found(0, 0)] == [0] * CLIPS
    assert [broken_on(one, on(0, 0)) for one in found(0, 0, torch.float32)] == [0] * CLIPS
