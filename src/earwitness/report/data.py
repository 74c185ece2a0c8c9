"""What a study says, read from its store: models, clips and, kind by kind, every signal with every answer to it.

Nothing here draws. Answers are kept as arrays, one row a signal and one column a judging model, so that a study of
ten thousand clips stays small enough for a browser to count in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..analyses.chance import NULLS
from ..analyses.settings import CurveSettings
from ..errors import StoreError
from ..models import fold
from ..search.settings import FOUND, JUDGED, ROBUST, SearchSettings
from ..signal.domains import Domain
from ..study.answers import read_survival, study_of
from ..study.store import Store
from ..transferability.answers import short_names
from ..transferability.definitions import check_epsilon, check_labels, entropy_bits
from .columns import Real

Whole = NDArray[np.int64]
Log = NDArray[np.float32]

#: the clips themselves as a kind of signal: what transfer is to be read against
ORIGINAL = "original"
#: the kinds of signal, in the order in which they are shown
ORDER = (*ROBUST, *FOUND, "inverse", *NULLS, ORIGINAL)


@dataclass(frozen=True)
class ModelRow:
    """A model of the study.

    Attributes
    ----------
    id : int
        In the store.
    key : str
        Its letter on the page, ``A``, ``B``, ...
    name, spec : str
        Short, and in full.
    backend, architecture : str
    parameters : int
        0 where unknown.
    accuracy : float or None
        On the study's own labels; ``None`` where the models cannot say them.
    unsteady : float
        By how much its answers to one signal differed, see :class:`earwitness.Explanation`.
    """

    id: int
    key: str
    name: str
    spec: str
    backend: str
    architecture: str
    parameters: int
    accuracy: float | None
    unsteady: float


@dataclass(frozen=True, eq=False)
class Signals:
    """All signals of one kind, S of them, and what the M models say to each.

    Attributes
    ----------
    kind : str
        As in the store; ``null_size_of_complete`` are the random signals that belong to complete sets, and
        ``null_size`` those that belong to sufficient ones.
    subset : int64 [S]
        Ids in the store; -1 for the clips themselves.
    clip, source : int64 [S]
        Rows of the clip and of the model that the signal was made for.
    draw, queries : int64 [S]
    size : int64 [S]
        Kept variables; -1 where there is no set.
    energy : float64 [S]
    held : int64 [S]
        Of the views drawn afresh, those in which the set holds; -1 where that was not measured.
    label : int64 [S]
        What the source says to the clip.
    certificate, why : tuple of str, S long
        Up to what the set is minimal, in words; why there is none, or what else is to be said of it.
    answer : int64 [S, M]
        -1 where there is none.
    probability, entropy_share : float64 [S, M]
        Of ``label``; entropy as a share of log₂ n. NaN where there is no answer.
    """

    kind: str
    subset: Whole
    clip: Whole
    source: Whole
    draw: Whole
    queries: Whole
    size: Whole
    energy: Real
    held: Whole
    label: Whole
    certificate: tuple[str, ...]
    why: tuple[str, ...]
    answer: Whole
    probability: Real
    entropy_share: Real

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Where there is an answer, bool [S, M]."""
        return np.asarray(self.answer >= 0)

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """Where the answer is the label, bool [S, M]."""
        return np.asarray(self.answer == self.label[:, None])

    def certain(self, epsilon: float) -> NDArray[np.bool_]:
        """Where the entropy is below ε·log₂ n, bool [S, M]."""
        return np.asarray(self.entropy_share < epsilon)

    def others(self) -> NDArray[np.bool_]:
        """Where the judge is not the source, bool [S, M]."""
        return np.asarray(np.arange(self.answer.shape[1]) != self.source[:, None])


@dataclass(frozen=True)
class Failure:
    """A unit of work that failed."""

    stage: str
    clip: str
    model: str
    reason: str


