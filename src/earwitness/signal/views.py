"""Views: harmless changes of a signal, under which evidence that means something still convinces.

A *kind* of view is one string: ``noise:30`` (pink noise so many dB under the clip, or ``noise:30:white``, or
``noise:30:own`` with the clip's own long-term spectrum), ``gain:6`` (± dB), ``shift:10`` (± ms, zeros where nothing
was), ``room`` (a short synthetic decay), ``codec:mp3`` or ``codec:vorbis`` (what libsndfile writes and reads back),
``others`` (in place of silence, what is removed becomes another recording). A *view* is one draw of all kinds that are
listed, composed: what is removed is filled, then the signal is shifted, scaled, put into a room, laid under noise,
coded.

Installed packages add kinds by the entry points ``earwitness.views``: ``hum`` or ``hum:20``, a function of the signal
as it is by then (float32 [N]), the sample rate, the amount (``None`` where none is written) and a random generator,
that returns the changed signal. Such changes come last.

Everything is drawn when a view is made, and depends on the clip, a seed and the view's number alone: the same view
gives the same signal, whichever others it is made with. Noise is pink by default since natural sounds are, and since
it then depends on no other recording: a study that grows keeps its results.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.fft
import scipy.signal
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError, nearest
from ..plugins import Registry
from .audio import Clip
from .draws import Rng, make_rng
from .masks import Mask
from .spectrum import Variables

Real = NDArray[np.float64]

COLOURS = ("pink", "white", "own")
CODECS = {"mp3": ("MP3", "MPEG_LAYER_III"), "vorbis": ("OGG", "VORBIS")}
#: how each kind is written
KINDS = {
    "noise": "noise:DB", "gain": "gain:DB", "shift": "shift:MS", "room": "room", "codec": "codec:mp3",
    "others": "others",
}  # fmt: skip
#: what is added by packages
Change = Callable[[NDArray[np.float32], int, float | None, Rng], NDArray[np.float32]]
ADDED: Registry[Change] = Registry("earwitness.views", {})
#: seconds in which a room's sound falls by 60 dB, at least and at most; and its level beside the direct sound's, in dB
DECAY, REVERBERANT = (0.1, 0.4), -10.0


@dataclass(frozen=True)
class Kind:
    """A kind of view.

    Attributes
    ----------
    name : str
    amount : float
        dB under the clip (``noise``), dB (``gain``), ms (``shift``).
    variety : str
        Colour of noise, or codec; ``bare``: a package's, without an amount.
    """

    name: str
    amount: float = 0.0
    variety: str = ""

    @classmethod
    def parse(cls, text: str) -> Kind:
        """Read one of the forms above.

        Raises
        ------
        ConfigError
            It is of none of these forms.

        Examples
        --------
        >>> Kind.parse("noise:30:pink")
        Kind(name='noise', amount=30.0, variety='pink')
        """
        name, *rest = text.split(":")
        if name not in KINDS and name in ADDED:
            form = f"{name} or {name}:NUMBER"
            return cls(name, _amount(text, rest, form)) if rest else cls(name, variety="bare")
        if name not in KINDS:
            known = (*KINDS.values(), *ADDED)
            raise ConfigError(f"view {text!r}: {nearest(name, (*KINDS, *ADDED))}use some of {', '.join(known)}")
        if name == "codec":
            if rest not in [[codec] for codec in CODECS]:
                raise ConfigError(f"view {text!r}: use codec:{' or codec:'.join(CODECS)}")
            return cls(name, variety=rest[0])
        if name in ("room", "others"):
            if rest:
                raise ConfigError(f"view {text!r}: {name} takes no numbers; write {name}")
            return cls(name)
        colour = rest.pop() if name == "noise" and len(rest) == 2 else COLOURS[0] if name == "noise" else ""
        amount = _amount(text, rest, KINDS[name])
        if not 0 < amount <= 200 or (colour and colour not in COLOURS):
            raise ConfigError(f"view {text!r}: use more than 0 and at most 200, and one of {', '.join(COLOURS)}")
        return cls(name, amount, colour)


def _amount(text: str, rest: Sequence[str], form: str) -> float:
    try:
        (amount,) = map(float, rest)
    except ValueError:
        raise ConfigError(f"view {text!r}: write {form}, with one number") from None
    return amount


def parse_views(texts: Sequence[str]) -> tuple[Kind, ...]:
    """The kinds that are listed, each once.

    Raises
    ------
    ConfigError
        One is of no known form, or a kind is listed twice.
    """
    kinds = tuple(Kind.parse(text) for text in texts)
    names = [kind.name for kind in kinds]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"views: {name} is listed twice; list each kind once")
    return kinds


@dataclass(frozen=True, eq=False)
class View:
    """One draw of the kinds that are listed.

    Attributes
    ----------
    fill : complex128 or None
        What stands in for removed content, in the spectrum's shape; ``None``: what the domain's occlusion says.
    noise : float32 [N] or None
    gain : float
        Factor.
    shift : int
        Samples; positive: later.
    room : float32 [K] or None
        Impulse response.
    codec : str
        Empty: none.
    sample_rate : int
    added : tuple of (callable, float or None, int)
        Changes that packages add: each with its amount, and the seed of what it draws.
    """

    fill: NDArray[np.complex128] | None = field(default=None, repr=False)
    noise: NDArray[np.float32] | None = field(default=None, repr=False)
    gain: float = 1.0
    shift: int = 0
    room: NDArray[np.float32] | None = field(default=None, repr=False)
    codec: str = ""
    sample_rate: int = 16_000
    added: tuple[tuple[Change, float | None, int], ...] = ()

    def apply(self, signals: Tensor) -> Tensor:
        """Signals as they are in this view, float32 [M, N] → [M, N]."""
        if self.shift:
            moved = torch.zeros_like(signals)
            if self.shift > 0:
                moved[:, self.shift :] = signals[:, : -self.shift]
            else:
                moved[:, : self.shift] = signals[:, -self.shift :]
            signals = moved
        if self.gain != 1:
            signals = signals * self.gain
        if self.room is not None:
            signals = _convolve(signals, torch.from_numpy(self.room).to(signals.device))
        if self.noise is not None:
            signals = signals + torch.from_numpy(self.noise).to(signals.device)
        if self.codec:
            coded = [code(row, self.sample_rate, self.codec) for row in signals.cpu().numpy()]
            signals = torch.from_numpy(np.stack(coded)).to(signals.device)
        for change, amount, seed in self.added:
            rows = [_changed(change, row, self.sample_rate, amount, seed) for row in signals.cpu().numpy()]
            signals = torch.from_numpy(np.stack(rows)).to(signals.device)
        return signals


def _changed(
    change: Change, signal: NDArray[np.float32], sample_rate: int, amount: float | None, seed: int
) -> NDArray[np.float32]:
    """A signal as a package changes it: the same draw for every signal of a view.

    Raises
    ------
    ConfigError
        What it returns is no signal of the same length.
    """
    found = np.asarray(change(signal.copy(), sample_rate, amount, np.random.default_rng(seed)), dtype=np.float32)
    if found.shape != signal.shape or not np.isfinite(found).all():
        name = getattr(change, "__qualname__", change)
        raise ConfigError(f"view {name} of {getattr(change, '__module__', '')}: returned no signal of the same length")
    return found


class Viewed:
    """Signals of a spectrum's masks in views: what the driver asks about, in place of the spectrum.

    A mask ranges over the spectrum's variables and one more for each view: at most one of these is set, and says in
    which view the signal is wanted; none: as it is.

    Parameters
    ----------
    spectrum : Variables
    views : sequence of View
    """

    def __init__(self, spectrum: Variables, views: Sequence[View]) -> None:
        self.spectrum, self.views = spectrum, tuple(views)
        self.size = spectrum.size + len(self.views)

    @property
    def clip(self) -> Clip:
        """The clip."""
        return self.spectrum.clip

    def invert(self, masks: Mask, device: torch.device | str = "cpu") -> Tensor:
        """Bool [M, size] → float32 [M, N]."""
        kept, wanted = masks[:, : self.spectrum.size], masks[:, self.spectrum.size :]
        number = np.where(wanted.any(axis=1), wanted.argmax(axis=1), -1)
        signals = torch.empty((len(masks), len(self.clip)), dtype=torch.float32, device=device)
        for view in np.unique(number):
            rows = np.flatnonzero(number == view)
            if view < 0:
                signals[rows] = self.spectrum.invert(kept[rows], device)
            else:
                one = self.views[view]
                signals[rows] = one.apply(self.spectrum.invert(kept[rows], device, one.fill))
        return signals


def in_view(masks: Mask, view: int | None, views: int) -> Mask:
    """Masks (bool [M, F]) as :class:`Viewed` takes them: bool [M, F + views]."""
    wanted = np.zeros((len(masks), views), dtype=bool)
    if view is not None:
        wanted[:, view] = True
    return np.concatenate([masks, wanted], axis=1)


def draw_views(
    kinds: Sequence[Kind], spectrum: Variables, count: int, *facts: object, others: Sequence[Clip] = ()
) -> list[View]:
    """Draw views of a clip.

    Parameters
    ----------
    kinds : sequence of Kind
    spectrum : Variables
        Of the clip.
    count : int
    facts : object
        What the draws depend on, beside the clip: a seed, and what the views are for.
    others : sequence of Clip
        For the kind ``others``: recordings with another label, at the clip's rate.

    Raises
    ------
    ConfigError
        ``others`` is listed and there are none.
    """
    if not others and any(kind.name == "others" for kind in kinds):
        raise ConfigError("view 'others': no recording with another label; give some, or leave it out")
    clip, views = spectrum.clip, []
    for number in range(count):
        rng = make_rng(clip.sha256, *facts, number)
        drawn: dict[str, object] = {"sample_rate": clip.sample_rate}
        added: list[tuple[Change, float | None, int]] = []
        for kind in kinds:  # a generator each: one more behind the others changes none of them
            found = _draw(kind, spectrum, others, rng.spawn(1)[0])
            added += found.pop("added", ())  # type: ignore[arg-type]
            drawn |= found
        views.append(View(**drawn, added=tuple(added)))  # type: ignore[arg-type]
    return views


def _draw(kind: Kind, spectrum: Variables, others: Sequence[Clip], rng: Rng) -> dict[str, object]:
    clip = spectrum.clip
    if kind.name == "noise":
        return {"noise": make_noise(clip, kind.amount, kind.variety, rng)}
    if kind.name == "gain":
        return {"gain": float(10 ** (rng.uniform(-kind.amount, kind.amount) / 20))}
    if kind.name == "shift":
        most = kind.amount / 1000 * clip.sample_rate
        return {"shift": int(np.clip(round(rng.uniform(-most, most)), 1 - len(clip), len(clip) - 1))}
    if kind.name == "room":
        return {"room": make_room(clip.sample_rate, rng)}
    if kind.name == "codec":
        return {"codec": kind.variety}
    if kind.name not in KINDS:
        amount = None if kind.variety == "bare" else kind.amount
        return {"added": ((ADDED[kind.name], amount, int(rng.integers(2**63))),)}
    other = others[int(rng.integers(len(others)))]
    return {"fill": spectrum.fill_with(other)}


def make_noise(clip: Clip, below: float, colour: str, rng: Rng) -> NDArray[np.float32]:
    """Gaussian noise so many dB under a clip, float32 [N]: white, pink, or with the clip's own long-term spectrum."""
    samples = clip.samples.astype(np.float64)
    hertz = np.fft.rfftfreq(samples.size, 1 / clip.sample_rate)
    shape = np.ones(hertz.size)
    if colour == "pink":  # power falls by 3 dB an octave, from 20 Hz on
        shape = 1 / np.sqrt(np.maximum(hertz, 20.0))
    elif colour == "own":
        window = min(1024, samples.size)
        at, power = scipy.signal.welch(samples, clip.sample_rate, nperseg=window)
        shape = np.sqrt(np.interp(hertz, at, power))
    noise = scipy.fft.irfft(scipy.fft.rfft(rng.standard_normal(samples.size)) * shape, samples.size)
    power = float((noise**2).mean())
    wanted = float((samples**2).mean()) * 10 ** (-below / 10)
    return np.asarray(noise * math.sqrt(wanted / power) if power > 0 else noise, dtype=np.float32)


