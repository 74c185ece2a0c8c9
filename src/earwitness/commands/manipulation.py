"""``earwitness manipulate``."""

from __future__ import annotations

from typing import Annotated

import typer

from ..analyses.settings import ManipulationSettings
from ..errors import ConfigError
from ..report.plots.manipulation import plot_robustness
from ..report.plots.spectral import save
from ..study.stages.manipulation import flip_answers, write_signals
from ..study.stages.manipulation_tables import flip_table, manipulation_tables
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


def manipulate(
    path: StoreArgument,
    actions: Annotated[str, typer.Option(help="Some of remove,scale,shift.")] = "remove,scale,shift",
    counts: Annotated[str, typer.Option(help="Variables that may change within bounds, e.g. 1,5,25.")] = "1,5,25",
    snr: Annotated[str, typer.Option(help="Bounds on the signal-to-noise ratio in dB; empty: none.")] = "20,30,40",
    masking: Annotated[bool, typer.Option("--masking", help="Also seek flips below the masking threshold.")] = False,
    gain: Annotated[float, typer.Option(help="The most a variable is scaled up or down, in dB.")] = 40.0,
    target: Annotated[str, typer.Option(help="The label wanted; empty: any other.")] = "",
    base: Annotated[str, typer.Option(help="What is changed: clip or sufficient.")] = "clip",
    domain: Annotated[str, typer.Option(help="Whose variables are changed; empty: the study's.")] = "",
    black_box: Annotated[bool, typer.Option("--black-box", help="Use no gradients.")] = False,
    budget: Annotated[int, typer.Option(help="Questions a search.")] = 300,
    seed: SeedOption = 0,
    out: OutOption = None,
    style: FormatOption = "md",
    device: DeviceOption = "auto",
    quiet: QuietOption = False,
) -> None:
    """The smallest changes that flip an answer, whether they transfer, and how robust each model is.

    For audits of one's own models. With --out, every flip is written as WAV and FLAC, and asked again from both, and
    a figure shows the robustness curve.
    """
    settings = ManipulationSettings(
        tuple(part.strip() for part in actions.split(",") if part.strip()), _whole(counts), _real(snr), masking, gain,
        target, base, domain, not black_box, budget, seed,
    )  # fmt: skip
    with open_analysis(path, out, device, quiet) as (study, reporter):
        done = flip_answers(study, settings, reporter)
        tables = manipulation_tables(study, settings)
        if out is not None:
            verified = write_signals(study, settings, out / "flips", reporter)
            write_tables({"flips": flip_table(study, settings), "verified": verified}, out)
            if settings.snrs and settings.counts and "robustness" in tables:
                save(plot_robustness(tables["robustness"]), out, "robustness")
            if not verified.is_empty():
                reporter.say(f"{verified['verified'].sum()} of {verified.height} flips verified from their files")
    show(done, tables, style, out)


def _real(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise ConfigError(f"snr {text!r}: not a list of numbers; write e.g. 20,30,40") from None


def _whole(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise ConfigError(f"counts {text!r}: not a list of whole numbers; write e.g. 1,5,25") from None
