"""Plan a study: everything that can go wrong before work is spent."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..datasets import read_dataset
from ..datasets.builtin import builtin_recordings
from ..datasets.recording import Recording
from ..errors import ConfigError, ModelError
from ..models import Alignment, Model, align, choose_device, open_model
from ..models.batching import lacks_memory
from ..models.resampling import at_rate
from ..search.settings import SearchSettings
from ..signal import audio
from ..signal.audio import Clip
from ..signal.views import parse_views
from .file import DataSection, Study
from .messages import Setup
from .progress import Quiet, Reporter

#: reasons for leaving recordings out that are told one by one
MOST_REASONS = 8


@dataclass(frozen=True, eq=False)
class Plan:
    """A study ready to run: models known, labels aligned, recordings listed.

    ``loaded`` says whether the models can be asked here; else workers load them.
    """

    study: Study
    models: tuple[Model, ...]
    alignment: Alignment
    recordings: tuple[Recording, ...]
    sample_rate: int
    folder: Path
    loaded: bool = True

    @property
    def settings(self) -> SearchSettings:
        """The search settings."""
        return self.study.settings

    def read(self, path: str | Path) -> Clip:
        """A recording as it is studied.

        Raises
        ------
        AudioError
            See :func:`earwitness.read`.
        """
        return audio.read(path, self.sample_rate, self.study.duration, self.study.limits, pad=self.study.pad)

    @property
    def setup(self) -> Setup:
        """What a worker must know."""
        study = self.study
        return Setup(
            tuple(model.spec for model in self.models), tuple(model.fingerprint for model in self.models),
            self.alignment, self.settings, self.sample_rate, study.duration, study.run.device, study.run.batch,
            study.run.threads, study.run.time_limit, limits=study.limits, robust=study.robust, curves=study.curves,
            pad=study.pad, **study.run.trust,
        )  # fmt: skip


def plan(study: Study, folder: Path, reporter: Reporter | None = None) -> Plan:
    """Load models, align labels, list recordings: everything that can go wrong before work is spent.

    Where the work is done by other processes, the models are let go again, one by one.

    Raises
    ------
    EarwitnessError
        A model cannot be loaded, fewer than two labels are shared, a data set cannot be read.
    """
    reporter = reporter or Quiet()
    if study.robust:
        parse_views(study.robust.views)
    recordings: list[Recording] = []
    for section in study.data:
        recordings += _list(section, folder, reporter)
    if not recordings:
        raise ConfigError("data: no recordings; name a folder or manifest that holds some")
    models, loaded = _open_models([localise(spec, folder) for spec in study.models], study, reporter)
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
    at_one_rate = tuple(at_rate(model, rate) for model in models)
    if study.seconds == "model":
        study = study.model_copy(update={"seconds": _heard(models), "pad": False})
        reporter.say(f"recordings are cropped to the {study.seconds:g} s that the models hear")
    return Plan(study, at_one_rate, alignment, tuple(recordings), rate, folder, loaded)


def _heard(models: Sequence[Model]) -> float:
    """How much of a recording the models hear, in seconds: those that hear no more than so much.

    Raises
    ------
    ConfigError
        None of them has a length of its own, or they differ.
    """
    lengths = {model.spec: model.seconds for model in models if model.seconds}
    if len(set(lengths.values())) != 1:
        told = ", ".join(f"{spec}: {seconds:g} s" for spec, seconds in lengths.items())
        raise ConfigError(f"seconds 'model': {told or 'no model has a length of its own'}; give one number of seconds")
    return next(iter(lengths.values()))


class _Described(Model):
    """What is known of a model that other processes load."""

    def __init__(self, model: Model) -> None:
        self.spec, self.labels, self.sample_rate = model.spec, model.labels, model.sample_rate
        self.fingerprint, self.parameters, self.backend = model.fingerprint, model.parameters, model.backend
        self.architecture, self.frontend, self.notes = model.architecture, model.frontend, model.notes
        self.deterministic, self.differentiable = model.deterministic, model.differentiable
        self.samples = model.samples

    def logits(self, waveforms: Tensor) -> Tensor:
        """See :meth:`Model.logits`."""
        raise ModelError(f"{self.spec}: its work is done by other processes; plan with one local worker to ask it here")


def _open_models(specs: Sequence[str], study: Study, reporter: Reporter) -> tuple[list[Model], bool]:
    """The models, and whether they are loaded here: not if others do the work, or there is no room for all."""
    if not study.run.elsewhere:
        try:
            return [open_model(spec, study.run.device, **study.run.trust) for spec in specs], True
        except Exception as error:
            if not lacks_memory(error):
                raise
            reporter.say("the device has no room for all models at once: each is loaded when its turn comes")
    elif study.run.executor == "local":
        choose_device(study.run.device)  # refused here, not by each worker
    return [_Described(open_model(spec, "cpu", **study.run.trust)) for spec in specs], False


def _list(section: DataSection, folder: Path, reporter: Reporter) -> list[Recording]:
    if section.path == "builtin":
        if section.labels or section.split:
            raise ConfigError("data 'builtin': its recordings have no labels and no splits; leave labels and split out")
        return builtin_recordings(section.limit, section.include)
    options = section.model_dump(exclude={"path"})
    dataset = read_dataset(folder / section.path, **options)
    reporter.say(f"data: {section.path}: {len(dataset.recordings)} recordings, layout {dataset.layout}")
    reasons = Counter(reason for _, reason in dataset.skipped).most_common()
    for reason, count in reasons[:MOST_REASONS]:
        first = next(path for path, why in dataset.skipped if why == reason)
        reporter.say(f"  left out {count}: {reason} ({first}{', …' if count > 1 else ''})")
    if rest := reasons[MOST_REASONS:]:
        reporter.say(f"  left out {sum(count for _, count in rest)} more, for {len(rest)} other reasons")
    return list(dataset.recordings)


def localise(spec: str, folder: Path) -> str:
    """Paths in a spec are relative to the study file."""
    scheme, _, target = spec.partition(":")
    path, colon, attribute = target.rpartition(":") if scheme == "python" else (target, "", "")
    if scheme != "builtin" and path and (folder / path).exists():
        return f"{scheme}:{os.path.normpath(folder / path)}{colon}{attribute}"
    return spec
