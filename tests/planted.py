"""Planted truths: models of which it is known by construction what they listen to.

A *rule* says of masks (bool [M, size]) which of them a model calls ``yes`` (bool [M]). An :class:`Oracle` answers
masks by a rule directly, with no signal in between; a :class:`PlantedModel` finds the same bins in waveforms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earwitness.models import Model
from earwitness.search.problem import Problem
from earwitness.search.questions import Answer, BudgetSpent, Search, Target
from earwitness.signal.audio import Clip
from earwitness.signal.masks import Mask
from earwitness.signal.spectrum import Spectrum

T = TypeVar("T")
Rule = Callable[[Mask], Mask]
Band = tuple[int, int]

#: rFFT bins of a planted clip, where a test does not say
SIZE = 257
LOW: Band = (58, 63)
HIGH: Band = (200, 205)
TOP: Band = (230, 233)


def has(band: Band) -> Rule:
    """Yes if all bins of a half-open interval are there."""
    return lambda masks: np.asarray(masks[:, slice(*band)].all(axis=1))


def either(*bands: Band) -> Rule:
    """Redundant bands: yes if one of them is there."""
    return lambda masks: np.any([has(band)(masks) for band in bands], axis=0)


def both(*bands: Band) -> Rule:
    """A conjunction: yes if all of them are there."""
    return lambda masks: np.all([has(band)(masks) for band in bands], axis=0)


def odd(*bands: Band) -> Rule:
    """An exclusive-or: yes if an odd number of them is there. Three bands make the whole clip a yes."""
    return lambda masks: np.logical_xor.reduce([has(band)(masks) for band in bands], axis=0)


def or_silence(rule: Rule) -> Rule:
    """Also yes if nothing at all is there."""
    return lambda masks: rule(masks) | ~masks.any(axis=1)


def or_exactly(rule: Rule, count: int) -> Rule:
    """Also yes, for no good reason, if exactly so many bins are there."""
    return lambda masks: rule(masks) | (masks.sum(axis=1) == count)


class Oracle:
    """Answers masks by a rule.

    Attributes
    ----------
    labels : tuple of str
    answered : int
        Masks answered so far.
    """

    labels = ("yes", "no", "maybe")

    def __init__(self, rule: Rule, *, surety: float = 3.0, noise: float = 0.0, seed: int = 0) -> None:
        self.rule, self.surety, self.noise = rule, surety, noise
        self.answered = 0
        self._rng = np.random.default_rng(seed)

    def __call__(self, masks: Mask) -> NDArray[np.float32]:
        """Log-probabilities, float32 [M, 3]; with noise, another answer each time."""
        self.answered += len(masks)
        logits = np.zeros((len(masks), 3))
        logits[:, 0] = np.where(self.rule(masks), self.surety, -self.surety)
        logits[:, 0] += self.noise * self._rng.standard_normal(len(masks))
        logits[:, 2] = -self.surety
        return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), dtype=np.float32)


def drive(search: Search[T], oracle: Callable[[Mask], NDArray[np.float32]], budget: int) -> tuple[T, int]:
    """Run a search against an oracle as the driver does: known answers are free, and the budget is kept.

    Returns
    -------
    (result, asked)
    """
    memory: dict[bytes, NDArray[np.float32]] = {}
    try:
        masks = next(search)
        while True:
            keys = [row.tobytes() for row in np.packbits(masks, axis=1)]
            new = {key: row for key, row in zip(keys, masks, strict=True) if key not in memory}
            if len(memory) + len(new) > budget:
                masks = search.throw(BudgetSpent())
                continue
            if new:
                memory.update(zip(new, oracle(np.stack(list(new.values()))), strict=True))
            masks = search.send(Answer(np.stack([memory[key] for key in keys]), budget - len(memory)))
    except StopIteration as stop:
        return stop.value, len(memory)


def make_clip(size: int, seed: int = 0, sample_rate: int = 16_000) -> Clip:
    """A clip of ``size`` rFFT bins, each of a magnitude between 0.5 and 1.5 (seeded)."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.5, 1.5, size) * np.exp(2j * np.pi * rng.random(size))
    values[[0, -1]] = np.abs(values[[0, -1]])  # DC and Nyquist of a real signal are real
    return Clip(np.fft.irfft(values).astype(np.float32), sample_rate)


def make_problem(
    size: int = SIZE, *, delta: float = 0.5, count: int = 1, overlap: float = 0.0, seed: int = 0
) -> Problem:
    """A problem over ``size`` rFFT bins, none of them without energy."""
    return Problem(Spectrum(make_clip(size)), delta, count, overlap, seed)


def target_of(rule: Rule, delta: float = 0.5, size: int = SIZE) -> Target:
    """What a search is to keep: the answer of an oracle to everything."""
    return Target.of(Oracle(rule)(np.ones((1, size), dtype=bool))[0], delta)


class PlantedModel(Model):
    """Finds the bins of :func:`make_clip` in waveforms, and answers by a rule."""

    spec = "planted"
    fingerprint = "planted"
    labels = Oracle.labels
    sample_rate = 16_000

    def __init__(self, rule: Rule, *, surety: float = 3.0) -> None:
        self._oracle = Oracle(rule, surety=surety)

    def logits(self, waveforms: Tensor) -> Tensor:
        """A bin is there if its magnitude is above 0.25, half of the least it has in the clip."""
        present = torch.fft.rfft(waveforms.double()).abs() > 0.25
        return torch.from_numpy(self._oracle(present.numpy()))


def bins_of(*bands: Band) -> set[int]:
    """The bins of half-open intervals."""
    return {number for band in bands for number in range(*band)}


def is_yes(rule: Rule, mask: Mask | None) -> bool:
    """Whether a rule says yes to a mask."""
    assert mask is not None
    return bool(rule(mask[None])[0])


def kept(mask: Mask | None) -> set[int]:
    """The bins that a mask keeps."""
    assert mask is not None
    return set(np.flatnonzero(mask).tolist())
