"""One recording, one model: what the model listened to."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .errors import AudioError, ConfigError
from .models import Classifier, as_classifier, open_model
from .search import SEARCHES
from .search.certify import confirm_certificate
from .search.driver import Driver, Job, recall
from .search.effort import EFFORTS
from .search.precision import Doubt
from .search.problem import Outcome, Problem
from .search.questions import TOLERANCE, Certificate, Complete, Found, Sufficient, Target
from .search.settings import SearchSettings
from .signal import audio
from .signal.arrays import as_clip
from .signal.audio import Clip
from .signal.masks import Mask, Runs, from_runs, to_runs
from .signal.spectrum import Spectrum, Variables

Log = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Subset:
    """A verified set of variables and what the model says to its signal.

    Attributes
    ----------
    runs : tuple of (int, int)
        Half-open intervals of kept variables.
    size : int
        Number of kept variables.
    energy : float
        Share of the clip's energy.
    log_probabilities : float32 [n]
        The model's answer to the signal, from a forward pass of its own after the search.
    certificate : Certificate
    queries : int
        Questions spent on it, its verification included.
    why : str
        What else is to be said of it, e.g. that the budget was spent.
    """

    runs: Runs = field(repr=False)  # thousands, often
    size: int
    energy: float
    log_probabilities: Log = field(repr=False)
    certificate: Certificate
    queries: int
    why: str = ""

    @property
    def label(self) -> int:
        """Index of the accepted label."""
        return int(np.argmax(self.log_probabilities))

    @property
    def confidence(self) -> float:
        """Probability of the accepted label."""
        return float(np.exp(np.float64(self.log_probabilities.max())))


@dataclass(frozen=True)
class Missing:
    """A subset that there is not, and why."""

    why: str


Part = Subset | Missing
#: of a kind: what was found with how many questions, and what it must preserve
Wanted = tuple[str, Found, int, Target]


class Answered:
    """What has a model's answer to a clip: its label and how sure it is.

    Attributes
    ----------
    labels : tuple of str
    log_probabilities : float32 [n]
    """

    labels: tuple[str, ...]
    log_probabilities: Log

    @property
    def label(self) -> str:
        """The clip's top-1 label."""
        return self.labels[int(np.argmax(self.log_probabilities))]

    @property
    def confidence(self) -> float:
        """Its probability."""
        return float(np.exp(np.float64(self.log_probabilities.max())))


