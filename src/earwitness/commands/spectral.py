"""``earwitness spectral``."""

from __future__ import annotations

from typing import Annotated

import typer

from ..report.plots.spectral import plot_densities, plot_entropies, save
from ..search.settings import KINDS
from ..study.stages.spectral import COMPOSITE, ORIGINAL, density_table, measure_spectra, named_spectra, spectral_tables
from .common import DeviceOption, FormatOption, OutOption, QuietOption, StoreArgument, open_analysis, show, write_tables

#: kinds in the figures, in this order
SHOWN = (ORIGINAL, *KINDS, COMPOSITE)


def spectral(
    path: StoreArgument,
    window: Annotated[int, typer.Option(min=8, help="Samples a segment of Welch's density.")] = 1024,
    out: OutOption = None,
    style: FormatOption = "md",
    device: DeviceOption = "auto",
    quiet: QuietOption = False,
) -> None:
    """Spectral entropy, power spectral density and band energies of the signals, and how classes differ in them.

    With --out, the densities are written too, and figures of densities and entropies.
    """
    with open_analysis(path, out, device, quiet) as (study, reporter):
        done = measure_spectra(study, window, reporter)
        tables = spectral_tables(study, window)
        if out is not None:
            densities = density_table(study, window)
            write_tables({"power spectral density": densities}, out)
            if not densities.is_empty():
                save(plot_densities(densities, SHOWN), out, "densities")
                save(plot_entropies(named_spectra(study, window), SHOWN), out, "entropies")
    show(done, tables, style, out)
