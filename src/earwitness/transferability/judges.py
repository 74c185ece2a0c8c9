"""Ask classifiers about the signals of explanations, without a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from ..analyses.chance import draw_nulls
from ..analyses.nested import ask_curves
from ..analyses.robustness import Robustness
from ..analyses.settings import CurveSettings
from ..errors import ConfigError, LabelError
from ..explanation import Explanation, Subset
from ..models import Classifier
from ..search.driver import Driver
from ..search.settings import FOUND, JUDGED, ROBUST
from ..signal.masks import Mask, from_runs
from .answers import (
    CLIP_COLUMNS,
    MODEL_COLUMNS,
    NESTED_COLUMNS,
    OVERLAP_COLUMNS,
    REAL,
    SIGNAL_COLUMNS,
    SURVIVAL_COLUMNS,
    TEXT,
    Answers,
    assemble,
    unique_names,
)
from .definitions import Log, check_labels, judge
from .overlap import compare_sets


def transfer(
    explanations: Explanation | Robustness | Sequence[Explanation | Robustness],
    classifiers: Sequence[Classifier],
    *,
    nulls: int = 1,
    seed: int = 0,
    curves: CurveSettings | None = None,
) -> Answers:
    """Ask classifiers whether the signals of explanations convince them.

    Parameters
    ----------
    explanations : Explanation, Robustness or sequence of them
        Of one or more clips by one or more models. With what survives of an explanation
        (:func:`earwitness.find_robust`) its robust sets are asked about too.
    classifiers : sequence of Classifier
        The judges, over the explanations' labels (see :func:`earwitness.aligned`). The explained model is one of
        them if its fingerprint is.
    nulls : int
        Null signals a set and kind of :data:`earwitness.analyses.chance.NULLS`.
    seed : int
        Of the null signals.
    curves : CurveSettings, optional
        Also ask about nested sets in the order of the explanations' maps, for the tables of transfer curves and shared
        evidence; by default not.

    Returns
    -------
    Answers
        What the tables of :mod:`earwitness.transferability.tables` are made of.

    Raises
    ------
    LabelError
        Fewer than two labels, or others than the explanations'.
    ModelError
        A classifier answers with something unusable.
    """
    given_ones = [explanations] if isinstance(explanations, Explanation | Robustness) else list(explanations)
    explained = [one.explanation if isinstance(one, Robustness) else one for one in given_ones]
    robust = {id(one.explanation): one for one in given_ones if isinstance(one, Robustness)}
    if not explained or not classifiers:
        raise ConfigError("transfer: nothing to compare; give one explanation and one classifier at least")
    labels = check_labels(explained[0].labels)
    given = [(one.spec, one.labels) for one in explained] + [(one.model.spec, one.labels) for one in classifiers]
    for spec, own in given:
        if own != labels:
            raise LabelError(f"{spec}: other labels than {explained[0].spec}; align the models first")
    known = {classifier.model.fingerprint: classifier.model.spec for classifier in classifiers}
    known |= {one.fingerprint: one.spec for one in explained if one.fingerprint not in known}
    names = dict(zip(known, unique_names(list(known.values()), list(known)), strict=True))
    unsteady = {mark: max((e.unsteady for e in explained if e.fingerprint == mark), default=0.0) for mark in known}
    asked = _Asked(labels, names, unsteady, robust)
    for number, sha256 in enumerate(dict.fromkeys(one.spectrum.clip.sha256 for one in explained), 1):
        of_clip = [one for one in explained if one.spectrum.clip.sha256 == sha256]
        asked.ask(number, of_clip, classifiers, nulls, seed)
        if curves is not None:
            asked.ask_curves(number, of_clip, classifiers, curves)
    return asked.answers(classifiers)


@dataclass(frozen=True, eq=False)
class _Asked:
    """The rows of :func:`transfer`, as they come in."""

    labels: tuple[str, ...]
    names: dict[str, str]
    unsteady: dict[str, float]
    robust: dict[int, Robustness]
    rows: list[dict[str, Any]] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)
    overlaps: list[pl.DataFrame] = field(default_factory=list)
    nested: list[dict[str, Any]] = field(default_factory=list)
    survival: list[dict[str, Any]] = field(default_factory=list)

    def ask(
        self, number: int, explained: list[Explanation], classifiers: Sequence[Classifier], nulls: int, seed: int
    ) -> None:
        """All signals of one clip."""
        spectrum = explained[0].spectrum
        clip = {"clip": number, "path": spectrum.clip.path, "truth": None, "group": "", "dataset": ""}
        signals, masks = self._signals(clip, explained, nulls, seed)
        questions = np.stack([np.ones(spectrum.size, dtype=bool), *masks])
        originals = {one.fingerprint: one.log_probabilities for one in explained}
        for classifier in classifiers:
            answers = Driver(classifier, repeats=explained[0].settings.repeats).evaluate(spectrum, questions)
            originals[classifier.model.fingerprint] = answers[0]
            self.rows.extend({**signal, "judge": self.names[classifier.model.fingerprint]} for signal in signals)
            self.logs.extend(answers[1:])
        for fingerprint, answer in originals.items():
            top, sure = self.labels[int(answer.argmax())], float(np.exp(np.float64(answer.max())))
            self.said.append({**clip, "model": self.names[fingerprint], "answer": top, "probability": sure})
        kept = [i for i, signal in enumerate(signals) if signal["parent"] is None]
        sets = [(signals[i]["subset"], signals[i]["source"], signals[i]["kind"]) for i in kept]
        pairs = compare_sets(sets, [masks[i] for i in kept], spectrum.energy)
        self._overlap(pairs, {signal["subset"]: signal for signal in signals})

    def ask_curves(
        self, number: int, explained: list[Explanation], classifiers: Sequence[Classifier], settings: CurveSettings
    ) -> None:
        """All curves of one clip."""
        spectrum, repeats = explained[0].spectrum, explained[0].settings.repeats
        maps = {one.fingerprint: one.responsibility for one in explained if one.responsibility is not None}
        names = {**self.names, "": ""}
        for classifier in classifiers:
            ask = partial(Driver(classifier, repeats=repeats).evaluate, spectrum)
            facts = {"clip": number, "judge": self.names[classifier.model.fingerprint]}
            for row in ask_curves(maps, spectrum.energy, ask, settings, spectrum.clip.sha256):
                self.nested.append({**facts, **asdict(row), "source": names[row.source]})

    def _signals(
        self, clip: dict[str, Any], explained: list[Explanation], nulls: int, seed: int
    ) -> tuple[list[dict[str, Any]], list[Mask]]:
        signals: list[dict[str, Any]] = []
        masks: list[Mask] = []
        first = 1 + max((row["subset"] for row in self.rows), default=0)
        for one in explained:
            source = {**clip, "source": self.names[one.fingerprint], "label": one.label}

            def add(mask: Mask, source: dict[str, Any] = source, **facts: Any) -> int:
                number = first + len(signals)
                energy = float(explained[0].spectrum.energy[mask].sum())
                signals.append({**source, "subset": number, "size": int(mask.sum()), "energy": energy, **facts})
                masks.append(mask)
                return number

            parents: list[tuple[str, int, int, Mask]] = []
            robust = self.robust.get(id(one))
            for kind, draw, part in (robust or one).parts():
                if isinstance(part, Subset):
                    mask = from_runs(part.runs, one.spectrum.size)
                    number = add(mask, kind=kind, draw=draw, certificate=part.certificate.kind, parent=None)
                    if kind in JUDGED:
                        parents.append((kind, draw, number, mask))
            parents.sort(key=lambda parent: parent[:2])  # as a study does, whose null signals are the same
            for own, extra in ((FOUND, ()), (ROBUST, ROBUST)):
                chosen = [parent for parent in parents if parent[0] in own]
                facts = one.spectrum.clip.sha256, one.fingerprint, seed, *extra
                drawn = draw_nulls([mask for *_, mask in chosen], one.spectrum.energy, nulls, *facts, quiet=not extra)
                for null in drawn:
                    number = chosen[null.parent][2]
                    add(null.mask, kind=null.kind, draw=null.draw, certificate="none", parent=number)
            if robust is not None:
                self._survive(clip["clip"], one, robust)
        return signals, masks

    def _survive(self, clip: int, one: Explanation, robust: Robustness) -> None:
        facts = {"clip": clip, "source": self.names[one.fingerprint], "questions": robust.queries}
        self.survival.extend(
            {**facts, "kind": kind, "draw": draw, "held": held, "views": views}
            for kind, draw, held, views in robust.measured.counts()
        )

    def _overlap(self, pairs: list[dict[str, Any]], signals: dict[int, dict[str, Any]]) -> None:
        for a, b in (("subset", "other"), ("other", "subset")):
            rows = [
                {
                    "clip": signals[pair[a]]["clip"], "kind": signals[pair[a]]["kind"], "subset": pair[a],
                    "other": pair[b], "source": signals[pair[a]]["source"], "judge": signals[pair[b]]["source"],
                    "jaccard": pair["jaccard"], "weighted": pair["weighted"],
                }
                for pair in pairs
            ]  # fmt: skip
            self.overlaps.append(pl.DataFrame(rows, schema=OVERLAP_COLUMNS))

    def answers(self, classifiers: Sequence[Classifier]) -> Answers:
        """All that was asked."""
        known = {
            model.fingerprint: (model.backend, model.architecture, model.parameters)
            for model in (classifier.model for classifier in classifiers)
        }
        models = [
            (name, *(known.get(mark) or ("", "", 0)), self.unsteady[mark]) for mark, name in self.names.items()
        ]  # fmt: skip
        logs = np.stack(self.logs) if self.logs else np.empty((0, len(self.labels)), dtype=np.float32)
        judged = judge(pl.DataFrame(self.rows, schema={**SIGNAL_COLUMNS, "judge": TEXT}), logs, self.labels)
        said = pl.DataFrame(self.said, schema={**CLIP_COLUMNS, "model": TEXT, "answer": TEXT, "probability": REAL})
        table = pl.DataFrame(models, schema=MODEL_COLUMNS, orient="row")
        nested = pl.DataFrame(self.nested, schema=NESTED_COLUMNS)
        survival = pl.DataFrame(self.survival, schema=SURVIVAL_COLUMNS)
        found = assemble(self.labels, table, judged, said, pl.concat(self.overlaps))
        return replace(found, nested=nested, survival=survival)
