"""How tables are computed."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError
from .definitions import check_epsilon
from .statistics.rates import DRAWS, check_level


@dataclass(frozen=True)
class Options:
    """How tables are computed.

    Attributes
    ----------
    epsilon : float
        Definition 4's ε, more than 0 and at most 1.
    level : float
        Of the intervals.
    draws : int
        Resamples of an interval, shuffles of a permutation test.
    seed : int
        Of both.
    cluster : str
        What is resampled: ``clip``, or ``group`` (speaker, artist) where a data set names it.
    margin : float
        See :func:`earwitness.transferability.statistics.flat_earthers.find_flat_earthers`.
    vacuous : bool
        Whether empty sets count. Those are sets of models that say to silence what they say to the clip.
    """

    epsilon: float = 0.5
    level: float = 0.95
    draws: int = DRAWS
    seed: int = 0
    cluster: str = "clip"
    margin: float = 0.1
    vacuous: bool = True

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)
        check_level(self.level)
        if self.cluster not in ("clip", "group"):
            raise ConfigError(f"cluster {self.cluster!r}: use clip or group")
        if self.draws < 1:
            raise ConfigError(f"draws {self.draws}: too few; use at least 1, better 1000")
