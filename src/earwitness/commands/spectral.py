"""``earwitness spectral``."""

from __future__ import annotations

from typing import Annotated

import typer

from ..search.settings import KINDS
from .options import Analysis, StoreArgument
from .output import show
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
    from ..study.analyse import spectral as do_spectral
    from ..study.stages.spectral import COMPOSITE, ORIGINAL, named_spectra

    shown = (ORIGINAL, *KINDS, COMPOSITE)
    with open_analysis(path, output) as (study, reporter):
        found = do_spectral(study, window, reporter)
        densities = found.lists["power spectral density"]
        if output.out is not None and not densities.is_empty():
            write_figure(plot_densities(densities, shown), output.out, "densities")
            write_figure(plot_entropies(named_spectra(study, window), shown), output.out, "entropies")
    show(found, output)
