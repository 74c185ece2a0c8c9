"""The sounds of the page: 16-bit WAV files that any browser plays, named by numbers alone.

Every file is scaled to the same peak, -1 dBFS, so that a quiet signal keeps its resolution; the page turns each one
down to its level beside the loudest signal of its clip, unless it is asked to make quiet signals audible.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from .. import audio
from ..audio import SILENCE, Clip
from ..errors import AudioError, ConfigError
from .data import ClipRow

#: the peak of every file: -1 dBFS
PEAK = 10 ** (-1 / 20)
UNAVAILABLE = "audio not available: file changed or missing"


@dataclass(frozen=True)
class Sound:
    """A file to play.

    Attributes
    ----------
    source : str
        Relative to the page.
    peak : float
        Largest sample of the signal as it is.
    gain : float
        Its level beside the loudest signal of the clip, more than 0 and at most 1.
    """

    source: str
    peak: float
    gain: float = 1.0

    @property
    def decibels(self) -> float:
        """The gain in dB, at most 0."""
        return float(20 * np.log10(self.gain))


def read_again(row: ClipRow) -> Clip | None:
    """The clip as the study heard it, or ``None`` where its file is missing or has changed."""
    try:
        clip = audio.read(row.path, row.sample_rate, row.seconds)
    except (AudioError, OSError):
        return None
    return clip if clip.sha256 == row.sha256 else None


def write_sound(folder: Path, name: str, samples: NDArray[np.float32], sample_rate: int) -> Sound | None:
    """Write float32 [N] as ``audio/NAME.wav`` at full level; ``None`` for silence, which has no file.

    Raises
    ------
    ConfigError
        The file cannot be written.
    """
    peak = float(np.abs(samples).max())
    if peak < SILENCE:
        return None
    source = f"audio/{name}.wav"
    path, temporary = folder / source, folder / f"{source}.tmp"
    try:
        scaled = samples.astype(np.float64) * (PEAK / peak)
        soundfile.write(temporary, scaled, sample_rate, subtype="PCM_16", format="WAV")
        os.replace(temporary, path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise ConfigError(f"{path}: cannot be written ({error}); choose another --out") from error
    return Sound(source, peak)
