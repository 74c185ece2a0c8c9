"""What is asked about a map."""

from __future__ import annotations

from dataclasses import dataclass

from ..analyses.settings import ENERGY_LEVELS, CurveSettings
from ..errors import ConfigError, nearest
from ..settings import MOST_QUESTIONS, MOST_REPEATS, MOST_SEED, MOST_SETS, Settings, setting
from ..signal.domains import OCCLUSIONS

#: a map over the clip's samples: no Fourier domain
SAMPLES = "samples"
ROWS = ("linear", "mel")


@dataclass(frozen=True)
class EvaluationSettings(Settings):
    """What is asked about maps, and what they range over.

    Attributes
    ----------
    domain : str
        What maps range over: a Fourier domain (:class:`earwitness.signal.domains.Domain`) or ``samples``. Empty: told
        by the map's length.
    rows : {"linear", "mel"}
        How the rows of a spectrogram lie between 0 Hz and half the sample rate, where its shape is not the domain's.
    occlusion : str
        What removed content becomes.
    delta : float
        The sets that follow from a map keep this share of the clip's confidence.
    levels, draws, profiles
        See :class:`earwitness.analyses.settings.CurveSettings`.
    views, verified
        See :class:`earwitness.search.settings.RobustSettings`; ``verified`` 0: survival is not measured.
    nulls : int
        Sets of the same profile that judges are asked about beside each.
    budget : int
        Questions a map and kind of set.
    """

    domain: str = setting("", "rfft, mel:BANDS, octave:BANDS, edges:HZ,..., stft:WINDOW:HOP or samples; by the length")
    rows: str = setting("linear", "how a spectrogram's rows lie, if not as the domain's: linear or mel", choices=ROWS)
    occlusion: str = setting("zero", "what removed content becomes: zero, mean or noise")
    delta: float = setting(0.5, "δ: a set keeps this share of the clip's confidence", ge=0, le=1)
    levels: tuple[float, ...] = setting(ENERGY_LEVELS, "shares of a clip's energy, rising, e.g. 0.05,0.2,0.5,1")
    draws: int = setting(4, "random orders a clip", ge=1, le=MOST_SETS)
    profiles: int = setting(4, "orders of the same profile a map", ge=1, le=MOST_SETS)
    views: tuple[str, ...] = setting(
        ("noise:30", "gain:6", "shift:10"), "harmless changes: noise:DB, gain:DB, shift:MS, room, codec:mp3, ..."
    )
    verified: int = setting(64, "views in which survival is measured; 0: in none", ge=0, le=MOST_SETS)
    nulls: int = setting(4, "sets of the same profile a set that judges are asked about", ge=1, le=MOST_SETS)
    budget: int = setting(600, "questions a map and kind of set", ge=100, le=MOST_QUESTIONS)
    seed: int = setting(0, "of everything drawn at random", ge=0, le=MOST_SEED)
    repeats: int = setting(1, "ask a noisy model so often and average its answers", ge=1, le=MOST_REPEATS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.occlusion not in OCCLUSIONS:
            hint = nearest(self.occlusion, OCCLUSIONS)
            raise ConfigError(f"occlusion {self.occlusion!r}: {hint}use one of {', '.join(OCCLUSIONS)}")
        if self.domain == SAMPLES and self.occlusion != "zero":
            raise ConfigError(f"occlusion {self.occlusion!r}: removed samples become zero; use zero, or another domain")
        self.curves  # noqa: B018 - the levels are checked there

    @property
    def curves(self) -> CurveSettings:
        """Which nested sets are asked about."""
        return CurveSettings(self.levels, self.draws, self.profiles, self.seed)
