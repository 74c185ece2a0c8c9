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
    from ..study.analyse import manipulate as do_manipulate
    from ..study.stages.manipulation import write_signals

    with open_analysis(path, output) as (study, reporter):
        found = do_manipulate(study, settings, reporter)
        if output.out is not None:
            verified = write_signals(study, settings, output.out / "flips", reporter)
            write_tables({"verified": verified}, output.out)
            if settings.snrs and settings.counts and "robustness" in found.summary:
                write_figure(plot_robustness(found.summary["robustness"]), output.out, "robustness")
            if not verified.is_empty():
                reporter.say(f"{verified['verified'].sum()} of {verified.height} flips verified from their files")
    show(found, output)
