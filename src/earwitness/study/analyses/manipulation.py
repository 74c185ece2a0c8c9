"""The smallest changes that flip a study's answers, on whom else they work, and how robust each model is."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ... import audio
from ...audio import Clip
from ...chance import make_rng
from ...errors import ConfigError, nearest
from ...manipulation import ACTIONS, Bounds, Change, Flip, Subject, Unflipped, find_flip, make_subject
from ...manipulation.written import write_both
from ...search import Driver
from ...spectrum import Domain, Mask, Spectrum
from ...statistics import matrix_correlation, wilson
from ...transfer import load_answers, transfer_table
from ..progress import Reporter
from ..reopen import Reopened
from . import Done, Rows, Unit, do_units

ANALYSIS, TRANSFER = "manipulation", "manipulation-transfer"
BASES = ("clip", "sufficient")
FREE, MASKED = "none", "masking"
#: what is told of a set of flips at each of these numbers of variables, beside the counts that are searched
SIZES = (1, 5, 25)


@dataclass(frozen=True)
class ManipulationSettings:
    """What decides the flips.

    Attributes
    ----------
    actions : tuple of str
        Some of :data:`earwitness.manipulation.ACTIONS`. Without bounds on audibility each is tried by itself, and all
        together; within bounds all together.
    counts : tuple of int
        Numbers of variables that may change, within bounds on audibility.
    snrs : tuple of float
        Bounds on the signal-to-noise ratio, in dB.
    masking : bool
        Whether to search below the masking threshold too.
    gain : float
        The most a variable is scaled up or down, in dB.
    target : str
        The label wanted; empty: any but the clip's.
    base : {"clip", "sufficient"}
        What is changed: the clips, or each model's smallest sufficient signal of them.
    domain : str
        Whose variables are changed; empty: the study's.
    gradients : bool
        Order changes by gradients where a model has them.
    budget : int
        Questions a search.
    seed : int
        Of the dither.
    """

    actions: tuple[str, ...] = ACTIONS
    counts: tuple[int, ...] = SIZES
    snrs: tuple[float, ...] = (20.0, 30.0, 40.0)
    masking: bool = False
    gain: float = 40.0
    target: str = ""
    base: str = "clip"
    domain: str = ""
    gradients: bool = True
    budget: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        for action in self.actions:
            if action not in ACTIONS:
                raise ConfigError(f"action {action!r}: {nearest(action, ACTIONS)}use some of {', '.join(ACTIONS)}")
        if not self.actions:
            raise ConfigError(f"actions: none given; use some of {', '.join(ACTIONS)}")
        if self.base not in BASES:
            raise ConfigError(f"base {self.base!r}: use one of {', '.join(BASES)}")
        if self.budget < 50:
            raise ConfigError(f"budget {self.budget}: too small; use at least 50")
        if self.domain:
            Domain.parse(self.domain)
        for search in self.searches():
            search.bounds  # noqa: B018 - the numbers are checked there

    def searches(self) -> Iterator[Search]:
        """Every search of a clip and model, the tighter bounds first."""
        sets = [(action,) for action in self.actions]
        for actions in [*sets, self.actions] if len(sets) > 1 else sets:
            yield Search(actions, FREE, None, self.gain)
        bounds = [*([MASKED] if self.masking else []), *(f"{snr:g} dB" for snr in sorted(self.snrs, reverse=True))]
        for bound in bounds:
            for count in sorted(self.counts):
                yield Search(self.actions, bound, count, self.gain)


@dataclass(frozen=True)
class Search:
    """One search: what may be done, within what.

    Attributes
    ----------
    actions : tuple of str
    bound : str
        ``none``, ``masking``, or an SNR such as ``20 dB``.
    count : int or None
    gain : float
    """

    actions: tuple[str, ...]
    bound: str
    count: int | None
    gain: float

    @property
    def bounds(self) -> Bounds:
        """As the search takes them."""
        snr = float(self.bound.removesuffix(" dB")) if self.bound.endswith(" dB") else None
        return Bounds(self.count, self.gain, snr, 0.0 if self.bound == MASKED else None)

    @property
    def facts(self) -> dict[str, Any]:
        """As columns."""
        return {"actions": "+".join(self.actions), "bound": self.bound, "count": self.count}


def flip_answers(
    study: Reopened, settings: ManipulationSettings | None = None, reporter: Reporter | None = None
) -> Done:
    """Seek what the store lacks: flips of every clip and model, then every other model's answers to them."""
    settings = settings or ManipulationSettings()
    if settings.target and settings.target not in study.labels:
        hint = nearest(settings.target, study.labels)
        raise ConfigError(f"target {settings.target!r}: {hint}use one of {', '.join(study.labels)}")
    done = do_units(study, ANALYSIS, asdict(settings), list(_units(study, settings)), reporter)
    return done + do_units(study, TRANSFER, asdict(settings), list(_judging(study, settings)), reporter)


