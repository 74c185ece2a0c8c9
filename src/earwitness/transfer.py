"""Definitions 4 and 5: is a signal that convinces one model accepted by the others?

Source: Kelly & Chockler, arXiv 2604.02937 (T). For a signal ŝ made from a clip s to which a model says c, and
the other models f̂ with n aligned labels:

- ``accepted``: f̂(ŝ) = c;
- ``certain``: H(f̂(ŝ)) < ε · log₂ n, the entropy of its distribution in bits;
- ``alpha``: share of the other models that accept;
- ``beta``: share of the other models that are certain, whatever their label. (The formula printed in T Def. 5 is
  damaged; this is its plain reading.)
- ``joint``: share of the other models that accept and are certain;
- ``transferable`` (T Def. 4): ``joint`` = 1.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .chance import NULLS, draw_nulls
from .errors import ConfigError, LabelError, StoreError
from .explain import KINDS, Explanation, Subset
from .models import Classifier, fold
from .search import Driver
from .spectrum import Mask, from_runs
from .statistics import jaccard
from .study.store import Store

Log = NDArray[np.float32]

_TEXT, _WHOLE, _REAL = pl.String(), pl.Int64(), pl.Float64()
_CLIP: dict[str, pl.DataType] = {"clip": _WHOLE, "path": _TEXT, "truth": _TEXT, "group": _TEXT, "dataset": _TEXT}
MODEL_COLUMNS: dict[str, pl.DataType] = {"model": _TEXT, "backend": _TEXT, "architecture": _TEXT, "parameters": _WHOLE}
OVERLAP_COLUMNS: dict[str, pl.DataType] = {
    "clip": _WHOLE, "kind": _TEXT, "subset": _WHOLE, "other": _WHOLE, "source": _TEXT, "judge": _TEXT,
    "jaccard": _REAL, "weighted": _REAL,
}  # fmt: skip
SIGNAL_COLUMNS: dict[str, pl.DataType] = {
    "subset": _WHOLE, **_CLIP, "source": _TEXT, "kind": _TEXT, "draw": _WHOLE, "size": _WHOLE, "energy": _REAL,
    "certificate": _TEXT, "parent": _WHOLE, "label": _TEXT,
}  # fmt: skip

#: what names a signal in :func:`signal_table`
SIGNAL_KEYS = ("subset", "clip", "path", "group", "dataset", "source", "kind", "draw", "size", "label")


@dataclass(frozen=True, eq=False)
class Answers:
    """Every judgement of a study. An answer with NaN is no answer: it is left out.

    Attributes
    ----------
    labels : tuple of str
        The aligned labels, two at least.
    models : polars.DataFrame
        Columns ``model`` (spec, each once), ``backend``, ``architecture``, ``parameters``.
    judgements : polars.DataFrame
        One row a signal and judging model: ``subset`` (id), ``clip`` (id), ``path``, ``truth``, ``group``,
        ``dataset``, ``source`` and ``judge`` (specs), ``kind``, ``draw``, ``size``, ``energy``, ``certificate``,
        ``parent`` (null), ``label`` (what the source says to the clip), ``answer`` (what the judge says to the
        signal) and ``confidence`` (its probability), ``accepted``, ``probability`` and ``rank`` (of ``label``, for
        the judge), ``entropy`` (bits), ``entropy_share`` (of log₂ n).
    originals : polars.DataFrame
        One row a clip and model: ``clip``, ``path``, ``truth``, ``group``, ``dataset``, ``model``, ``answer``,
        ``probability``.
    nulls : polars.DataFrame
        As ``judgements``, of null signals: ``kind`` is one of :data:`earwitness.chance.NULLS`, ``parent`` the
        ``subset`` that it is the chance baseline of. ``silence`` is the same for all sets of a clip.
    overlaps : polars.DataFrame
        One row an ordered pair of sets of one kind and clip by different models: ``clip``, ``kind``, ``subset``,
        ``other`` (ids), ``source``, ``judge`` (their models), ``jaccard``, and ``weighted`` by energy.
    """

    labels: tuple[str, ...]
    models: pl.DataFrame
    judgements: pl.DataFrame
    originals: pl.DataFrame
    nulls: pl.DataFrame
    overlaps: pl.DataFrame

    def without_vacuous(self) -> Answers:
        """The same without empty sets: what a model says to silence anyway needs no signal. Silence itself stays."""
        empty = self.judgements.filter(pl.col("size") == 0)["subset"].unique().to_list()
        gone, silent = pl.col("subset").is_in(empty), pl.col("kind") == "silence"
        return replace(
            self, judgements=self.judgements.filter(~gone),
            nulls=self.nulls.filter(silent | ~pl.col("parent").is_in(empty)),
            overlaps=self.overlaps.filter(~gone & ~pl.col("other").is_in(empty)),
        )  # fmt: skip

    def rename_models(self, names: Mapping[str, str]) -> Answers:
        """The same with other names for the models; they must differ."""

        def rename(table: pl.DataFrame, *columns: str) -> pl.DataFrame:
            return table.with_columns(pl.col(*columns).replace_strict(names, return_dtype=_TEXT))

        judged = (rename(table, "source", "judge") for table in (self.judgements, self.nulls, self.overlaps))
        models, originals = rename(self.models, "model"), rename(self.originals, "model")
        return Answers(self.labels, models, next(judged), originals, next(judged), next(judged))


def entropy_bits(log_probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Shannon entropy of distributions in bits: natural logarithms [M, n] → float64 [M]."""
    logs = np.asarray(log_probabilities, dtype=np.float64)
    terms = np.where(np.isfinite(logs), np.exp(logs) * logs, 0.0)
    return np.asarray(np.maximum(-terms.sum(axis=1) / np.log(2), 0.0), dtype=np.float64)


