"""``earwitness fidelity``."""

from __future__ import annotations

from typing import Annotated

import typer

from ..analyses.fidelity import open_recogniser
from ..study.stages.fidelity import DEFAULT_KINDS, fidelity_table, measure_fidelity, transcript_table
from .common import (
    DeviceOption,
    FormatOption,
    OutOption,
    QuietOption,
    SeedOption,
    StoreArgument,
    open_analysis,
    show,
    write_tables,
)


def fidelity(
    path: StoreArgument,
    recogniser: Annotated[
        str, typer.Option(help="faster-whisper:DIR, transformers:DIR or python:MODULE:ATTR; without: no transcripts.")
    ] = "",
    language: Annotated[str, typer.Option(help="Of the speech; empty: let the recogniser guess.")] = "en",
    kind: Annotated[list[str] | None, typer.Option(help="Of the signals; repeat for several.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many clips of each label, at random.")] = None,
    seed: SeedOption = 0,
    out: OutOption = None,
    style: FormatOption = "md",
    device: DeviceOption = "auto",
    quiet: QuietOption = False,
) -> None:
    """Transcripts, Levenshtein ratio, STOI, ESTOI and SI-SDR of the signals against the originals.

    With --out, the transcripts are written too.
    """
    kinds = tuple(kind) if kind else DEFAULT_KINDS
    name = f"{recogniser} ({language or 'any language'})" if recogniser else ""
    with open_analysis(path, out, device, quiet) as (study, reporter):
        listener = open_recogniser(recogniser, device, language or None) if recogniser else None
        done = measure_fidelity(study, listener, name, kinds, reporter, limit, seed)
        tables = {"fidelity": fidelity_table(study, name, kinds)}
        if out is not None and recogniser:
            write_tables({"transcripts": transcript_table(study, name, kinds)}, out)
    show(done, tables, style, out)
