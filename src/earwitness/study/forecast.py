"""What a study will ask, and how long that takes at the rate at which its models answer here: before it begins."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..analyses.chance import DRAWN
from ..analyses.robustness import ATTEMPTS
from ..analyses.settings import CurveSettings
from ..errors import AudioError, EarwitnessError
from ..models import Classifier, aligned
from ..search.driver import Driver, Job
from ..search.precision import Doubt
from ..search.questions import ask_once
from ..search.settings import KINDS, ROBUST, SearchSettings
from ..signal.audio import Clip
from ..signal.spectrum import Spectrum
from .file import Study
from .plan import Plan, plan
from .progress import Reporter

#: seconds that a model is asked for, at least
TRIAL = 1.0
#: kinds of sets of an explanation that are judged beside the sufficient ones: the inverse is one of them
OTHERS = len(KINDS) - len(ROBUST) - 1


@dataclass(frozen=True)
class Forecast:
    """What a study will ask.

    Attributes
    ----------
    recordings, models : int
    seconds_a_clip : float
        Of the recording that was tried.
    variables : int
        Of that recording.
    questions : dict of str to int
        By step, at most; a search stops earlier where it is through.
    seconds : dict of str to float
        That a question takes, by model.
    workers : int
    """

    recordings: int
    models: int
    seconds_a_clip: float
    variables: int
    questions: dict[str, int]
    seconds: dict[str, float]
    workers: int

    @property
    def most(self) -> float:
        """Seconds that all of it takes, at most: each model is asked its share."""
        share = sum(self.questions.values()) / self.models
        return sum(share * each for each in self.seconds.values()) / self.workers


def forecast(plan: Plan, workers: int = 1) -> Forecast:
    """Ask each model for a second about a recording of a study, and reckon.

    Parameters
    ----------
    plan : Plan
        With its models loaded.
    workers : int
        That share the work, each as fast as this process.

    Raises
    ------
    AudioError
        None of the recordings can be read.
    """
    clip = _first(plan)
    spectrum = Spectrum(clip, plan.settings.variables)
    study, settings = plan.study, plan.settings
    units = len(plan.recordings) * len(plan.models)
    seconds = {
        classifier.model.spec: _ask(classifier, spectrum, study.run.batch, settings)
        for classifier in aligned(plan.models, plan.alignment)
    }
    questions = {step: units * count for step, count in most_questions(study, len(plan.models)).items()}
    return Forecast(
        len(plan.recordings), len(plan.models), clip.seconds, spectrum.size, questions, seconds, workers
    )  # fmt: skip


def forecast_here(study: Study, folder: Path, reporter: Reporter | None = None) -> Forecast:
    """A forecast of a study whose models are loaded here, wherever it will run; see :func:`forecast`."""
    here = study.run.model_copy(update={"executor": "local", "workers": None, "time_limit": None})
    return forecast(plan(study.model_copy(update={"run": here}), folder, reporter), study.run.workers or 1)


def most_questions(study: Study, models: int) -> dict[str, int]:
    """By step, the questions that a unit of it takes at most: a clip and model."""
    settings = study.settings
    sets = settings.count + OTHERS + (len(ROBUST) if study.robust else 0)
    questions = {"explain": settings.budget}
    if study.robust:
        # the clip in the views that are searched; the clip and every set, twice what is necessary too, in fresh ones
        verified = 1 + settings.count + 2 * (OTHERS + len(ROBUST) * ATTEMPTS)
        # and, as they are, the clip twice and each set that is found
        asked = study.robust.searched + verified * study.robust.verified + 2 + 2 * len(ROBUST) * ATTEMPTS
        questions["robust"] = len(ROBUST) * study.robust.questions + asked
    questions["judge"] = models * sets * (1 + len(DRAWN) * study.transfer.nulls)
    if study.curves:
        questions["curves"] = _curves(study.curves, models)
    return {step: count * settings.repeats for step, count in questions.items()}


def _curves(settings: CurveSettings, models: int) -> int:
    """Nested sets of a clip that a judge is asked about: in the order of each map and its profiles, of the energy, and
    at random."""
    return len(settings.levels) * (models * (1 + settings.profiles) + 1 + settings.draws)


def _first(plan: Plan) -> Clip:
    """The first recording that can be read, as it will be studied."""
    why = ""
    for recording in plan.recordings:
        try:
            return plan.read(recording.path)
        except EarwitnessError as error:
            why = why or str(error)
    raise AudioError(f"none of {len(plan.recordings)} recordings can be read; the first: {why}")


def _ask(classifier: Classifier, spectrum: Spectrum, batch: int | None, settings: SearchSettings) -> float:
    """Seconds a question of a search, of random masks in full batches; the first batch warms up and does not count."""
    rng, doubt = np.random.default_rng(settings.seed), Doubt(settings.delta)
    driver = Driver(classifier, batch=batch, precision=settings.precision)

    def ask() -> int:
        size = driver.room(len(spectrum.clip))
        masks = rng.random((size, spectrum.size)) < rng.random((size, 1))
        masks[0] = True  # the clip itself, which searches ask first
        driver.run_one(Job(spectrum, ask_once(masks), size, doubt=doubt))
        return size

    ask()
    asked, started = 0, time.perf_counter()
    while not asked or time.perf_counter() - started < TRIAL:
        asked += ask()
    return (time.perf_counter() - started) / asked
