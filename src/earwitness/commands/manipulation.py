"""``earwitness manipulate``."""

from __future__ import annotations

from ..analyses.settings import ManipulationSettings
from .options import Asking, StoreArgument
from .output import show, write_tables
from .work import open_analysis


def manipulate(path: StoreArgument, settings: ManipulationSettings, output: Asking) -> None:
    """The smallest changes that flip an answer, whether they transfer, and how robust each model is.

    For audits of one's own models. With --out, every flip is written as WAV and FLAC, and asked again from both, and
    a figure shows the robustness curve.
    """
    from ..report.plots.manipulation import plot_robustness
    from ..report.plots.style import write_figure
    from ..study.stages.manipulation import flip_answers, write_signals
    from ..study.stages.manipulation_tables import flip_table, manipulation_tables

    with open_analysis(path, output) as (study, reporter):
        done = flip_answers(study, settings, reporter)
        tables = manipulation_tables(study, settings)
        if output.out is not None:
            verified = write_signals(study, settings, output.out / "flips", reporter)
            write_tables({"flips": flip_table(study, settings), "verified": verified}, output.out)
            if settings.snrs and settings.counts and "robustness" in tables:
                write_figure(plot_robustness(tables["robustness"]), output.out, "robustness")
            if not verified.is_empty():
                reporter.say(f"{verified['verified'].sum()} of {verified.height} flips verified from their files")
    show(done, tables, output)
