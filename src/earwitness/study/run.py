"""Plan a study, do what is missing, resume.

Each unit of work (one model's explanation of one clip; one model's judgement of one clip's signals) is committed
when it is done. A unit that fails becomes a row with its reason and the study goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import audio
from ..audio import Clip
from ..datasets import Recording, read_dataset
from ..errors import ConfigError, EarwitnessError, ModelError, StoreError
from ..explain import SearchSettings, finish, make_job
from ..models import Alignment, Classifier, Model, align, aligned, open_model
from ..models.resampling import at_rate
from ..recordings import builtin_recordings
from ..search import Driver
from ..spectrum import Spectrum
from .config import DataSection, Study
from .progress import Quiet, Reporter
from .store import Store

#: clips whose searches run side by side: enough to fill a batch, few enough to hold their spectra
SIDE_BY_SIDE = 8


@dataclass(frozen=True)
class Summary:
    """What a run did.

    Attributes
    ----------
    explained, judged : int
        Units done in this run.
    failed : int
        Failed rows of the study, earlier ones included.
    """

    explained: int
    judged: int
    failed: int


@dataclass(frozen=True, eq=False)
class Plan:
    """A study ready to run: models loaded, labels aligned, recordings listed."""

    study: Study
    models: tuple[Model, ...]
    alignment: Alignment
    recordings: tuple[Recording, ...]
    sample_rate: int
    folder: Path

    @property
    def settings(self) -> SearchSettings:
        """The search settings."""
        return self.study.settings


def plan(study: Study, folder: Path, reporter: Reporter | None = None) -> Plan:
    """Load models, align labels, list recordings: everything that can go wrong before work is spent.

    Raises
    ------
    EarwitnessError
        A model cannot be loaded, fewer than two labels are shared, a data set cannot be read.
    """
    reporter = reporter or Quiet()
    recordings: list[Recording] = []
    for section in study.data:
        recordings += _list(section, folder, reporter)
    if not recordings:
        raise ConfigError("data: no recordings; name a folder or manifest that holds some")
    models = [open_model(localise(spec, folder), study.run.device) for spec in study.models]
    fingerprints = [model.fingerprint for model in models]
    for i, model in enumerate(models):
        if model.fingerprint in fingerprints[:i]:
            twin = models[fingerprints.index(model.fingerprint)]
            raise ModelError(f"{model.spec}: the same weights and labels as {twin.spec}; name each model once")
    alignment = align(models, study.labels)
    reporter.say(f"labels: {len(alignment.labels)} shared ({', '.join(alignment.labels)})")
    for model, dropped in zip(models, alignment.dropped, strict=True):
        if dropped:
            reporter.say(f"  {model.spec}: {len(dropped)} labels left out ({', '.join(dropped[:8])}…)")
    rate = study.sample_rate or max(model.sample_rate for model in models)
    return Plan(study, tuple(at_rate(model, rate) for model in models), alignment, tuple(recordings), rate, folder)


def run(plan: Plan, store: Store, reporter: Reporter | None = None, *, retry_failed: bool = False) -> Summary:
    """Do what the store does not hold yet.

    Parameters
    ----------
    plan : Plan
    store : Store
        Open for writing.
    reporter : Reporter, optional
    retry_failed : bool
        Try failed units again.
    """
    reporter = reporter or Quiet()
    key = store.add_settings(plan.settings, plan.alignment.labels)
    before = store.meta().get("settings")
    if before not in (None, key):
        reporter.say("settings or labels have changed since the last run: everything they decide is done anew")
    if retry_failed:
        store.clear_failures(key)
    study = plan.study
    ids = [store.add_model(model) for model in plan.models]
    store.set_meta(
        settings=key, name=study.name, epsilon=study.transfer.epsilon, study=study.model_dump(),
        folder=str(plan.folder), sample_rate=plan.sample_rate, models=ids,
    )  # fmt: skip
    clips = _Clips(plan, store, key)
    clips.register(reporter)
    classifiers = aligned(plan.models, plan.alignment)
    explained = sum(
        _explain(plan, store, key, clips, classifier, model_id, reporter)
        for classifier, model_id in zip(classifiers, ids, strict=True)
    )
    judged = _judge(plan, store, key, clips, classifiers, ids, reporter)
    failed = store.frame("SELECT count(*) AS n FROM failures WHERE settings = ?", (key,))["n"][0]
    return Summary(explained, judged, int(failed))


class _Clips:
    """The recordings of a study, read when they are needed."""

    def __init__(self, plan: Plan, store: Store, key: str) -> None:
        self._plan, self._store, self._key = plan, store, key
        self.ids: dict[int, Recording] = {}

    def register(self, reporter: Reporter) -> None:
        """Read every recording once and note it; one that cannot be read becomes a failed row."""
        reporter.stage("reading clips", len(self._plan.recordings))
        for recording in self._plan.recordings:
            try:
                clip = self.read(recording)
                if clip.silent:
                    raise ConfigError("silence, nothing in it can be a cause; leave it out")
                self.ids.setdefault(self._store.add_clip(clip, recording), recording)
            except EarwitnessError as error:
                self._store.add_failure(self._key, "read", str(recording.path), "", str(error))
            reporter.advance()

    def read(self, recording: Recording) -> Clip:
        """The clip at the study's rate and length."""
        return audio.read(recording.path, self._plan.sample_rate, self._plan.study.seconds)