def read_flips(study: Reopened, settings: ManipulationSettings | None = None) -> pl.DataFrame:
    """A row a clip, model and search.

    Returns
    -------
    polars.DataFrame
        ``unit``, ``row`` (its number in the unit), ``clip``, ``model`` (ids), ``subset`` (whose signal was changed;
        null: the clip), ``actions``, ``bound``, ``count``, ``before`` (the label), ``flipped``, ``why`` (not),
        ``closest``, ``size``, ``variables``, ``gains`` ([real, imaginary] each), ``hertz``, ``decibels``,
        ``degrees`` (lists as JSON), ``snr`` and ``margin`` (dB), ``inaudible``, ``after``, ``confidence``,
        ``flac_after``, ``flac_confidence``, ``survives`` (16 bits), ``certificate``, ``questions``, ``history``.
    """
    rows = study.store.results(study.key, ANALYSIS, asdict(settings or ManipulationSettings()))
    if rows.is_empty():
        return rows
    return rows.filter(pl.col("model").is_in(study.models["model"].to_list()))


def read_transfers(study: Reopened, settings: ManipulationSettings | None = None) -> pl.DataFrame:
    """A row a flip and other model: the columns of the flip that name it, and ``judge`` (id), ``judge_before`` (its
    answer to what was changed), ``judge_after``, ``shared`` (it gave the source's label before), ``changed``."""
    rows = study.store.results(study.key, TRANSFER, asdict(settings or ManipulationSettings()))
    if rows.is_empty():
        return rows
    known = study.models["model"].to_list()
    return rows.filter(pl.col("model").is_in(known) & pl.col("judge").is_in(known))


# --- tables -------------------------------------------------------------------------------------------------


def manipulation_tables(study: Reopened, settings: ManipulationSettings | None = None) -> dict[str, pl.DataFrame]:
    """Every table of the analysis by name; empty ones are left out."""
    settings = settings or ManipulationSettings()
    tables = {
        "flip rates": rate_table(study, settings),
        "robustness": robustness_table(study, settings),
        "transfer of flips": transfer_of_flips(study, settings),
        "flips and sufficiency": conjecture_table(study, settings),
    }
    return {name: table for name, table in tables.items() if not table.is_empty()}


def rate_table(study: Reopened, settings: ManipulationSettings) -> pl.DataFrame:
    """How often flips without a bound on audibility succeed, and what they cost, by model and action.

    Returns
    -------
    polars.DataFrame
        ``model``, ``actions``, ``k`` (variables at most; null: any number), ``clips``, ``flipped``, ``rate``, ``low``,
        ``high`` (Wilson, 95 %), ``questions`` (median, of those that flipped, until the flip), ``snr`` and ``margin``
        (median, of those whose smallest flip this is), ``survives`` (16-bit FLAC, share of flips).
    """
    rows = _named(study, read_flips(study, settings))
    if rows.is_empty():
        return rows
    records = []
    free = rows.filter(pl.col("bound") == FREE)
    for (model, actions), part in free.group_by("model", "actions", maintain_order=True):
        for k in (*SIZES, None):
            limit = np.inf if k is None else k
            flips = part.filter(pl.col("flipped") & (pl.col("size") <= limit))
            costs = [
                min(asked for size, asked in json.loads(text) if size <= limit) for text in flips["history"].to_list()
            ]
            low, high = wilson(flips.height, part.height)
            records.append({
                "model": model, "actions": actions, "k": k, "clips": part.height, "flipped": flips.height,
                "rate": flips.height / part.height, "low": float(low), "high": float(high),
                "questions": float(np.median(costs)) if costs else None, "snr": flips["snr"].median(),
                "margin": flips["margin"].median(), "survives": flips["survives"].mean(),
            })  # fmt: skip
    return pl.DataFrame(records, infer_schema_length=None)