def rank_of(log_probabilities: NDArray[np.float32], labels: NDArray[np.intp]) -> NDArray[np.intp]:
    """Rank of a label in each distribution, 1 for top-1; labels tied with it count as before it if lower."""
    chosen = np.take_along_axis(log_probabilities, labels[:, None], axis=1)
    before = np.arange(log_probabilities.shape[1])[None] < labels[:, None]
    ahead = (log_probabilities > chosen) | ((log_probabilities == chosen) & before)
    return np.asarray(1 + ahead.sum(axis=1), dtype=np.intp)


def judge(raw: pl.DataFrame, log_probabilities: Log, labels: tuple[str, ...]) -> pl.DataFrame:
    """What answers say about the label in column ``label``; rows without an answer (NaN) are left out.

    Adds the columns of :class:`Answers` from ``answer`` to ``entropy_share``.
    """
    known = ~np.isnan(log_probabilities).any(axis=1)
    raw, logs = raw.filter(pl.Series(known)), log_probabilities[known]
    index = {label: i for i, label in enumerate(labels)}
    claimed = raw["label"].replace_strict(index, return_dtype=pl.Int64).to_numpy().astype(np.intp)
    entropy, ranks = entropy_bits(logs), rank_of(logs, claimed)
    chosen = np.take_along_axis(logs, claimed[:, None], axis=1)[:, 0]
    return raw.with_columns(
        answer=_top(logs, labels),
        confidence=_highest(logs),
        accepted=pl.Series(ranks == 1, dtype=pl.Boolean),
        probability=pl.Series(np.exp(chosen.astype(np.float64)), dtype=pl.Float64),
        rank=pl.Series(ranks, dtype=pl.Int64),
        entropy=pl.Series(entropy, dtype=pl.Float64),
        entropy_share=pl.Series(entropy / np.log2(len(labels)), dtype=pl.Float64),
    )


def _top(logs: Log, labels: tuple[str, ...]) -> pl.Series:
    return pl.Series(np.array(labels, dtype=object)[logs.argmax(axis=1)].tolist(), dtype=pl.String)


def _highest(logs: Log) -> pl.Series:
    return pl.Series(np.exp(logs.max(axis=1, initial=-np.inf).astype(np.float64)), dtype=pl.Float64)


def latest_settings(store: Store) -> str:
    """The key of the settings the study was last run with.

    Raises
    ------
    StoreError
        The store holds no study yet.
    """
    key = store.meta().get("settings")
    if not isinstance(key, str):
        raise StoreError(f"{store.path}: no study was run into it yet; run: earwitness study run STUDY.toml")
    return key


