"""A recording as whoever asks has it: a path, samples with their rate, a row of a data set, a decoder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import AudioError
from .audio import Clip, read


def as_clip(recording: Any, sample_rate: int | None = None, seconds: float | None = None) -> Clip:
    """Make a clip of what is at hand.

    Parameters
    ----------
    recording : object
        - a path;
        - samples and their rate in Hz, as of ``librosa.load``, ``soundfile.read`` or ``torchaudio.load``: float or
          integer [N], or of several channels, whose mean is taken; the shorter axis is theirs;
        - a row of ``datasets.Audio``: a mapping with ``array`` and ``sampling_rate``, or one that has such a mapping as
          ``audio``;
        - a decoder of torchcodec: what has ``get_all_samples()``;
        - a :class:`Clip`.
    sample_rate : int, optional
        Resample to this rate, in Hz.
    seconds : float, optional
        Crop or zero-pad to this duration.

    Raises
    ------
    AudioError
        It is none of these, or cannot be used.

    Examples
    --------
    >>> len(as_clip((np.ones((2, 800)) / 2, 8000), 16000))
    1600
    """
    if isinstance(recording, str | os.PathLike):
        return read(os.fspath(recording), sample_rate, seconds)
    clip = recording if isinstance(recording, Clip) else _of_samples(*_take_apart(recording))
    return clip.resample(sample_rate or clip.sample_rate).fit(seconds)


def _take_apart(recording: Any) -> tuple[Any, Any, str]:
    """Samples, rate and path, if it has one."""
    if isinstance(recording, Mapping):
        if "audio" in recording and "array" not in recording:
            return _take_apart(recording["audio"])
        if "array" in recording and "sampling_rate" in recording:
            return recording["array"], recording["sampling_rate"], str(recording.get("path") or "")
    if hasattr(recording, "get_all_samples"):
        decoded = recording.get_all_samples()
        return decoded.data, decoded.sample_rate, ""
    if isinstance(recording, tuple) and len(recording) == 2:
        return *recording, ""
    raise AudioError(
        f"a recording of type {type(recording).__name__}; give a path, (samples, sample_rate), a row of datasets.Audio,"
        " a decoder of torchcodec or a Clip"
    )


def _of_samples(samples: Any, sample_rate: Any, path: str) -> Clip:
    try:
        given, rate = np.asarray(samples), int(sample_rate)
    except (TypeError, ValueError) as error:
        raise AudioError(f"samples and rate that are no numbers ({error}); give an array and its rate in Hz") from None
    values = _scaled(given)
    if values.ndim == 2:
        values = values.mean(axis=int(values.shape[0] > values.shape[1]))
    return Clip(values, rate, path)


def _scaled(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Integers as amplitudes of ±1 at most, float32."""
    if samples.dtype.kind not in "iuf":
        raise AudioError(f"samples of type {samples.dtype}; give floating point or integer amplitudes")
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    kind = np.iinfo(samples.dtype)
    half = (int(kind.max) - int(kind.min) + 1) / 2
    return ((samples.astype(np.float64) - (int(kind.max) + int(kind.min) + 1) / 2) / half).astype(np.float32)
