"""Spectra and spectrograms folded into columns on the mel scale, so that no bin falls off the axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from ..signal.audio import Clip
from ..signal.masks import Mask
from ..signal.spectrum import Spectrum, mel

Real = NDArray[np.float64]
Bytes = NDArray[np.uint8]

#: columns of a spectrum
COLUMNS = 600
#: the quietest level a spectrum shows, in dB below the clip's loudest variable
FLOOR = 72
#: rows and, at most, columns of a spectrogram
ROWS, FRAMES = 120, 400


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a spectrum on the mel scale, and which variables each stands for.

    Attributes
    ----------
    order : intp [size]
        The variables by frequency.
    start, stop : intp [COLUMNS]
        Half-open ranges into ``order``, none empty: where variables lie wider apart than columns, a column takes
        the nearest.
    """

    order: NDArray[np.intp]
    start: NDArray[np.intp]
    stop: NDArray[np.intp]

    @classmethod
    def of(cls, hertz: Real, nyquist: float, count: int = COLUMNS) -> Columns:
        """Lay variables (float64 [size], Hz) out from 0 Hz to ``nyquist``."""
        order = np.argsort(hertz, kind="stable")
        places = np.asarray(mel(hertz[order]) / mel(nyquist) * count)
        columns = np.arange(count)
        start, stop = np.searchsorted(places, columns), np.searchsorted(places, columns + 1)
        stop[-1] = len(places)  # the Nyquist bin lies on the edge
        after = np.clip(np.searchsorted(places, columns + 0.5), 1, max(1, len(places) - 1))
        right = np.minimum(after, len(places) - 1)
        nearer = np.where(places[right] - columns - 0.5 < columns + 0.5 - places[after - 1], right, after - 1)
        empty = start >= stop
        return cls(order, np.where(empty, nearer, start), np.where(empty, nearer + 1, stop))

    def largest(self, values: Real) -> Real:
        """The largest value in each column: float64 [size] → [COLUMNS]."""
        return np.asarray(np.maximum.reduceat(np.append(values[self.order], -np.inf), self._edges)[::2])

    def share(self, mask: Mask) -> Real:
        """The share of each column's variables that a mask (bool [size]) keeps: float64 [COLUMNS], 0 to 1."""
        kept = np.add.reduceat(np.append(mask[self.order], False).astype(np.int64), self._edges)[::2]
        return np.asarray(kept / (self.stop - self.start), dtype=np.float64)

    @property
    def _edges(self) -> NDArray[np.intp]:
        return np.stack([self.start, self.stop], axis=1).reshape(-1)


@dataclass(frozen=True, eq=False)
class Trace:
    """A set as columns of a spectrum.

    Attributes
    ----------
    level : int [COLUMNS]
        Of the loudest kept variable, in dB above the floor: 0 to :data:`FLOOR`; -1 where none is kept.
    share : float64 [COLUMNS]
        Share of the column's variables that are kept.
    """

    level: NDArray[np.int64]
    share: Real


class ClipSpectrum:
    """The magnitude spectrum of one clip in columns, and of sets of it.

    Parameters
    ----------
    spectrum : Spectrum
        Masks are read in its domain. Sets of bins and bands are shown as rFFT bins of the whole clip, sets of
        short-time cells by their frequency.
    """

    def __init__(self, spectrum: Spectrum) -> None:
        self._spectrum = spectrum
        self.nyquist = spectrum.clip.sample_rate / 2
        if spectrum.domain.kind == "stft":
            power, hertz = spectrum.energy, spectrum.hertz
        else:
            power = np.abs(np.asarray(scipy.fft.rfft(spectrum.clip.samples.astype(np.float64)))) ** 2
            hertz = np.linspace(0, self.nyquist, power.size)
        loudest = max(float(power.max()), 1e-300)
        self._decibels = 10 * np.log10(np.maximum(power / loudest, 1e-30)) + FLOOR
        self._columns = Columns.of(hertz, self.nyquist)
        self.per_column = power.size / COLUMNS
        self.whole = self.trace(np.ones(spectrum.size, dtype=bool))

    def trace(self, mask: Mask) -> Trace:
        """The columns of a set (bool [size])."""
        kept = mask if self._spectrum.domain.kind == "stft" else self._spectrum.to_bins(mask)
        level = self._columns.largest(np.where(kept, self._decibels, -np.inf))
        share = self._columns.share(kept)
        return Trace(np.where(share > 0, np.clip(np.rint(level), 0, FLOOR), -1).astype(np.int64), share)


def spectrogram(clip: Clip) -> Bytes:
    """The levels of a clip over time: uint8 [ROWS, frames], 0 to 255 over :data:`FLOOR` dB, the lowest mel row first.

    Hann windows of 1024 samples (fewer in clips shorter than that) at a hop that gives at most :data:`FRAMES` frames;
    a row shows its loudest bin.
    """
    samples = clip.samples.astype(np.float64)
    window = min(1024, max(16, 2 ** int(np.log2(max(16, samples.size)))))
    hop = max(window // 8, -(-samples.size // FRAMES))
    padded = np.pad(samples, window // 2)
    starts = np.arange(0, samples.size, hop)
    frames = np.stack([padded[start : start + window] for start in starts if start + window <= padded.size])
    power = np.abs(np.fft.rfft(frames * scipy.signal.get_window("hann", window), axis=1)) ** 2
    nyquist = clip.sample_rate / 2
    columns = Columns.of(np.linspace(0, nyquist, power.shape[1]), nyquist, ROWS)
    rows = np.stack([columns.largest(frame) for frame in power], axis=1)
    level = 10 * np.log10(np.maximum(rows / max(float(rows.max()), 1e-300), 1e-30)) + FLOOR
    return np.asarray(np.rint(np.clip(level / FLOOR, 0, 1) * 255), dtype=np.uint8)


def lit_cells(spectrum: Spectrum, mask: Mask, frames: int) -> NDArray[np.bool_]:
    """Where the kept cells (bool [size] of an ``stft``) lie in a spectrogram: bool [ROWS, frames]."""
    nyquist, bins = spectrum.clip.sample_rate / 2, np.unique(spectrum.hertz)
    cells = mask.reshape(bins.size, -1)
    columns = Columns.of(bins, nyquist, ROWS)
    rows = np.stack([columns.share(column) > 0 for column in cells.T], axis=1)
    # the transform's slices reach half a window beyond either end of the clip
    window, samples = spectrum.domain.numbers[0], len(spectrum.clip)
    edges = (np.arange(frames + 1) / frames * samples + window / 2) / (samples + window) * rows.shape[1]
    start = np.minimum(edges[:-1].astype(np.intp), rows.shape[1] - 1)
    stop = np.maximum(np.ceil(edges[1:]).astype(np.intp), start + 1)
    count = np.concatenate([np.zeros((ROWS, 1), np.intp), rows.cumsum(axis=1)], axis=1)
    return np.asarray(count[:, np.minimum(stop, rows.shape[1])] > count[:, start], dtype=bool)
