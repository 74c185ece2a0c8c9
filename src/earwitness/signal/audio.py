"""A recording in memory: read, resample, fold to mono, fit to a length, write."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from ..errors import AudioError

Float32Array = NDArray[np.float32]

#: the longest recording read into memory, in samples of the file (2 hours of 8 channels at 48 kHz)
MAX_SAMPLES = 2 * 3600 * 48_000 * 8
#: a recording whose largest sample is below this (-120 dBFS) is silence: nothing in it can be a cause
SILENCE = 1e-6


@dataclass(frozen=True, eq=False)
class Clip:
    """A mono recording.

    Attributes
    ----------
    samples : float32 [N]
        Amplitude, nominally ±1. Read-only.
    sample_rate : int
        In Hz.
    path : str
        Where it came from, for people; identity is :attr:`sha256`.
    fitted : str
        How the length was made (``""``, ``"padded from 12000 samples"``, ...), for the results.
    """

    samples: Float32Array
    sample_rate: int
    path: str = ""
    fitted: str = ""

    def __post_init__(self) -> None:
        samples = np.ascontiguousarray(self.samples, dtype=np.float32)
        if samples.ndim != 1:
            raise AudioError(f"{self.path or 'clip'}: samples of shape {samples.shape}; use one channel, [N]")
        if samples.size == 0:
            raise AudioError(f"{self.path or 'clip'}: no samples; use a recording with at least one")
        if not np.isfinite(samples).all():
            raise AudioError(f"{self.path or 'clip'}: NaN or infinite samples; mend or re-export the recording")
        if self.sample_rate < 1:
            raise AudioError(f"{self.path or 'clip'}: sample rate {self.sample_rate}; use a positive one, in Hz")
        samples.flags.writeable = False
        object.__setattr__(self, "samples", samples)

    def __len__(self) -> int:
        return int(self.samples.size)

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self) / self.sample_rate

    @property
    def sha256(self) -> str:
        """Hash of rate and samples: what the clip is, wherever its file lies."""
        return hashlib.sha256(f"{self.sample_rate}:".encode() + self.samples.tobytes()).hexdigest()

    @property
    def silent(self) -> bool:
        """Whether no sample exceeds -120 dBFS."""
        return bool(np.abs(self.samples).max() < SILENCE)

    def resample(self, sample_rate: int) -> Clip:
        """The clip at another rate, in Hz (soxr, very high quality)."""
        if sample_rate == self.sample_rate:
            return self
        samples = soxr.resample(self.samples, self.sample_rate, sample_rate, quality="VHQ")
        if samples.size == 0:  # one sample at a high rate can round to none
            samples = self.samples[:1]
        return replace(self, samples=samples, sample_rate=sample_rate)

    def fit(self, seconds: float | None) -> Clip:
        """The clip with exactly this duration: its beginning, or zeros put behind it; ``None`` keeps it."""
        if seconds is None:
            return self
        wanted = max(1, round(seconds * self.sample_rate))
        if wanted == len(self):
            return self
        done = "padded" if wanted > len(self) else "cropped"
        samples = np.zeros(wanted, dtype=np.float32)
        samples[: min(wanted, len(self))] = self.samples[:wanted]
        return replace(self, samples=samples, fitted=f"{done} from {len(self)} samples")


def read(path: str | Path, sample_rate: int | None = None, seconds: float | None = None) -> Clip:
    """Read a recording in any format libsndfile knows, any rate and channel count.

    Parameters
    ----------
    path : str or Path
    sample_rate : int, optional
        Resample to this rate, in Hz.
    seconds : float, optional
        Crop or zero-pad to this duration.

    Raises
    ------
    AudioError
        The file is missing, empty, no audio, truncated, too long, or holds NaN.
    """
    path = Path(path)
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "no such file"
        raise AudioError(f"{path}: {kind}; give the path of a recording")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: the file is empty; give a recording with samples")
    try:
        with soundfile.SoundFile(path) as file:
            promised = file.frames
            if promised * file.channels > MAX_SAMPLES:
                raise AudioError(f"{path}: {promised} frames of {file.channels} channels; cut it first")
            frames, rate = file.read(dtype="float32", always_2d=True), file.samplerate
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(f"{path}: not readable as audio ({error}); use WAV, FLAC, OGG, MP3 or AIFF") from error
    if frames.shape[0] < promised:
        raise AudioError(f"{path}: truncated, {frames.shape[0]} of {promised} samples; get the whole file")
    clip = Clip(frames.mean(axis=1), rate, str(path))
    return (clip.resample(sample_rate) if sample_rate else clip).fit(seconds)


def write(path: str | Path, samples: Float32Array, sample_rate: int) -> None:
    """Write float32 [N] as 32-bit float WAV; the file appears whole or not at all.

    Raises
    ------
    AudioError
        The file cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(path.name + ".tmp")
    try:
        soundfile.write(temporary, samples, sample_rate, subtype="FLOAT", format="WAV")
        os.replace(temporary, path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioError(f"{path}: cannot be written ({error}); choose a folder you may write to") from error
