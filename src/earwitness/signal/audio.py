"""A recording in memory: read, resample, fold to mono, fit to a length, write."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from ..errors import AudioError
from .cells import find_table, read_cell
from .limits import USUAL, Limits

Float32Array = NDArray[np.float32]

#: a recording whose largest sample is below this (-120 dBFS) is silence: nothing in it can be a cause
SILENCE = 1e-6
#: how far past a cut the resampler looks, in samples of the lower rate. Its filter reaches some 150, the blocks it is
#: applied in up to 1200: with this many more, the samples before the cut have the same bits as of the whole recording
MARGIN = 8192
#: samples of all channels that are decoded at once: 4 MiB
BLOCK = 1 << 20


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

    def refuse_silence(self) -> None:
        """Of silence nothing can be explained.

        Raises
        ------
        AudioError
            The clip is silent.
        """
        if self.silent:
            raise AudioError(f"{self.path or 'clip'}: silence, nothing in it can be a cause; leave it out")

    def resample(self, sample_rate: int) -> Clip:
        """The clip at another rate, in Hz (soxr, very high quality)."""
        if sample_rate == self.sample_rate:
            return self
        samples = soxr.resample(self.samples, self.sample_rate, sample_rate, quality="VHQ")
        if samples.size == 0:  # one sample at a high rate can round to none
            samples = self.samples[:1]
        return replace(self, samples=samples, sample_rate=sample_rate)

    def fit(self, seconds: float | None, whole: int | None = None, *, pad: bool = True) -> Clip:
        """The clip with exactly this duration: its beginning, or zeros put behind it; ``None`` keeps it.

        ``whole`` is the recording's length in samples, where the clip is no more than its beginning. Without ``pad`` a
        shorter one stays as it is.
        """
        whole = len(self) if whole is None else whole
        if seconds is None:
            return self
        wanted = max(1, round(seconds * self.sample_rate))
        if wanted == whole or (wanted > whole and not pad):
            return self
        done = "padded" if wanted > whole else "cropped"
        samples = np.zeros(wanted, dtype=np.float32)
        samples[: min(wanted, len(self))] = self.samples[:wanted]
        return replace(self, samples=samples, fitted=f"{done} from {whole} samples")


def read(
    path: str | Path,
    sample_rate: int | None = None,
    seconds: float | None = None,
    limits: Limits = USUAL,
    *,
    pad: bool = True,
) -> Clip:
    """Read a recording in any format libsndfile knows, any rate and channel count.

    Parameters
    ----------
    path : str or Path
    sample_rate : int, optional
        Resample to this rate, in Hz.
    seconds : float, optional
        Crop or zero-pad to this duration. What lies behind is neither read nor resampled; the samples are the same.
    limits : Limits
        What is beyond them is refused by the file's header.
    pad : bool
        Zero-pad what is shorter than ``seconds``; without, it stays as it is.

    Raises
    ------
    AudioError
        The file is missing, empty, no audio, truncated, beyond the limits, or holds NaN.
    """
    path = Path(path)
    with _opened(path) as file:
        try:
            length = Length.of(file, sample_rate, seconds)
            limits.check(file.frames, file.channels, file.samplerate, length.needed, length.wanted)
            limits.check_ratio(file.samplerate, length.rate)
            clip = Clip(_mono(file, length.needed), file.samplerate, str(path))
            return clip.resample(length.rate).fit(seconds, length.whole, pad=pad)
        except MemoryError as error:
            raise AudioError(f"{path}: no memory for {file.frames} frames; give 'seconds', or cut it") from error
        except AudioError as error:
            raise AudioError(_named(path, str(error))) from error


@dataclass(frozen=True)
class Length:
    """How long a recording is, and how much of it is wanted.

    Attributes
    ----------
    rate : int
        That is wanted, in Hz.
    whole : int
        Samples of the whole recording at that rate.
    wanted : int
        Samples of the clip.
    needed : int
        Frames of the file that they depend on.
    """

    rate: int
    whole: int
    wanted: int
    needed: int

    @classmethod
    def of(cls, file: soundfile.SoundFile, sample_rate: int | None, seconds: float | None) -> Length:
        """Of an open file, read at a rate (default its own) and fit to a duration."""
        if seconds is not None and not 0 < seconds < math.inf:
            raise AudioError(f"{seconds} seconds of it wanted; use a positive duration")
        frames, own = file.frames, file.samplerate
        rate = sample_rate or own
        whole = max(min(1, frames), (2 * frames * rate + own) // (2 * own))  # as the resampler rounds
        wanted = whole if seconds is None else max(1, round(seconds * rate))
        margin = 0 if rate == own else -(-MARGIN * own // min(rate, own))
        return cls(rate, whole, wanted, min(frames, -(-wanted * own // rate) + margin))


def measure(path: str | Path, sample_rate: int | None = None, seconds: float | None = None) -> Length:
    """How long a recording is, by its header alone.

    Raises
    ------
    AudioError
        The file is missing, empty or no audio.
    """
    with _opened(Path(path)) as file:
        try:
            return Length.of(file, sample_rate, seconds)
        except AudioError as error:
            raise AudioError(_named(Path(path), str(error))) from error


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    try:
        if (inside := find_table(path)) is not None:
            with soundfile.SoundFile(read_cell(*inside)) as file:
                yield file
            return
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "no such file"
            raise AudioError(f"{path}: {kind}; give the path of a recording")
        if path.stat().st_size == 0:
            raise AudioError(f"{path}: the file is empty; give a recording with samples")
        with soundfile.SoundFile(path) as file:
            yield file
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(f"{path}: not readable as audio ({error}); use WAV, FLAC, OGG, MP3 or AIFF") from error
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error}); check its rights and the drive, and try again") from error


def _mono(file: soundfile.SoundFile, needed: int) -> Float32Array:
    """The mean of the channels of a file's first frames, float32 [needed], block by block."""
    mono = np.empty(needed, dtype=np.float32)
    at, most = 0, max(1, BLOCK // file.channels)
    while at < needed:
        frames = file.read(min(most, needed - at), dtype="float32", always_2d=True)
        if not len(frames):
            raise AudioError(f"truncated, {at} of {file.frames} samples; get the whole file")
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is refused
            frames.mean(axis=1, out=mono[at : at + len(frames)])
        at += len(frames)
    return mono


def _named(path: Path, message: str) -> str:
    return message if message.startswith(f"{path}:") else f"{path}: {message}"


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
