"""The deeper analyses, each done as far as the store lacks it and put into tables: what a command prints and a notebook
gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .stages.units import Done

if TYPE_CHECKING:
    import polars as pl

    from ..analyses.settings import CompositionSettings, FidelitySettings, ManipulationSettings
    from .progress import Reporter
    from .reopen import Reopened


@dataclass(frozen=True, eq=False)
class Analysed:
    """What an analysis did and found.

    Attributes
    ----------
    done : Done
        What of it was done now.
    summary : dict of str to polars.DataFrame
        The tables to read.
    lists : dict of str to polars.DataFrame
        What they summarise, row by row.
    """

    done: Done
    summary: dict[str, pl.DataFrame]
    lists: dict[str, pl.DataFrame] = field(default_factory=dict)

    @property
    def tables(self) -> dict[str, pl.DataFrame]:
        """All of them, by name."""
        return {**self.summary, **self.lists}


def spectral(study: Reopened, window: int, reporter: Reporter | None = None) -> Analysed:
    """Spectral entropy, power spectral density and band energies of the signals.

    Parameters
    ----------
    study : Reopened
        From a store open for writing, as in all that follow.
    window : int
        Samples a segment of Welch's density.
    reporter : Reporter, optional
    """
    from .stages.spectral import density_table, measure_spectra, spectral_tables

    done = measure_spectra(study, window, reporter)
    return Analysed(done, spectral_tables(study, window), {"power spectral density": density_table(study, window)})


def compose(
    study: Reopened, settings: CompositionSettings, levels: Sequence[float | None], reporter: Reporter | None = None
) -> Analysed:
    """The largest sets of a class's signals whose mean is still that class, and whether they turn other clips into it
    at ``levels`` (see :func:`earwitness.study.stages.composition.cross`)."""
    from .stages.composition import cross, degree_table, flip_table, level_table, make_composites

    done = make_composites(study, settings, reporter) + cross(study, settings, levels, reporter)
    flips = flip_table(study, settings, levels)
    tables = {"composition": degree_table(study, settings), "flips by level": level_table(flips)}
    return Analysed(done, tables, {"flips": flips})


def fidelity(
    study: Reopened, settings: FidelitySettings, device: str = "auto", reporter: Reporter | None = None
) -> Analysed:
    """Transcripts and intelligibility of the signals; the recogniser computes on ``device``."""
    from ..analyses.fidelity import open_recogniser
    from .stages.fidelity import fidelity_table, measure_fidelity, transcript_table

    spec, name, kinds = settings.recogniser, settings.name, settings.kinds
    listener = open_recogniser(spec, device, settings.language or None) if spec else None
    done = measure_fidelity(study, listener, name, kinds, reporter, settings.limit, settings.seed)
    lists = {"transcripts": transcript_table(study, name, kinds)} if spec else {}
    return Analysed(done, {"fidelity": fidelity_table(study, name, kinds)}, lists)


def manipulate(study: Reopened, settings: ManipulationSettings, reporter: Reporter | None = None) -> Analysed:
    """The smallest changes that flip an answer, and whether they transfer."""
    from .stages.manipulation import flip_answers
    from .stages.manipulation_tables import flip_table, manipulation_tables

    done = flip_answers(study, settings, reporter)
    return Analysed(done, manipulation_tables(study, settings), {"flips": flip_table(study, settings)})