def make_signal(variables: Variables, part: Subset) -> NDArray[np.float32]:
    """The signal of a subset, float32 [N]; the same bits each time."""
    mask = from_runs(part.runs, variables.size)
    return np.asarray(variables.invert(mask[None])[0].numpy(), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Explanation(Answered):
    """What one model listened to in one clip.

    Attributes
    ----------
    spectrum : Spectrum
    spec, fingerprint : str
        Of the model.
    labels : tuple of str
    settings : SearchSettings
    log_probabilities : float32 [n]
        The model's answer to the clip.
    sufficient : tuple of (Subset or Missing)
    complete, one_complete, inverse : Subset or Missing
    responsibility : float32 [size] or None
        How much each variable speaks for the label. What is measured depends on the search: responsibility as
        published (``freqrex``), or the exponential of its estimated effect over the largest (``minimal``).
    queries : int
        All questions asked.
    seconds : float
        Wall time; of interleaved searches, from the first question to the last.
    why : str
        Why there are fewer sets than were wanted.
    unsteady : float
        Largest difference in probability between what the model told the search of a set and what it said when that
        set was verified: more than ``earwitness.search.settings.STEADY`` is a model that answers the same signal
        differently.
    again : int
        Questions among them that were asked again in float32.
    """

    spectrum: Spectrum
    spec: str
    fingerprint: str
    labels: tuple[str, ...]
    settings: SearchSettings
    log_probabilities: Log
    sufficient: tuple[Part, ...]
    complete: Part
    one_complete: Part
    inverse: Part
    responsibility: NDArray[np.float32] | None = None
    queries: int = 0
    seconds: float = 0.0
    why: str = field(default="")
    unsteady: float = 0.0
    again: int = 0

    def parts(self) -> Iterator[tuple[str, int, Part]]:
        """All subsets as (kind, draw, subset)."""
        for draw, part in enumerate(self.sufficient):
            yield "sufficient", draw, part
        yield "complete", 0, self.complete
        yield "one_complete", 0, self.one_complete
        yield "inverse", 0, self.inverse

    def signal(self, part: Subset) -> NDArray[np.float32]:
        """The signal of a subset, float32 [N]; the same bits each time."""
        return make_signal(self.spectrum, part)

    def _repr_html_(self) -> str:
        """As a notebook shows it: the answer, the spectrum with its parts, a player for each signal."""
        from .report.notebook import explanation_html  # the one import that points up: only the report can draw

        return explanation_html(self)

    def to_json(self) -> dict[str, Any]:
        """As ``explanation.json`` (schema 1). A missing subset is ``null``; ``why`` gives the reason by its kind."""
        from . import __version__

        clip = self.spectrum.clip
        why = {kind: part.why for kind, _, part in self.parts() if isinstance(part, Missing)}
        if self.why:
            why["sufficient"] = self.why
        sufficient = [self._part(part) for part in self.sufficient]
        content = {
            "schema": 1, "version": __version__,
            "clip": {
                "path": clip.path, "sha256": clip.sha256, "sample_rate": clip.sample_rate, "samples": len(clip),
                "fitted": clip.fitted,
            },
            "model": {"spec": self.spec, "fingerprint": self.fingerprint, "labels": list(self.labels)},
            "label": self.label, "confidence": self.confidence, "delta": self.settings.delta,
            "search": self.settings.search, "effort": self.settings.effort, "seed": self.settings.seed,
            "domain": str(self.settings.variables), "occlusion": self.settings.occlusion,
            "repeats": self.settings.repeats, "precision": self.settings.precision,
            "bins": self.spectrum.bins, "variables": self.spectrum.size,
            "queries": self.queries, "seconds": round(self.seconds, 3), "why": why, "unsteady": round(self.unsteady, 4),
            "subsets": {
                "sufficient": sufficient,
                "complete": self._part(self.complete),
                "one_complete": self._part(self.one_complete),
                "inverse": self._part(self.inverse),
            },
        }  # fmt: skip
        return {**content, "digest": digest_of(content)}

    def _part(self, part: Part) -> dict[str, Any] | None:
        if isinstance(part, Missing):
            return None
        return describe(part, self.labels) | ({"why": part.why} if part.why else {})

    def save(self, folder: str | Path) -> Path:
        """Write ``explanation.json``, the signals as 32-bit float WAV, and ``responsibility.npy`` to a folder.

        Raises
        ------
        ConfigError
            The folder cannot be written.
        """
        folder = Path(folder)
        with writing(folder):
            if self.responsibility is not None:
                np.save(folder / "responsibility.npy", self.responsibility.astype(np.float32))
            return self.write(folder / "explanation.json", self.parts(), self.to_json())

    def write(self, path: Path, parts: Iterable[tuple[str, int, Part]], content: dict[str, Any]) -> Path:
        """Write the signals of sets beside a JSON file, and that last and at once."""
        for kind, draw, part in parts:
            if isinstance(part, Subset):
                name = kind if draw == 0 else f"{kind}_{draw + 1}"
                audio.write(path.with_name(f"{name}.wav"), self.signal(part), self.spectrum.clip.sample_rate)
        temporary = path.with_name(f"{path.name}.tmp")
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, path)
        return path


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make a folder to write to; what fails says so.

    Raises
    ------
    ConfigError
        It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except (OSError, AudioError) as error:
        raise ConfigError(f"{folder}: cannot be written ({error}); choose another --out") from error


def digest_of(content: Mapping[str, Any]) -> str:
    """The digest of an explanation as JSON: of all that it says but where the recording and the model lie.

    Twelve bytes of BLAKE2b over the sorted JSON, without the digest itself, paths and seconds.
    """
    told = {key: value for key, value in content.items() if key not in ("digest", "seconds")}
    for part, place in (("clip", "path"), ("model", "spec")):
        if isinstance(told.get(part), dict):
            told[part] = {key: value for key, value in told[part].items() if key != place}
    return blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=12).hexdigest()