def robustness_table(study: Reopened, settings: ManipulationSettings) -> pl.DataFrame:
    """The defence's view: the share of clips whose answer can be flipped within each bound.

    A clip counts where any flip found of it, within whatever bound it was sought, keeps this one.

    Returns
    -------
    polars.DataFrame
        ``model``, ``bound``, ``k``, ``clips``, ``flipped``, ``rate``, ``low``, ``high`` (Wilson, 95 %), ``questions``
        (mean a clip, of the searches within this bound).
    """
    rows = _named(study, read_flips(study, settings))
    if rows.is_empty():
        return rows
    records = []
    bounds = dict.fromkeys((search.bound, search.count) for search in settings.searches() if search.count)
    for (model,), part in rows.group_by("model", maintain_order=True):
        clips = part["clip"].n_unique()
        for bound, count in [*((FREE, k) for k in SIZES), *bounds]:
            within = part.filter(_within(Search(settings.actions, bound, count, settings.gain)))
            searched = part.filter((pl.col("bound") == bound) & pl.col("count").eq_missing(count))
            flipped = within["clip"].n_unique()
            low, high = wilson(flipped, clips)
            records.append({
                "model": model, "bound": bound, "k": count, "clips": clips, "flipped": flipped,
                "rate": flipped / clips, "low": float(low), "high": float(high),
                "questions": searched["questions"].sum() / clips if bound != FREE else None,
            })  # fmt: skip
    return pl.DataFrame(records, infer_schema_length=None)


def transfer_of_flips(study: Reopened, settings: ManipulationSettings) -> pl.DataFrame:
    """How often a flip of one model flips another that gave the clip the same label, beside the transfer of
    sufficient signals.

    Returns
    -------
    polars.DataFrame
        ``bound`` (within which the flips were sought; ``all``: pooled, where a clip may count more than once),
        ``source``, ``judge``, ``flips`` (that the judge could follow: it gave the source's label before),
        ``changed`` (share that changed its label), ``low``, ``high`` (Wilson, 95 %), ``agrees`` (share that got the
        source's new label), ``alpha`` (of the sufficient signals).
    """
    rows = read_transfers(study, settings)
    if rows.is_empty():
        return rows
    shared = rows.filter(pl.col("shared") & (pl.col("actions") == "+".join(settings.actions)))
    if shared.is_empty():
        return shared
    table = (
        _pooled(shared)
        .group_by("bound", "model", "judge")
        .agg(flips=pl.len(), changed=pl.col("changed").mean(), agrees=(pl.col("judge_after") == pl.col("after")).mean())
    )
    low, high = wilson((table["changed"] * table["flips"]).to_numpy(), table["flips"].to_numpy())
    table = table.with_columns(low=pl.Series(low), high=pl.Series(high)).sort("bound", "model", "judge")
    names = dict(study.models.select("model", "spec").iter_rows())
    table = table.with_columns(
        source=pl.col("model").replace_strict(names, return_dtype=pl.String),
        judge=pl.col("judge").replace_strict(names, return_dtype=pl.String),
    )
    alphas = transfer_table(load_answers(study.store, study.key)).select("source", "judge", "alpha")
    table = table.join(alphas, on=["source", "judge"], how="left", maintain_order="left")
    return table.select("bound", "source", "judge", "flips", "changed", "low", "high", "agrees", "alpha")


def conjecture_table(study: Reopened, settings: ManipulationSettings) -> pl.DataFrame:
    """Where sufficient signals transfer, do flips? (T's conjecture.)

    Returns
    -------
    polars.DataFrame
        For each ``bound``: over ordered pairs of models, Spearman's ``rho`` of α and of the share of flips that
        transfer, ``rho_low``, ``rho_high`` (by the number of ``models``) and ``p`` (Mantel); over flips,
        ``accepted`` (flips whose judge accepts the source's sufficient signal of the clip), the share ``changed`` of
        them with ``changed_low``, ``changed_high`` (Wilson, 95 %), and the same of those it ``rejected``.
    """
    table = transfer_of_flips(study, settings)
    if table.is_empty():
        return table
    names = study.models["spec"].to_list()
    judged = _with_acceptance(study, settings)
    records = []
    for (bound,), part in table.group_by("bound", maintain_order=True):
        matrices = {column: np.full((len(names), len(names)), np.nan) for column in ("alpha", "changed")}
        for row in part.iter_rows(named=True):
            for column, matrix in matrices.items():
                value = row[column]
                matrix[names.index(row["source"]), names.index(row["judge"])] = np.nan if value is None else value
        found = matrix_correlation(matrices["alpha"], matrices["changed"])
        record = {
            "bound": bound, "pairs": part.height, "models": found.n, "rho": found.rho, "rho_low": found.low,
            "rho_high": found.high, "p": found.p,
        }  # fmt: skip
        for name, accepted in (("accepted", True), ("rejected", False)):
            those = judged.filter((pl.col("bound") == bound) & (pl.col("accepted") == accepted))
            low, high = wilson(int(those["changed"].sum()), those.height)
            prefix = "changed" if accepted else "rejected_changed"
            record |= {
                name: those.height, prefix: those["changed"].mean(), f"{prefix}_low": float(low),
                f"{prefix}_high": float(high),
            }  # fmt: skip
        records.append(record)
    return pl.DataFrame(records, infer_schema_length=None)


