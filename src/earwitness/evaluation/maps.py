"""Maps as other tools give them: read from files, and put on the variables that they range over.

A map says of each variable how much it speaks for the label: the more, the earlier it is kept. Negative values speak
against it and come last; whoever holds that the size alone counts passes the absolute values. Of variables that a map
does not tell apart the louder comes first, as everywhere here: a map that says nothing is the order by energy.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..signal.audio import Clip
from ..signal.domains import Domain
from ..signal.spectrum import Spectrum, Variables, mel
from ..signal.waveform import Waveform
from .settings import SAMPLES, EvaluationSettings

Map = NDArray[np.float64]

#: files of numbers, by their ending
FILES = (".npy", ".npz", ".csv", ".txt")
#: numbers a map may hold: 1 GiB of them, and more than any clip has variables
MOST = 1 << 27


def read_map(path: Path) -> NDArray[Any]:
    """The numbers of a file: ``.npy``, ``.npz`` with one array, ``.csv`` or ``.txt``. Nothing in it is run.

    Raises
    ------
    ConfigError
        It cannot be read, or is none of these.
    """
    if not path.is_file():
        raise ConfigError(f"map {path}: no such file")
    if path.suffix.lower() not in FILES:
        raise ConfigError(f"map {path}: of no known kind; write the array as one of {', '.join(FILES)}")
    try:
        if _size(path) > 8 * MOST:
            raise ConfigError(f"map {path}: {_size(path):,} bytes; no clip has so many variables")
        if path.suffix.lower() in (".csv", ".txt"):
            text = path.read_text(encoding="utf-8").replace(",", " ")
            return np.loadtxt(text.splitlines(), dtype=np.float64, ndmin=1)
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            if len(loaded.files) != 1:
                raise ConfigError(f"map {path}: holds {len(loaded.files)} arrays; write one")
            return np.asarray(loaded[loaded.files[0]])
    except (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise ConfigError(f"map {path}: cannot be read ({error}); write a plain array of numbers") from None


def _size(path: Path) -> int:
    """Bytes of what a file holds, once it is unpacked."""
    if path.suffix.lower() != ".npz":
        return path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        return sum(one.file_size for one in archive.infolist())


def as_numbers(name: str, given: Any) -> Map:
    """A map as float64, axes of length 1 left out; tensors of torch are taken as they are.

    Raises
    ------
    ConfigError
        It holds no numbers, or such as cannot be ranked.
    """
    given = getattr(given, "responsibility", given)
    if hasattr(given, "detach"):
        given = given.detach().cpu().numpy()
    try:
        values = np.asarray(given, dtype=np.float64).squeeze()
    except (TypeError, ValueError) as error:
        raise ConfigError(f"map {name!r}: not numbers ({error}); give an array") from None
    if values.ndim not in (1, 2) or not 1 < values.size <= MOST:
        raise ConfigError(f"map {name!r}: of shape {values.shape}; give one value a variable, or rows by columns")
    if not np.isfinite(values).all():
        raise ConfigError(f"map {name!r}: holds values that are not finite; they cannot be ranked")
    return values


def choose_domain(name: str, values: Map, clip: Clip) -> str:
    """What a map ranges over where nobody says: told by its length.

    Raises
    ------
    ConfigError
        It does not tell.
    """
    bins = len(clip) // 2 + 1
    if values.ndim == 1 and values.size in (bins, len(clip)):
        return "rfft" if values.size == bins else SAMPLES
    shape = "×".join(map(str, values.shape))
    raise ConfigError(
        f"map {name!r}: {shape} values, and the clip has {bins} bins and {len(clip)} samples at {clip.sample_rate} Hz; "
        "say what it ranges over: domain mel:BANDS, octave:BANDS, edges:HZ,..., or stft:WINDOW:HOP for a spectrogram"
    )


def make_variables(clip: Clip, domain: str, settings: EvaluationSettings) -> Variables:
    """The variables that maps of a clip range over."""
    if domain == SAMPLES:
        return Waveform(clip)
    return Spectrum(clip, Domain.parse(domain, settings.occlusion, settings.seed))


def place_map(name: str, values: Map, variables: Variables, rows: str) -> Map:
    """Put a map on variables: float64 of any shape that fits → float64 [size].

    A spectrogram's saliency of another shape than the domain's cells is stretched over them: each cell takes the value
    of the row and column that lie nearest. Rows are taken to lie evenly between 0 Hz and half the sample rate, or
    evenly in mel; columns evenly over the clip.

    Raises
    ------
    ConfigError
        It does not fit.
    """
    if values.ndim == 1:
        if values.size != variables.size:
            raise ConfigError(f"map {name!r}: {values.size} values; of these variables the clip has {variables.size}")
        return values
    if not isinstance(variables, Spectrum) or variables.domain.kind != "stft":
        raise ConfigError(f"map {name!r}: rows and columns; use domain stft:WINDOW:HOP")
    frames = variables.centres
    if values.shape == (variables.size // frames.size, frames.size):
        return values.reshape(-1)
    height, width = values.shape
    hertz, nyquist = variables.hertz.reshape(-1, frames.size)[:, 0], variables.clip.sample_rate / 2
    share = mel(hertz) / mel(nyquist) if rows == "mel" else hertz / nyquist
    row = np.rint(share * (height - 1)).astype(np.intp)
    column = np.clip(np.floor(frames / len(variables.clip) * width), 0, width - 1).astype(np.intp)
    return np.asarray(values[row[:, None], column[None]].reshape(-1))
