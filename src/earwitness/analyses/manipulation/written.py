"""Signals as they are once written to a file and read back.

A flip is only a flip if it is heard in the file: 32-bit float WAV keeps every sample; 16-bit FLAC rounds them, with
dither (triangular, of two steps' width, seeded: rounding noise no longer depends on the signal), and clips what
exceeds full scale.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from ...errors import AudioError
from ...signal import audio

STEPS = 1 << 15  #: of 16 bits on either side of zero


@dataclass(frozen=True, eq=False)
class Heard:
    """What a model says to a written file.

    Attributes
    ----------
    log_probabilities : float32 [n]
    flipped : bool
        Whether it has the label sought.
    """

    log_probabilities: NDArray[np.float32]
    flipped: bool

    @property
    def label(self) -> int:
        """Index of the top-1 label."""
        return int(self.log_probabilities.argmax())

    @property
    def confidence(self) -> float:
        """Its probability."""
        return float(np.exp(np.float64(self.log_probabilities.max())))


def quantise(samples: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.int16]:
    """Round float32 [N] (amplitude ±1) to 16 bits with triangular dither, int16 [N]."""
    dither = rng.random(samples.size) - rng.random(samples.size)
    steps = np.rint(samples.astype(np.float64) * STEPS + dither)
    return np.clip(steps, -STEPS, STEPS - 1).astype(np.int16)


def write_both(
    folder: Path, name: str, samples: NDArray[np.float32], sample_rate: int, rng: np.random.Generator
) -> tuple[Path, Path]:
    """Write ``name.wav`` (32-bit float) and ``name.flac`` (16 bits, dithered) to a folder; their paths.

    Raises
    ------
    AudioError
        A file cannot be written.
    """
    wav, flac = folder / f"{name}.wav", folder / f"{name}.flac"
    audio.write(wav, samples, sample_rate)
    temporary = flac.with_name(flac.name + ".tmp")
    try:
        soundfile.write(temporary, quantise(samples, rng), sample_rate, subtype="PCM_16", format="FLAC")
        os.replace(temporary, flac)
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioError(f"{flac}: cannot be written ({error}); choose a folder you may write to") from error
    return wav, flac
