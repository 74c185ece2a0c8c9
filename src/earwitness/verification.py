"""Verify an explanation that was saved: ask again, now, and say what no longer holds.

A saved explanation (the folder of ``earwitness explain --out``) names its recording and model and holds a digest of
all that it says. Verifying it reads both as they are now, asks the model about the clip and about every set again, and
holds sizes, energies, labels, confidences, the defining property of each kind of set, the signals beside it and the
digest against what was written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from .errors import AudioError, ConfigError, EarwitnessError, brief
from .explanation import digest_of
from .models import Classifier, open_model, refuse_code
from .search.driver import Driver
from .search.questions import TOLERANCE, Target
from .search.settings import SearchSettings
from .signal import audio
from .signal.domains import Domain
from .signal.limits import WIDEST
from .signal.masks import Mask, from_runs
from .signal.spectrum import Spectrum

#: probabilities this close are the same: other processors and libraries differ in float32 by less
AGREE = 1e-3
#: the same of shares of the energy, of which 6 digits and more are written
ENERGY = 1e-6


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was.

    Attributes
    ----------
    what : str
        ``record``, ``recording``, ``model``, ``labels``, ``settings``, ``answer``, ``set``, ``signal`` or
        ``judgement``.
    where : str
        Which one.
    why : str
        What is otherwise.
    """

    what: str
    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.what} {self.where}: {self.why}"


@dataclass(frozen=True)
class Verification:
    """What was asked again, and what came of it.

    Attributes
    ----------
    asked, of : int
        Answers held against stored ones, and how many there are.
    findings : tuple of Finding
    receipt : str
        The digest of what was verified, as it is now.
    """

    asked: int
    of: int
    findings: tuple[Finding, ...]
    receipt: str

    @property
    def bound(self) -> float:
        """Of all answers, no larger share than this is wrong, with 95 % confidence; if a sample found none wrong."""
        return 0.0 if self.asked >= self.of else 1 - 0.05 ** (1 / max(self.asked, 1))

    def to_json(self) -> dict[str, Any]:
        """As the commands print it."""
        findings = [vars(finding) for finding in self.findings]
        return {
            "asked": self.asked, "of": self.of, "bound": self.bound, "receipt": self.receipt, "findings": findings,
        }  # fmt: skip


def verify(
    folder: str | Path, *, recording: str | Path | None = None, model: str | None = None, device: str = "auto",
    allow_pickle: bool = False, trust_remote_code: bool = False, trust_models: bool = False,
) -> Verification:  # fmt: skip
    """Ask again what a saved explanation says.

    Parameters
    ----------
    folder : str or Path
        With ``explanation.json``.
    recording, model : optional
        Where they lie now; by default where they lay.
    device : str
    allow_pickle, trust_remote_code : bool
        See :func:`earwitness.open_model`.
    trust_models : bool
        Run a ``python:`` model that the explanation names; one that is given as ``model`` runs anyway.

    Raises
    ------
    ConfigError
        There is no explanation, or it is not readable as one.
    ModelError
        It names code, and is not trusted.
    """
    path = Path(folder) / "explanation.json"
    try:
        content = dict(json.loads(path.read_text(encoding="utf-8")))
        clip, made = dict(content["clip"]), dict(content["model"])
        name = str(recording or clip["path"])
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error}); give a folder of earwitness explain --out") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: no explanation ({brief(error)}); make it again with earwitness explain") from None
    if model is None and not trust_models:
        refuse_code([str(made.get("spec"))], path, ", or name the model with --model")
    findings = list(_check_record(content))
    trust = {"allow_pickle": allow_pickle, "trust_remote_code": trust_remote_code}
    try:
        spectrum, wrong = _open_clip(content, name)
        findings += wrong
        classifier, wrong = _open_classifier(made, model or str(made["spec"]), device, trust)
        findings += wrong
        sets = list(_sets(content))
        if spectrum is not None and classifier is not None:
            findings += _ask_again(content, sets, spectrum, classifier, Path(folder))
    except Exception as error:  # whatever a value of another shape makes of the code that takes it
        findings.append(Finding("record", path.name, f"not readable as an explanation ({brief(error)})"))
        return Verification(0, 1, tuple(findings), digest_of(content))
    asked = 1 + len(sets) if spectrum is not None and classifier is not None else 0
    return Verification(asked, 1 + len(sets), tuple(findings), digest_of(content))


def _check_record(content: Mapping[str, Any]) -> Iterator[Finding]:
    if "digest" not in content:
        yield Finding("record", "explanation.json", "it has no digest: written by an older version, or edited")
    elif content["digest"] != digest_of(content):
        yield Finding("record", "explanation.json", "its digest is another: it was edited after it was written")


