"""Changes of a recording's spectrum, and the signals they make.

A change multiplies some variables of a spectrum (rFFT bins, bands or STFT cells) by complex gains:

``remove``
    gain 0;
``scale``
    a real gain, up or down by at most so many dB;
``shift``
    a gain of magnitude 1: the phase turns.

A change of energy share e by gain g adds |g - 1|² e of the clip's energy as noise. :class:`Bounds` limits that
noise. A bound on SNR is dealt out evenly to the variables a change may have: bins are orthogonal, so k changes of 1/k
of the noise each have the noise allowed, whichever they are. A bound on masking limits each variable alone; how loud
several are together is measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import ConfigError, nearest
from ...signal.audio import Clip
from ...signal.masks import Mask
from ...signal.spectrum import Spectrum
from .bounds import ACTIONS, Bounds
from .masking import Threshold, decibels

Gains = NDArray[np.complex128]

#: limits are used but for this share, so that rounding a signal to float32 does not break them
HAIR = 1e-4
#: changes that add less than this share of the clip's energy (-90 dB) are none
LEAST = 1e-9


@dataclass(frozen=True)
class Change:
    """Some variables and the gains they are multiplied by.

    Attributes
    ----------
    variables : tuple of int
        Ascending.
    gains : tuple of complex
    actions : tuple of str
        What each gain does: one of :data:`ACTIONS`.
    """

    variables: tuple[int, ...]
    gains: tuple[complex, ...]
    actions: tuple[str, ...]

    @property
    def size(self) -> int:
        """The number of changed variables."""
        return len(self.variables)

    @property
    def decibels(self) -> tuple[float, ...]:
        """Change of level of each variable in dB: minus infinity where it is removed."""
        return tuple(float(20 * np.log10(abs(gain))) if gain else -np.inf for gain in self.gains)

    @property
    def degrees(self) -> tuple[float, ...]:
        """Shift in phase of each variable in degrees, -180 to 180."""
        return tuple(float(np.degrees(np.angle(gain))) if gain else 0.0 for gain in self.gains)

    def apply(self, spectrum: Spectrum) -> NDArray[np.float32]:
        """The changed signal, float32 [N]."""
        gains = np.ones((1, spectrum.size), dtype=np.complex128)
        gains[0, list(self.variables)] = self.gains
        return np.asarray(spectrum.change(gains)[0].numpy(), dtype=np.float32)


class Menu:
    """The changes a search may choose from: one of several gains for each variable of a spectrum.

    A *choice* is a mask over (gain, variable) pairs, ``size`` of them, and says which are applied; of several gains
    chosen for one variable the first counts. To the driver a menu is what a spectrum is: it makes signals of masks.

    Parameters
    ----------
    spectrum : Spectrum
    gains : complex128 [P, spectrum.size]
        1 where there is nothing to choose.
    actions : tuple of str
        What each of the P rows does.
    """

    def __init__(self, spectrum: Spectrum, gains: Gains, actions: tuple[str, ...]) -> None:
        self.spectrum, self.gains, self.actions = spectrum, gains, actions
        self.size = gains.size

    @property
    def clip(self) -> Clip:
        """The clip."""
        return self.spectrum.clip

    @cached_property
    def noise(self) -> NDArray[np.float64]:
        """The energy each choice adds as noise, as a share of the clip's, float64 [size]; 0: no choice."""
        noise = (np.abs(self.gains - 1) ** 2 * self.spectrum.energy).reshape(-1)
        return np.where(noise >= LEAST, noise, 0.0)

    def invert(self, masks: Mask, device: torch.device | str = "cpu") -> Tensor:
        """The signals of choices: bool [M, size] → float32 [M, N]."""
        chosen = masks.reshape(len(masks), *self.gains.shape)
        gains = np.ones((len(masks), self.spectrum.size), dtype=np.complex128)
        for row in reversed(range(len(self.gains))):
            np.copyto(gains, self.gains[row], where=chosen[:, row])
        return self.spectrum.change(gains, device)

    def change(self, mask: Mask) -> Change:
        """The change that a choice (bool [size]) makes."""
        chosen = mask.reshape(self.gains.shape)
        variables = np.flatnonzero(chosen.any(axis=0))
        rows = chosen[:, variables].argmax(axis=0)
        return Change(
            tuple(map(int, variables)),
            tuple(map(complex, self.gains[rows, variables])),
            tuple(self.actions[row] for row in rows),
        )


def make_menu(
    spectrum: Spectrum, actions: tuple[str, ...], bounds: Bounds, limits: NDArray[np.float64] | None = None
) -> Menu:
    """Every change of one variable within the bounds.

    Parameters
    ----------
    spectrum : Spectrum
    actions : tuple of str
        Some of :data:`ACTIONS`.
    bounds : Bounds
    limits : float64 [size], optional
        The largest |g - 1| of each variable beside ``bounds.snr``: what :func:`masked_limits` gives.
    """
    for action in actions:
        if action not in ACTIONS:
            raise ConfigError(f"action {action!r}: {nearest(action, ACTIONS)}use some of {', '.join(ACTIONS)}")
    reach = np.full(spectrum.size, np.inf)
    if bounds.snr is not None and bounds.count is not None:
        noise = 10 ** (-bounds.snr / 10) / bounds.count
        reach = np.sqrt(noise / np.maximum(spectrum.energy, 1e-300))
    if limits is not None:
        reach = np.minimum(reach, limits)
    reach *= 1 - HAIR
    largest = 10 ** (bounds.gain / 20)
    rows = [(gains, action) for action in actions for gains in _gains(action, spectrum, reach, largest)]
    return Menu(spectrum, np.stack([gains for gains, _ in rows]), tuple(action for _, action in rows))


