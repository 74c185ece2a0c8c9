"""What a listener does not hear beside a recording: the psychoacoustic model 1 of MPEG-1, on STFT cells.

Sources: ISO/IEC 11172-3:1993, Annex D.1 (model 1); its formulas as printed in Painter & Spanias, *Perceptual Coding
of Digital Audio*, Proc. IEEE 88(4), 2000, §V; the threshold in quiet of Terhardt (1979). For each frame:

1. the power spectrum of a Hann window, in dB; the loudest cell of the recording is taken to be played at 96 dB SPL;
2. tonal maskers: local maxima that stand out by 7 dB from their surroundings, each with its two neighbours; noise
   maskers: what is left, one a critical band (a Bark);
3. maskers below the threshold in quiet, or within half a Bark of a stronger one, are dropped;
4. each masks its surroundings by a spreading function of level and distance in Bark; the powers of all these
   thresholds and of the threshold in quiet add up to the masking threshold of each cell.

A change is *inaudible* by this model if its own power lies below the threshold in every cell; by how many dB it
does is its margin. The model knows simultaneous masking only, takes a playback level for granted, and was made to
hide coding noise from average listeners: a positive margin is a strong hint, no proof.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...signal.audio import Clip

Levels = NDArray[np.float64]

LOUDEST = 96.0  #: dB SPL at which the loudest cell is taken to be played
WINDOW_SECONDS = 0.032  #: the window is the power of two of samples nearest to this
OVERLAP = 4  #: windows over each sample
PROMINENCE = 7.0  #: dB by which a tonal masker stands out
FLOOR = 1e-30


@dataclass(frozen=True, eq=False)
class Threshold:
    """The masking threshold of a recording.

    Attributes
    ----------
    levels : float64 [frames, cells]
        What is just masked in each STFT cell, in dB SPL.
    reference : float
        dB to add to the power of a cell, as this module measures it, for its level in dB SPL.
    sample_rate : int
        In Hz.
    window, hop : int
        In samples.
    samples : int
        Length of the recording.
    """

    levels: Levels
    reference: float
    sample_rate: int
    window: int
    hop: int
    samples: int

    def level(self, samples: NDArray[np.floating]) -> Levels:
        """The level of a signal as long as the recording in each cell, in dB SPL, float64 [frames, cells]."""
        return decibels(cell_powers(samples, self.window, self.hop)) + self.reference

    def margin(self, difference: NDArray[np.floating]) -> float:
        """By how many dB a change (float [N], the changed signal less the recording) stays below the threshold.

        The least over all cells: 0 or more is inaudible by this model; infinite where nothing changed.
        """
        powers = cell_powers(difference, self.window, self.hop)
        if not powers.any():
            return float("inf")
        return float((self.levels - decibels(powers) - self.reference).min())


def masking_threshold(clip: Clip) -> Threshold:
    """The masking threshold of a recording in each STFT cell.

    Examples
    --------
    >>> time = np.arange(16000) / 16000
    >>> tone = Clip(np.sin(2 * np.pi * 1000 * time).astype(np.float32), 16000)
    >>> masking_threshold(tone).margin(tone.samples) < 0 < masking_threshold(tone).margin(tone.samples * 1e-5)
    True
    """
    window = window_of(clip.sample_rate)
    hop = window // OVERLAP
    powers = cell_powers(clip.samples, window, hop)
    reference = LOUDEST - float(decibels(powers.max()))
    hertz = np.linspace(0.0, clip.sample_rate / 2, window // 2 + 1)
    bark, quiet = to_bark(hertz), threshold_in_quiet(hertz)
    # the power of a level in dB SPL
    levels = powers * 10 ** (reference / 10)
    thresholds = np.stack([_mask_frame(frame, bark, quiet) for frame in levels])
    return Threshold(thresholds, reference, clip.sample_rate, window, hop, len(clip))


def window_of(sample_rate: int) -> int:
    """The window at a sample rate in Hz, in samples.

    Examples
    --------
    >>> window_of(16000), window_of(44100)
    (512, 1024)
    """
    return int(2 ** np.round(np.log2(WINDOW_SECONDS * sample_rate)))


def cell_powers(samples: NDArray[np.floating], window: int, hop: int) -> Levels:
    """Powers of the cells of a Hann-windowed STFT, float64 [frames, cells].

    Frames lie wholly within the signal, the last one at its end; a signal shorter than a window is zero-padded.
    """
    short = window - len(samples)
    padded = np.pad(np.asarray(samples, dtype=np.float64), (0, max(0, short)))
    last = len(padded) - window
    starts = np.unique([*range(0, last + 1, hop), last])
    hann = np.sqrt(8 / 3) * 0.5 * (1 - np.cos(2 * np.pi * np.arange(window) / window))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[starts]
    return np.asarray(np.abs(np.fft.rfft(frames * hann) / window) ** 2, dtype=np.float64)


def decibels(powers: NDArray[np.floating] | float) -> Levels:
    """10 log10 of powers, -300 dB at least."""
    return np.asarray(10 * np.log10(np.maximum(powers, FLOOR)), dtype=np.float64)


def to_bark(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Critical-band rate in Bark (Zwicker & Terhardt 1980)."""
    return np.asarray(13 * np.arctan(0.76e-3 * hertz) + 3.5 * np.arctan((hertz / 7500) ** 2), dtype=np.float64)


