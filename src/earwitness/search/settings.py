"""What is sought, and how: the settings of a search, and the kinds of set that it finds."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError, nearest
from ..signal.domains import Domain
from . import SEARCHES

#: raised whenever a search begins to find other sets for the same settings: a study's results never mix the two
REVISION = 5
KINDS = ("sufficient", "complete", "one_complete", "inverse")


@dataclass(frozen=True)
class SearchSettings:
    """Everything that decides what a search finds, apart from clip and model.

    Attributes
    ----------
    search : str
        ``minimal`` or another of :data:`earwitness.search.SEARCHES`.
    delta : float
        A subset keeps at least this share of the original's confidence, 0 to 1.
    count : int
        Sufficient sets wanted.
    overlap : float
        Largest share of the smaller of two sufficient sets that may lie in the other.
    budget : int
        Questions a clip.
    seed : int
    domain, occlusion : str
        See :class:`earwitness.signal.domains.Domain`.
    repeats : int
        How often each question is asked of a noisy model, and its answers averaged.
    """

    search: str = "minimal"
    delta: float = 0.5
    count: int = 1
    overlap: float = 0.0
    budget: int = 3000
    seed: int = 0
    domain: str = "rfft"
    occlusion: str = "zero"
    repeats: int = 1

    def __post_init__(self) -> None:
        if self.search not in SEARCHES:
            hint = nearest(self.search, SEARCHES)
            raise ConfigError(f"search {self.search!r}: {hint}use one of {', '.join(SEARCHES)}")
        for name, low, high in (("delta", 0, 1), ("overlap", 0, 1)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} {value}: out of range; use {low} to {high}")
        for name, low in (("count", 1), ("budget", 10), ("repeats", 1)):
            if getattr(self, name) < low:
                raise ConfigError(f"{name} {getattr(self, name)}: too small; use at least {low}")
        Domain.parse(self.domain, self.occlusion)

    @property
    def variables(self) -> Domain:
        """The domain of the search."""
        return Domain.parse(self.domain, self.occlusion, self.seed)
