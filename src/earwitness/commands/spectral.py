"""``earwitness spectral``."""

from __future__ import annotations

from typing import Annotated

import typer

from ..search.settings import KINDS
from .options import Analysis, StoreArgument
from .output import show, write_tables
from .work import open_analysis


def spectral(
    path: StoreArgument,
    output: Analysis,
    window: Annotated[int, typer.Option(min=8, help="Samples a segment of Welch's density.")] = 1024,
) -> None:
    """Spectral entropy, power spectral density and band energies of the signals, and how classes differ in them.

    With --out, the densities are written too, and figures of densities and entropies.
    """
    from ..report.plots.spectral import plot_densities, plot_entropies
    from ..report.plots.style import write_figure
    from ..study.stages.spectral import (
        COMPOSITE,
        ORIGINAL,
        density_table,
        measure_spectra,
        named_spectra,
        spectral_tables,
    )

    shown = (ORIGINAL, *KINDS, COMPOSITE)
    with open_analysis(path, output) as (study, reporter):
        done = measure_spectra(study, window, reporter)
        tables = spectral_tables(study, window)
        if output.out is not None:
            densities = density_table(study, window)
            write_tables({"power spectral density": densities}, output.out)
            if not densities.is_empty():
                write_figure(plot_densities(densities, shown), output.out, "densities")
                write_figure(plot_entropies(named_spectra(study, window), shown), output.out, "entropies")
    show(done, tables, output)
