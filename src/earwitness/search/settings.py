"""What is sought, and how: the settings of a search, and the kinds of set that it finds."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from ..errors import ConfigError, nearest
from ..settings import MOST_QUESTIONS, MOST_REPEATS, MOST_SEED, MOST_SETS, Settings, setting
from ..signal.domains import Domain
from .effort import EFFORTS

#: raised whenever a search begins to find other sets for the same settings: a study's results never mix the two
REVISION = 6
#: the same of robust sets: what was found with another is not taken for this one's
ROBUST_REVISION = 3
#: probabilities that a model gives one signal differ by less, from batch to batch and from float16 to float32
STEADY = 0.01
#: one-sided, of the bounds of survival
CONFIDENCE = 0.95
#: kinds of set that a search finds, those that survive, and with what is left without a complete one, all of them
FOUND = ("sufficient", "complete", "one_complete")
ROBUST = ("robust", "robust_complete")
#: those that are to get the clip's label
JUDGED = (*FOUND, *ROBUST)
KINDS = (*JUDGED, "inverse")


@dataclass(frozen=True)
class RobustSettings(Settings):
    """What makes a set robust, and how it is sought. It must also hold as it is, in no view.

    Attributes
    ----------
    views : tuple of str
        Kinds of view, composed: see :mod:`earwitness.signal.views`.
    level : float
        τ: a set is robust if the lower bound of the share of views in which it holds reaches this.
    searched : int
        Views that the search asks.
    verified : int
        Views drawn afresh, in which what was found is verified, and the survival of every set measured.
    questions : int
        To seek each kind of robust set with, at most.
    """

    views: tuple[str, ...] = setting(
        ("noise:30", "gain:6", "shift:10"),
        "harmless changes: noise:DB, gain:DB, shift:MS, room, codec:mp3, codec:vorbis, others",
    )
    level: float = setting(0.92, "τ: share of the views in which a robust set holds, surely", gt=0, lt=1)
    searched: int = setting(32, "views that the search asks", ge=1, le=MOST_SETS)
    verified: int = setting(64, "views drawn afresh to verify in", ge=2, le=MOST_SETS)
    questions: int = setting(1500, "to seek each kind of robust set with, at most", ge=10, le=MOST_QUESTIONS)

    def __post_init__(self) -> None:
        super().__post_init__()
        most = (1 - CONFIDENCE) ** (1 / self.verified)  # the bound of Clopper and Pearson where none fails
        if most < self.level:
            enough = math.ceil(math.log(1 - CONFIDENCE) / math.log(self.level))
            raise ConfigError(
                f"verified {self.verified}: a set that holds in all of {self.verified} views surely holds in no more "
                f"than {most:.3f} of all; for level {self.level:g} use {enough} or more"
            )


@dataclass(frozen=True)
class SearchSettings(Settings):
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
    effort : str
        When to stop before the budget is spent, see :mod:`earwitness.search.effort`: ``thorough`` never does. It is of
        complete sets, and of the search ``minimal``.
    budget : int
        Questions a clip and model, at most.
    seed : int
    domain, occlusion : str
        See :class:`earwitness.signal.domains.Domain`.
    repeats : int
        How often each question is asked of a noisy model, and its answers averaged.
    precision : str
        Of most questions, see :mod:`earwitness.search.precision`; what is stored is in float32.
    """

    search: str = setting("minimal", "minimal (smallest verified sets) or freqrex (as published)")
    delta: float = setting(0.5, "δ: a subset keeps this share of the clip's confidence", ge=0, le=1)
    count: int = setting(1, "sufficient sets a clip", ge=1, le=MOST_SETS)
    overlap: float = setting(0.0, "largest overlap of two sufficient sets of a clip", ge=0, le=1)
    effort: str = setting(
        "normal", "quick, normal, or thorough: goes on as long as the budget lasts", choices=tuple(EFFORTS)
    )
    budget: int = setting(3000, "questions a clip and model, at most", ge=10, le=MOST_QUESTIONS)
    seed: int = setting(0, "of everything drawn at random", ge=0, le=MOST_SEED)
    domain: str = setting("rfft", "rfft, mel:BANDS, octave:BANDS, edges:HZ,HZ,... or stft:WINDOW:HOP")
    occlusion: str = setting("zero", "what removed content becomes: zero, mean or noise")
    repeats: int = setting(1, "ask a noisy model so often and average its answers", ge=1, le=MOST_REPEATS)
    precision: str = setting(
        "float32", "of most questions: float32, bfloat16, float16, or auto (16 bits where the device is fast at them)",
        choices=("float32", "auto", "bfloat16", "float16"),
    )  # fmt: skip

    def __post_init__(self) -> None:
        from . import SEARCHES  # the searches need torch, their settings do not

        if self.search not in SEARCHES:
            hint = nearest(self.search, SEARCHES)
            raise ConfigError(f"search {self.search!r}: {hint}use one of {', '.join(SEARCHES)}")
        super().__post_init__()
        Domain.parse(self.domain, self.occlusion)

    @property
    def of_map(self) -> tuple[object, ...] | None:
        """What of the settings decides the map; ``None`` where the sets do too.

        In low precision an answer is the sets' as well: asked for them before, it may have been asked again in float32.
        """
        if self.search != "minimal" or self.precision != "float32":
            return None
        return tuple(value for name, value in asdict(self).items() if name not in ("delta", "count", "overlap"))

    @property
    def variables(self) -> Domain:
        """The domain of the search."""
        return Domain.parse(self.domain, self.occlusion, self.seed)
