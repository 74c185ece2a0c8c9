"""Composites of a study's signals, how much of a class they take in, and whether they turn other clips into it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from ...analyses.composition import (
    Ask,
    Largest,
    Signal,
    find_largest,
    fit,
    fit_lengths,
    join_masks,
    make_noise,
    mean_of,
    overlay,
    replace_bins,
    scale,
    signal_to_noise,
)
from ...analyses.settings import LEVELS, CompositionSettings, GreedySettings
from ...models import Classifier
from ...signal.audio import SILENCE
from ...signal.masks import Mask, from_runs, to_runs
from ...transferability.definitions import top_labels
from ...transferability.statistics.rates import wilson
from ..progress import Reporter
from ..reopen import Reopened
from .units import Done, Rows, Unit, do_units

ANALYSIS, CROSSING = "composition", "crossing"
#: what is done to a clip: the composite laid over it, put in place of the same bins, or white noise laid over it
WAYS = ("overlay", "replace", "noise")


@dataclass(frozen=True, eq=False)
class Composite:
    """A stored composite.

    Attributes
    ----------
    model : int
    label, kind : str
    signal : float32 [N]
    bins : bool [N // 2 + 1] or None
        Frequencies it is made of; ``None`` where the study's variables are no sets of bins.
    subsets : tuple of int
        Its members.
    """

    model: int
    label: str
    kind: str
    signal: Signal
    bins: Mask | None
    subsets: tuple[int, ...]

    @property
    def silent(self) -> bool:
        """Whether all members are the empty set."""
        return bool(np.abs(self.signal).max() < SILENCE)

    @property
    def key(self) -> str:
        """A hash of what it is."""
        return blake2b(self.signal.tobytes(), digest_size=6).hexdigest()


def make_composites(
    study: Reopened, settings: CompositionSettings | None = None, reporter: Reporter | None = None
) -> Done:
    """Make the composite of every model and class that the store has not, or of which it now holds more signals."""
    settings = settings or CompositionSettings()
    return do_units(study, ANALYSIS, asdict(settings), list(_units(study, settings)), reporter)


def read_compositions(study: Reopened, settings: CompositionSettings | None = None) -> pl.DataFrame:
    """A row a model and class: the composite of the most signals.

    Returns
    -------
    polars.DataFrame
        ``unit``, ``model``, ``label``, ``kind``, ``signals`` (M), ``empty`` (of them, silent), ``size`` (|S|),
        ``degree`` (|S| / M), ``certificate``, ``bound``, ``questions``, ``confidence`` (of the label, for the
        composite), ``silence`` (whether silence is answered with the label), the nulls ``other_signals``,
        ``other_degree``, ``other_certificate``, ``other_rate``, ``noise_degree``, ``noise_certificate``,
        ``noise_rate``, and ``subsets`` and ``runs`` as JSON.
    """
    rows = study.store.results(study.key, ANALYSIS, asdict(settings or CompositionSettings()))
    if rows.is_empty():
        return rows
    latest = rows.sort("signals", maintain_order=True).unique(["model", "label"], keep="last", maintain_order=True)
    return latest.filter(pl.col("model").is_in(study.models["model"].to_list())).sort("model", "label")


def read_composites(study: Reopened, settings: CompositionSettings | None = None) -> list[Composite]:
    """The composites themselves; classes without an accepted set have none."""
    settings = settings or CompositionSettings()
    found = []
    for row in read_compositions(study, settings).iter_rows(named=True):
        if row["size"]:
            signal = study.store.result_array(study.key, ANALYSIS, row["unit"], asdict(settings))
            runs = json.loads(row["runs"])
            bins = None if runs is None else from_runs(runs, len(signal) // 2 + 1)
            members = tuple(json.loads(row["subsets"]))
            found.append(Composite(row["model"], row["label"], row["kind"], signal, bins, members))
    return found


def used_settings(study: Reopened) -> CompositionSettings | None:
    """The settings the composites in the store were last made with; ``None`` where there are none."""
    options = study.store.last_options(study.key, ANALYSIS)
    if options is None:
        return None
    return CompositionSettings(**{**options, "greedy": GreedySettings(**options["greedy"])})


def degree_table(study: Reopened, settings: CompositionSettings | None = None) -> pl.DataFrame:
    """The degree of compositionality by model and class, with Wilson's 95 % interval and its nulls.

    The interval takes the M signals for draws of which |S| were successes. The nulls: the degree that as many
    signals of the other classes (``other_degree``), and noise of the same powers (``noise_degree``), reach for the
    same label; and the share of random composites of |S| of them that are answered with it.
    """
    rows = read_compositions(study, settings)
    if rows.is_empty():
        return rows
    low, high = wilson(rows["size"].to_numpy(), rows["signals"].to_numpy())
    return _name(study, rows).select(
        "model", "label", "kind", "signals", "empty", "size", "degree", low=pl.Series(low), high=pl.Series(high),
        certificate="certificate", confidence="confidence", silence="silence", other_signals="other_signals",
        other_degree="other_degree", other_rate="other_rate", noise_degree="noise_degree", noise_rate="noise_rate",
    )  # fmt: skip


def cross(
    study: Reopened,
    settings: CompositionSettings | None = None,
    levels: Sequence[float | None] = LEVELS,
    reporter: Reporter | None = None,
) -> Done:
    """Put every composite into the clips of other labels, and ask every model."""
    settings = settings or CompositionSettings()
    return do_units(
        study, CROSSING, _crossing(settings, levels), list(_crossing_units(study, settings, levels)), reporter
    )


def read_crossings(
    study: Reopened, settings: CompositionSettings | None = None, levels: Sequence[float | None] = LEVELS
) -> pl.DataFrame:
    """A row a composite, judge, clip, way and level.

    Returns
    -------
    polars.DataFrame
        ``model`` and ``label`` (of the composite), ``judge``, ``clip``, ``was`` (what the judge says to the clip),
        ``way``, ``level`` (dB, null: as it is), ``snr`` (of the change, dB), ``answer`` (to the changed clip).
    """
    settings = settings or CompositionSettings()
    rows = study.store.results(study.key, CROSSING, _crossing(settings, levels))
    keys = {composite.key for composite in read_composites(study, settings)}
    if rows.is_empty():
        return rows
    rows = rows.with_columns(key=pl.col("unit").str.split("/").list.get(2)).filter(pl.col("key").is_in(list(keys)))
    return rows.drop("key").unique(
        ["model", "label", "judge", "clip", "way", "level"], keep="last", maintain_order=True
    )


def flip_table(
    study: Reopened, settings: CompositionSettings | None = None, levels: Sequence[float | None] = LEVELS
) -> pl.DataFrame:
    """How often a composite of one label turns clips of another into it, with Wilson's 95 % interval.

    Returns
    -------
    polars.DataFrame
        ``source`` (the composite's model), ``judge``, ``label`` (of the composite), ``was``, ``way``, ``level``,
        ``snr`` (median, dB), ``clips``, ``flips`` (clips now answered with ``label``), ``rate``, ``low``, ``high``.
    """
    rows = read_crossings(study, settings, levels)
    if rows.is_empty():
        return rows
    table = (
        _name(study, rows)
        .group_by("model", "judge", "label", "was", "way", "level", maintain_order=True)
        .agg(
            snr=pl.col("snr").median(), clips=pl.len(), flips=(pl.col("answer") == pl.col("label")).sum(),
        )
    )  # fmt: skip
    low, high = wilson(table["flips"].to_numpy(), table["clips"].to_numpy())
    table = table.with_columns(
        rate=pl.col("flips") / pl.col("clips"), low=pl.Series(low), high=pl.Series(high)
    ).rename({"model": "source"})  # fmt: skip
    return table.sort("source", "label", "judge", "was", "way", "level", nulls_last=False)


def level_table(flips: pl.DataFrame) -> pl.DataFrame:
    """The rates of :func:`flip_table` with a column a level, in dB; ``as is`` is the composite without a gain."""
    if flips.is_empty():
        return flips
    levels = flips["level"].unique().sort(nulls_last=False).to_list()
    names = ["as is" if level is None else f"{level:g} dB" for level in levels]
    wide = flips.with_columns(
        column=pl.col("level").replace_strict(levels, names, return_dtype=pl.String, default="as is")
    ).pivot("column", index=["source", "judge", "label", "was", "way", "clips"], values="rate", sort_columns=False)
    return wide.select("source", "judge", "label", "was", "way", "clips", *[n for n in names if n in wide.columns])


def _units(study: Reopened, settings: CompositionSettings) -> Iterator[Unit]:
    specs = study.specs
    subsets = study.subsets(settings.kind)
    for (model, label), part in subsets.group_by("model", "label", maintain_order=True):
        others = subsets.filter((pl.col("model") == model) & (pl.col("label") != label))
        work = _compose(study, settings, int(str(model)), str(label), part, others)
        yield Unit(f"{model}/{label}/{part.height}/{others.height}", work, f"class {label}", specs[model])


def _compose(
    study: Reopened, settings: CompositionSettings, model: int, label: str, part: pl.DataFrame, others: pl.DataFrame
) -> Callable[[], tuple[Rows, NDArray[np.float32] | None]]:
    def work() -> tuple[Rows, NDArray[np.float32] | None]:
        classifier, greedy = study.classifiers()[model], settings.greedy
        target, rng = study.labels.index(label), np.random.default_rng(greedy.seed)
        signals, masks = read_signals(study, part)
        stack = fit_lengths(signals, settings.lengths)
        found = find_largest(_ask(classifier, stack), len(stack), target, greedy)
        composite = mean_of(stack, found.members[None])[0]
        samples = stack.shape[1]
        chosen = np.flatnonzero(found.members).tolist()
        said = answer(classifier, np.stack([composite, np.zeros_like(composite)]))
        bins = None
        if not any(mask is None for mask in masks):
            bins = join_masks([masks[i] for i in chosen], [len(signals[i]) for i in chosen], samples)  # type: ignore[misc]
        foreign = [fit(signal, samples) for signal in read_signals(study, _draw(others, len(stack), rng))[0]]
        nulls = {"other": np.stack(foreign) if foreign else stack[:0], "noise": make_noise(stack, rng)}
        row = {
            "model": model, "label": label, "kind": settings.kind, "signals": len(stack),
            "empty": int((np.abs(stack).max(axis=1) < SILENCE).sum()), "samples": samples,
            "size": found.size, "degree": found.degree, "certificate": found.certificate, "bound": found.bound,
            "questions": found.questions, "confidence": float(np.exp(said[0, target])) if chosen else None,
            "silence": bool(said[1].argmax() == target), "other_signals": len(nulls["other"]),
            "subsets": json.dumps([part["subset"][i] for i in chosen]),
            "runs": json.dumps(None if bins is None else to_runs(bins)),
        }  # fmt: skip
        for name, null in nulls.items():
            row |= _null(name, null, found, classifier, target, settings, rng)
        return [row], composite if chosen else None

    return work


def _null(
    name: str, signals: Signal, found: Largest, classifier: Classifier, target: int, settings: CompositionSettings,
    rng: np.random.Generator,
) -> dict[str, Any]:  # fmt: skip
    """The degree that other signals reach for the label, and the share of random composites that have it."""
    if not len(signals):
        return {f"{name}_degree": None, f"{name}_certificate": None, f"{name}_rate": None}
    reached = find_largest(_ask(classifier, signals), len(signals), target, settings.greedy)
    size = min(max(found.size, 1), len(signals))
    members = np.zeros((settings.draws, len(signals)), dtype=bool)
    for row in members:
        row[rng.choice(len(signals), size, replace=False)] = True
    same = _ask(classifier, signals)(members).argmax(axis=1) == target
    return {
        f"{name}_degree": reached.degree, f"{name}_certificate": reached.certificate,
        f"{name}_rate": float(same.mean()),
    }  # fmt: skip


def read_signals(study: Reopened, subsets: pl.DataFrame) -> tuple[list[Signal], list[Mask | None]]:
    """The signals of stored sets, in their order, and the rFFT bins they keep; every clip is read once."""
    signals: dict[int, Signal] = {}
    masks: dict[int, Mask | None] = {}
    for (clip,), part in subsets.group_by("clip", maintain_order=True):
        spectrum = study.spectrum(int(str(clip)))
        kept = np.stack([study.store.mask(subset) for subset in part["subset"]])
        for subset, mask, signal in zip(part["subset"], kept, spectrum.invert(kept).numpy(), strict=True):
            signals[subset] = signal
            masks[subset] = None if spectrum.domain.kind == "stft" else spectrum.to_bins(mask)
    order = subsets["subset"].to_list()
    return [signals[subset] for subset in order], [masks[subset] for subset in order]


def answer(classifier: Classifier, signals: Signal) -> NDArray[np.float32]:
    """What a classifier says to signals, float32 [M, N] → natural logarithms of probabilities, float32 [M, K]."""
    device = classifier.model.device
    size = classifier.batches.room(signals.shape[1])
    with torch.inference_mode():
        parts = [
            classifier.log_probabilities(torch.from_numpy(signals[i : i + size]).to(device)).float().cpu().numpy()
            for i in range(0, len(signals), size)
        ]
    return np.concatenate(parts)


def _ask(classifier: Classifier, signals: Signal) -> Ask:
    def ask(sets: Mask) -> NDArray[np.float32]:
        size = classifier.batches.room(signals.shape[1])
        parts = [answer(classifier, mean_of(signals, sets[i : i + size])) for i in range(0, len(sets), size)]
        return np.concatenate(parts)

    return ask


def _draw(subsets: pl.DataFrame, count: int, rng: np.random.Generator) -> pl.DataFrame:
    """So many of the sets at random, or all if there are fewer."""
    return subsets[np.sort(rng.permutation(subsets.height)[:count])]


def _crossing(settings: CompositionSettings, levels: Sequence[float | None]) -> dict[str, Any]:
    return {**asdict(settings), "levels": list(levels)}


def _crossing_units(study: Reopened, settings: CompositionSettings, levels: Sequence[float | None]) -> Iterator[Unit]:
    specs = study.specs
    said = originals(study)
    for composite in read_composites(study, settings):
        for judge, spec in specs.items():
            clips = said.filter((pl.col("model") == judge) & (pl.col("answer") != composite.label))
            name = f"{composite.model}/{composite.label}/{composite.key}/{judge}/{clips.height}"
            about = f"composite of {composite.label}, {specs[composite.model]}"
            yield Unit(name, _cross(study, composite, judge, clips, levels, settings.greedy.seed), about, spec)


def _cross(
    study: Reopened, composite: Composite, judge: int, clips: pl.DataFrame, levels: Sequence[float | None], seed: int
) -> Callable[[], tuple[Rows, None]]:
    def work() -> tuple[Rows, None]:
        classifier = study.classifiers()[judge]
        rows: list[dict[str, Any]] = []
        for clip, was in clips.select("clip", "answer").iter_rows():
            samples = study.read(clip).samples
            rng = np.random.default_rng([seed, clip])
            changes = list(_change(samples, composite, levels, rng))
            if not changes:
                continue
            said = answer(classifier, np.stack([changed for _, _, changed in changes])).argmax(axis=1)
            rows += [
                {
                    "model": composite.model, "label": composite.label, "judge": judge, "clip": clip, "was": was,
                    "way": way, "level": level, "snr": signal_to_noise(samples, changed),
                    "answer": study.labels[int(top)],
                }
                for (way, level, changed), top in zip(changes, said, strict=True)
            ]  # fmt: skip
        return rows, None

    return work


def _change(
    samples: Signal, composite: Composite, levels: Sequence[float | None], rng: np.random.Generator
) -> Iterator[tuple[str, float | None, Signal]]:
    """A clip changed in every way at every level; a silent composite has no level but its own."""
    length = len(samples)
    noise = rng.standard_normal(length).astype(np.float32)
    bins = None if composite.bins is None else join_masks([composite.bins], [len(composite.signal)], length)
    silent = np.abs(fit(composite.signal, length)).max() < SILENCE
    for level in levels if not silent else [level for level in levels if level is None]:
        signal = scale(composite.signal, samples, level)
        yield "overlay", level, overlay(samples, signal)
        if bins is not None:
            yield "replace", level, replace_bins(samples, signal, bins)
        if not silent:
            power = np.sqrt((signal.astype(np.float64) ** 2).mean() / (noise.astype(np.float64) ** 2).mean())
            yield "noise", level, overlay(samples, (noise * power).astype(np.float32))


def originals(study: Reopened) -> pl.DataFrame:
    """What every model says to every clip: ``clip``, ``model`` (ids), ``answer``."""
    raw = study.store.list_originals(study.key)
    logs = study.store.logs(raw, len(study.labels))
    return raw.select("clip", "model", answer=top_labels(logs, study.labels))


def _name(study: Reopened, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with the models' specs for their ids."""
    names = study.specs
    columns = [column for column in ("model", "judge") if column in rows.columns]
    return rows.with_columns(pl.col(columns).replace_strict(names, return_dtype=pl.String))
