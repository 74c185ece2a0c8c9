"""``earwitness compose``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from ..analyses.settings import LEVELS, CompositionSettings, GreedySettings
from ..report.plots.spectral import plot_flips, save
from ..signal import audio
from ..signal.masks import to_runs
from ..study.reopen import Reopened
from ..study.stages.composition import cross, degree_table, flip_table, level_table, make_composites, read_composites
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


def compose(
    path: StoreArgument,
    kind: Annotated[str, typer.Option(help="Of the signals: sufficient, complete, one_complete or inverse.")] = (
        "sufficient"
    ),
    lengths: Annotated[str, typer.Option(help="Unequal signals: pad to the longest, or crop to the shortest.")] = "pad",
    level: Annotated[
        list[float] | None, typer.Option(help="dB of a composite's power relative to a clip's; repeat for several.")
    ] = None,
    exact: Annotated[int, typer.Option(help="Up to so many signals, every set is tried where needed.")] = 12,
    restarts: Annotated[int, typer.Option(help="Random orders in which signals are added.")] = 8,
    budget: Annotated[int, typer.Option(help="Questions a composite.")] = 4000,
    draws: Annotated[int, typer.Option(help="Null composites a class and sort.")] = 200,
    seed: SeedOption = 0,
    out: OutOption = None,
    style: FormatOption = "md",
    device: DeviceOption = "auto",
    quiet: QuietOption = False,
) -> None:
    """The largest sets of a class's signals whose mean is still that class, and whether they turn other clips into it.

    With --out, the composites are written as 32-bit float WAV, composites.json says what they are made of, and
    flips.csv has the flips with their intervals and signal-to-noise ratios, and a figure shows them.
    """
    settings = CompositionSettings(kind, lengths, draws, GreedySettings(exact, restarts, budget, seed))
    levels = (None, *level) if level else LEVELS
    with open_analysis(path, out, device, quiet) as (study, reporter):
        done = make_composites(study, settings, reporter) + cross(study, settings, levels, reporter)
        flips = flip_table(study, settings, levels)
        tables = {"composition": degree_table(study, settings), "flips by level": level_table(flips)}
        if out is not None:
            write_tables({"flips": flips}, out)
            _write(study, settings, out)
            if not flips.is_empty():
                save(plot_flips(flips), out, "flips")
    show(done, tables, style, out)


def _write(study: Reopened, settings: CompositionSettings, out: Path) -> None:
    specs, listed = dict(study.models.select("model", "spec").iter_rows()), []
    for composite in read_composites(study, settings):
        # labels are any text: only plain characters reach the name of a file
        name = f"{composite.model}-{re.sub(r'[^A-Za-z0-9]+', '-', composite.label)}-{composite.key}.wav"
        audio.write(out / name, composite.signal, study.sample_rate)
        runs = None if composite.bins is None else [list(run) for run in to_runs(composite.bins)]
        listed.append({
            "file": name, "model": specs[composite.model], "label": composite.label, "kind": composite.kind,
            "subsets": list(composite.subsets), "runs": runs,
        })  # fmt: skip
    (out / "composites.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