@dataclass(frozen=True, eq=False)
class StudyData:
    """Everything the page says, apart from pictures and sounds.

    Attributes
    ----------
    name, key : str
        Of the study; of its settings in the store.
    settings : SearchSettings
    epsilon : float
        ε of Definition 4.
    labels : tuple of str
    models : tuple of ModelRow
    clips : polars.DataFrame
        ``id``, ``sha256``, ``path``, ``label``, ``grp``, ``dataset``, ``sample_rate``, ``samples``, ``fitted``.
    signals : dict
        By kind, in the order of :data:`ORDER`.
    failures : tuple of Failure
    views : tuple of str
        Kinds of view, as the study file has them; empty where no survival was measured.
    drawn : int
        Views that survival is counted in.
    curves : CurveSettings or None
        Of the curves the study asked for.
    """

    name: str
    key: str
    settings: SearchSettings
    epsilon: float
    labels: tuple[str, ...]
    models: tuple[ModelRow, ...]
    clips: pl.DataFrame
    signals: dict[str, Signals]
    failures: tuple[Failure, ...]
    views: tuple[str, ...] = ()
    drawn: int = 0
    curves: CurveSettings | None = None

    @property
    def unit(self) -> str:
        """What one variable of the search is called."""
        return unit_of(self.settings.variables)

    @property
    def alone(self) -> bool:
        """Whether there is only one model, so that nothing can transfer."""
        return len(self.models) < 2


def load_study(store: Store, epsilon: float) -> StudyData:
    """Read everything the page says.

    Raises
    ------
    StoreError
        The store holds no study yet.
    ConfigError
        ``epsilon`` is out of range.
    LabelError
        There is one label only.
    """
    check_epsilon(epsilon)
    key = store.settings_key()
    settings, labels = store.search_settings(key), check_labels(store.settings(key)[1])
    clips = store.list_clips(key, answered=True).rename({"clip": "id", "truth": "label", "group": "grp"})
    models = store.list_models(key).rename({"model": "id"})
    failures = store.list_failures(key)
    data = StudyData(
        str(store.meta().get("name") or "Study"), key, settings, epsilon, labels, (), clips, {},
        tuple(Failure(**failure) for failure in failures), *_views(store),
    )  # fmt: skip
    said = read_originals(store, data, models["id"].to_list())
    data = replace(data, models=_model_rows(models, said, clips, labels))
    signals = _read_signals(store, data, said)
    signals[ORIGINAL] = _originals_as_signals(store, data, said)
    return replace(data, signals={kind: signals[kind] for kind in sorted(signals, key=_rank)})


def _views(store: Store) -> tuple[tuple[str, ...], int, CurveSettings | None]:
    study = study_of(store)
    robust = study.robust if study else None
    return robust.views if robust else (), robust.verified if robust else 0, study.curves if study else None


def read_originals(store: Store, data: StudyData, models: Sequence[int]) -> Log:
    """What each model says to each clip: natural logarithms, float32 [clips, M, n]; NaN where there is no answer."""
    rows = store.list_originals(data.key)
    logs = np.full((len(data.clips), len(models), len(data.labels)), np.nan, dtype=np.float32)
    logs[_places(data.clips["id"], rows["clip"]), _places(models, rows["model"])] = store.logs(rows, len(data.labels))
    return logs


def read_answers(store: Store, data: StudyData, clip: int) -> dict[int, Log]:
    """What each model says to each signal of a clip (its id): by subset, float32 [M, n]; NaN where there is none."""
    rows = store.list_answers(data.key, clip)
    found: dict[int, Log] = {}
    places = _places([model.id for model in data.models], rows["model"])
    for subset, place, logs in zip(rows["subset"], places, store.logs(rows, len(data.labels)), strict=True):
        empty = np.full((len(data.models), len(data.labels)), np.nan, dtype=np.float32)
        found.setdefault(subset, empty)[place] = logs
    return found


