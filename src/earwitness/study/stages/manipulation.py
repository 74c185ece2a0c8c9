"""The smallest changes that flip a study's answers, on whom else they work, and how robust each model is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...analyses.manipulation.changes import Change
from ...analyses.manipulation.flips import Flip, Subject, Unflipped, find_flip, make_subject
from ...analyses.manipulation.written import write_both
from ...analyses.settings import FREE, ManipulationSettings, Search
from ...errors import ConfigError, nearest
from ...search.driver import Driver
from ...signal import audio
from ...signal.audio import Clip
from ...signal.domains import Domain
from ...signal.draws import make_rng
from ...signal.masks import Mask
from ...signal.spectrum import Spectrum
from ..progress import Reporter
from ..reopen import Reopened
from .units import Done, Rows, Unit, do_units

ANALYSIS, TRANSFER = "manipulation", "manipulation-transfer"


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
    for row, name in zip(flips.iter_rows(named=True), name_files(flips), strict=True):
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


def _units(study: Reopened, settings: ManipulationSettings) -> Iterator[Unit]:
    paths = dict(study.clips.select("clip", "path").iter_rows())
    specs = study.specs
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
        if self.subset is not None or str(self.study.settings.variables) != str(spectrum.domain):
            return None
        return self.study.store.responsibilities(self.study.key, self.clip).get(self.model)


def _judging(study: Reopened, settings: ManipulationSettings) -> Iterator[Unit]:
    flips = read_flips(study, settings)
    if flips.is_empty():
        return
    specs = study.specs
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
    return "size" in known.columns and known.filter(keeps_bound(search)).height > 0


#: the columns that only a flip has
_OF_FLIPS = {
    "size": pl.Int64, "snr": pl.Float64, "margin": pl.Float64, "confidence": pl.Float64, "flac_confidence": pl.Float64,
    "survives": pl.Boolean, "inaudible": pl.Boolean,
} | dict.fromkeys(
    ("variables", "gains", "hertz", "decibels", "degrees", "after", "flac_after", "certificate", "history"), pl.String
)  # fmt: skip


def with_names(study: Reopened, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with the models' specs for their ids, the columns of flips there even where nothing flipped."""
    if rows.is_empty():
        return rows
    rows = rows.with_columns(
        pl.lit(None, dtype=kind).alias(name) for name, kind in _OF_FLIPS.items() if name not in rows.columns
    )
    names = study.specs
    return rows.with_columns(model=pl.col("model").replace_strict(names, return_dtype=pl.String))


def name_files(flips: pl.DataFrame) -> list[str]:
    return [f"{unit.replace('/', '-')}-{row:02d}" for unit, row in flips.select("unit", "row").iter_rows()]


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def keeps_bound(search: Search) -> pl.Expr:
    """Flips that keep the bounds of a search."""
    bounds = search.bounds
    kept = pl.col("flipped") & (pl.col("size") <= (search.count or 1 << 40))
    if bounds.snr is not None:
        kept &= pl.col("snr") >= bounds.snr
    if bounds.margin is not None:
        kept &= pl.col("margin") >= bounds.margin
    return kept