def flip_table(study: Reopened, settings: ManipulationSettings | None = None) -> pl.DataFrame:
    """Every flip: the recording, what changed, how audible, and what the model said then."""
    rows = read_flips(study, settings)
    if rows.is_empty():
        return rows
    paths = dict(study.clips.select("clip", "path").iter_rows())
    flips = _named(study, rows).filter("flipped")
    files = pl.Series(_file_names(flips), dtype=pl.String)
    return flips.with_columns(file=files, path=pl.col("clip").replace_strict(paths, return_dtype=pl.String)).select(
        "file", "path", "model", "actions", "bound", "count", "before", "after", "confidence", "size", "variables",
        "hertz", "decibels", "degrees", "snr", "margin", "inaudible", "flac_after", "flac_confidence", "survives",
        "certificate", "questions",
    )  # fmt: skip


def write_signals(
    study: Reopened, settings: ManipulationSettings, folder: Path, reporter: Reporter | None = None
) -> pl.DataFrame:
    """Write every flip as WAV and FLAC, read both back and ask the model again.

    Returns
    -------
    polars.DataFrame
        ``file`` (without suffix), ``model``, ``before``, ``after`` and ``flac_after`` (as stored), ``wav_now``,
        ``flac_now`` (as answered to the files), ``verified`` (both as stored, and the WAV's is a flip).
    """
    folder.mkdir(parents=True, exist_ok=True)
    flips = read_flips(study, settings)
    flips = flips.filter("flipped") if not flips.is_empty() else flips
    if reporter and not flips.is_empty():
        reporter.stage("writing flips", flips.height)
    records = []
    for row, name in zip(flips.iter_rows(named=True), _file_names(flips), strict=True):
        clip = _base(study, row["clip"], row["subset"])
        signal = _change(row).apply(Spectrum(clip, _domain(study, settings)))
        paths = write_both(folder, name, signal, clip.sample_rate, np.random.default_rng(_seed(settings, clip)))
        classifier = study.classifiers()[row["model"]]
        driver = Driver(classifier, repeats=study.settings.repeats)
        wav, flac = (study.labels[int(driver.original(Spectrum(audio.read(p))).argmax())] for p in paths)
        as_stored = wav == row["after"] and flac == row["flac_after"]
        records.append({
            "file": name, "model": classifier.model.spec, "before": row["before"], "after": row["after"],
            "flac_after": row["flac_after"], "wav_now": wav, "flac_now": flac,
            "verified": as_stored and wav != row["before"] and (not settings.target or wav == settings.target),
        })  # fmt: skip
        if reporter:
            reporter.advance()
    return pl.DataFrame(records, infer_schema_length=None)


# --- units --------------------------------------------------------------------------------------------------


