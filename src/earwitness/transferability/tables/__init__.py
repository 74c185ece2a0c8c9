"""Every table of a study, each a function of the answers and of how to compute it; :data:`TABLES` lists them.

*Conventions.* A rate is the mean over signals; ``*_low`` and ``*_high`` bound its 95 % interval from resampling
clips (:mod:`earwitness.transferability.statistics`), ``wilson_*`` Wilson's with the clips as trials, which also says
something where all or none accept. ``convincing`` and ``convinced`` are means of rates over the other models. Null
means that there is nothing to compute it from. Rows of a model with itself are left out, unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ...errors import ConfigError
from ...plugins import Registry
from ...search.settings import JUDGED
from ..answers import Answers, short_names
from ..options import Options
from .chance import chance, silence
from .evidence import (
    matrix_shared_evidence,
    shared_correlations,
    shared_evidence,
    shared_flat_earthers,
    transfer_curves,
)
from .grid import Table, without_nan
from .models import agreement, matrix, models, sets
from .pairs import asymmetry, complete_against_sufficient, correlations, flat_earthers, overlap
from .rates import classes, curves, datasets, draws, partial_credit, transfer, transferable, vacuous
from .reliability import reliability
from .survival import survival


def make_tables(
    answers: Answers, options: Options | None = None, names: Sequence[str] | None = None
) -> dict[str, pl.DataFrame]:
    """The tables by name; all of :data:`TABLES` unless some are named.

    Models go by short names (:func:`earwitness.transferability.answers.short_names`); the table ``models`` has their
    specs.

    Raises
    ------
    ConfigError
        No such table; or clusters are groups and the recordings have none.
    """
    options = options or Options()
    for name in names or ():
        if name not in TABLES:
            raise ConfigError(f"table {name!r}: use one of {', '.join(TABLES)}")
    if options.cluster == "group" and (answers.originals["group"] == "").any():
        raise ConfigError("cluster 'group': not all recordings belong to one; use clip")
    if not options.vacuous:
        answers = answers.without_vacuous()
    specs = answers.models["model"]
    answers = answers.rename_models(dict(zip(specs, short_names(specs.to_list()), strict=True)))
    tables = {name: TABLES[name](answers, options) for name in names or TABLES}
    if "models" in tables:
        tables["models"] = tables["models"].with_columns(spec=specs)
    return {name: without_nan(table) for name, table in tables.items()}


#: every table, in the order in which they are shown
TABLES: Registry[Table] = Registry(
    "earwitness.tables",
    {
        "models": models,
        "sets": sets,
        **{f"matrix_{kind}": matrix(kind) for kind in JUDGED},
        "agreement": agreement,
        "transfer": transfer,
        "transferable": transferable,
        "curves": curves,
        "classes": classes,
        "datasets": datasets,
        "draws": draws,
        "chance": chance,
        "silence": silence,
        "vacuous": vacuous,
        "survival": survival,
        "partial_credit": partial_credit,
        "flat_earthers": flat_earthers,
        "asymmetry": asymmetry,
        "overlap": overlap,
        "correlations": correlations,
        "complete_against_sufficient": complete_against_sufficient,
        "reliability": reliability,
        "transfer_curves": transfer_curves,
        "shared_evidence": shared_evidence,
        "matrix_shared_evidence": matrix_shared_evidence,
        "shared_flat_earthers": shared_flat_earthers,
        "shared_correlations": shared_correlations,
    },
)
