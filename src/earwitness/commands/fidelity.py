"""``earwitness fidelity``."""

from __future__ import annotations

from ..analyses.settings import FidelitySettings
from .options import Analysis, StoreArgument
from .output import show, write_tables
from .work import open_analysis


def fidelity(path: StoreArgument, settings: FidelitySettings, output: Analysis) -> None:
    """Transcripts, Levenshtein ratio, STOI, ESTOI and SI-SDR of the signals against the originals.

    With --out, the transcripts are written too.
    """
    from ..analyses.fidelity import open_recogniser
    from ..study.stages.fidelity import fidelity_table, measure_fidelity, transcript_table

    spec, name, kinds = settings.recogniser, settings.name, settings.kinds
    with open_analysis(path, output) as (study, reporter):
        listener = open_recogniser(spec, output.device, settings.language or None) if spec else None
        done = measure_fidelity(study, listener, name, kinds, reporter, settings.limit, settings.seed)
        tables = {"fidelity": fidelity_table(study, name, kinds)}
        if output.out is not None and spec:
            write_tables({"transcripts": transcript_table(study, name, kinds)}, output.out)
    show(done, tables, output)
