"""Spectral entropy, power spectral density and band energies of signals, and how classes differ in them.

Source: Kelly & Chockler, arXiv 2604.02937 (T) §5.2. Definitions used here, for a signal of N samples:

- *power of bin k*, p_k: |X_k|² of the rFFT of the whole signal (no window), doubled for all bins that stand for two
  (all but DC and, for even N, Nyquist), as a share of the sum;
- *spectral entropy*: H = −Σ p_k log₂ p_k, in bits; *normalised* by log₂ of the number of bins, so that 0 is all power
  in one bin and 1 is the same power in each. White Gaussian noise is expected at log₂ n − (1 − γ)/ln 2, 0.61 bits
  below the maximum, as its periodogram is exponentially distributed (γ: Euler's constant);
- *per frame*: the same of Hann-windowed frames of 32 ms with half overlap, averaged over the frames within 60 dB of
  the loudest one;
- *power spectral density*: Welch's, as in :func:`scipy.signal.welch` (Hann, half overlap, mean removed), amplitude²/Hz;
- *band energies*: shares of the power p_k between frequencies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.signal
import scipy.stats
from numpy.typing import NDArray

from ..signal.audio import SILENCE

Real = NDArray[np.float64]
Signal = NDArray[np.float32]

#: a frame's length in seconds
FRAME = 0.032
#: frames more than so many dB below the loudest are left out
FLOOR = -60.0


@dataclass(frozen=True)
class SpectralEntropy:
    """Spectral entropy of a signal.

    Attributes
    ----------
    bits : float
        Of the whole signal's spectrum.
    normalised : float
        ``bits`` / log₂ (number of bins), 0 to 1.
    per_frame : float or None
        Mean normalised entropy of the frames; ``None`` for a signal shorter than a frame.
    frames : int
        Frames averaged.
    """

    bits: float
    normalised: float
    per_frame: float | None
    frames: int


@dataclass(frozen=True)
class Difference:
    """Mann–Whitney's test of two independent samples.

    Attributes
    ----------
    u : float
        U of the first sample: pairs in which it is larger, ties counting half.
    p : float
        Two-sided.
    effect : float
        Rank-biserial correlation 2U/(n₁n₂) − 1: −1 to 1, positive where the first sample tends to be larger.
    """

    u: float
    p: float
    effect: float


def power_shares(signal: Signal) -> Real:
    """Share of the power in each rFFT bin, float64 [N // 2 + 1]; all zero for silence (below -120 dBFS)."""
    power = _one_sided(np.abs(scipy.fft.rfft(signal.astype(np.float64))) ** 2, len(signal))
    if np.abs(signal).max(initial=0) < SILENCE:
        return np.zeros_like(power)
    return np.asarray(power / power.sum(), dtype=np.float64)


def entropy_of(shares: Real) -> Real:
    """Entropy in bits of distributions, float64 [..., n] → float64 [...].

    Examples
    --------
    >>> float(entropy_of(np.array([0.25, 0.25, 0.25, 0.25])))
    2.0
    """
    terms = shares * np.log2(np.where(shares > 0, shares, 1))
    return np.asarray(np.maximum(-terms.sum(axis=-1), 0.0), dtype=np.float64)


def measure_entropy(signal: Signal, sample_rate: int) -> SpectralEntropy | None:
    """Spectral entropy of the whole signal and per frame; ``None`` for silence, whose spectrum has no shape."""
    shares = power_shares(signal)
    if not shares.any():
        return None
    bits = float(entropy_of(shares))
    frames = frame_entropies(signal, sample_rate)
    mean = float(frames.mean()) if len(frames) else None
    return SpectralEntropy(bits, bits / max(float(np.log2(shares.size)), 1.0), mean, len(frames))


def frame_entropies(signal: Signal, sample_rate: int) -> Real:
    """Normalised spectral entropy of each frame loud enough to count, float64 [frames]."""
    length = round(FRAME * sample_rate)
    if len(signal) < length or length < 4:
        return np.empty(0)
    window = scipy.signal.get_window("hann", length)
    frames = np.lib.stride_tricks.sliding_window_view(signal.astype(np.float64), length)[:: length // 2] * window
    power = _one_sided(np.abs(scipy.fft.rfft(frames, axis=1)) ** 2, length)
    total = power.sum(axis=1)
    loud = total > max(float(total.max()) * 10 ** (FLOOR / 10), 1e-30)
    return np.asarray(entropy_of(power[loud] / total[loud, None]) / np.log2(power.shape[1]), dtype=np.float64)


def density(signal: Signal, sample_rate: int, window: int = 1024) -> tuple[Real, Real]:
    """Welch's power spectral density.

    Parameters
    ----------
    signal : float32 [N]
    sample_rate : int
        Hz.
    window : int
        Samples a segment; a shorter signal is one segment, zero-padded.

    Returns
    -------
    hertz, density : float64 [window // 2 + 1]
        Frequencies and amplitude²/Hz.
    """
    samples = signal.astype(np.float64)
    hertz, values = scipy.signal.welch(samples, sample_rate, nperseg=min(window, samples.size), nfft=window)
    return np.asarray(hertz), np.asarray(values)


def mean_density(densities: Real) -> Real:
    """Mean of densities [M, F] that each count alike: every one is divided by its own sum; silent ones are left out.

    Returns
    -------
    float64 [F]
        Sums to 1; all zero where every one is silent.
    """
    total = densities.sum(axis=1)
    heard = total > 0
    if not heard.any():
        return np.zeros(densities.shape[1])
    return np.asarray((densities[heard] / total[heard, None]).mean(axis=0), dtype=np.float64)


def octave_edges(sample_rate: int, lowest: float = 125.0) -> tuple[float, ...]:
    """Band edges in Hz: 0, the octaves from ``lowest``, Nyquist.

    Examples
    --------
    >>> octave_edges(4000)
    (0.0, 125.0, 250.0, 500.0, 1000.0, 2000.0)
    """
    nyquist = sample_rate / 2
    steps = int(np.ceil(np.log2(nyquist / lowest))) if nyquist > lowest else 0
    return (0.0, *(lowest * 2.0**step for step in range(steps)), nyquist)


def band_energies(signal: Signal, sample_rate: int, edges: Sequence[float]) -> Real:
    """Share of the power in each band [edge, next edge), the last one closed: float64 [len(edges) - 1]."""
    shares = power_shares(signal)
    hertz = np.fft.rfftfreq(len(signal), 1 / sample_rate)
    band = np.clip(np.searchsorted(edges, hertz, side="right") - 1, 0, len(edges) - 2)
    inside = (hertz >= edges[0]) & (hertz <= edges[-1])
    return np.asarray(np.bincount(band[inside], weights=shares[inside], minlength=len(edges) - 1), dtype=np.float64)


def compare(first: Sequence[float] | Real, second: Sequence[float] | Real) -> Difference | None:
    """Mann–Whitney's U test with its rank-biserial effect size; ``None`` where a sample is empty.

    Examples
    --------
    >>> compare([3, 4, 5], [1, 2]).effect
    1.0
    """
    if not len(first) or not len(second):
        return None
    u, p = scipy.stats.mannwhitneyu(first, second, alternative="two-sided")
    return Difference(float(u), float(p), float(2 * u / (len(first) * len(second)) - 1))


def _one_sided(power: Real, samples: int) -> Real:
    """Power of one-sided spectra (last axis) with the bins that stand for two doubled."""
    power[..., 1 : (samples + 1) // 2] *= 2
    return power
