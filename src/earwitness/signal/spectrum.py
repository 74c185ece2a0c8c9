"""Fourier domains of a clip: its variables, masks over them, and the signals that masks make.

A *domain* says what the variables of a search are: the bins of the rFFT of the whole clip (``rfft``), bands of
such bins (``mel:64``, ``octave:3``, ``edges:300,3400``), or the cells of a short-time transform
(``stft:512:128``). A :class:`Spectrum` is one clip in one domain. A mask keeps a set of variables; the others
take the occlusion value:

``zero``
    nothing (the default);
``mean``
    the clip's mean magnitude with the original phase;
``noise``
    white Gaussian noise of the clip's power (seeded).

Signals are computed in double precision and rounded once, so that the mask that keeps everything gives back the
clip, and a signal does not depend on which others were made with it: clip and mask give it again bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
import scipy.fft
import scipy.signal
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError
from .audio import Clip
from .domains import Domain
from .masks import Mask
from .waveform import match_power

T = TypeVar("T", bound=np.generic)
AT_ONCE = 1 << 16  #: complex numbers of a transform: 1 MiB, as a processor's cache holds


class Signals(Protocol):
    """What makes signals of masks: all that the driver needs of a :class:`Spectrum`."""

    @property
    def clip(self) -> Clip:
        """The clip they are made from."""

    @property
    def size(self) -> int:
        """The number of variables a mask ranges over."""

    def invert(self, masks: Mask, device: torch.device | str = "cpu") -> Tensor:
        """Bool [M, size] → float32 [M, N]."""


class Variables(Signals, Protocol):
    """What of a clip is kept and removed: a :class:`Spectrum`, or its samples."""

    @property
    def energy(self) -> NDArray[np.float64]:
        """Share of the clip's energy in each variable, float64 [size]."""

    def invert(
        self, masks: Mask, device: torch.device | str = "cpu", fill: NDArray[np.complex128] | None = None
    ) -> Tensor:
        """Bool [M, size] → float32 [M, N]; ``fill`` is what removed content becomes, see :meth:`fill_with`."""

    def fill_with(self, other: Clip) -> NDArray[np.complex128]:
        """What removed content becomes where another recording takes its place."""