def describe(part: Subset, labels: Sequence[str]) -> dict[str, Any]:
    """A set as it is written to JSON, but for what else is to be said of it."""
    return {
        "runs": [list(run) for run in part.runs], "size": part.size, "energy": part.energy,
        "label": labels[part.label], "confidence": part.confidence,
        "certificate": {"kind": part.certificate.kind, "groups": part.certificate.groups}, "queries": part.queries,
    }  # fmt: skip


def explain(
    recording: Any, model: Any, settings: SearchSettings | None = None, *,
    seconds: float | Literal["model"] | None = None,
    driver: Driver | None = None,
) -> Explanation:  # fmt: skip
    """Find what a classifier listened to in a recording.

    Parameters
    ----------
    recording : object
        A clip, or what :func:`earwitness.as_clip` makes one of: a path, samples with their rate, a row of a data set.
        It is resampled to the model's rate.
    model : object
        A classifier, a spec (``"builtin:mtt-vgg"``), or what :func:`earwitness.as_classifier` makes a classifier of: a
        pipeline, a network with its extractor, a callable with labels and rate.
    settings : SearchSettings, optional
    seconds : float or "model", optional
        Crop or zero-pad to this duration; ``"model"``: crop to what the model hears, if that is no more than so much.
    driver : Driver, optional
        To set the batch size or watch progress.

    Raises
    ------
    AudioError
        The recording cannot be read, or is silent: no content can be a cause.
    ModelError
        The model cannot be loaded, or answers with something unusable.

    Examples
    --------
    >>> tone = np.sin(np.arange(8000) * 0.3)
    >>> def high(waveforms):
    ...     score = np.log(np.abs(np.fft.rfft(waveforms))[:, 370:390].max(axis=1) + 1e-3)
    ...     return np.stack([score, -score], axis=1)
    >>> explain((tone, 8000), as_classifier(high, labels=["high", "low"], sample_rate=8000)).label
    'high'
    """
    classifier = Classifier(open_model(model)) if isinstance(model, str) else as_classifier(model)
    clip = as_clip(recording, classifier.model.sample_rate, None if seconds == "model" else seconds)
    if seconds == "model":
        clip = clip.fit(classifier.model.seconds, pad=False)
    settings = settings or SearchSettings()
    driver = driver or Driver(classifier, repeats=settings.repeats, precision=settings.precision)
    return finish(driver.run_one(make_job(clip, settings)), driver, settings)


def make_job(clip: Clip, settings: SearchSettings, responsibility: NDArray[np.float32] | None = None) -> Job[Outcome]:
    """The search of one clip, ready for the driver; with the map, where it is known (:class:`Problem`)."""
    clip.refuse_silence()
    spectrum = Spectrum(clip, settings.variables)
    problem = Problem(
        spectrum, settings.delta, settings.count, settings.overlap, settings.seed,
        EFFORTS[settings.effort].times(settings.repeats), responsibility,
    )  # fmt: skip
    doubt = None if settings.precision == "float32" else Doubt(settings.delta)
    return Job(spectrum, SEARCHES[settings.search](problem), settings.budget, doubt=doubt)