def threshold_in_quiet(hertz: NDArray[np.float64]) -> Levels:
    """The softest audible tone, in dB SPL (Terhardt 1979); below 20 Hz as at 20 Hz.

    Examples
    --------
    >>> threshold_in_quiet(np.array([1000.0, 3300.0])).round(1).tolist()
    [3.4, -5.0]
    """
    kilo = np.maximum(hertz, 20.0) / 1000
    return np.asarray(3.64 * kilo**-0.8 - 6.5 * np.exp(-0.6 * (kilo - 3.3) ** 2) + 1e-3 * kilo**4, dtype=np.float64)


def _mask_frame(powers: Levels, bark: NDArray[np.float64], quiet: Levels) -> Levels:
    """The masking threshold of one frame: powers [cells] → dB SPL [cells]."""
    tonal = _tonal(powers)
    masks = 10 ** (quiet / 10)
    noise = powers.copy()
    places, levels, offsets = [], [], []
    for cell in tonal:
        places.append(bark[cell])
        levels.append(powers[cell - 1 : cell + 2].sum())
        offsets.append(-6.025 - 0.275 * bark[cell])
        noise[_surroundings(cell, powers.size, inner=True)] = 0
    for band in range(int(bark[-1]) + 1):
        inside = (bark >= band) & (bark < band + 1)
        power = float(noise[inside].sum())
        if power > 0:
            place = float((bark[inside] * noise[inside]).sum() / power)  # where its power is
            places.append(place)
            levels.append(power)
            offsets.append(-2.025 - 0.175 * place)
    kept = _decimate(np.array(places), decibels(np.array(levels)), bark, quiet)
    if kept.size:
        z, level = np.array(places)[kept], decibels(np.array(levels))[kept]
        thresholds = (level + np.array(offsets)[kept])[:, None] + spread(bark[None] - z[:, None], level[:, None])
        masks += (10 ** (thresholds / 10)).sum(axis=0)
    return decibels(masks)


def _tonal(powers: Levels) -> NDArray[np.intp]:
    """Cells of tonal maskers: local maxima 7 dB above their surroundings."""
    levels = decibels(powers)
    inner = np.arange(2, powers.size - 2)
    peaks = inner[(levels[inner] > levels[inner - 1]) & (levels[inner] >= levels[inner + 1])]
    stands_out = [
        bool((levels[cell] - levels[_surroundings(int(cell), powers.size)] >= PROMINENCE).all()) for cell in peaks
    ]
    return np.asarray(peaks[np.array(stands_out, dtype=bool)], dtype=np.intp)


def _surroundings(cell: int, cells: int, *, inner: bool = False) -> NDArray[np.intp]:
    """Neighbours a tone must stand out from, two cells away and up to 2, 3 or 6 with rising place in the spectrum
    (the standard's cells 2-62, 63-126 and 127-250 of 256); with ``inner``, the cells between and itself too."""
    share = cell / (cells - 1)
    reach = 2 if share < 63 / 256 else 3 if share < 127 / 256 else 6
    around = np.arange(max(0, cell - reach), min(cells, cell + reach + 1))
    return around if inner else around[np.abs(around - cell) >= 2]


def _decimate(
    places: NDArray[np.float64], levels: Levels, bark: NDArray[np.float64], quiet: Levels
) -> NDArray[np.intp]:
    """Maskers above the threshold in quiet, of those within half a Bark the strongest."""
    if not places.size:
        return np.empty(0, dtype=np.intp)
    audible = np.flatnonzero(levels >= np.interp(places, bark, quiet))
    kept: list[int] = []
    for index in audible[np.argsort(-levels[audible], kind="stable")]:
        if all(abs(places[index] - places[other]) >= 0.5 for other in kept):
            kept.append(int(index))
    return np.array(sorted(kept), dtype=np.intp)


def spread(distance: NDArray[np.float64], level: Levels) -> Levels:
    """The spreading function: what a masker's threshold loses at a distance in Bark, in dB.

    Parameters
    ----------
    distance : float64 [*]
        Place less the masker's place, in Bark.
    level : float64 [*]
        Of the masker, in dB SPL.
    """
    loss = np.select(
        [distance < -3, distance < -1, distance < 0, distance < 1, distance < 8],
        [
            np.full(np.broadcast_shapes(distance.shape, level.shape), -np.inf),
            17 * distance - 0.4 * level + 11,
            (0.4 * level + 6) * distance,
            -17 * distance,
            (0.15 * level - 17) * distance - 0.15 * level,
        ],
        default=-np.inf,
    )
    return np.asarray(loss, dtype=np.float64)
