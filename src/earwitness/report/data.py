"""What each part of the page shows, computed from a store; nothing here draws.

The tables come from :mod:`earwitness.transfer`; this module arranges them by model and clip and puts what a number
means into words. Spectra are folded into columns on the mel scale, so that no bin falls off the axis.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
import polars as pl
import scipy.fft
from numpy.typing import NDArray

from ..explain import SearchSettings
from ..spectrum import Mask, Spectrum
from ..study.store import Store, unpack
from ..transfer import (
    Answers,
    agreement_table,
    latest_settings,
    load_answers,
    model_table,
    signal_table,
    transfer_table,
)  # fmt: skip

Real = NDArray[np.float64]

#: the sets a clip's section shows, in this order
SHOWN = ("sufficient", "complete", "inverse")
#: columns of a spectrum
COLUMNS = 600
#: the quietest level a spectrum shows, in dB below the clip's loudest variable
FLOOR = 72


# --- records --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelRow:
    """A model of the study.

    Attributes
    ----------
    key : str
        Its letter on the page, ``A``, ``B``, ...
    name, spec : str
        Short, and in full.
    parameters : int
        0 where unknown.
    accuracy, convincing, convinced, median_size : float or None
        See :func:`earwitness.transfer.model_table`; ``None`` where there is nothing to average.
    sets, vacuous : int
        Sufficient sets, and how many of them are empty.
    """

    key: str
    name: str
    spec: str
    architecture: str
    parameters: int
    accuracy: float | None
    convincing: float | None
    convinced: float | None
    median_size: float | None
    sets: int
    vacuous: int


@dataclass(frozen=True)
class Matrix:
    """Shares from each model (row) to each model (column).

    Attributes
    ----------
    values, counts : tuple of tuple
        Share and number of signals (or clips) behind it; ``None`` and 0 where there are none.
    row_means, column_means : tuple of float or None
        Means over the other models: the diagonal is left out.
    mean : float or None
        Mean of all pairs of different models.
    """

    name: str
    values: tuple[tuple[float | None, ...], ...]
    counts: tuple[tuple[int, ...], ...]
    row_means: tuple[float | None, ...]
    column_means: tuple[float | None, ...]
    mean: float | None


@dataclass(frozen=True)
class Verdict:
    """What one model says to one signal.

    Attributes
    ----------
    model : int
        Index of the judging model.
    answer : str
        Its label.
    probability : float
        Of the label that the signal was made for (for originals: of its own answer).
    state : str
        ``certain`` (accepts, entropy below ε·log₂ n), ``accepts`` (but is not certain), ``rejects`` or ``answer``.
    """

    model: int
    answer: str
    probability: float
    state: str


@dataclass(frozen=True)
class Signal:
    """One set of one model, or the reason why there is none.

    Attributes
    ----------
    id : int
        Of the subset in the store.
    size : int or None
        Kept variables; ``None`` where there is no set.
    energy, confidence : float
        Share of the clip's energy; the model's probability for its answer to the signal.
    certificate : str
        Up to what the set is minimal, in words; empty for what was not searched for.
    why : str
        Why there is no set, or what else is to be said of it.
    """

    id: int
    kind: str
    draw: int
    size: int | None
    energy: float
    label: str
    confidence: float
    certificate: str
    why: str
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True)
class Reading:
    """What one model listened to in one clip; ``why`` says why there are no signals, if so."""

    model: int
    answer: str
    confidence: float
    variables: int
    queries: int
    signals: tuple[Signal, ...]
    why: str


@dataclass(frozen=True)
class ClipRow:
    """One clip: where it came from and all readings of it."""

    id: int
    path: str
    name: str
    label: str | None
    group: str
    dataset: str
    sha256: str
    sample_rate: int
    samples: int
    fitted: str
    originals: tuple[Verdict, ...]
    readings: tuple[Reading, ...]

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.samples / self.sample_rate


@dataclass(frozen=True)
class Failure:
    """A unit of work that failed."""

    stage: str
    clip: str
    model: str
    reason: str


@dataclass(frozen=True)
class Headline:
    """The numbers to read first; ``None`` where the study has nothing to compute one from.

    Attributes
    ----------
    sufficient, complete : float or None
        Mean α over pairs of different models.
    agreement : float or None
        Mean agreement of different models on the clips themselves.
    transferable : float or None
        Share of sufficient signals that satisfy Definition 4.
    kept : float or None
        Median share of the variables in a sufficient set.
    sets, empty : int
        Sufficient sets, and how many of them are empty.
    """

    sufficient: float | None
    complete: float | None
    agreement: float | None
    transferable: float | None
    kept: float | None
    sets: int
    empty: int


@dataclass(frozen=True, eq=False)
class ReportData:
    """Everything the page says, apart from spectra and sounds."""

    name: str
    settings: SearchSettings
    epsilon: float
    labels: tuple[str, ...]
    models: tuple[ModelRow, ...]
    matrices: tuple[Matrix, ...]
    agreement: Matrix
    headline: Headline
    clips: tuple[ClipRow, ...]
    failures: tuple[Failure, ...]
    unit: str

    @property
    def alone(self) -> bool:
        """Whether there is only one model, so that nothing can transfer."""
        return len(self.models) < 2


# --- from the store -------------------------------------------------------------------------------------------


def load_report(store: Store, epsilon: float) -> ReportData:
    """Read and compute everything the page says.

    Raises
    ------
    StoreError
        The store holds no study yet.
    ConfigError
        ``epsilon`` is out of range.
    """
    key = latest_settings(store)
    answers = load_answers(store, key)
    search = store.frame("SELECT search FROM settings WHERE key = ?", (key,))["search"][0]
    settings = SearchSettings(**json.loads(search))
    specs = answers.models["model"].to_list()
    matrices = tuple(
        make_matrix(kind, specs, transfer_table(answers, kind, epsilon), "alpha", "signals")
        for kind in ("sufficient", "complete")
    )
    agreement = make_matrix("agreement", specs, agreement_table(answers), "agreement", "clips")
    failures = _read_failures(store, key)
    unit = unit_of(settings)
    clips = _read_clips(store, key, answers, epsilon, failures, unit)
    return ReportData(
        str(store.meta().get("name") or "Study"), settings, epsilon, answers.labels, model_rows(answers), matrices,
        agreement, _headline(answers, matrices, agreement, clips, epsilon), clips, failures, unit,
    )  # fmt: skip


def unit_of(settings: SearchSettings) -> str:
    """What one variable of the search is called."""
    kind = settings.variables.kind
    return {"rfft": "bin", "stft": "cell"}.get(kind, "band")


def make_matrix(name: str, specs: list[str], table: pl.DataFrame, value: str, count: str) -> Matrix:
    """Arrange a table of ordered pairs (``source``, ``judge``) as a matrix with off-diagonal means."""
    cells = {(row["source"], row["judge"]): (row[value], row[count]) for row in table.iter_rows(named=True)}
    values = tuple(tuple(cells.get((a, b), (None, 0))[0] for b in specs) for a in specs)
    counts = tuple(tuple(int(cells.get((a, b), (None, 0))[1]) for b in specs) for a in specs)
    n = range(len(specs))
    rows = tuple(mean_of(values[i][j] for j in n if j != i) for i in n)
    columns = tuple(mean_of(values[i][j] for i in n if j != i) for j in n)
    return Matrix(name, values, counts, rows, columns, mean_of(values[i][j] for i in n for j in n if i != j))


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of the values there are."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def model_rows(answers: Answers) -> tuple[ModelRow, ...]:
    """The models with their letters, short names and averages."""
    table = model_table(answers)
    names = short_names(table["model"].to_list())
    # accuracy means something only where the data set's labels are among those the models can say
    possible = bool(set(answers.originals["truth"].drop_nulls().to_list()) & set(answers.labels))
    return tuple(
        ModelRow(
            letter(i), name, row["model"], row["architecture"], row["parameters"],
            row["accuracy"] if possible else None, row["convincing"], row["convinced"], row["median_size"],
            row["sets"] or 0, row["vacuous"] or 0,
        )
        for i, (name, row) in enumerate(zip(names, table.iter_rows(named=True), strict=True))
    )  # fmt: skip


def letter(index: int) -> str:
    """``A`` to ``Z``, then ``AA``, ``AB``, ...

    Examples
    --------
    >>> letter(0), letter(25), letter(26)
    ('A', 'Z', 'AA')
    """
    before, last = divmod(index, 26)
    return (letter(before - 1) if before else "") + chr(ord("A") + last)


def short_names(specs: list[str]) -> list[str]:
    """Each spec without back end and folders, unless two would read the same.

    Examples
    --------
    >>> short_names(["builtin:mtt-vgg", "hf:models/wav2vec2"])
    ['mtt-vgg', 'wav2vec2']
    """
    short = [PurePath(spec.partition(":")[2] or spec).name or spec for spec in specs]
    return [name if short.count(name) == 1 else spec for name, spec in zip(short, specs, strict=True)]


def _read_failures(store: Store, key: str) -> tuple[Failure, ...]:
    query = "SELECT stage, clip, model, reason FROM failures WHERE settings = ? ORDER BY stage, clip, model"
    return tuple(Failure(*row) for row in store.frame(query, (key,)).iter_rows())


def _read_clips(
    store: Store, key: str, answers: Answers, epsilon: float, failures: tuple[Failure, ...], unit: str
) -> tuple[ClipRow, ...]:
    place = {spec: i for i, spec in enumerate(answers.models["model"].to_list())}
    originals: dict[int, list[Verdict]] = defaultdict(list)
    for row in answers.originals.iter_rows(named=True):
        verdict = Verdict(place[row["model"]], row["answer"], row["probability"], "answer")
        originals[row["clip"]].append(verdict)
    readings = _read_readings(store, key, answers, epsilon, unit)
    reasons = {(failure.clip, failure.model): failure.reason for failure in failures}
    rows = store.frame(
        "SELECT id, sha256, path, label, grp, dataset, sample_rate, samples, fitted FROM clips WHERE id IN"
        " (SELECT o.clip FROM originals o JOIN planned_clips p ON p.settings = o.settings AND p.clip = o.clip"
        " WHERE o.settings = ?) ORDER BY path, sha256",
        (key,),
    )
    return tuple(
        ClipRow(
            row["id"], row["path"], PurePath(row["path"]).name or row["path"] or f"clip {row['id']}", row["label"],
            row["grp"], row["dataset"], row["sha256"], row["sample_rate"], row["samples"], row["fitted"],
            tuple(sorted(originals[row["id"]], key=lambda verdict: verdict.model)),
            tuple(
                readings.get((row["id"], i))
                or Reading(i, "", 0.0, 0, 0, (), reasons.get((row["path"], spec), "not explained"))
                for spec, i in place.items()
            ),
        )
        for row in rows.iter_rows(named=True)
    )  # fmt: skip


def _read_readings(
    store: Store, key: str, answers: Answers, epsilon: float, unit: str
) -> dict[tuple[int, int], Reading]:
    place = {spec: i for i, spec in enumerate(answers.models["model"].to_list())}
    verdicts = _verdicts(answers, place, epsilon)
    said = {(row["clip"], row["model"]): row for row in answers.originals.iter_rows(named=True)}
    rows = store.frame(
        "SELECT e.clip, m.spec, e.size AS variables, e.queries, e.why AS note, s.id, s.kind, s.draw, s.size, s.energy,"
        " s.certificate, s.groups, s.log_probabilities, s.why FROM explanations e JOIN models m ON m.id = e.model"
        " JOIN subsets s ON s.explanation = e.id"
        " JOIN planned_clips pc ON pc.settings = e.settings AND pc.clip = e.clip"
        " JOIN planned_models pm ON pm.settings = e.settings AND pm.model = e.model"
        " WHERE e.settings = ? ORDER BY e.clip, pm.position, s.kind, s.draw",
        (key,),
    )
    grouped: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows.iter_rows(named=True):
        grouped[row["clip"], row["spec"]].append(row)
    readings = {}
    for (clip, spec), parts in grouped.items():
        signals = [
            _signal(part, answers.labels, verdicts.get(part["id"], ()), unit) for part in parts if part["kind"] in SHOWN
        ]
        signals.sort(key=lambda signal: (SHOWN.index(signal.kind), signal.draw))
        original, first = said[clip, spec], parts[0]
        readings[clip, place[spec]] = Reading(
            place[spec], original["answer"], original["probability"], first["variables"], first["queries"],
            tuple(signals), first["note"],
        )  # fmt: skip
    return readings


def _verdicts(answers: Answers, place: dict[str, int], epsilon: float) -> dict[int, tuple[Verdict, ...]]:
    found: dict[int, list[Verdict]] = defaultdict(list)
    for row in answers.judgements.iter_rows(named=True):
        state = "rejects" if not row["accepted"] else "certain" if row["entropy_share"] < epsilon else "accepts"
        found[row["subset"]].append(Verdict(place[row["judge"]], row["answer"], row["probability"], state))
    return {subset: tuple(sorted(rows, key=lambda row: row.model)) for subset, rows in found.items()}


def _signal(part: dict[str, Any], labels: tuple[str, ...], verdicts: tuple[Verdict, ...], unit: str) -> Signal:
    if part["size"] is None:
        return Signal(part["id"], part["kind"], part["draw"], None, 0.0, "", 0.0, "", part["why"], ())
    logs = unpack(part["log_probabilities"])
    searched = part["kind"] != "inverse"
    words = certificate_words(part["certificate"], part["groups"], part["size"], unit, part["why"]) if searched else ""
    top = int(logs.argmax())
    return Signal(
        part["id"], part["kind"], part["draw"], part["size"], part["energy"], labels[top],
        float(np.exp(np.float64(logs[top]))), words, part["why"], verdicts,
    )  # fmt: skip


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


def _headline(
    answers: Answers, matrices: tuple[Matrix, ...], agreement: Matrix, clips: tuple[ClipRow, ...], epsilon: float
) -> Headline:
    signals = signal_table(answers, epsilon).filter(pl.col("kind") == "sufficient")
    transferable = None if signals.is_empty() else float(signals["transferable"].cast(pl.Float64).to_numpy().mean())
    sets = [
        (signal.size, reading.variables)
        for clip in clips for reading in clip.readings for signal in reading.signals
        if signal.kind == "sufficient" and signal.size is not None
    ]  # fmt: skip
    kept = float(np.median([size / of for size, of in sets])) if sets else None
    return Headline(
        matrices[0].mean, matrices[1].mean, agreement.mean, transferable, kept, len(sets),
        sum(size == 0 for size, _ in sets),
    )  # fmt: skip


# --- spectra --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a spectrum on the mel scale, and which variables each stands for.

    Attributes
    ----------
    order : intp [size]
        The variables by frequency.
    start, stop : intp [COLUMNS]
        Half-open ranges into ``order``, none empty: where variables lie wider apart than columns, a column takes
        the nearest.
    """

    order: NDArray[np.intp]
    start: NDArray[np.intp]
    stop: NDArray[np.intp]

    @classmethod
    def of(cls, hertz: Real, nyquist: float, count: int = COLUMNS) -> Columns:
        """Lay variables (float64 [size], Hz) out from 0 Hz to ``nyquist``."""
        order = np.argsort(hertz, kind="stable")
        places = np.asarray(mel(hertz[order]) / mel(nyquist) * count)
        columns = np.arange(count)
        start, stop = np.searchsorted(places, columns), np.searchsorted(places, columns + 1)
        stop[-1] = len(places)  # the Nyquist bin lies on the edge
        after = np.clip(np.searchsorted(places, columns + 0.5), 1, max(1, len(places) - 1))
        right = np.minimum(after, len(places) - 1)
        nearer = np.where(places[right] - columns - 0.5 < columns + 0.5 - places[after - 1], right, after - 1)
        empty = start >= stop
        return cls(order, np.where(empty, nearer, start), np.where(empty, nearer + 1, stop))

    def largest(self, values: Real) -> Real:
        """The largest value in each column: float64 [size] → [COLUMNS]."""
        return np.asarray(np.maximum.reduceat(np.append(values[self.order], -np.inf), self._edges)[::2])

    def share(self, mask: Mask) -> Real:
        """The share of each column's variables that a mask (bool [size]) keeps: float64 [COLUMNS], 0 to 1."""
        kept = np.add.reduceat(np.append(mask[self.order], False).astype(np.int64), self._edges)[::2]
        return np.asarray(kept / (self.stop - self.start), dtype=np.float64)

    @property
    def _edges(self) -> NDArray[np.intp]:
        return np.stack([self.start, self.stop], axis=1).reshape(-1)


