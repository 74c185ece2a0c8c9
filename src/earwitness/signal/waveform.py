"""A clip as its samples: what a map over time keeps and removes, where no Fourier transform is asked."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError
from .audio import Clip
from .masks import Mask


class Waveform:
    """One clip whose variables are its samples; see :class:`earwitness.signal.spectrum.Spectrum`, its like.

    Removed samples become zero, or what ``fill`` says. Hard edges click, in all frequencies: what a model says of few
    samples may be said of the clicks, which is a fault of such maps and not of their measure.

    Attributes
    ----------
    clip : Clip
    size : int
        N.
    """

    def __init__(self, clip: Clip) -> None:
        self.clip, self.size = clip, len(clip)

    @cached_property
    def energy(self) -> NDArray[np.float64]:
        """Share of the clip's energy in each sample, float64 [N]."""
        power = self.clip.samples.astype(np.float64) ** 2
        total = power.sum()
        return np.asarray(power / total if total > 0 else power, dtype=np.float64)

    def invert(
        self, masks: Mask, device: torch.device | str = "cpu", fill: NDArray[np.complex128] | None = None
    ) -> Tensor:
        """Make the signals that masks keep: bool [M, N] → float32 [M, N]."""
        other = 0.0 if fill is None else fill.real
        signals = np.where(masks, self.clip.samples, other).astype(np.float32)
        return torch.from_numpy(signals).to(device)

    def fill_with(self, other: Clip) -> NDArray[np.complex128]:
        """What removed samples become where another recording takes their place: its samples, cut or zero-padded to the
        clip's length and scaled to the clip's power.

        Raises
        ------
        ConfigError
            The rates differ.
        """
        return match_power(self.clip, other).astype(np.complex128)


def match_power(clip: Clip, other: Clip) -> NDArray[np.float64]:
    """Another recording, cut or zero-padded to a clip's length and scaled to its power: float64 [N].

    Raises
    ------
    ConfigError
        The rates differ.
    """
    if other.sample_rate != clip.sample_rate:
        raise ConfigError(f"{other.path or 'other'}: {other.sample_rate} Hz; use the clip's {clip.sample_rate}")
    samples = np.zeros(len(clip))
    samples[: min(len(other), samples.size)] = other.samples[: samples.size]
    own = float(np.square(clip.samples, dtype=np.float64).mean())
    power = float((samples**2).mean())
    return samples * np.sqrt(own / power) if power > 0 else samples