def _read_signals(store: Store, data: StudyData, said: Log) -> dict[str, Signals]:
    rows = store.list_signals(data.key).rename({"subset": "id"})
    # an explanation has no signals on the page without what its model says to the clip
    rows = rows.join(store.list_originals(data.key).select("clip", "model"), on=["clip", "model"], how="semi")
    # the random signals of one kind of set are the chance of that kind, not of another; silence is of all
    parents = rows.select(parent="id", of="kind")
    rows = rows.join(parents, on="parent", how="left", maintain_order="left")
    alone = pl.col("of").is_null() | (pl.col("of") == "sufficient") | (pl.col("kind") == "silence")
    rows = rows.with_columns(name=pl.when(alone).then("kind").otherwise(pl.format("{}_of_{}", "kind", "of")))
    rows = _with_survival(store, data, rows)
    answers = store.list_answers(data.key)
    names = rows["name"].unique(maintain_order=True).to_list()
    return {name: _read_kind(store, data, said, name, rows.filter(pl.col("name") == name), answers) for name in names}


def _with_survival(store: Store, data: StudyData, rows: pl.DataFrame) -> pl.DataFrame:
    """Signals with ``held``: in how many views; null where that was not measured."""
    models = store.list_models(data.key)
    marks = {mark: mark for mark in models["fingerprint"]}
    clips = store.list_clips(data.key).with_row_index("place")
    survival = read_survival(store, data.key, study_of(store), marks, clips)
    survival = survival.join(models.select("model", source="fingerprint"), on="source")
    held = survival.select("clip", "model", "kind", "draw", "held")
    return rows.join(held, on=["clip", "model", "kind", "draw"], how="left", maintain_order="left")


def _read_kind(
    store: Store, data: StudyData, said: Log, kind: str, rows: pl.DataFrame, answers: pl.DataFrame
) -> Signals:
    models = [model.id for model in data.models]
    # by clip as the page numbers them, which lets it find a clip's signals by halves
    by = {"place": _places(data.clips["id"], rows["clip"]), "maker": _places(models, rows["model"])}
    rows = rows.with_columns(**{name: pl.Series(places) for name, places in by.items()})
    rows = rows.sort("place", "maker", "draw", "id")
    answers = answers.filter(pl.col("subset").is_in(rows["id"].implode()))
    clip, source = _whole(rows["place"]), _whole(rows["maker"])
    label = np.argmax(np.nan_to_num(said, nan=-np.inf)[clip, source], axis=1).astype(np.int64)
    shape = (len(rows), len(models))
    answer, probability = np.full(shape, -1), np.full(shape, np.nan)
    entropy = np.full(shape, np.nan)
    if len(answers):
        row, column = _places(rows["id"], answers["subset"]), _places(models, answers["model"])
        logs = store.logs(answers, len(data.labels))
        answer[row, column] = logs.argmax(axis=1)
        probability[row, column] = np.exp(logs[np.arange(len(logs)), label[row]].astype(np.float64))
        entropy[row, column] = entropy_bits(logs) / np.log2(len(data.labels))
    size = rows["size"].fill_null(-1).to_numpy().astype(np.int64)
    searched, unit = kind in JUDGED, data.unit
    words = tuple(
        certificate_words(row["certificate"], row["groups"], row["size"], unit, row["why"])
        if searched and row["size"] is not None else ""
        for row in rows.iter_rows(named=True)
    )  # fmt: skip
    return Signals(
        kind, _whole(rows["id"]), clip, source, _whole(rows["draw"]), _whole(rows["queries"]), size,
        rows["energy"].cast(pl.Float64).fill_null(0.0).to_numpy(),
        rows["held"].cast(pl.Int64).fill_null(-1).to_numpy(), label, words, tuple(rows["why"].to_list()),
        answer, probability, entropy,
    )  # fmt: skip


