"""``earwitness compose``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..analyses.settings import LEVELS, CompositionSettings
from .options import Asking, StoreArgument
from .output import show
from .work import open_analysis

if TYPE_CHECKING:
    from ..study.reopen import Reopened


def compose(
    path: StoreArgument,
    settings: CompositionSettings,
    output: Asking,
    level: Annotated[
        list[float] | None, typer.Option(help="dB of a composite's power relative to a clip's; repeat for several.")
    ] = None,
) -> None:
    """The largest sets of a class's signals whose mean is still that class, and whether they turn other clips into it.

    With --out, the composites are written as 32-bit float WAV, composites.json says what they are made of, and
    flips.csv has the flips with their intervals and signal-to-noise ratios, and a figure shows them.
    """
    from ..report.plots.spectral import plot_flips
    from ..report.plots.style import write_figure
    from ..study.analyse import compose as do_compose

    with open_analysis(path, output) as (study, reporter):
        found = do_compose(study, settings, (None, *level) if level else LEVELS, reporter)
        if output.out is not None:
            _write(study, settings, output.out)
            if not found.lists["flips"].is_empty():
                write_figure(plot_flips(found.lists["flips"]), output.out, "flips")
    show(found, output)


def _write(study: Reopened, settings: CompositionSettings, out: Path) -> None:
    from ..signal import audio
    from ..signal.masks import to_runs
    from ..study.stages.composition import read_composites

    listed = []
    for composite in read_composites(study, settings):
        # labels are any text: only plain characters reach the name of a file
        name = f"{composite.model}-{re.sub(r'[^A-Za-z0-9]+', '-', composite.label)}-{composite.key}.wav"
        audio.write(out / name, composite.signal, study.sample_rate)
        runs = None if composite.bins is None else [list(run) for run in to_runs(composite.bins)]
        listed.append({
            "file": name, "model": study.specs[composite.model], "label": composite.label, "kind": composite.kind,
            "subsets": list(composite.subsets), "runs": runs,
        })  # fmt: skip
    (out / "composites.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
