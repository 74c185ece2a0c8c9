"""The settings of the analyses, declared once for commands, studies and Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConfigError, nearest
from ..search.settings import KINDS
from ..signal.domains import Domain
from .manipulation.changes import ACTIONS, Bounds

LENGTHS = ("pad", "crop")


@dataclass(frozen=True)
class GreedySettings:
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

    exact: int = 12
    restarts: int = 8
    budget: int = 4000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.exact <= 20:
            raise ConfigError(f"exact {self.exact}: out of range; use 0 to 20 (2^20 sets)")
        if self.restarts < 0 or self.budget < 1:
            raise ConfigError(f"restarts {self.restarts}, budget {self.budget}: use at least 0 and at least 1")


#: levels of a composite's power relative to a clip's, in dB; ``None`` is as it is
LEVELS: tuple[float | None, ...] = (None, -40.0, -30.0, -20.0, -10.0, 0.0)


@dataclass(frozen=True)
class CompositionSettings:
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

    kind: str = "sufficient"
    lengths: str = "pad"
    draws: int = 200
    greedy: GreedySettings = field(default_factory=GreedySettings)

    def __post_init__(self) -> None:
        for name, allowed in (("kind", KINDS), ("lengths", LENGTHS)):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} {getattr(self, name)!r}: use one of {', '.join(allowed)}")
        if self.draws < 1:
            raise ConfigError(f"draws {self.draws}: too few; use at least 1")


BASES = ("clip", "sufficient")
FREE, MASKED = "none", "masking"
#: what is told of a set of flips at each of these numbers of variables, beside the counts that are searched
SIZES = (1, 5, 25)


@dataclass(frozen=True)
class ManipulationSettings:
    """What decides the flips.

    Attributes
    ----------
    actions : tuple of str
        Some of :data:`earwitness.analyses.manipulation.ACTIONS`. Without bounds on audibility each is tried by itself,
        and all together; within bounds all together.
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

    actions: tuple[str, ...] = ACTIONS
    counts: tuple[int, ...] = SIZES
    snrs: tuple[float, ...] = (20.0, 30.0, 40.0)
    masking: bool = False
    gain: float = 40.0
    target: str = ""
    base: str = "clip"
    domain: str = ""
    gradients: bool = True
    budget: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        for action in self.actions:
            if action not in ACTIONS:
                raise ConfigError(f"action {action!r}: {nearest(action, ACTIONS)}use some of {', '.join(ACTIONS)}")
        if not self.actions:
            raise ConfigError(f"actions: none given; use some of {', '.join(ACTIONS)}")
        if self.base not in BASES:
            raise ConfigError(f"base {self.base!r}: use one of {', '.join(BASES)}")
        if self.budget < 50:
            raise ConfigError(f"budget {self.budget}: too small; use at least 50")
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
