"""``earwitness spectral``."""

from __future__ import annotations

from typing import Annotated

import typer

from ..study.analyses.spectral import density_table, measure_spectra, spectral_tables
from .common import (
    DeviceOption,
    FormatOption,
    OutOption,
    QuietOption,
    StoreArgument,
    check_style,
    make_writable,
    open_analysis,
    show,
    write_tables,
)


def spectral(
    path: StoreArgument,
    window: Annotated[int, typer.Option(min=8, help="Samples a segment of Welch's density.")] = 1024,
    out: OutOption = None,
    style: FormatOption = "md",
    device: DeviceOption = "auto",
    quiet: QuietOption = False,
) -> None:
    """Spectral entropy, power spectral density and band energies of the signals, and how classes differ in them."""
    check_style(style)
    if out is not None:
        make_writable(out)
    with open_analysis(path, device, quiet) as (study, reporter):
        done = measure_spectra(study, window, reporter)
        tables = spectral_tables(study, window)
        if out is not None:
            write_tables({"power spectral density": density_table(study, window)}, out)
    show(done, tables, style, out)