# --- from a store ---------------------------------------------------------------------------------------------


def load_answers(store: Store, settings: str | None = None) -> Answers:
    """Read every judgement of a study from its store: of the models that it was last run with.

    Raises
    ------
    StoreError
        The store holds no study yet.
    LabelError
        The study has fewer than two labels.
    """
    key = settings or latest_settings(store)
    labels = tuple(json.loads(store.frame("SELECT labels FROM settings WHERE key = ?", (key,))["labels"][0]))
    check_labels(labels)
    models, clips = _read_models(store, key), _read_clips(store, key)
    originals = _read_originals(store, key, labels, models, clips)
    signals = _read_signals(store, key, models, clips, originals)
    raw = store.frame(
        "SELECT t.subset, t.model AS id, t.log_probabilities FROM transfers t JOIN subsets s ON s.id = t.subset"
        " JOIN explanations e ON e.id = s.explanation WHERE e.settings = ?",
        (key,),
    )
    logs = _logs(raw, len(labels))
    raw = _cast(raw.drop("log_probabilities"), {"subset": _WHOLE, "id": _WHOLE}).with_row_index("row")
    raw = raw.join(models.select("id", "position", judge="model"), on="id").join(signals, on="subset")
    raw = raw.sort("order", "position")
    judged = judge(raw.select(*SIGNAL_COLUMNS, "judge"), logs[raw["row"].to_numpy()], labels)
    overlaps = _read_overlaps(store, key, signals)
    return _assemble(labels, models.select(MODEL_COLUMNS.keys()), judged, originals, overlaps)


def _read_models(store: Store, key: str) -> pl.DataFrame:
    rows = _table(
        store, {"id": _WHOLE, "position": _WHOLE, **MODEL_COLUMNS, "fingerprint": _TEXT},
        "SELECT m.id, p.position, m.spec AS model, m.backend, m.architecture, m.parameters, m.fingerprint"
        " FROM models m JOIN planned_models p ON p.model = m.id WHERE p.settings = ? ORDER BY p.position",
        (key,),
    )  # fmt: skip
    names = unique_names(rows["model"].to_list(), rows["fingerprint"].to_list())
    return rows.with_columns(model=pl.Series(names, dtype=pl.String))


def _read_clips(store: Store, key: str) -> pl.DataFrame:
    """In the order of the tables: by path and content, never by row id, which depends on what was done first."""
    return _table(
        store, _CLIP,
        "SELECT c.id AS clip, c.path, c.label AS truth, c.grp AS 'group', c.dataset FROM clips c"
        " JOIN planned_clips p ON p.clip = c.id WHERE p.settings = ? ORDER BY c.path, c.sha256",
        (key,),
    ).with_row_index("place")  # fmt: skip


def unique_names(specs: Sequence[str], fingerprints: Sequence[str]) -> list[str]:
    """Each spec; with the start of its fingerprint where two models go by the same."""
    counts = Counter(specs)
    return [spec if counts[spec] == 1 else f"{spec}#{mark[:8]}" for spec, mark in zip(specs, fingerprints, strict=True)]


def short_names(specs: Sequence[str]) -> list[str]:
    """Each spec without back end and folders, unless two would read the same.

    Examples
    --------
    >>> short_names(["builtin:mtt-vgg", "hf:models/wav2vec2"])
    ['mtt-vgg', 'wav2vec2']
    """
    short = [PurePath(spec.partition(":")[2] or spec).name or spec for spec in specs]
    counts = Counter(short)
    return [name if counts[name] == 1 else spec for name, spec in zip(short, specs, strict=True)]


