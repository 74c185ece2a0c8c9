"""How tables are computed."""

from __future__ import annotations

from dataclasses import dataclass

from ..settings import MOST_DRAWS, MOST_SEED, Settings, setting

#: resamples of an interval, and relabellings of a permutation test
DRAWS = 2000


@dataclass(frozen=True)
class Options(Settings):
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

    epsilon: float = setting(0.5, "Definition 4's ε", gt=0, le=1)
    level: float = setting(0.95, "of the intervals", gt=0, lt=1)
    draws: int = setting(DRAWS, "resamples of an interval, shuffles of a permutation test", ge=1, le=MOST_DRAWS)
    seed: int = setting(0, "of intervals and permutation tests", ge=0, le=MOST_SEED)
    cluster: str = setting("clip", "what is resampled for intervals: clip or group", choices=("clip", "group"))
    margin: float = setting(0.1, "how far apart models may ordinarily stand, for flat-earthers", ge=0)
    vacuous: bool = setting(True, "count empty sets", flags=(" /--without-vacuous",), off="leave empty sets out")
