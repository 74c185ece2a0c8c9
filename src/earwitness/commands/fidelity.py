"""``earwitness fidelity``."""

from __future__ import annotations

from ..analyses.settings import FidelitySettings
from .options import Analysis, StoreArgument
from .output import show
from .work import open_analysis


def fidelity(path: StoreArgument, settings: FidelitySettings, output: Analysis) -> None:
    """Transcripts, Levenshtein ratio, STOI, ESTOI and SI-SDR of the signals against the originals.

    With --out, the transcripts are written too.
    """
    from ..study.analyse import fidelity as do_fidelity

    with open_analysis(path, output) as (study, reporter):
        found = do_fidelity(study, settings, output.device, reporter)
    show(found, output)
