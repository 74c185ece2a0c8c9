"""What is left of the speech: transcripts, intelligibility, distortion."""

from __future__ import annotations

import polars as pl

from ...study.reopen import reopen
from ...study.stages.fidelity import ANALYSIS, fidelity_table, transcript_table
from ...study.store import Store
from ..data import StudyData
from .blocks import Block, Estimates, Section, Table


def fidelity(store: Store, data: StudyData) -> Section | None:
    """Means with intervals by measure, and the transcripts side by side."""
    options = store.last_options(data.key, ANALYSIS)
    if options is None:
        return None
    study = reopen(store)
    table = fidelity_table(study, options["recogniser"], options["kinds"])
    if table.is_empty():
        return None
    blocks: list[Block] = []
    for (measure,), part in table.filter(pl.col("label") == "all").group_by("measure", maintain_order=True):
        rows = tuple(
            (f"{row['model']}, {row['kind'].replace('_', '-')}", row["mean"], row["low"], row["high"])
            for row in part.iter_rows(named=True) if row["mean"] is not None
        )  # fmt: skip
        if rows:
            blocks.append(Estimates(str(measure).replace("_", "-"), rows, str(measure).replace("_", "-")))
    blocks.append(Table.of("Every measure", table))
    texts = transcript_table(study, options["recogniser"], options["kinds"])
    if not texts.is_empty():
        blocks.append(Table.of("Transcripts", texts))
    recogniser = options["recogniser"] or "none"
    intro = (
        "Each signal beside the recording it was made from. Character, word and indel: similarity of the transcripts,"
    )
    intro += (
        f" 1 where they are the same (recogniser: {recogniser}). STOI and extended STOI: intelligibility. SI-SDR: dB."
    )
    return Section("fidelity", "Fidelity", intro, blocks)