def make_room(sample_rate: int, rng: Rng) -> NDArray[np.float32]:
    """The impulse response of a small room: the sound itself, then noise that decays exponentially, float32 [K]."""
    seconds = rng.uniform(*DECAY)
    time = np.arange(1, max(2, round(seconds * sample_rate))) / sample_rate
    tail = rng.standard_normal(time.size) * 10 ** (-3 * time / seconds)
    tail *= math.sqrt(10 ** (REVERBERANT / 10) / float((tail**2).sum()))
    return np.concatenate([[1.0], tail]).astype(np.float32)


def code(signal: NDArray[np.float32], sample_rate: int, codec: str) -> NDArray[np.float32]:
    """A signal written by a lossy codec and read back, float32 [N] → [N].

    Raises
    ------
    ConfigError
        This machine's libsndfile does not write it at this rate.
    """
    kind, subtype = CODECS[codec]
    peak = max(float(np.abs(signal).max(initial=0)), 1.0)  # codecs clip what exceeds full scale
    memory = io.BytesIO()
    try:
        soundfile.write(memory, signal / peak, sample_rate, format=kind, subtype=subtype)
        memory.seek(0)
        read, _ = soundfile.read(memory, dtype="float32")
    except (soundfile.LibsndfileError, ValueError) as error:
        raise ConfigError(
            f"view 'codec:{codec}': not written at {sample_rate} Hz here ({error}); leave it out"
        ) from None
    fitted = np.zeros(signal.size, dtype=np.float32)
    fitted[: min(signal.size, read.size)] = read[: signal.size]
    return fitted * np.float32(peak)


def _convolve(signals: Tensor, response: Tensor) -> Tensor:
    """Signals in a room, cut to their length: float32 [M, N], [K] → [M, N]."""
    length = signals.shape[1]
    size = scipy.fft.next_fast_len(length + response.numel() - 1, real=True)
    # one by one, in double precision: a row does not depend on which others it is made with
    spectrum = torch.fft.rfft(response.double(), size)
    rows = [torch.fft.irfft(torch.fft.rfft(row.double(), size) * spectrum, size)[:length].float() for row in signals]
    return torch.stack(rows) if rows else signals
