"""What a speech recogniser still hears in a study's signals, and how intelligible and distorted they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...analyses.fidelity import (
    Measure,
    Recogniser,
    Signal,
    compare_texts,
    measure_distortion,
    measure_intelligibility,
    transcribe,
)
from ...analyses.settings import FidelitySettings
from ...errors import ConfigError
from ...search.settings import KINDS
from ...signal.audio import SILENCE
from ...transferability.statistics.rates import cluster_bootstrap
from ..progress import Reporter
from ..reopen import Reopened
from .units import Done, Rows, Unit, do_units, of_sets_there, unit_of_sets

ANALYSIS = "fidelity"
#: the clip itself
ORIGINAL = "original"
#: measures of a signal against its original
MEASURES = ("character", "word", "indel", "stoi", "estoi", "si_sdr")


def measure_fidelity(
    study: Reopened,
    recogniser: Recogniser | None = None,
    spec: str = "",
    kinds: Sequence[str] = FidelitySettings.kinds,
    reporter: Reporter | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Done:
    """Measure every signal of the study that the store has no measures of.

    Parameters
    ----------
    study : Reopened
    recogniser : callable, optional
        Without one there are no transcripts.
    spec : str
        What the recogniser is called in the store: what is done with one name is not done again.
    kinds : sequence of str
        Of the signals.
    reporter : Reporter, optional
    limit, seed : int
        Only so many clips of each of the data set's labels, drawn with the seed; what is in the store stays.

    Raises
    ------
    ConfigError
        A kind is unknown, or a recogniser has no name.
    """
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise ConfigError(f"kind {unknown[0]!r}: use one of {', '.join(KINDS)}")
    if (recogniser is None) != (not spec):
        raise ConfigError("a recogniser needs a name, and a name a recogniser; give both or neither")
    options, heard = _options(spec, kinds), _Heard(study, recogniser)
    clips = _choose(study.clips, limit, seed)
    first = do_units(study, ANALYSIS, options, list(_original_units(study, heard, clips)), reporter)
    for clip, text in _texts(study, options):
        heard.texts[clip] = text
    return first + do_units(study, ANALYSIS, options, list(_signal_units(study, heard, clips, kinds)), reporter)


def read_fidelity(study: Reopened, spec: str = "", kinds: Sequence[str] = FidelitySettings.kinds) -> pl.DataFrame:
    """A row a clip (``kind`` ``original``) and a row a signal.

    Returns
    -------
    polars.DataFrame
        ``unit``, ``clip``, ``model`` (ids), ``kind``, ``draw``, ``label`` (what the model says to the clip),
        ``silent``, ``text``, and for each measure its value (``character``, ``word``, ``indel``, ``stoi``, ``estoi``,
        ``si_sdr`` in dB) or, where it is null, why (``why_character``, ...).
    """
    rows = study.store.results(study.key, ANALYSIS, _options(spec, kinds))
    if rows.is_empty():
        return rows
    return of_sets_there(rows, study.subsets().filter(pl.col("kind").is_in(list(kinds))))


def fidelity_table(study: Reopened, spec: str = "", kinds: Sequence[str] = FidelitySettings.kinds) -> pl.DataFrame:
    """Mean of every measure by model, kind and class (and ``all``), with a 95 % interval by clip.

    Returns
    -------
    polars.DataFrame
        ``model``, ``kind``, ``label``, ``measure``, ``signals``, ``missing`` (of them), ``why`` (they are), ``mean``,
        ``low``, ``high`` (cluster bootstrap over clips).
    """
    rows = read_fidelity(study, spec, kinds)
    if rows.is_empty():
        return rows
    names = study.specs
    rows = rows.filter(pl.col("model").is_in(list(names)))
    found: list[dict[str, Any]] = []
    for model, spec_of in names.items():
        for kind in kinds:
            part = rows.filter((pl.col("model") == model) & (pl.col("kind") == kind))
            for label in ["all", *sorted(part["label"].unique().to_list())] if part.height else []:
                one = part if label == "all" else part.filter(pl.col("label") == label)
                about = {"model": spec_of, "kind": kind, "label": label}
                found += [{**about, **_summary(one, measure)} for measure in _measures(spec)]
    return pl.DataFrame(found, infer_schema_length=None)


def transcript_table(study: Reopened, spec: str, kinds: Sequence[str] = FidelitySettings.kinds) -> pl.DataFrame:
    """The texts: a row a clip and model, a column a kind."""
    rows = read_fidelity(study, spec, kinds)
    if rows.is_empty() or not spec:
        return pl.DataFrame()
    paths = study.clips.select("clip", "path")
    names = study.models.select("model", name="spec")
    said = rows.filter(pl.col("kind") == ORIGINAL).select("clip", original="text")
    signals = rows.filter((pl.col("kind") != ORIGINAL) & (pl.col("draw") == 0))
    wide = signals.pivot("kind", index=["clip", "model", "label"], values="text", aggregate_function="first")
    return wide.join(said, on="clip").join(paths, on="clip").join(names, on="model").sort("path", "model").select(
        "path", pl.col("name").alias("model"), "label", "original", *[kind for kind in kinds if kind in wide.columns]
    )  # fmt: skip


class _Heard:
    """The recogniser, and what it heard in the clips themselves."""

    def __init__(self, study: Reopened, recogniser: Recogniser | None) -> None:
        self.recogniser, self.rate = recogniser, study.sample_rate
        self.texts: dict[int, str | None] = {}

    def listen(self, signal: Signal) -> str | None:
        return None if self.recogniser is None else transcribe(self.recogniser, signal, self.rate)


def _options(spec: str, kinds: Sequence[str]) -> dict[str, Any]:
    return {"recogniser": spec, "kinds": list(kinds)}


def _measures(spec: str) -> tuple[str, ...]:
    return MEASURES if spec else MEASURES[3:]


def _texts(study: Reopened, options: dict[str, Any]) -> Iterator[tuple[int, str | None]]:
    rows = study.store.results(study.key, ANALYSIS, options)
    if not rows.is_empty():
        yield from rows.filter(pl.col("kind") == ORIGINAL).select("clip", "text").iter_rows()


def _choose(clips: pl.DataFrame, limit: int | None, seed: int) -> dict[int, str]:
    """The paths of so many clips of each label at random, or of all, by their id."""
    if limit is not None:
        order = np.random.default_rng(seed).permutation(clips.height)
        clips = clips[order].group_by("truth", maintain_order=True).head(limit).sort("clip")
    return dict(clips.select("clip", "path").iter_rows())


def _original_units(study: Reopened, heard: _Heard, clips: dict[int, str]) -> Iterator[Unit]:
    for clip, path in clips.items():
        yield Unit(f"{clip}", _original(study, heard, clip), path)


def _original(study: Reopened, heard: _Heard, clip: int) -> Callable[[], tuple[Rows, None]]:
    def work() -> tuple[Rows, None]:
        about = {"clip": clip, "model": None, "kind": ORIGINAL, "draw": 0, "label": None, "silent": False}
        return [{**about, "text": heard.listen(study.read(clip).samples)}], None

    return work


def _signal_units(study: Reopened, heard: _Heard, clips: dict[int, str], kinds: Sequence[str]) -> Iterator[Unit]:
    specs = study.specs
    subsets = study.subsets().filter(pl.col("kind").is_in(list(kinds)) & pl.col("clip").is_in(list(clips)))
    for (clip, model), part in subsets.group_by("clip", "model", maintain_order=True):
        if clip in heard.texts:  # else the clip itself failed, and says so
            yield Unit(unit_of_sets(part), _signals(study, heard, part), clips[int(str(clip))], specs[model])


def _signals(study: Reopened, heard: _Heard, part: pl.DataFrame) -> Callable[[], tuple[Rows, None]]:
    def work() -> tuple[Rows, None]:
        clip = int(part["clip"][0])
        spectrum = study.spectrum(clip)
        signals = spectrum.invert(np.stack([study.store.mask(subset) for subset in part["subset"]])).numpy()
        facts = part.select("clip", "model", "kind", "draw", "label").to_dicts()
        return [
            {**about, **_against(spectrum.clip.samples, signal, heard, heard.texts[clip])}
            for about, signal in zip(facts, signals, strict=True)
        ], None

    return work


def _against(original: Signal, signal: Signal, heard: _Heard, said: str | None) -> dict[str, Any]:
    text = heard.listen(signal)
    measures: dict[str, Measure] = {
        "stoi": measure_intelligibility(original, signal, heard.rate),
        "estoi": measure_intelligibility(original, signal, heard.rate, extended=True),
        "si_sdr": measure_distortion(original, signal),
    }
    if said is None or text is None:
        ratios, why = None, "no recogniser"
    else:
        ratios, why = compare_texts(said, text), "no words in the original"
    for name in MEASURES[:3]:
        measures[name] = Measure(getattr(ratios, name)) if ratios else Measure(None, why)
    row: dict[str, Any] = {"silent": bool(np.abs(signal).max() < SILENCE), "text": text}
    for name in MEASURES:
        row |= {name: measures[name].value, f"why_{name}": measures[name].why}
    return row


def _summary(part: pl.DataFrame, measure: str) -> dict[str, Any]:
    known = part.filter(pl.col(measure).is_not_null())
    reasons = Counter(part.filter(pl.col(measure).is_null())[f"why_{measure}"].to_list())
    by_clip = known.group_by("clip", maintain_order=True).agg(total=pl.col(measure).sum(), count=pl.len())
    mean, low, high = cluster_bootstrap(
        by_clip["total"].cast(pl.Float64).to_numpy(), by_clip["count"].cast(pl.Float64).to_numpy()
    ) if known.height else (np.nan, np.nan, np.nan)  # fmt: skip
    return {
        "measure": measure, "signals": part.height, "missing": part.height - known.height,
        "why": "; ".join(f"{why} ({count})" for why, count in reasons.most_common()),
        "mean": _number(mean), "low": _number(low), "high": _number(high),
    }  # fmt: skip


def _number(value: NDArray[np.float64] | float) -> float | None:
    return float(value) if np.isfinite(value) else None