def _read_originals(
    store: Store, key: str, labels: tuple[str, ...], models: pl.DataFrame, clips: pl.DataFrame
) -> pl.DataFrame:
    raw = store.frame("SELECT clip, model AS id, log_probabilities FROM originals WHERE settings = ?", (key,))
    logs = _logs(raw, len(labels))
    known = ~np.isnan(logs).any(axis=1)
    rows = _cast(raw.drop("log_probabilities"), {"clip": _WHOLE, "id": _WHOLE}).filter(pl.Series(known))
    logs = logs[known]
    rows = rows.with_columns(answer=_top(logs, labels), probability=_highest(logs))
    rows = rows.join(models.select("id", "position", "model"), on="id").join(clips, on="clip")
    rows = rows.sort("place", "position")
    return rows.select(*_CLIP, "model", "answer", "probability")


def _read_signals(
    store: Store, key: str, models: pl.DataFrame, clips: pl.DataFrame, originals: pl.DataFrame
) -> pl.DataFrame:
    """The stored sets and null signals of the models, with what their source says to the clip."""
    own = ("subset", "clip", "id", "kind", "draw", "size", "energy", "certificate", "parent")
    rows = _table(
        store, {name: SIGNAL_COLUMNS.get(name, _WHOLE) for name in own},
        "SELECT s.id AS subset, e.clip, e.model AS id, s.kind, s.draw, s.size, s.energy, s.certificate, s.parent"
        " FROM subsets s JOIN explanations e ON e.id = s.explanation WHERE e.settings = ? AND s.mask IS NOT NULL",
        (key,),
    )  # fmt: skip
    rows = rows.join(models.select("id", "position", source="model"), on="id").join(clips, on="clip")
    said = originals.select("clip", source="model", label="answer")
    rows = rows.join(said, on=["clip", "source"]).sort("place", "position", "kind", "draw")
    return rows.select(SIGNAL_COLUMNS.keys()).with_row_index("order")


def _read_overlaps(store: Store, key: str, signals: pl.DataFrame) -> pl.DataFrame:
    rows = store.results(key, "overlap")
    if rows.is_empty():
        return pl.DataFrame(schema=OVERLAP_COLUMNS)
    pairs = _cast(rows.select("subset", "other", "jaccard", "weighted"), OVERLAP_COLUMNS)
    mine = signals.select("subset", "clip", "kind", "source", "order")
    theirs = signals.select(other="subset", judge="source", other_order="order")
    # a clip whose sets have changed is compared again; what was compared before is still the same
    pairs = pairs.unique(["subset", "other"], maintain_order=True)
    both = pl.concat([pairs, pairs.rename({"subset": "other", "other": "subset"}).select(pairs.columns)])
    both = both.join(mine, on="subset").join(theirs, on="other").sort("order", "other_order")
    return both.select(OVERLAP_COLUMNS.keys())


def _table(
    store: Store, schema: Mapping[str, pl.DataType], query: str, parameters: tuple[Any, ...] = ()
) -> pl.DataFrame:
    return _cast(store.frame(query, parameters), schema)