def _open_clip(content: Mapping[str, Any], name: str) -> tuple[Spectrum | None, list[Finding]]:
    told = content["clip"]
    rate = int(told["sample_rate"])
    try:
        clip = audio.read(name, rate, int(told["samples"]) / rate, WIDEST)
    except AudioError as error:
        return None, [Finding("recording", name, str(error))]
    if clip.sha256 != told["sha256"]:
        return None, [Finding("recording", name, "its samples are not those that were explained")]
    domain = Domain.parse(str(content["domain"]), str(content["occlusion"]), int(content["seed"]))
    return Spectrum(clip, domain), []


def _open_classifier(
    told: Mapping[str, Any], spec: str, device: str, trust: Mapping[str, bool]
) -> tuple[Classifier | None, list[Finding]]:
    try:
        opened = open_model(spec, device, **trust)
    except EarwitnessError as error:
        return None, [Finding("model", spec, str(error))]
    if opened.fingerprint != told["fingerprint"]:
        return None, [Finding("model", spec, "not the model that was explained: its fingerprint is another")]
    if list(opened.labels) != list(told["labels"]):
        return None, [Finding("labels", spec, "not the labels that were written")]
    return Classifier(opened), []


def _sets(content: Mapping[str, Any]) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    for kind, found in content["subsets"].items():
        for draw, part in enumerate(found if isinstance(found, list) else [found]):
            if part is not None:
                yield kind, draw, part


def _ask_again(
    content: Mapping[str, Any], sets: Sequence[tuple[str, int, Mapping[str, Any]]], spectrum: Spectrum,
    classifier: Classifier, folder: Path,
) -> Iterator[Finding]:  # fmt: skip
    """The clip, every set and what is left without it, asked again."""
    masks = [from_runs(tuple((int(a), int(b)) for a, b in part["runs"]), spectrum.size) for _, _, part in sets]
    told = SearchSettings(delta=float(content["delta"]), repeats=int(content.get("repeats", 1)))
    driver = Driver(classifier, repeats=told.repeats)
    whole = np.ones(spectrum.size, dtype=bool)
    answers = driver.evaluate(spectrum, np.stack([whole, *masks, *(~mask for mask in masks)]))
    target = Target.of(answers[0], told.delta)
    yield from _compare("answer", "to the clip", answers[0], classifier.labels, content)
    for number, ((kind, draw, part), mask) in enumerate(zip(sets, masks, strict=True)):
        where = kind if draw == 0 else f"{kind} {draw + 1}"
        kept, left = answers[1 + number], answers[1 + len(sets) + number]
        yield from _compare("set", where, kept, classifier.labels, part)
        energy = float(spectrum.energy[mask].sum())
        if int(mask.sum()) != part["size"] or abs(energy - float(part["energy"])) > ENERGY:
            yield Finding("set", where, "its size or energy is not that of the variables it keeps")
        if why := broken(kind, target, kept, left, whole=bool(mask.all())):
            yield Finding("set", where, why)
        yield from _check_signal(folder / f"{where.replace(' ', '_')}.wav", where, spectrum, mask)


def _compare(
    what: str, where: str, answer: NDArray[np.float32], labels: Sequence[str], told: Mapping[str, Any]
) -> Iterator[Finding]:
    label, confidence = labels[int(answer.argmax())], float(np.exp(np.float64(answer.max())))
    if label != told["label"] or not abs(confidence - float(told["confidence"])) <= AGREE:
        was = f"{told['label']} ({float(told['confidence']):.4f})"
        yield Finding(what, where, f"the model says {label} ({confidence:.4f}) now; written is {was}")


def broken(
    kind: str, target: Target, kept: NDArray[np.float32], left: NDArray[np.float32], *, whole: bool = False
) -> str:
    """Why a set no longer has the property that its kind is defined by; empty where it has.

    Parameters
    ----------
    kind : str
    target : Target
        What the clip sets.
    kept, left : float32 [n]
        What the model says to the set's signal, and to what is left without it.
    whole : bool
        Whether the set is the whole clip.
    """
    if kind not in ("sufficient", "complete", "one_complete"):
        return ""
    goal = Target(target.label, target.confidence, 1.0) if kind == "one_complete" else target
    if not whole and float(goal.slack(kept[None])[0]) < -TOLERANCE:
        return "no longer sufficient"
    if kind != "sufficient" and not whole and float(goal.margin(left[None])[0]) > TOLERANCE:
        return "no longer necessary: what is left without it has the label"
    return ""


def _check_signal(path: Path, where: str, spectrum: Spectrum, mask: Mask) -> Iterator[Finding]:
    wanted = spectrum.invert(mask[None])[0].numpy()
    try:
        samples, rate = soundfile.read(path, dtype="float32")
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        yield Finding("signal", path.name, f"cannot be read ({brief(error)})")
        return
    like = rate == spectrum.clip.sample_rate and samples.shape == wanted.shape
    if not like or not np.allclose(samples, wanted, atol=1e-6):
        yield Finding("signal", path.name, f"not the signal of the {where} set")
