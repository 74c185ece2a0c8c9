"""Fourier domains: what the variables of a search are, and what removed content becomes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import ConfigError, nearest

OCCLUSIONS = ("zero", "mean", "noise")
#: bands, or samples of a window: more than a clip has bins to fill
MOST = 1_000_000
DOMAINS = ("rfft", "mel", "octave", "edges", "stft")


@dataclass(frozen=True)
class Domain:
    """What is kept and removed: the kind of variables, its numbers, and the value of what is removed.

    Attributes
    ----------
    kind : {"rfft", "mel", "octave", "edges", "stft"}
    numbers : tuple of float
        ``mel``: number of bands; ``octave``: bands an octave; ``edges``: band edges in Hz;
        ``stft``: window and hop in samples.
    occlusion : {"zero", "mean", "noise"}
    seed : int
        Of the occluding noise.
    """

    kind: str = "rfft"
    numbers: tuple[float, ...] = ()
    occlusion: str = "zero"
    seed: int = 0

    @classmethod
    def parse(cls, text: str, occlusion: str = "zero", seed: int = 0) -> Domain:
        """Read ``rfft``, ``mel:64``, ``octave:3``, ``edges:300,3400`` or ``stft:512:128``.

        Raises
        ------
        ConfigError
            The kind, its numbers or the occlusion are not of these forms.

        Examples
        --------
        >>> Domain.parse("mel:64").numbers
        (64.0,)
        """
        kind, _, rest = text.partition(":")
        if kind not in DOMAINS:
            raise ConfigError(f"domain {text!r}: {nearest(kind, DOMAINS)}use one of {', '.join(DOMAINS)}")
        if occlusion not in OCCLUSIONS:
            hint = nearest(occlusion, OCCLUSIONS)
            raise ConfigError(f"occlusion {occlusion!r}: {hint}use one of {', '.join(OCCLUSIONS)}")
        try:
            numbers = tuple(float(part) for part in rest.replace(",", ":").split(":") if part)
        except ValueError:
            raise ConfigError(f"domain {text!r}: {rest!r} is not a list of numbers") from None
        wanted = {"rfft": (0, 0), "mel": (1, 1), "octave": (1, 1), "edges": (1, 10_000), "stft": (2, 2)}[kind]
        positive = all(math.isfinite(number) and number > 0 for number in numbers)
        if not wanted[0] <= len(numbers) <= wanted[1] or not positive:
            raise ConfigError(f"domain {text!r}: use rfft, mel:BANDS, octave:BANDS, edges:HZ,HZ,... or stft:WINDOW:HOP")
        if kind != "edges" and any(number > MOST for number in numbers):
            raise ConfigError(f"domain {text!r}: more than {MOST} bands, or samples of a window; use fewer")
        if kind == "stft" and (numbers[0] < 4 or numbers[1] > numbers[0] / 2 or any(n % 1 for n in numbers)):
            raise ConfigError(f"domain {text!r}: use a window of at least 4 samples and a hop of at most half")
        return cls(kind, numbers, occlusion, seed)

    def __str__(self) -> str:
        separator = "," if self.kind == "edges" else ":"
        return self.kind + (":" + separator.join(f"{n:g}" for n in self.numbers) if self.numbers else "")
