"""What crosses between the process that writes and the workers: plain, small and picklable.

A worker never sees the store. It is sent chunks of units and gives back an event for each unit done. What a unit and
its outcome hold is the step's business (:mod:`earwitness.study.steps`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..analyses.settings import CurveSettings
from ..errors import EarwitnessError
from ..models import Alignment
from ..search.settings import RobustSettings, SearchSettings
from ..signal.limits import USUAL, Limits


@dataclass(frozen=True)
class Setup:
    """All a worker must know of a study.

    Attributes
    ----------
    specs, fingerprints : tuple of str
        Of the models; a model whose fingerprint is another on the worker's machine is refused.
    alignment : Alignment
    settings : SearchSettings
    sample_rate : int
        Hz.
    seconds : float or None
        Crop or zero-pad every clip to this.
    device : str
    batch : int or None
        Signals a model call.
    threads : int or None
        Threads of this worker; None leaves them as they are.
    time_limit : float or None
        Seconds a model call may take.
    allow_pickle, trust_remote_code : bool
        What the models may do, see :func:`earwitness.models.open_model`.
    limits : Limits
        Of recordings.
    robust : RobustSettings or None
    curves : CurveSettings or None
    pad : bool
        Zero-pad what is shorter than ``seconds``.
    """

    specs: tuple[str, ...]
    fingerprints: tuple[str, ...]
    alignment: Alignment
    settings: SearchSettings
    sample_rate: int
    seconds: float | None = None
    device: str = "auto"
    batch: int | None = None
    threads: int | None = None
    time_limit: float | None = None
    allow_pickle: bool = False
    trust_remote_code: bool = False
    limits: Limits = USUAL
    robust: RobustSettings | None = None
    curves: CurveSettings | None = None
    pad: bool = True


@dataclass(frozen=True)
class Source:
    """A clip as the store knows it: row id, path, hash of the samples as studied, their number."""

    id: int
    path: str
    sha256: str
    samples: int


@dataclass(frozen=True)
class Unit:
    """One model's work on one clip; each step has its own, that says more."""

    clip: Source


@dataclass(frozen=True)
class Chunk:
    """Units of one model, for one worker to do.

    Attributes
    ----------
    step : str
        One of :data:`earwitness.study.steps.STEPS`.
    model : int
        Its position in the setup.
    units : tuple of Unit
    last_try : bool
        All other workers have given up their models to make room for this one.
    losses : int
        Workers that were lost with these units.
    """

    step: str
    model: int
    units: tuple[Unit, ...]
    last_try: bool = False
    losses: int = 0


@dataclass(frozen=True)
class Failed:
    """A unit that could not be done, and why."""

    reason: str


#: what a step makes of a unit, or why it failed
Outcome = Any


@dataclass(frozen=True)
class Done:
    """The unit with this index in its chunk is done."""

    index: int
    outcome: Outcome


@dataclass(frozen=True)
class Asked:
    """The model answered so many questions since this was last said."""

    questions: int


@dataclass(frozen=True)
class NoRoom:
    """The model does not fit beside what else is in the device's memory; the rest of the chunk is not done."""

    reason: str


Event = Done | Asked | NoRoom


def describe(error: Exception) -> str:
    """An error as the reason of a failed row."""
    return str(error) if isinstance(error, EarwitnessError) else repr(error)
