"""Evidence: what survives harmless changes, what convinces beyond chance, and how much of it models share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from ...search.settings import FOUND, ROBUST
from ...study.answers import load_answers
from ...study.store import Store
from ...transferability.options import Options
from ...transferability.tables import make_tables
from ..data import StudyData
from ..rates import clip_sums, difference_with_interval
from .blocks import Block, Curves, Estimates, Section, Table

#: the tables it is made of
TABLES = ("survival", "transfer_curves", "shared_evidence", "matrix_shared_evidence", "shared_flat_earthers")
#: random signals by what they have in common with the set
CHANCES = {"null_profile": "same size and energy", "null_energy": "same energy"}


def evidence(store: Store, data: StudyData) -> Section | None:
    """Survival, transfer beyond chance, curves and shared evidence, as far as the study asked for them."""
    answers = load_answers(store, data.key)
    if answers.survival.is_empty() and answers.nested.is_empty():
        return None
    made = make_tables(answers, Options(epsilon=data.epsilon), TABLES)
    blocks: list[Block] = [*_survival(data, made["survival"]), *_beyond_chance(data), *_curves(data, made)]
    intro = "A set may suffice by accident: only as it is, for this model, in this recording. Evidence that means"
    intro += " something survives changes that leave the sound what it is, convinces other models more often than"
    intro += " random sounds as large and as loud do, and is worth to them what their own is."
    return Section("evidence", "Evidence", intro, blocks)


def _survival(data: StudyData, table: pl.DataFrame) -> Iterator[Block]:
    if table.is_empty():
        return
    rows = tuple(
        (f"{row['source']}, {_words(row['kind'])}", row["survival"], row["survival_low"], row["survival_high"])
        for kind in (*ROBUST, *FOUND) for row in table.filter(kind=kind).iter_rows(named=True)
    )  # fmt: skip
    note = f"Views: {', '.join(data.views)}, composed, {data.drawn} drawn afresh for each set. A set holds in a view if"
    note += f" its signal has the label there, with {data.settings.delta:g} of the confidence that the recording has"
    note += " there. Intervals: bootstrap over clips, 95 %."
    yield Estimates("What survives", rows, "share of harmless changes in which a set holds", note=note)
    found = table.filter(pl.col("kind").is_in(ROBUST))
    if len(found):
        shown = found.select("kind", "source", "signals", "sought", "found").with_columns(
            kind=pl.col("kind").str.replace("_", " ")
        )
        yield Table.of("Robust sets found", shown, "Where none was found, the clip’s page says why.")


def _beyond_chance(data: StudyData) -> Iterator[Block]:
    """α less that of random signals, on the same resampled clips."""
    rows = []
    for kind in () if data.alone else (*ROBUST, *FOUND):
        for null, words in CHANCES.items():
            name = null if kind == "sufficient" else f"{null}_of_{kind}"
            if kind in data.signals and name in data.signals:
                sums = (clip_sums(data.signals[one], len(data.clips)) for one in (kind, name))
                value, low, high = difference_with_interval(next(sums), next(sums))
                rows.append((f"{_words(kind)}, beside random of the {words}", value, low, high))
    known = tuple(row for row in rows if np.isfinite(row[1]))
    if known:
        yield Estimates(
            "Convincing beyond chance", known, "difference of mean α over pairs of different models", reference=0.0,
            note="Sets that are not there have no random signals either: compare kinds with care where few were found.",
        )  # fmt: skip


def _curves(data: StudyData, made: dict[str, pl.DataFrame]) -> Iterator[Block]:
    curves, shared = made["transfer_curves"], made["shared_evidence"]
    if curves.is_empty():
        return
    yield _mean_curves(curves)
    if data.alone:
        return
    defined = shared.filter(pl.col("shared").is_not_null())
    if len(defined):
        rows = tuple(
            (f"{row['source']} → {row['judge']}", row["shared"], row["shared_low"], row["shared_high"])
            for row in defined.iter_rows(named=True)
        )  # fmt: skip
        yield Estimates(
            "Shared evidence", rows, "share of what the judge’s own map brings it", reference=0.0,
            note="1: the judge (right) finds the evidence of the source (left) as good as its own; 0: no better than"
            " other variables, as many and as loud. Not shown where the judge’s own map is no better than those.",
        )  # fmt: skip
    matrix = made["matrix_shared_evidence"]
    yield Table.of("Shared evidence from each model (row) to each judge", matrix)
    yield Table.of("Gain and shared evidence of each pair", shared.drop("random", "energy", "agreement", "why"))
    if len(data.models) > 2:
        yield Table.of("Who shares no evidence with the others", made["shared_flat_earthers"])


def _mean_curves(curves: pl.DataFrame) -> Curves:
    """Mean curves over judges: along their own map, the others', and what these are to be read against."""
    own = (pl.col("order") == "map") & (pl.col("source") == pl.col("judge"))
    kinds = {
        "own map": own, "another model’s map": (pl.col("order") == "map") & ~own,
        "other variables, as many and as loud": pl.col("order") == "profile",
        "the loudest first": pl.col("order") == "energy", "at random": pl.col("order") == "random",
    }  # fmt: skip
    lines = []
    for name, which in kinds.items():
        mean = curves.filter(which).group_by("level").agg(pl.col("probability").mean()).sort("level")
        if len(mean):
            lines.append((name, tuple(mean["level"].to_list()), tuple(mean["probability"].to_list())))
    return Curves(
        "How the answer returns", "share of the recording’s energy that is kept", "probability of the judge’s answer",
        tuple(lines), "Means over judges, sources and clips. Of two sets of one energy, the one of fewer, louder"
        " variables is the harder.",
    )  # fmt: skip


def _words(kind: str) -> str:
    return kind.replace("one_complete", "one-complete").replace("_", " ")