def _units(study: Reopened, settings: ManipulationSettings) -> Iterator[Unit]:
    paths = dict(study.clips.select("clip", "path").iter_rows())
    specs = dict(study.models.select("model", "spec").iter_rows())
    subsets = study.subsets().filter(pl.col("parent").is_null())
    for (clip, model), part in subsets.group_by("clip", "model", maintain_order=True):
        if model not in specs or clip not in paths:
            continue
        smallest: list[int | None] = [None]
        if settings.base == "sufficient":
            sets = part.filter((pl.col("kind") == "sufficient") & (pl.col("size") > 0)).sort("size", "draw")
            smallest = sets["subset"].head(1).to_list()
        for subset in smallest:
            name = f"{clip}/{model}" + (f"/{subset}" if subset is not None else "")
            yield Unit(name, _Flips(study, settings, int(str(clip)), int(str(model)), subset, part), paths[clip],
                       specs[model])  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Flips:
    """The searches of one clip and model."""

    study: Reopened
    settings: ManipulationSettings
    clip: int
    model: int
    subset: int | None
    subsets: pl.DataFrame

    def __call__(self) -> tuple[Rows, None]:
        study, settings = self.study, self.settings
        clip = _base(study, self.clip, self.subset)
        spectrum = Spectrum(clip, _domain(study, settings))
        driver = Driver(study.classifiers()[self.model], repeats=study.settings.repeats)
        goal = study.labels.index(settings.target) if settings.target else None
        own = int(driver.original(spectrum).argmax())
        if goal == own:
            return [], None  # nothing to flip: it has the label wanted
        subject = make_subject(
            spectrum, driver, goal=goal, hints=self._hints(spectrum), responsibility=self._responsibility(spectrum),
            gradients=settings.gradients,
        )  # fmt: skip
        rows: list[dict[str, Any]] = []
        for search in settings.searches():
            if _is_known(search, rows):
                continue
            outcome = find_flip(
                subject, search.actions, search.bounds, goal=goal, budget=settings.budget, seed=_seed(settings, clip)
            )
            facts = {"row": len(rows), "clip": self.clip, "model": self.model, "subset": self.subset}
            rows.append({**facts, **search.facts, "before": study.labels[own], **self._describe(subject, outcome)})
        return rows, None

    def _describe(self, subject: Subject, outcome: Flip | Unflipped) -> dict[str, Any]:
        if isinstance(outcome, Unflipped):
            return {"flipped": False, "why": outcome.why, "closest": _finite(outcome.closest),
                    "questions": outcome.queries}  # fmt: skip
        change, labels = outcome.change, self.study.labels
        return {
            "flipped": True, "size": change.size, "variables": json.dumps(change.variables),
            "gains": json.dumps([[gain.real, gain.imag] for gain in change.gains]),
            "acts": "+".join(sorted(set(change.actions))),
            "hertz": json.dumps([round(float(subject.spectrum.hertz[v]), 2) for v in change.variables]),
            "decibels": json.dumps([None if np.isinf(db) else round(db, 2) for db in change.decibels]),
            "degrees": json.dumps([round(angle, 1) for angle in change.degrees]),
            "snr": _finite(outcome.snr), "margin": _finite(outcome.margin), "inaudible": outcome.inaudible,
            "after": labels[outcome.wav.label], "confidence": outcome.wav.confidence,
            "flac_after": labels[outcome.flac.label], "flac_confidence": outcome.flac.confidence,
            "survives": outcome.flac.flipped, "certificate": outcome.certificate.kind,
            "questions": outcome.queries, "history": json.dumps(outcome.history),
        }  # fmt: skip

    def _hints(self, spectrum: Spectrum) -> list[Mask]:
        """The sets that were found of the clip, where they are sets of the variables changed."""
        if self.subset is not None:
            return []
        theirs = self.study.settings.variables
        kinds = self.subsets.filter(pl.col("kind").is_in(["complete", "sufficient", "one_complete"]))
        masks = [self.study.store.mask(subset) for subset in kinds["subset"].to_list()]
        if str(theirs) != str(spectrum.domain):
            if theirs.kind == "stft" or spectrum.domain.kind != "rfft":
                return []
            bands = Spectrum(spectrum.clip, theirs)
            masks = [bands.to_bins(mask) for mask in masks]
        return [mask for mask in masks if mask.any() and not mask.all()]

    def _responsibility(self, spectrum: Spectrum) -> NDArray[np.float32] | None:
        query = "SELECT responsibility FROM explanations WHERE settings = ? AND clip = ? AND model = ?"
        found = self.study.store.frame(query, (self.study.key, self.clip, self.model))
        packed = None if found.is_empty() else found["responsibility"][0]
        if packed is None or self.subset is not None or str(self.study.settings.variables) != str(spectrum.domain):
            return None
        return np.frombuffer(zlib.decompress(packed), dtype="<f4").astype(np.float32)


def _judging(study: Reopened, settings: ManipulationSettings) -> Iterator[Unit]:
    flips = read_flips(study, settings)
    if flips.is_empty():
        return
    specs = dict(study.models.select("model", "spec").iter_rows())
    paths = dict(study.clips.select("clip", "path").iter_rows())
    for (unit,), part in flips.filter("flipped").group_by("unit", maintain_order=True):
        clip, source = part["clip"][0], part["model"][0]
        for judge in specs:
            if judge != source:
                yield Unit(f"{unit}>{judge}", _judge_work(study, settings, part, judge), paths[clip], specs[judge])