def _explain(
    plan: Plan, store: Store, key: str, clips: _Clips, classifier: Classifier, model_id: int, reporter: Reporter
) -> int:
    """Explain one model on the clips that lack it; how many were done."""
    settings, spec = plan.settings, classifier.model.spec
    done, failed = store.explained(key), {clip for clip, model in store.failed(key, "explain") if model == spec}
    todo = [(i, r) for i, r in clips.ids.items() if (i, model_id) not in done and str(r.path) not in failed]
    if not todo:
        return 0
    reporter.stage(f"explaining {spec}", len(todo))
    driver = Driver(
        classifier, batch=plan.study.run.batch, repeats=settings.repeats, side_by_side=SIDE_BY_SIDE,
        progress=reporter.ask,
    )  # fmt: skip
    owner: dict[int, tuple[int, Recording]] = {}

    def jobs() -> Iterator[Any]:
        for clip_id, recording in todo:
            job = make_job(clips.read(recording), settings)
            owner[id(job)] = (clip_id, recording)
            yield job

    count = 0
    for job in driver.run(jobs()):
        clip_id, recording = owner.pop(id(job))
        try:
            if job.error is not None:
                raise job.error
            store.add_explanation(clip_id, model_id, key, finish(job, driver, settings))
            count += 1
        except Exception as error:
            _pass_on(error)
            store.add_failure(key, "explain", str(recording.path), spec, _reason(error))
        reporter.advance()
    return count


def _judge(
    plan: Plan, store: Store, key: str, clips: _Clips, classifiers: list[Classifier], ids: list[int], reporter: Reporter
) -> int:
    """Ask every model about every signal it has not judged yet; how many (clip, model) units were done."""
    failed = store.failed(key, "judge")
    todo = [
        (clip_id, recording, [
            (classifier, model_id)
            for classifier, model_id in zip(classifiers, ids, strict=True)
            if (str(recording.path), classifier.model.spec) not in failed
            and (not store.has_original(clip_id, model_id, key) or store.unanswered(clip_id, model_id, key))
        ])
        for clip_id, recording in clips.ids.items()
    ]  # fmt: skip
    units = sum(len(judges) for _, _, judges in todo)
    if not units:
        return 0
    reporter.stage("judging signals", units)
    count = 0
    for clip_id, recording, judges in todo:
        if not judges:
            continue
        spectrum = Spectrum(clips.read(recording), plan.settings.variables)
        for classifier, model_id in judges:
            driver = Driver(classifier, batch=plan.study.run.batch, repeats=plan.settings.repeats)
            try:
                subsets = store.unanswered(clip_id, model_id, key)
                masks = np.stack([np.ones(spectrum.size, dtype=bool), *(subset.mask for subset in subsets)])
                answers = driver.evaluate(spectrum, masks)
                judged = {subset.id: answer for subset, answer in zip(subsets, answers[1:], strict=True)}
                store.add_answers(clip_id, model_id, key, answers[0], judged)
                reporter.ask(len(masks))
                count += 1
            except Exception as error:
                _pass_on(error)
                store.add_failure(key, "judge", str(recording.path), classifier.model.spec, _reason(error))
            reporter.advance()
    return count


def _list(section: DataSection, folder: Path, reporter: Reporter) -> list[Recording]:
    if section.path == "builtin":
        return builtin_recordings(section.limit)
    options = section.model_dump(exclude={"path"})
    dataset = read_dataset(folder / section.path, **options)
    reporter.say(f"data: {section.path}: {len(dataset.recordings)} recordings, layout {dataset.layout}")
    for path, reason in dataset.skipped:
        reporter.say(f"  left out {path}: {reason}")
    return list(dataset.recordings)


def localise(spec: str, folder: Path) -> str:
    """Paths in a spec are relative to the study file."""
    scheme, _, target = spec.partition(":")
    path, colon, attribute = target.rpartition(":") if scheme == "python" else (target, "", "")
    if scheme != "builtin" and path and (folder / path).exists():
        return f"{scheme}:{folder / path}{colon}{attribute}"
    return spec


def _pass_on(error: Exception) -> None:
    """A store that cannot be written ends the run; anything else is the unit's own failure."""
    if isinstance(error, StoreError):
        raise error


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, EarwitnessError) else repr(error)
