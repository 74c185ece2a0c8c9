"""The sounds of the page: 16-bit FLAC (short ones: WAV) that any browser plays, named by numbers alone.

Every file is scaled to the same peak, -1 dBFS, so that a quiet signal keeps its resolution. The page turns each one
down: to its level beside the loudest that it is played with, or, on request, to equal loudness (ITU-R BS.1770).
"""

from __future__ import annotations

import base64
import io
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyloudnorm
import soundfile
from numpy.typing import NDArray

from ..errors import AudioError, ConfigError
from ..signal import audio
from ..signal.audio import SILENCE, Clip
from ..signal.limits import WIDEST

#: the peak of every file: -1 dBFS
PEAK = 10 ** (-1 / 20)
#: shorter than this, in samples, a file is WAV: browsers cannot seek in a FLAC of one frame
SHORT = 16_384
#: equal loudness turns down no further than to this, in LUFS, so that one spiky signal does not silence the others
QUIETEST = -40.0
UNAVAILABLE = "no sound: the recording is missing or has changed"


@dataclass(frozen=True)
class Sound:
    """A file to play.

    Attributes
    ----------
    source : str
        Relative to the page, or a ``data:`` address.
    peak : float
        Largest sample of the signal as it is.
    loudness : float or None
        Of the file, in LUFS; ``None`` where it is too quiet to have one.
    seconds : float
    level, equal : float
        Volumes (more than 0, at most 1) that give it its level beside the others it is played with, and equal
        loudness.
    """

    source: str
    peak: float
    loudness: float | None
    seconds: float
    level: float = 1.0
    equal: float = 1.0


class Folder:
    """Keeps sounds as files of ``audio/`` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: set[str] = set()

    def keep(self, name: str, content: bytes) -> str:
        """Write a file; its address.

        Raises
        ------
        ConfigError
            The file cannot be written.
        """
        path = self.folder / "audio" / name
        temporary = path.with_name(path.name + ".tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            os.replace(temporary, path)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written ({error}); choose another --out") from error
        self.written.add(path.name)
        return f"audio/{path.name}"


class Inline:
    """Keeps sounds as addresses that hold them, for a page of one file."""

    def keep(self, name: str, content: bytes) -> str:
        """The sound as an address."""
        return f"data:audio/{name.rpartition('.')[2]};base64,{base64.b64encode(content).decode()}"


def read_again(path: str, sha256: str, sample_rate: int, samples: int) -> Clip | None:
    """The clip as the study heard it, or ``None`` where its file is missing or has changed."""
    try:
        clip = audio.read(path, sample_rate, samples / sample_rate, WIDEST)
    except (AudioError, OSError):
        return None
    return clip if clip.sha256 == sha256 else None


def make_sound(keeper: Folder | Inline, name: str, samples: NDArray[np.float32], sample_rate: int) -> Sound | None:
    """Encode float32 [N] at full level and keep it; ``None`` for silence, which has no file."""
    peak = float(np.abs(samples).max())
    if peak < SILENCE:
        return None
    scaled = samples.astype(np.float64) * (PEAK / peak)
    memory, kind = io.BytesIO(), "WAV" if samples.size < SHORT else "FLAC"
    soundfile.write(memory, scaled, sample_rate, subtype="PCM_16", format=kind)
    source = keeper.keep(f"{name}.{kind.lower()}", memory.getvalue())
    return Sound(source, peak, loudness(scaled, sample_rate), samples.size / sample_rate)


def loudness(samples: NDArray[np.float64], sample_rate: int) -> float | None:
    """Integrated loudness in LUFS (ITU-R BS.1770-4, by pyloudnorm), or ``None`` where it has none.

    The standard's blocks of 400 ms are as long as the clip where the clip is shorter.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            meter: Any = pyloudnorm.Meter(sample_rate, block_size=min(0.4, samples.size / sample_rate))
            value = float(meter.integrated_loudness(samples))
    except (ValueError, ZeroDivisionError):
        return None
    return value if np.isfinite(value) else None


def level_sounds(sounds: dict[str, Sound]) -> dict[str, Sound]:
    """Set the volumes of sounds of one transport beside each other."""
    loudest = max((sound.peak for sound in sounds.values()), default=1.0)
    known = [sound.loudness for sound in sounds.values() if sound.loudness is not None]
    goal = max(min(known, default=QUIETEST), QUIETEST)
    return {
        name: replace(
            sound,
            level=min(1.0, sound.peak / loudest),
            equal=1.0 if sound.loudness is None else min(1.0, 10 ** ((goal - sound.loudness) / 20)),
        )
        for name, sound in sounds.items()
    }