def _judge_work(study: Reopened, settings: ManipulationSettings, flips: pl.DataFrame, judge: int) -> Any:
    """What one model says to the flips of another's answers to a clip."""

    def work() -> tuple[Rows, None]:
        rows = flips.to_dicts()
        clip = _base(study, rows[0]["clip"], rows[0]["subset"])
        spectrum = Spectrum(clip, _domain(study, settings))
        driver = Driver(study.classifiers()[judge], repeats=study.settings.repeats)
        signals = [clip.samples, *(_change(row).apply(spectrum) for row in rows)]
        said = [
            study.labels[int(driver.original(Spectrum(Clip(signal, clip.sample_rate))).argmax())] for signal in signals
        ]
        names = ("row", "clip", "model", "actions", "bound", "count", "before", "after")
        return [
            {
                **{name: row[name] for name in names}, "judge": judge, "judge_before": said[0], "judge_after": after,
                "shared": said[0] == row["before"], "changed": after != said[0],
            }
            for row, after in zip(rows, said[1:], strict=True)
        ], None  # fmt: skip

    return work


# --- inside -------------------------------------------------------------------------------------------------


def _base(study: Reopened, clip: int, subset: int | None) -> Clip:
    """What is changed: the clip, or the signal of a set of it."""
    read = study.read(clip)
    return read if subset is None else Clip(study.signal(subset), read.sample_rate, read.path)


def _domain(study: Reopened, settings: ManipulationSettings) -> Domain:
    return Domain.parse(settings.domain) if settings.domain else study.settings.variables


def _seed(settings: ManipulationSettings, clip: Clip) -> int:
    """Of the dither: each clip its own."""
    return int(make_rng(settings.seed, clip.sha256).integers(1 << 32))


def _change(row: Mapping[str, Any]) -> Change:
    """A stored change."""
    variables, gains = json.loads(row["variables"]), [complex(*parts) for parts in json.loads(row["gains"])]
    return Change(tuple(variables), tuple(gains), tuple(row["acts"].split("+")))


def _is_known(search: Search, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a flip found keeps the bounds of a search that is still to come: it need not be made."""
    if search.bound == FREE or not rows:
        return False
    known = pl.DataFrame(rows, infer_schema_length=None)
    return "size" in known.columns and known.filter(_within(search)).height > 0


def _within(search: Search) -> pl.Expr:
    """Flips that keep the bounds of a search."""
    bounds = search.bounds
    kept = pl.col("flipped") & (pl.col("size") <= (search.count or 1 << 40))
    if bounds.snr is not None:
        kept &= pl.col("snr") >= bounds.snr
    if bounds.margin is not None:
        kept &= pl.col("margin") >= bounds.margin
    return kept


def _pooled(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows, and all of them again under the bound ``all``."""
    return pl.concat([rows, rows.with_columns(bound=pl.lit("all"))])


def _with_acceptance(study: Reopened, settings: ManipulationSettings) -> pl.DataFrame:
    """Transfers of flips, and whether the judge accepts the source's sufficient signal of the same clip."""
    rows = read_transfers(study, settings)
    rows = rows.filter(pl.col("shared") & (pl.col("actions") == "+".join(settings.actions)))
    names = dict(study.models.select("model", "spec").iter_rows())
    rows = rows.with_columns(
        source=pl.col("model").replace_strict(names, return_dtype=pl.String),
        judge=pl.col("judge").replace_strict(names, return_dtype=pl.String),
    )
    judged = load_answers(study.store, study.key).judgements.filter(pl.col("kind") == "sufficient")
    accepted = judged.group_by("clip", "source", "judge").agg(accepted=pl.col("accepted").first())
    return _pooled(rows).join(accepted, on=["clip", "source", "judge"], how="inner")


def _named(study: Reopened, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with the models' specs for their ids, the columns of flips there even where nothing flipped."""
    if rows.is_empty():
        return rows
    absent = {"size": pl.Int64, "snr": pl.Float64, "margin": pl.Float64, "history": pl.String, "survives": pl.Boolean}
    rows = rows.with_columns(
        pl.lit(None, dtype=kind).alias(name) for name, kind in absent.items() if name not in rows.columns
    )
    names = dict(study.models.select("model", "spec").iter_rows())
    return rows.with_columns(model=pl.col("model").replace_strict(names, return_dtype=pl.String))


def _file_names(flips: pl.DataFrame) -> list[str]:
    return [f"{unit.replace('/', '-')}-{row:02d}" for unit, row in flips.select("unit", "row").iter_rows()]


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