def _gains(action: str, spectrum: Spectrum, reach: NDArray[np.float64], largest: float) -> list[Gains]:
    """The gains of one action, each complex128 [size], 1 where the reach |g - 1| does not allow it."""
    one = np.ones(spectrum.size, dtype=np.complex128)
    if action == "remove":
        return [np.where(reach >= 1, 0.0, one)]
    if action == "scale":
        return [one + np.minimum(reach, largest - 1), np.maximum(1 - reach, 1 / largest) + 0j]
    angle = 2 * np.arcsin(np.minimum(reach, 2.0) / 2)  # |exp(iθ) - 1| = 2 sin(θ/2)
    angle[spectrum.real] = 0
    turned = np.exp(1j * angle)
    if (angle[~spectrum.real] == np.pi).all():  # half a turn forwards is half a turn backwards
        return [turned]
    return [turned, np.where(angle == np.pi, one, turned.conj())]


def masked_limits(spectrum: Spectrum, threshold: Threshold, bounds: Bounds) -> NDArray[np.float64]:
    """The largest |g - 1| of each variable that, changed alone, keeps ``bounds.margin``.

    For rFFT bins this is sure: the noise is a steady tone, whose level in each cell is the window's response at its
    distance. Bands are measured, each by itself. For STFT cells it is an estimate from how one such cell's sound
    spreads: what is found must be measured.

    Returns
    -------
    float64 [spectrum.size]
    """
    assert bounds.margin is not None
    kind = spectrum.domain.kind
    level = _tone_levels if kind == "rfft" else _cell_levels if kind == "stft" else _band_levels
    headroom = level(spectrum, threshold) - bounds.margin
    return np.asarray(10 ** (headroom / 20), dtype=np.float64)


def _tone_levels(spectrum: Spectrum, threshold: Threshold, reach: int = 32) -> NDArray[np.float64]:
    """How far below the threshold each bin itself lies, in dB: the least over the cells near it and all frames."""
    floor = threshold.levels.min(axis=0)
    # place of each bin in cells
    place = spectrum.hertz / threshold.sample_rate * threshold.window
    cells = np.rint(place).astype(np.intp)[:, None] + np.arange(-reach, reach + 1)
    inside = (cells >= 0) & (cells < floor.size)
    response = hann_response(cells - place[:, None]) + hann_response(cells + place[:, None])
    amplitude = np.sqrt(spectrum.energy * np.square(spectrum.clip.samples, dtype=np.float64).mean() * 2)
    amplitude[spectrum.real] /= np.sqrt(2)
    level = decibels((response * amplitude[:, None] / 2) ** 2) + threshold.reference
    room = np.where(inside, floor[np.clip(cells, 0, floor.size - 1)] - level, np.inf)
    return np.asarray(room.min(axis=1), dtype=np.float64)


def hann_response(offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """Magnitude of the model's Hann window's transform, over its length, at an offset in cells.

    Examples
    --------
    >>> hann_response(np.array([0.0, 1.0, 2.0])).round(3).tolist()
    [0.816, 0.408, 0.0]
    """
    return np.asarray(
        np.sqrt(8 / 3) * np.abs(0.5 * np.sinc(offset) + 0.25 * (np.sinc(offset - 1) + np.sinc(offset + 1))),
        dtype=np.float64,
    )


def _band_levels(spectrum: Spectrum, threshold: Threshold) -> NDArray[np.float64]:
    """As :func:`_tone_levels`, measured: the margin of each variable's own sound."""
    margins = np.empty(spectrum.size)
    for variable in range(spectrum.size):
        keep = np.zeros((1, spectrum.size), dtype=np.complex128)
        keep[0, variable] = 1
        margins[variable] = threshold.margin(spectrum.change(keep)[0].numpy())
    return margins


def _cell_levels(spectrum: Spectrum, threshold: Threshold) -> NDArray[np.float64]:
    """As :func:`_tone_levels`, from the sound of the strongest cell alone: that of the others is taken to spread as
    it does, and to be as much softer as they hold less energy."""
    frames, energy = spectrum.centres.size, spectrum.energy
    count = spectrum.size // frames
    # the model's frame and cell nearest to each cell
    last_frame, last_cell = (size - 1 for size in threshold.levels.shape)
    times = np.rint((spectrum.centres - threshold.window / 2) / threshold.hop).astype(np.intp)
    places = np.rint(np.linspace(0, last_cell, count)).astype(np.intp)
    inner = energy.reshape(count, frames).copy()
    if count > 2 and frames > 2:  # at the edges sounds are cut off or mirrored
        inner[[0, -1]] = inner[:, [0, -1]] = 0
    strongest = int(inner.argmax())
    alone = np.zeros((1, spectrum.size), dtype=np.complex128)
    alone[0, strongest] = 1
    sound = threshold.level(spectrum.change(alone)[0].numpy())
    row, column = divmod(strongest, frames)
    time, place = np.clip(times[column], 0, last_frame), places[row]
    level = decibels(energy / max(float(energy[strongest]), 1e-300)).reshape(count, frames)
    room = np.full((count, frames), np.inf)
    window = int(spectrum.domain.numbers[0])
    late = -(-(window + threshold.window) // (2 * threshold.hop))
    high = -(-4 * threshold.window // window) + 4
    for later in range(max(-late, -time), min(late, last_frame - time) + 1):
        for higher in range(max(-high, -place), min(high, last_cell - place) + 1):
            near = np.ix_(np.clip(times + later, 0, last_frame), np.clip(places + higher, 0, last_cell))
            room = np.minimum(room, threshold.levels[near].T - level - sound[time + later, place + higher])
    return room.reshape(-1)
