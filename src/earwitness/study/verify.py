"""Verify a study: ask its models again, now, about what the store says they said.

Recordings and models are taken as they are now. Every stored answer (to a clip, to a set, to a null signal), or a
sample of them, is asked again; sets must still have what their kind is defined by. What is missing or has changed is
named. The *receipt* is a digest of recordings, models, settings and results: two stores with the same receipt say the
same, wherever they lie and in whatever order they were made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch import Tensor

from ..errors import EarwitnessError, ModelError
from ..models import Classifier, Model, align
from ..search.driver import Driver
from ..search.questions import Target
from ..search.settings import REVISION
from ..signal.spectrum import Spectrum
from ..verification import AGREE, ENERGY, Finding, Verification, broken
from .progress import Quiet, Reporter
from .reopen import Reopened, reopen
from .store import Store
from .store.facts import settings_digest

Log = NDArray[np.float32]


def verify_study(
    store: Store, *, sample: int | None = None, seed: int = 0, device: str = "auto", trust_models: bool = False,
    reporter: Reporter | None = None,
) -> Verification:  # fmt: skip
    """Ask a study's models again about what the store says they said.

    Parameters
    ----------
    store : Store
    sample : int, optional
        Only so many of the stored answers, drawn at random; by default all.
    seed : int
        Of the draw.
    device : str
    trust_models : bool
        Run what the store names: ``python:`` models, and pickles or code of a model's own where its study allowed them.
    reporter : Reporter, optional

    Raises
    ------
    StoreError
        The store holds no study, or is damaged.
    ModelError
        The store names code, and is not trusted.
    """
    study, reporter = reopen(store, device, trust_models=trust_models), reporter or Quiet()
    study.check_trust()
    check = _Check.of(study)
    stored = _stored(study)
    chosen = stored if sample is None or sample >= len(stored) else stored.sample(sample, seed=seed)
    units = chosen.sort("clip", "judge", "subset").partition_by("clip", "judge", maintain_order=True)
    reporter.stage("asking again", len(units))
    asked = 0
    for rows in units:
        asked += check.ask_again(int(rows["clip"][0]), int(rows["judge"][0]), rows)
        reporter.advance()
    return Verification(asked, len(stored), tuple(check.findings), receipt(store))


def receipt(store: Store) -> str:
    """The digest of a study: of settings, labels, searches, models, recordings, sets and answers, by content alone."""
    key = store.settings_key()
    search, labels = store.settings(key)
    models = dict(store.list_models(key).select("model", "fingerprint").iter_rows())
    clips = dict(store.list_clips(key).select("clip", "sha256").iter_rows())
    # the key is of the revision of the searches too
    lines = [json.dumps([search, labels, key], sort_keys=True), *sorted(models.values()), *sorted(clips.values())]
    signals = store.list_signals(key, masks=True)
    names = {}
    for row in signals.iter_rows(named=True):
        names[row["subset"]] = f"{clips[row['clip']]} {models[row['model']]} {row['kind']} {row['draw']}"
        mask = "" if row["mask"] is None else row["mask"].hex()
        facts = f"{row['size']} {row['energy']} {row['certificate']} {row['groups']} {row['why']}"
        lines.append(f"{names[row['subset']]} {mask} {facts}")
    lines += [
        f"{names[subset]} {models[judge]} {logs.hex()}"
        for subset, judge, logs in store.list_answers(key).iter_rows() if subset in names
    ]  # fmt: skip
    lines += [
        f"{clips[clip]} {models[judge]} {logs.hex()}" for clip, judge, logs in store.list_originals(key).iter_rows()
    ]
    whole = blake2b(digest_size=12)
    for line in sorted(lines):
        whole.update(line.encode() + b"\n")
    return whole.hexdigest()


@dataclass(eq=False)
class _Check:
    """A study under verification: what it says, its models and the clip at hand as they are now, what was found."""

    study: Reopened
    classifiers: dict[int, Classifier]
    signals: dict[int, dict[str, Any]]
    paths: dict[int, str]
    findings: list[Finding]
    _last: tuple[int, Spectrum | None] | None = None

    @classmethod
    def of(cls, study: Reopened) -> _Check:
        """Open what is there."""
        signals = {row["subset"]: row for row in study.store.list_signals(study.key).iter_rows(named=True)}
        paths = dict(study.clips.select("clip", "path").iter_rows())
        classifiers, wrong = _open_models(study)
        return cls(study, classifiers, signals, paths, [*_check_settings(study), *wrong])

    def ask_again(self, clip: int, judge: int, rows: pl.DataFrame) -> int:
        """One model's answers to a clip and signals of it, and the sets that are its own; how many were asked."""
        spectrum = self._spectrum(clip)
        if spectrum is None or judge not in self.classifiers:
            return 0
        told = dict(rows.select("subset", "logs").iter_rows())
        ids = [subset for subset in told if subset]
        masks = [self.study.store.mask(subset) for subset in ids]
        path, spec = self.paths[clip], self.study.specs[judge]
        if sizes := {mask.size for mask in masks} - {spectrum.size}:
            why = f"sets of {sizes.pop()} variables, where it has {spectrum.size}"
            self.findings.append(Finding("set", f"of {path}", why))
            return 0
        driver = Driver(self.classifiers[judge], repeats=self.study.settings.repeats)
        whole = np.ones(spectrum.size, dtype=bool)
        answers = driver.evaluate(spectrum, np.stack([whole, *masks, *(~mask for mask in masks)]))
        if 0 in told:
            self.findings += _compare("answer", f"{path}, {spec}", answers[0], told[0], self.study.labels)
        target = Target.of(answers[0], self.study.settings.delta)
        for number, (subset, mask) in enumerate(zip(ids, masks, strict=True)):
            row = self.signals[subset]
            where = f"{subset} ({row['kind']} of {path}, {self.study.specs[row['model']]}; {spec})"
            kept, left = answers[1 + number], answers[1 + len(ids) + number]
            self.findings += _compare("judgement", where, kept, told[subset], self.study.labels)
            if row["model"] == judge and (why := broken(row["kind"], target, kept, left, whole=bool(mask.all()))):
                self.findings.append(Finding("set", where, why))
            if abs(float(spectrum.energy[mask].sum()) - (row["energy"] or 0.0)) > ENERGY:
                self.findings.append(Finding("set", where, "its energy is not that of the variables it keeps"))
        return len(told)

    def _spectrum(self, clip: int) -> Spectrum | None:
        """The clip at hand; ``None`` where it is missing or has changed, which is found once."""
        if self._last is None or self._last[0] != clip:
            try:
                self._last = clip, self.study.spectrum(clip)
            except EarwitnessError as error:
                self.findings.append(Finding("recording", self.paths[clip], str(error)))
                self._last = clip, None
        return self._last[1]