class Spectrum:
    """One clip in one domain.

    Attributes
    ----------
    clip : Clip
    domain : Domain
    size : int
        The number of variables a mask ranges over.
    band : int [bins] or None
        The variable that each bin belongs to, where variables are bands.
    energy : float64 [size]
        Share of the clip's energy in each variable; sums to 1 (all zero for a silent clip).
    """

    def __init__(self, clip: Clip, domain: Domain | None = None) -> None:
        self.clip = clip
        self.domain = domain or Domain()
        self._stft = self._make_stft() if self.domain.kind == "stft" else None
        samples = clip.samples.astype(np.float64)
        self._values = self._transform(samples)
        self._fill = self._occlude(samples)
        self.band = self._bands()
        self.size = self._values.size if self.band is None else int(self.band.max()) + 1

    @cached_property
    def energy(self) -> NDArray[np.float64]:
        """Share of the clip's energy in each variable, float64 [size]."""
        power = np.abs(self._values) ** 2
        # one-sided spectra: every bin but DC (and Nyquist, for even windows) stands for two
        samples = int(self.domain.numbers[0]) if self._stft else len(self.clip)
        power[1 : (samples + 1) // 2] *= 2
        power = power.reshape(-1)
        if self.band is not None:
            power = np.bincount(self.band, weights=power, minlength=self.size)
        total = power.sum()
        return np.asarray(power / total if total > 0 else power, dtype=np.float64)

    @cached_property
    def hertz(self) -> NDArray[np.float64]:
        """Centre frequency of each variable in Hz, float64 [size]."""
        count = self._values.shape[0]
        bins = np.linspace(0, self.clip.sample_rate / 2, count)
        if self._stft is not None:
            return np.repeat(bins, self._values.shape[1])
        if self.band is None:
            return np.asarray(np.fft.rfftfreq(len(self.clip), 1 / self.clip.sample_rate), dtype=np.float64)
        return np.asarray(np.bincount(self.band, weights=bins) / np.bincount(self.band), dtype=np.float64)

    @cached_property
    def real(self) -> Mask:
        """Which variables have no phase, bool [size]: bins or cells at DC and Nyquist. (A band always has one.)"""
        real = np.zeros(self._values.shape, dtype=bool)
        samples = int(self.domain.numbers[0]) if self._stft else len(self.clip)
        real[0] = True
        if samples % 2 == 0:
            real[-1] = True
        return np.zeros(self.size, dtype=bool) if self.band is not None else real.reshape(-1)

    @property
    def centres(self) -> NDArray[np.float64]:
        """The middle of each frame of an ``stft`` domain, in samples from the clip's start, float64 [frames]."""
        assert self._stft is not None
        return np.asarray((np.arange(self._values.shape[1]) + self._stft.p_min) * self._stft.hop, dtype=np.float64)

    @property
    def bins(self) -> int:
        """The number of rFFT bins of the whole clip, N//2 + 1."""
        return len(self.clip) // 2 + 1

    def invert(
        self, masks: Mask, device: torch.device | str = "cpu", fill: NDArray[np.complex128] | None = None
    ) -> Tensor:
        """Make the signals that masks keep.

        Parameters
        ----------
        masks : bool [M, size]
        device : torch.device
            Where the signals are wanted; on a CUDA device the transform runs there.
        fill : complex128, optional
            What removed content becomes, see :meth:`fill_with`; by default what the domain's occlusion says.

        Returns
        -------
        Tensor, float32 [M, N]
        """
        device = torch.device(device)
        fill = self._fill if fill is None else fill
        if self._stft is not None:
            cells = (np.where(mask.reshape(self._values.shape), self._values, fill) for mask in masks)
            return torch.from_numpy(self._invert_cells(cells)).to(device)
        if device.type == "cuda":
            values, other = torch.from_numpy(self._values).to(device), torch.from_numpy(fill).to(device)
            chosen = torch.where(torch.from_numpy(self._to_bins(masks)).to(device), values, other)
            signal: Tensor = torch.fft.irfft(chosen, len(self.clip), dim=1).float()
            return signal
        signals = self._synthesize(len(masks), lambda rows: np.where(self._to_bins(masks[rows]), self._values, fill))
        return torch.from_numpy(signals).to(device)

    def fill_with(self, other: Clip) -> NDArray[np.complex128]:
        """What removed content becomes where another recording takes its place: its transform, cut or zero-padded to
        the clip's length and scaled to the clip's power.

        Raises
        ------
        ConfigError
            The rates differ.
        """
        return self._transform(match_power(self.clip, other))

    def change(self, gains: NDArray[np.complex128], device: torch.device | str = "cpu") -> Tensor:
        """Make the signals in which each variable is multiplied by a complex gain.

        Parameters
        ----------
        gains : complex128 [M, size]
            1 leaves a variable as it is, 0 removes it; the angle shifts its phase. Of DC and Nyquist, which are
            real, only the real part of the product counts.
        device : torch.device
            See :meth:`invert`.

        Returns
        -------
        Tensor, float32 [M, N]
        """
        device = torch.device(device)
        if self._stft is not None:
            cells = gains.reshape(-1, *self._values.shape) * self._values
            return torch.from_numpy(self._invert_cells(cells)).to(device)
        if device.type == "cuda":
            changed = torch.from_numpy(self._to_bins(gains) * self._values).to(device)
            signal: Tensor = torch.fft.irfft(changed, len(self.clip), dim=1).float()
            return signal
        signals = self._synthesize(len(gains), lambda rows: self._to_bins(gains[rows]) * self._values)
        return torch.from_numpy(signals).to(device)

    def sensitivity(self, gradient: NDArray[np.floating]) -> NDArray[np.complex128]:
        """How a quantity responds to gains on the variables, to first order.

        Parameters
        ----------
        gradient : float [N]
            Of the quantity, by each sample of the clip.

        Returns
        -------
        complex128 [size]
            z: under gains g the quantity changes by Σ Re((g - 1) z). (:meth:`change` is linear, and the gradient by
            the transform is its adjoint: the transform of the gradient, by the synthesis window where there is one.)
        """
        slopes: NDArray[np.float64] = np.asarray(gradient, dtype=np.float64)
        if self._stft is not None:
            window, hop = (int(number) for number in self.domain.numbers)
            synthesis = scipy.signal.ShortTimeFFT(
                self._stft.dual_win, hop, fs=self.clip.sample_rate, fft_mode="onesided"
            )
            transform, samples = synthesis.stft(self._reach(slopes)), window
        else:
            transform, samples = scipy.fft.rfft(slopes), len(self.clip)
        response = self._values * np.conj(transform) / samples
        response[1 : (samples + 1) // 2] *= 2  # one-sided, as in energy
        response = response.reshape(-1)
        if self.band is not None:
            real, imaginary = (np.bincount(self.band, part, self.size) for part in (response.real, response.imag))
            response = real + 1j * imaginary
        return np.asarray(response, dtype=np.complex128)

    def to_bins(self, mask: Mask) -> Mask:
        """The rFFT bins (bool [bins]) that a mask over ``rfft`` or band variables keeps.

        Raises
        ------
        ConfigError
            The domain's variables are not sets of rFFT bins (``stft``).
        """
        if self._stft is not None:
            raise ConfigError("an stft mask has no rFFT bins; use its cells")
        return self._to_bins(mask)

    def _transform(self, samples: NDArray[np.float64]) -> NDArray[np.complex128]:
        values = scipy.fft.rfft(samples) if self._stft is None else self._stft.stft(self._reach(samples))
        return np.asarray(values, dtype=np.complex128)

    def _occlude(self, samples: NDArray[np.float64]) -> NDArray[np.complex128]:
        """What stands in for removed content, complex128 of the spectrum's shape."""
        if self.domain.occlusion == "zero":
            return np.zeros_like(self._values)
        if self.domain.occlusion == "noise":
            rng = np.random.default_rng(self.domain.seed)
            return self._transform(rng.standard_normal(samples.size) * np.sqrt((samples**2).mean()))
        magnitude = np.abs(self._values)
        phase = np.divide(self._values, magnitude, out=np.ones_like(self._values), where=magnitude > 0)
        return np.asarray(magnitude.mean() * phase, dtype=np.complex128)

    def _bands(self) -> NDArray[np.intp] | None:
        if self.domain.kind in ("rfft", "stft"):
            return None
        hertz = np.fft.rfftfreq(len(self.clip), 1 / self.clip.sample_rate)
        edges = band_edges(self.domain, self.clip.sample_rate / 2)
        # empty bands (narrower than a bin) vanish, so that every variable holds at least one bin
        return np.unique(np.searchsorted(edges, hertz, side="right"), return_inverse=True)[1].reshape(-1)

    def _make_stft(self) -> Any:
        window, hop = (int(number) for number in self.domain.numbers)
        hann = scipy.signal.get_window("hann", window)
        return scipy.signal.ShortTimeFFT(hann, hop, fs=self.clip.sample_rate, fft_mode="onesided")

    def _reach(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        """Samples zero-padded to half a window at least: what the short-time transform needs."""
        short = (int(self.domain.numbers[0]) + 1) // 2 - samples.size
        return np.pad(samples, (0, short)) if short > 0 else samples

    def _to_bins(self, values: NDArray[T]) -> NDArray[T]:
        """Values of the variables, [..., size], as values of the rFFT's bins, [..., bins]."""
        return values if self.band is None else values[..., self.band]

    def _synthesize(self, count: int, transform: Callable[[slice], NDArray[np.complex128]]) -> NDArray[np.float32]:
        """The signals of so many rFFTs, float32 [count, N], made a few at a time.

        So their transforms need little memory and stay in the processor's cache, and each thread that torch may use
        makes some of them.
        """
        signals = np.empty((count, len(self.clip)), dtype=np.float32)
        step = max(1, AT_ONCE // self._values.size)

        def synthesize(start: int) -> None:
            rows = slice(start, start + step)
            signals[rows] = scipy.fft.irfft(transform(rows), len(self.clip), axis=1, overwrite_x=True)

        starts = range(0, count, step)
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list((pool.map if len(starts) > 1 else map)(synthesize, starts))
        return signals

    def _invert_cells(self, transforms: Iterable[NDArray[np.complex128]]) -> NDArray[np.float32]:
        """The signals of short-time transforms, float32 [M, N]."""
        assert self._stft is not None
        length = self._reach(self.clip.samples.astype(np.float64)).size
        signals = [self._stft.istft(cells, k1=length)[: len(self.clip)] for cells in transforms]
        return np.asarray(signals, dtype=np.float32).reshape(-1, len(self.clip))


def count_variables(domain: Domain, samples: int, sample_rate: int) -> int:
    """The variables that a clip of so many samples has in a domain, without making its spectrum.

    Of bands, all: those narrower than a bin, which vanish, are rare in a clip long enough to ask about.
    """
    if domain.kind == "rfft":
        return samples // 2 + 1
    if domain.kind == "stft":
        window, hop = (int(number) for number in domain.numbers)
        transform = scipy.signal.ShortTimeFFT(scipy.signal.get_window("hann", window), hop, fs=sample_rate)
        return int(transform.f_pts * transform.p_num(max(samples, (window + 1) // 2)))
    return len(band_edges(domain, sample_rate / 2)) + 1


def mel(hertz: Any) -> Any:
    """O'Shaughnessy's mel scale: linear below some 700 Hz, logarithmic above, as the ear is."""
    return 2595 * np.log10(1 + np.asarray(hertz, dtype=np.float64) / 700)


def band_edges(domain: Domain, nyquist: float) -> NDArray[np.float64]:
    """Inner band edges in Hz, ascending, below Nyquist."""
    if domain.kind == "edges":
        edges = np.unique(domain.numbers)
    elif domain.kind == "octave":  # from Nyquist down to 20 Hz, evenly in octaves
        steps = np.arange(1, int(np.log2(nyquist / 20) * domain.numbers[0]) + 1)
        edges = np.sort(nyquist * 2.0 ** (-steps / domain.numbers[0]))
    else:
        mels = np.linspace(0, mel(nyquist), int(domain.numbers[0]) + 1)[1:-1]
        edges = 700 * (10 ** (mels / 2595) - 1)
    return np.asarray(edges[edges < nyquist], dtype=np.float64)
