"""Composites: the largest set of a model's signals of one class whose mean is still that class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from ...analyses.settings import LEVELS, CompositionSettings, GreedySettings
from ...signal.masks import to_runs
from ...study.reopen import Reopened, reopen
from ...study.stages.composition import (
    ANALYSIS,
    CROSSING,
    Composite,
    degree_table,
    flip_table,
    level_table,
    read_composites,
    read_compositions,
)
from ...study.store import Store
from ..data import StudyData
from .blocks import Block, Curves, Estimates, Section, Signal, Sounds, Table


def composition(store: Store, data: StudyData) -> Section | None:
    """Degrees of compositionality with their nulls, and how often composites flip clips of other labels."""
    options = store.last_options(data.key, ANALYSIS)
    if options is None:
        return None
    study, settings = reopen(store), _settings(options)
    degrees = degree_table(study, settings)
    if degrees.is_empty():
        return None
    rows = tuple(
        (f"{row['model']}, {row['label']}", row["degree"], row["low"], row["high"])
        for row in degrees.iter_rows(named=True) if row["degree"] is not None
    )  # fmt: skip
    blocks: list[Block] = [
        Estimates("Degree of compositionality", rows, "share of the signals in the composite", note="Wilson, 95 %."),
        *hear_composites(study, settings, data),
        Table.of("Composites and their nulls", degrees),
    ]
    crossing = store.last_options(data.key, CROSSING)
    if crossing is not None:
        levels = tuple(crossing.get("levels", LEVELS))
        flips = flip_table(study, _settings(crossing), levels)
        if not flips.is_empty():
            blocks += [
                flip_curves(flips),
                Table.of("Flips across labels", level_table(flips)),
                Table.of("In full", flips),
            ]
    intro = "A model’s sufficient signals of one class are laid over each other. The degree is the share of them in the"
    intro += (
        " largest set whose mean is still of that class. Composites are then laid over, or put in place of the same"
    )
    intro += " bins of, clips of another class: how often does the answer flip?"
    return Section("composition", "Composition", intro, blocks)


def _settings(options: Mapping[str, Any]) -> CompositionSettings:
    names = ("kind", "lengths", "draws")
    return CompositionSettings(
        **{name: options[name] for name in names if name in options}, greedy=GreedySettings(**options.get("greedy", {}))
    )


def hear_composites(study: Reopened, settings: CompositionSettings, data: StudyData) -> list[Sounds]:
    """The composites as sounds; none where no class has one."""
    place = {model.id: row for row, model in enumerate(data.models)}
    rows = {(row["model"], row["label"]): row for row in read_compositions(study, settings).iter_rows(named=True)}
    signals = tuple(
        _signal(composite, place[composite.model], rows[composite.model, composite.label], study.sample_rate)
        for composite in read_composites(study, settings) if composite.model in place
    )  # fmt: skip
    note = "Each is the mean of the signals in it; its spectrum is shown over 72 dB, on the mel scale."
    return [Sounds("Hear the composites", signals, study.sample_rate, note)] if signals else []


def _signal(composite: Composite, model: int, row: Mapping[str, Any], sample_rate: int) -> Signal:
    facts = f"{row['size']} of {row['signals']} signals, confidence {row['confidence']:.2f}"
    hertz = None
    if composite.bins is not None:
        step = sample_rate / len(composite.signal)
        hertz = tuple((start * step, (stop - 1) * step) for start, stop in to_runs(composite.bins))
    return Signal(model, composite.label, facts, composite.signal, hertz)


def flip_curves(flips: pl.DataFrame) -> Curves:
    """The mean rate of flips over the composite's level, by way and whether the judge is the composite's model."""
    known = flips.filter(pl.col("level").is_not_null())
    own = pl.when(pl.col("source") == pl.col("judge")).then(pl.lit("its own model")).otherwise(pl.lit("other models"))
    means = known.with_columns(whose=own).group_by("way", "whose", "level", maintain_order=True).agg(
        rate=pl.col("flips").sum() / pl.col("clips").sum()
    ).sort("way", "whose", "level")  # fmt: skip
    curves = tuple(
        (f"{way}, {whose}", tuple(part["level"].to_list()), tuple(part["rate"].to_list()))
        for (way, whose), part in means.group_by("way", "whose", maintain_order=True)
    )
    return Curves(
        "Flips over the composite’s level", "level relative to the clip (dB)", "share of clips flipped", curves
    )