def _cast(table: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Columns to their types: a column without any value has none of its own."""
    return table.cast({name: schema[name] for name in table.columns})


def _logs(raw: pl.DataFrame, n: int) -> Log:
    blobs = raw["log_probabilities"].to_list()
    return np.frombuffer(b"".join(blobs), dtype="<f4").reshape(-1, n)


def _assemble(
    labels: tuple[str, ...], models: pl.DataFrame, judged: pl.DataFrame, originals: pl.DataFrame, overlaps: pl.DataFrame
) -> Answers:
    is_null = pl.col("kind").is_in(list(NULLS))
    return Answers(labels, models, judged.filter(~is_null), originals, judged.filter(is_null), overlaps)


# --- without a study ------------------------------------------------------------------------------------------


def transfer(
    explanations: Explanation | Sequence[Explanation],
    classifiers: Sequence[Classifier],
    *,
    nulls: int = 1,
    seed: int = 0,
) -> Answers:
    """Ask classifiers whether the signals of explanations convince them.

    Parameters
    ----------
    explanations : Explanation or sequence of Explanation
        Of one or more clips by one or more models.
    classifiers : sequence of Classifier
        The judges, over the explanations' labels (see :func:`earwitness.aligned`). The explained model is one of
        them if its fingerprint is.
    nulls : int
        Null signals a set and kind of :data:`earwitness.chance.NULLS`.
    seed : int
        Of the null signals.

    Returns
    -------
    Answers
        What the tables of :mod:`earwitness.tables` are made of.

    Raises
    ------
    LabelError
        Fewer than two labels, or others than the explanations'.
    ModelError
        A classifier answers with something unusable.
    """
    explained = [explanations] if isinstance(explanations, Explanation) else list(explanations)
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
    asked = _Asked(labels, names, [], [], [], [])
    for number, sha256 in enumerate(dict.fromkeys(one.spectrum.clip.sha256 for one in explained), 1):
        asked.ask(number, [one for one in explained if one.spectrum.clip.sha256 == sha256], classifiers, nulls, seed)
    return asked.answers(classifiers)


@dataclass(frozen=True, eq=False)
class _Asked:
    """The rows of :func:`transfer`, as they come in."""

    labels: tuple[str, ...]
    names: dict[str, str]
    rows: list[dict[str, Any]]
    logs: list[Log]
    said: list[dict[str, Any]]
    overlaps: list[pl.DataFrame]

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
            for kind, draw, part in one.parts():
                if isinstance(part, Subset):
                    mask = from_runs(part.runs, one.spectrum.size)
                    number = add(mask, kind=kind, draw=draw, certificate=part.certificate.kind, parent=None)
                    if kind in KINDS[:3]:
                        parents.append((kind, draw, number, mask))
            parents.sort(key=lambda parent: parent[:2])  # as a study does, whose null signals are the same
            chosen, facts = [mask for *_, mask in parents], (one.spectrum.clip.sha256, one.fingerprint, seed)
            for null in draw_nulls(chosen, one.spectrum.energy, nulls, *facts):
                number = parents[null.parent][2]
                add(null.mask, kind=null.kind, draw=null.draw, certificate="none", parent=number)
        return signals, masks

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
        by_mark = {classifier.model.fingerprint: classifier.model for classifier in classifiers}
        models = [
            (name, model.backend, model.architecture, model.parameters) if (model := by_mark.get(mark)) else
            (name, "", "", 0)
            for mark, name in self.names.items()
        ]  # fmt: skip
        logs = np.stack(self.logs) if self.logs else np.empty((0, len(self.labels)), dtype=np.float32)
        judged = judge(pl.DataFrame(self.rows, schema={**SIGNAL_COLUMNS, "judge": _TEXT}), logs, self.labels)
        said = pl.DataFrame(self.said, schema={**_CLIP, "model": _TEXT, "answer": _TEXT, "probability": _REAL})
        table = pl.DataFrame(models, schema=MODEL_COLUMNS, orient="row")
        return _assemble(self.labels, table, judged, said, pl.concat(self.overlaps))


def compare_sets(
    sets: Sequence[tuple[int, Any, str]], masks: Sequence[Mask], energies: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """Overlap of the sets of different models on one clip.

    Parameters
    ----------
    sets : sequence of (id, model, kind)
        Sets of the kinds ``sufficient``, ``complete`` and ``one_complete`` are compared with others of their kind.
    masks : sequence of bool [F]
    energies : float64 [F]

    Returns
    -------
    list of dict
        ``subset``, ``other`` (ids), ``jaccard``, ``weighted`` (None where both are empty), each pair once.
    """
    rows = []
    for kind in KINDS[:3]:
        chosen = [i for i, (_, _, own) in enumerate(sets) if own == kind]
        if not chosen:
            continue
        stacked = np.stack([masks[i] for i in chosen])
        plain, weighted = jaccard(stacked), jaccard(stacked, energies)
        for a, first in enumerate(chosen):
            for b, second in enumerate(chosen[:a]):
                if sets[first][1] != sets[second][1]:
                    values = {"jaccard": plain[a, b], "weighted": weighted[a, b]}
                    known = {name: float(value) if np.isfinite(value) else None for name, value in values.items()}
                    rows.append({"subset": sets[second][0], "other": sets[first][0], **known})
    return rows


def check_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Aligned labels, two at least: of one, every signal is accepted and log₂ n is 0.

    Raises
    ------
    LabelError
        There are fewer.
    """
    if len(labels) < 2:
        raise LabelError(f"{len(labels)} label after alignment: nothing can transfer; map labels so that 2 are shared")
    return labels


# --- Definitions 4 and 5 --------------------------------------------------------------------------------------


def check_epsilon(epsilon: float) -> float:
    """ε of Definition 4, in (0, 1].

    Raises
    ------
    ConfigError
        It is out of range.
    """
    if not 0 < epsilon <= 1:
        raise ConfigError(f"epsilon {epsilon}: out of range; use more than 0 and at most 1")
    return epsilon


def transfer_table(answers: Answers, kind: str = "sufficient", epsilon: float = 0.5) -> pl.DataFrame:
    """α from each model to each other: one row an ordered pair of models, the diagonal included.

    Returns
    -------
    polars.DataFrame
        ``source``, ``judge``, ``signals``, ``clips``, ``alpha``, ``beta``, ``joint``.
    """
    check_epsilon(epsilon)
    certain = pl.col("entropy_share") < epsilon
    return (
        answers.judgements.filter(pl.col("kind") == kind)
        .group_by("source", "judge", maintain_order=True)
        .agg(
            signals=pl.len(),
            clips=pl.col("clip").n_unique(),
            alpha=pl.col("accepted").mean(),
            beta=certain.mean(),
            joint=(pl.col("accepted") & certain).mean(),
        )
    )


def signal_table(answers: Answers, epsilon: float = 0.5) -> pl.DataFrame:
    """Definitions 4 and 5 for each signal: ``alpha``, ``beta``, ``joint`` over the other models, ``transferable``."""
    check_epsilon(epsilon)
    certain = pl.col("entropy_share") < epsilon
    return (
        answers.judgements.filter(pl.col("source") != pl.col("judge"))
        .group_by(*SIGNAL_KEYS, maintain_order=True)
        .agg(
            judges=pl.len(),
            alpha=pl.col("accepted").mean(),
            beta=certain.mean(),
            joint=(pl.col("accepted") & certain).mean(),
        )
        .with_columns(transferable=pl.col("joint") == 1)
    )


def model_table(answers: Answers, kind: str = "sufficient") -> pl.DataFrame:
    """For each model: how convincing (mean α of its signals on the others), how convinced (of the others' on it),
    accuracy on the study's own labels (of ``labelled`` clips), and median size of its sets."""
    pairs = transfer_table(answers, kind, 1.0).filter(pl.col("source") != pl.col("judge"))
    convincing = pairs.group_by("source").agg(convincing=pl.col("alpha").mean()).rename({"source": "model"})
    convinced = pairs.group_by("judge").agg(convinced=pl.col("alpha").mean()).rename({"judge": "model"})
    # a clip whose own label is not among the aligned ones cannot be answered right or wrong
    names = {fold(label): label for label in answers.labels}
    truth = [names.get(fold(label)) if label is not None else None for label in answers.originals["truth"]]
    known = answers.originals.with_columns(truth=pl.Series(truth, dtype=pl.String)).filter(
        pl.col("truth").is_not_null()
    )
    accuracy = known.group_by("model").agg(
        labelled=pl.len(), accuracy=(pl.col("truth") == pl.col("answer")).mean()
    )  # fmt: skip
    own = answers.judgements.filter((pl.col("kind") == kind) & (pl.col("source") == pl.col("judge")))
    sizes = own.group_by("source").agg(
        sets=pl.len(), vacuous=(pl.col("size") == 0).sum(), median_size=pl.col("size").median()
    )
    table = answers.models
    for part in (accuracy, convincing, convinced, sizes.rename({"source": "model"})):
        table = table.join(part, on="model", how="left", maintain_order="left")
    return table


def agreement_table(answers: Answers) -> pl.DataFrame:
    """How often two models agree on the clips themselves: what transfer is to be read against."""
    mine = answers.originals.select("clip", source="model", said="answer")
    theirs = answers.originals.select("clip", judge="model", other="answer")
    pairs = mine.join(theirs, on="clip", maintain_order="left")
    return pairs.group_by("source", "judge", maintain_order=True).agg(
        clips=pl.len(), agreement=(pl.col("said") == pl.col("other")).mean()
    )
