"""Whether other recordings would say the same of who convinces whom."""

from __future__ import annotations

import math

from ...study.answers import load_answers
from ...study.store import Store
from ...transferability.options import Options
from ...transferability.tables import make_tables
from ...transferability.tables.reliability import RHO
from ..data import StudyData
from .blocks import Estimates, Section, Table

NAMES = {
    ("alpha", ""): "α", ("excess", "null_energy"): "α beyond random of the same energy",
    ("excess", "null_profile"): "α beyond random of the same size and energy",
    ("gain", ""): "gain of nested sets", ("shared", ""): "shared evidence",
}  # fmt: skip
#: kinds of set whose excess is shown; the table has it of all
SHOWN = ("sufficient", "robust")
COLUMNS = ("ranked by", "halves", "as many others", f"recordings for {RHO:g}")


def reliability(store: Store, data: StudyData) -> Section | None:
    """How alike halves of the recordings rank the pairs of models, and how many recordings it would take."""
    if data.alone:
        return None
    answers = load_answers(store, data.key)
    made = make_tables(answers, Options(epsilon=data.epsilon), ["reliability"])["reliability"]
    found = [
        row for row in made.iter_rows(named=True)
        if row["halves"] is not None and (row["what"] != "excess" or row["kind"] in SHOWN)
    ]  # fmt: skip
    if not found:
        return None
    dots, rows = [], []
    for row in found:
        name = NAMES[row["what"], row["null"]] + (f", {row['kind'].replace('_', ' ')}" if row["kind"] else "")
        dots.append((name, row["halves"], row["least"], row["most"]))
        wanted = None if row["wanted"] is None else math.ceil(row["wanted"])
        rows.append((name, row["halves"], row["whole"], wanted))
    intro = "The recordings are split in half at random, again and again, and each half ranks the pairs of models: who"
    intro += " convinces whom the most. Where the halves disagree, the order of the pairs is an accident of the"
    intro += " recordings, whatever their mean says."
    note = "Spearman’s ρ over ordered pairs. As many others: to be expected between these recordings and as many new"
    note += f" ones of the same kind. Recordings for {RHO:g}: that many agree so well with as many others; not told"
    note += " where some halves do not agree at all. Both by"
    note += " Spearman and Brown’s formula, which is about right for ranks."
    return Section("reliability", "Reliability", intro, [
        Estimates(
            "Agreement of halves", tuple(dots), "ρ between two halves of the recordings", reference=0.0,
            note="The line is what 95 % of the splits lie between, no interval for other recordings.",
        ),
        Table("What other recordings would say", COLUMNS, tuple(rows), note),
    ])  # fmt: skip