def mel(hertz: Any) -> Any:
    """O'Shaughnessy's mel scale: linear below some 700 Hz, logarithmic above, as the ear is."""
    return 2595 * np.log10(1 + np.asarray(hertz, dtype=np.float64) / 700)


@dataclass(frozen=True, eq=False)
class Trace:
    """A set as columns of a spectrum.

    Attributes
    ----------
    level : int [COLUMNS]
        Of the loudest kept variable, in dB above the floor: 0 to :data:`FLOOR`; -1 where none is kept.
    share : float64 [COLUMNS]
        Share of the column's variables that are kept.
    """

    level: NDArray[np.int64]
    share: Real


class ClipSpectrum:
    """The magnitude spectrum of one clip in columns, and of sets of it.

    Parameters
    ----------
    spectrum : Spectrum
        Masks are read in its domain. Sets of bins and bands are shown as rFFT bins of the whole clip, sets of
        short-time cells by their frequency.
    """

    def __init__(self, spectrum: Spectrum) -> None:
        self._spectrum = spectrum
        self.nyquist = spectrum.clip.sample_rate / 2
        if spectrum.domain.kind == "stft":
            power, hertz = spectrum.energy, spectrum.hertz
        else:
            power = np.abs(np.asarray(scipy.fft.rfft(spectrum.clip.samples.astype(np.float64)))) ** 2
            hertz = np.linspace(0, self.nyquist, power.size)
        loudest = max(float(power.max()), 1e-300)
        self._decibels = 10 * np.log10(np.maximum(power / loudest, 1e-30)) + FLOOR
        self._columns = Columns.of(hertz, self.nyquist)
        self.per_column = power.size / COLUMNS
        self.whole = self.trace(np.ones(spectrum.size, dtype=bool))

    def trace(self, mask: Mask) -> Trace:
        """The columns of a set (bool [size])."""
        kept = mask if self._spectrum.domain.kind == "stft" else self._spectrum.to_bins(mask)
        level = self._columns.largest(np.where(kept, self._decibels, -np.inf))
        share = self._columns.share(kept)
        return Trace(np.where(share > 0, np.clip(np.rint(level), 0, FLOOR), -1).astype(np.int64), share)


@dataclass(frozen=True, eq=False)
class Listening:
    """Where a model listens: mean share of kept variables by frequency over its sufficient sets.

    Attributes
    ----------
    model : int
    sets : int
        How many sets the mean is of.
    share : float64 [COLUMNS]
    """

    model: int
    sets: int
    share: Real