def _originals_as_signals(store: Store, data: StudyData, said: Log) -> Signals:
    """The clips themselves, one row a clip and model, with the search's questions and why there is no set."""
    rows = store.list_explanations(data.key).filter(pl.col("clip").is_in(data.clips["id"].to_list()))
    shape = said.shape[:2]
    models = [model.id for model in data.models]
    place = _places(data.clips["id"], rows["clip"]), _places(models, rows["model"])
    queries, size, why = np.zeros(shape, np.int64), np.full(shape, -1), np.full(shape, "not explained", dtype=object)
    queries[place], size[place], why[place] = rows["queries"], rows["variables"], rows["why"].to_list()
    clip_of = {path: i for i, path in enumerate(data.clips["path"])}
    model_of = {model.spec: j for j, model in enumerate(data.models)}
    for failure in data.failures:
        i, j = clip_of.get(failure.clip), model_of.get(failure.model)
        if i is not None and j is not None and size[i, j] < 0:
            why[i, j] = failure.reason
    known = ~np.isnan(said[:, :, 0])
    top = np.where(known, np.argmax(np.nan_to_num(said, nan=-np.inf), axis=2), -1)
    clip, source = (places.reshape(-1) for places in np.indices(shape))
    label = top[clip, source]
    spread = np.full(shape, np.nan)
    spread[known] = entropy_bits(said[known]) / np.log2(said.shape[2])
    with np.errstate(invalid="ignore"):
        probability = np.exp(said[clip, :, np.maximum(label, 0)].astype(np.float64))
    kept = label >= 0
    return Signals(
        ORIGINAL, np.full(kept.sum(), -1), clip[kept], source[kept], np.zeros(kept.sum(), np.int64),
        queries.reshape(-1)[kept], size.reshape(-1)[kept], np.ones(kept.sum()), np.full(kept.sum(), -1), label[kept],
        ("",) * int(kept.sum()), tuple(why.reshape(-1)[kept]), top[clip[kept]], probability[kept], spread[clip[kept]],
    )  # fmt: skip


def _model_rows(models: pl.DataFrame, said: Log, clips: pl.DataFrame, labels: tuple[str, ...]) -> tuple[ModelRow, ...]:
    # a clip whose own label is not among the aligned ones cannot be answered right or wrong
    index = {fold(label): i for i, label in enumerate(labels)}
    truth = np.array([-1 if label is None else index.get(fold(label), -1) for label in clips["label"]], dtype=np.int64)
    names = short_names(models["spec"].to_list())
    rows = []
    for j, row in enumerate(models.iter_rows(named=True)):
        known = (truth >= 0) & ~np.isnan(said[:, j, 0])
        right = said[known, j].argmax(axis=1) == truth[known]
        accuracy = float(right.mean()) if known.any() else None
        facts = (row["spec"], row["backend"], row["architecture"], row["parameters"])
        rows.append(ModelRow(row["id"], letter(j), names[j], *facts, accuracy, row["unsteady"]))
    return tuple(rows)


def _places(ids: Sequence[int] | pl.Series, wanted: pl.Series) -> Whole:
    """Where each wanted id stands among ``ids``."""
    place = {identity: i for i, identity in enumerate(ids)}
    try:
        return np.array([place[identity] for identity in wanted], dtype=np.int64)
    except KeyError as error:
        raise StoreError(
            f"a row of the store is about {wanted.name} {error}, which is not there; restore a copy of it"
        ) from None


def _whole(column: pl.Series) -> Whole:
    return column.cast(pl.Int64).fill_null(0).to_numpy()


def _rank(kind: str) -> tuple[int, int, str]:
    base = kind.partition("_of_")[0]
    return (ORDER.index(base) if base in ORDER else len(ORDER), len(kind), kind)


def letter(index: int) -> str:
    """``A`` to ``Z``, then ``AA``, ``AB``, ...

    Examples
    --------
    >>> letter(0), letter(25), letter(26)
    ('A', 'Z', 'AA')
    """
    before, last = divmod(index, 26)
    return (letter(before - 1) if before else "") + chr(ord("A") + last)


def unit_of(domain: Domain) -> str:
    """What one variable of a domain is called."""
    return {"rfft": "bin", "stft": "cell"}.get(domain.kind, "band")


def certificate_words(kind: str, groups: int, size: int, unit: str, why: str = "") -> str:
    """Up to what a set is minimal.

    Examples
    --------
    >>> certificate_words("group_minimal", 64, 900, "bin")
    'none of 64 groups can be dropped'
    """
    if kind == "one_minimal":
        return f"no single {unit} can be dropped" if size else "nothing is left to drop"
    if kind == "group_minimal":
        return f"none of {groups} groups can be dropped"
    return f"not certified: {why}" if why else "not certified"