def _check_settings(study: Reopened) -> Iterator[Finding]:
    """The key of the settings is a digest of them: edited ones have another."""
    search, labels = study.store.settings(study.key)
    only = bool(study.study.only_correct)
    told = json.dumps(search, sort_keys=True), json.dumps(labels)
    if study.key in (settings_digest(*told, revision, only) for revision in range(1, REVISION + 1)):
        return
    yield Finding("settings", study.key, "not those that were run: settings or labels were edited in the store")


class _Shared(Model):
    """The study's labels as a model that is not asked: others are aligned to it."""

    spec = "the study's labels"

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels, self.sample_rate, self.fingerprint = labels, 1, ""

    def logits(self, waveforms: Tensor) -> Tensor:
        """See :meth:`Model.logits`."""
        raise ModelError(f"{self.spec}: not to be asked")


def _open_models(study: Reopened) -> tuple[dict[int, Classifier], list[Finding]]:
    """The models by id as they are now, over the study's labels, and what is wrong with any."""
    opened: dict[int, Classifier] = {}
    findings = []
    for id, spec, fingerprint in study.models.select("model", "spec", "fingerprint").iter_rows():
        try:
            model = study.open_model(spec)
            mapping = {own: name for own, name in study.study.labels.items() if own in model.labels}
            alignment = align([_Shared(study.labels), model], mapping)
        except EarwitnessError as error:
            findings.append(Finding("model", spec, str(error)))
            continue
        if model.fingerprint != fingerprint:
            findings.append(Finding("model", spec, "not the model that was studied: its fingerprint is another"))
        elif alignment.labels != study.labels:
            findings.append(Finding("labels", spec, f"it has {', '.join(alignment.labels)} of the study's labels"))
        else:
            opened[id] = Classifier(model, alignment.labels, alignment.members[1])
    return opened, findings


def _stored(study: Reopened) -> pl.DataFrame:
    """Every stored answer: ``clip``, ``judge`` (ids), ``subset`` (0: the clip itself), ``logs`` (packed)."""
    store, key = study.store, study.key
    originals = store.list_originals(key).select("clip", judge="model", subset=pl.lit(0), logs="log_probabilities")
    signals = store.list_signals(key).select("subset", "clip")
    answers = store.list_answers(key).join(signals, on="subset")
    answers = answers.select("clip", judge="model", subset="subset", logs="log_probabilities")
    return pl.concat([originals.cast({"subset": pl.Int64}), answers]).sort("clip", "judge", "subset")


def _compare(what: str, where: str, now: Log, packed: bytes, labels: Sequence[str]) -> Iterator[Finding]:
    was = np.frombuffer(packed, dtype="<f4")
    gap = float(np.abs(np.exp(now.astype(np.float64)) - np.exp(was.astype(np.float64))).max())
    if not gap <= AGREE:
        says, said = labels[int(now.argmax())], labels[int(was.argmax())]
        yield Finding(what, where, f"says {says} now; stored is {said}; probabilities differ by {gap:.3g}")
