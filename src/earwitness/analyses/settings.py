"""The settings of the analyses, declared once for commands, studies and Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..errors import ConfigError
from ..search.settings import KINDS
from ..settings import MOST_DRAWS, MOST_QUESTIONS, MOST_SEED, MOST_SETS, Settings, setting
from ..signal.domains import Domain
from .manipulation.bounds import ACTIONS, Bounds

LENGTHS = ("pad", "crop")


@dataclass(frozen=True)
class GreedySettings(Settings):
    """How far to look for the largest accepted set.

    Attributes
    ----------
    exact : int
        Up to so many signals, every set is tried where needed (2^M questions at worst).
    restarts : int
        Random orders in which signals are added one by one.
    budget : int
        Questions above ``exact`` signals.
    seed : int
    """

    exact: int = setting(12, "up to so many signals, every set is tried where needed (2^20 at most)", ge=0, le=20)
    restarts: int = setting(8, "random orders in which signals are added", ge=0, le=MOST_SETS)
    budget: int = setting(4000, "questions a composite", ge=1, le=MOST_QUESTIONS)
    seed: int = setting(0, "of everything drawn at random", ge=0, le=MOST_SEED)


#: levels of a composite's power relative to a clip's, in dB; ``None`` is as it is
LEVELS: tuple[float | None, ...] = (None, -40.0, -30.0, -20.0, -10.0, 0.0)


@dataclass(frozen=True)
class CompositionSettings(Settings):
    """What decides a composite.

    Attributes
    ----------
    kind : str
        Of the signals: ``sufficient``, or another of :data:`earwitness.search.settings.KINDS`.
    lengths : {"pad", "crop"}
        What is done to signals of unequal length.
    draws : int
        Null composites a class and sort.
    greedy : GreedySettings
    """

    kind: str = setting("sufficient", "of the signals: sufficient, complete, robust or another kind", choices=KINDS)
    lengths: str = setting("pad", "unequal signals: pad to the longest, or crop to the shortest", choices=LENGTHS)
    draws: int = setting(200, "null composites a class and sort", ge=1, le=MOST_DRAWS)
    greedy: GreedySettings = GreedySettings()


#: shares of a clip's energy: closer together where answers mostly turn
ENERGY_LEVELS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class CurveSettings(Settings):
    """Which nested sets models are asked about, see :mod:`earwitness.analyses.nested`.

    Attributes
    ----------
    levels : tuple of float
        Shares of a clip's energy, rising, more than 0 and at most 1.
    draws : int
        Random orders a clip.
    profiles : int
        Orders of the same profile a clip and map.
    seed : int
    """

    levels: tuple[float, ...] = setting(ENERGY_LEVELS, "shares of a clip's energy, rising, e.g. 0.05,0.2,0.5,1")
    draws: int = setting(2, "random orders a clip", ge=1, le=MOST_SETS)
    profiles: int = setting(2, "orders of the same profile a clip and map", ge=1, le=MOST_SETS)
    seed: int = setting(0, "of everything drawn at random", ge=0, le=MOST_SEED)

    def __post_init__(self) -> None:
        super().__post_init__()
        rising = all(low < high for low, high in pairwise((0.0, *self.levels)))
        if not rising or not self.levels or self.levels[0] >= 1 or self.levels[-1] > 1:
            given = ", ".join(f"{level:g}" for level in self.levels) or "none"
            raise ConfigError(f"levels {given}: use rising shares of the energy, the first below 1, e.g. 0.05,0.2,1")


@dataclass(frozen=True)
class FidelitySettings(Settings):
    """What is measured of the speech left in signals, and by which recogniser.

    Attributes
    ----------
    recogniser : str
        See :func:`earwitness.analyses.fidelity.open_recogniser`; empty: no transcripts.
    language : str
        Of the speech; empty lets the recogniser guess.
    kinds : tuple of str
        Of the signals.
    limit : int or None
        Only so many clips of each of the data set's labels, drawn with the seed.
    seed : int
    """

    recogniser: str = setting("", "faster-whisper:DIR, transformers:DIR or python:MODULE:ATTR; without: no transcripts")
    language: str = setting("en", "of the speech; empty: let the recogniser guess")
    kinds: tuple[str, ...] = setting(
        ("sufficient", "complete", "inverse"), "of the signals", choices=KINDS, flags=("--kind",)
    )
    limit: int | None = setting(None, "only so many clips of each label, at random", ge=1)
    seed: int = setting(0, "of everything drawn at random", ge=0, le=MOST_SEED)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.kinds:
            raise ConfigError(f"kinds: none given; use some of {', '.join(KINDS)}")

    @property
    def name(self) -> str:
        """What the recogniser is called in the store; empty where there is none."""
        return f"{self.recogniser} ({self.language or 'any language'})" if self.recogniser else ""


BASES = ("clip", "sufficient")
FREE, MASKED = "none", "masking"
#: what is told of a set of flips at each of these numbers of variables, beside the counts that are searched
SIZES = (1, 5, 25)


@dataclass(frozen=True)
class ManipulationSettings(Settings):
    """What decides the flips.

    Attributes
    ----------
    actions : tuple of str
        Some of :data:`earwitness.analyses.manipulation.bounds.ACTIONS`. Without bounds on audibility each is tried by
        itself, and all together; within bounds all together.
    counts : tuple of int
        Numbers of variables that may change, within bounds on audibility.
    snrs : tuple of float
        Bounds on the signal-to-noise ratio, in dB.
    masking : bool
        Whether to search below the masking threshold too.
    gain : float
        The most a variable is scaled up or down, in dB.
    target : str
        The label wanted; empty: any but the clip's.
    base : {"clip", "sufficient"}
        What is changed: the clips, or each model's smallest sufficient signal of them.
    domain : str
        Whose variables are changed; empty: the study's.
    gradients : bool
        Order changes by gradients where a model has them.
    budget : int
        Questions a search.
    seed : int
        Of the dither.
    """

    actions: tuple[str, ...] = setting(ACTIONS, "some of remove, scale, shift", choices=ACTIONS)
    counts: tuple[int, ...] = setting(SIZES, "variables that may change within bounds, e.g. 1,5,25")
    snrs: tuple[float, ...] = setting(
        (20.0, 30.0, 40.0), "bounds on the signal-to-noise ratio in dB; empty: none", flags=("--snr",)
    )
    masking: bool = setting(False, "also seek flips below the masking threshold")
    gain: float = setting(40.0, "the most a variable is scaled up or down, in dB", gt=0, le=120)
    target: str = setting("", "the label wanted; empty: any other")
    base: str = setting("clip", "what is changed: clip or sufficient", choices=BASES)
    domain: str = setting("", "whose variables are changed; empty: the study's")
    gradients: bool = setting(
        True, "order changes by gradients where a model has them", flags=(" /--black-box",), off="use no gradients"
    )
    budget: int = setting(300, "questions a search", ge=50, le=MOST_QUESTIONS)
    seed: int = setting(0, "of everything drawn at random", ge=0, le=MOST_SEED)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.actions:
            raise ConfigError(f"actions: none given; use some of {', '.join(ACTIONS)}")
        if self.domain:
            Domain.parse(self.domain)
        for search in self.searches():
            search.bounds  # noqa: B018 - the numbers are checked there

    def searches(self) -> Iterator[Search]:
        """Every search of a clip and model, the tighter bounds first."""
        sets = [(action,) for action in self.actions]
        for actions in [*sets, self.actions] if len(sets) > 1 else sets:
            yield Search(actions, FREE, None, self.gain)
        bounds = [*([MASKED] if self.masking else []), *(f"{snr:g} dB" for snr in sorted(self.snrs, reverse=True))]
        for bound in bounds:
            for count in sorted(self.counts):
                yield Search(self.actions, bound, count, self.gain)


@dataclass(frozen=True)
class Search:
    """One search: what may be done, within what.

    Attributes
    ----------
    actions : tuple of str
    bound : str
        ``none``, ``masking``, or an SNR such as ``20 dB``.
    count : int or None
    gain : float
    """

    actions: tuple[str, ...]
    bound: str
    count: int | None
    gain: float

    @property
    def bounds(self) -> Bounds:
        """As the search takes them."""
        snr = float(self.bound.removesuffix(" dB")) if self.bound.endswith(" dB") else None
        return Bounds(self.count, self.gain, snr, 0.0 if self.bound == MASKED else None)

    @property
    def facts(self) -> dict[str, Any]:
        """As columns."""
        return {"actions": "+".join(self.actions), "bound": self.bound, "count": self.count}