def finish(job: Job[Outcome], driver: Driver, settings: SearchSettings) -> Explanation:
    """Verify what a search found, each set by a forward pass of its own, and make the records."""
    outcome, spectrum = job.result, job.spectrum
    assert outcome is not None
    assert isinstance(spectrum, Spectrum)
    wanted, certified = _certify(_list_wanted(outcome, settings.delta), spectrum, driver)
    masks = [found.mask for _, found, _, _ in wanted if found.mask is not None]
    complete = outcome.complete[0].mask
    has_inverse = complete is not None and not complete.all()
    questions = np.array([*masks, *(~mask for mask in masks)], dtype=bool).reshape(-1, spectrum.size)
    answers = driver.evaluate(spectrum, questions) if len(questions) else np.empty((0, 0), np.float32)
    parts: list[tuple[str, Part]] = []
    inverse: Part = Missing("no complete set was found" if complete is None else "the complete set is the whole clip")
    row = 0
    for kind, found, spent, goal in wanted:
        if found.mask is None:
            parts.append((kind, Missing(found.why or "none was found")))
            continue
        kept, left = answers[row], answers[row + len(masks)]
        row += 1
        parts.append((kind, confirm(kind, found, spent, goal, spectrum, kept, left)))
        if kind == "complete" and has_inverse and isinstance(parts[-1][1], Subset):
            inverse = make_subset(spectrum, ~found.mask, left, Certificate(), 1, "")
    return Explanation(
        spectrum, driver.classifier.model.spec, driver.classifier.model.fingerprint, driver.classifier.labels,
        settings, outcome.original,
        sufficient=tuple(part for kind, part in parts if kind == "sufficient"),
        complete=parts[-2][1], one_complete=parts[-1][1], inverse=inverse,
        responsibility=outcome.responsibility,
        queries=job.asked + job.again * driver.repeats + certified + len(questions) * driver.repeats,
        seconds=time.perf_counter() - job.started, why=outcome.why,
        unsteady=_unsteady(recall(job, questions), answers), again=job.again * driver.repeats,
    )  # fmt: skip


def _list_wanted(outcome: Outcome, delta: float) -> list[Wanted]:
    target = Target.of(outcome.original, delta)
    return [
        *(("sufficient", found, spent, target) for found, spent in outcome.sufficient),
        ("complete", *outcome.complete, target),
        ("one_complete", *outcome.one_complete, Target(target.label, target.confidence, 1.0)),
    ]


def _certify(wanted: list[Wanted], spectrum: Spectrum, driver: Driver) -> tuple[list[Wanted], int]:
    """What was found, with those certificates alone that float32 confirms, and the questions asked for that."""
    kept, asked = [], 0
    for kind, found, spent, goal in wanted:
        property_ = Sufficient(goal) if kind == "sufficient" else Complete(goal)
        confirmed, questions = confirm_certificate(found, property_, spectrum, driver)
        kept.append((kind, confirmed, spent, goal))
        asked += questions
    return kept, asked


def _unsteady(before: list[Log | None], after: Log) -> float:
    """Largest difference in probability between answers to the same signals, where there are two."""
    pairs = [(one, two) for one, two in zip(before, after, strict=True) if one is not None]
    return max((float(np.abs(np.exp(one) - np.exp(two)).max()) for one, two in pairs), default=0.0)


def confirm(kind: str, found: Found, spent: int, goal: Target, spectrum: Variables, kept: Log, left: Log) -> Part:
    """A set as a record if its own forward pass confirms it, else the reason why it is not stored.

    Parameters
    ----------
    kind : str
        ``sufficient``, or one that is to be necessary as well.
    found : Found
        With a set.
    spent : int
        Questions.
    goal : Target
    spectrum : Variables
    kept, left : float32 [n]
        Log-probabilities of the set's signal and of what is left without it.
    """
    assert found.mask is not None
    if not found.mask.all():  # all variables: the clip itself, which is what the target was read off
        slack = float(goal.slack(kept[None])[0])
        if kind != "sufficient":
            slack = min(slack, -float(goal.margin(left[None])[0]))
        # half of the search's tolerance: the other half is what arithmetic may differ by
        if slack < TOLERANCE / 2:
            return Missing(f"the set found was not confirmed by its own forward pass (slack {slack:.2g} nats)")
    return make_subset(
        spectrum, found.mask, kept, found.certificate, spent + (1 if kind == "sufficient" else 2), found.why
    )


def make_subset(
    spectrum: Variables, mask: Mask, answer: Log, certificate: Certificate, queries: int, why: str
) -> Subset:
    """A set as a record: what the model answers to its signal, and what was spent on it."""
    energy = float(spectrum.energy[mask].sum())
    return Subset(to_runs(mask), int(mask.sum()), energy, answer, certificate, queries, why)
