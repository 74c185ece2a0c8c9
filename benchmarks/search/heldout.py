"""Some of the ablation again, on clips that are not among the benchmark's: settings may have been tuned to those."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from .ablation import BUDGETS, Panel, _seek
from .bench import Settings, Store, Subjects, Task, bench_code, search_code
from .variants import SUFFICIENT, list_variants

#: recordings further on in the list than the ablation's; the benchmark's lie at every 15th
OFFSET = 7
#: variants of the search for sufficient sets
NAMES = (
    "", "single bins: only the first eight are asked", "no climbing", "climbs take no change for the worse",
    "singles.FIRST = 4", "singles.FIRST = 16", "singles.POOL = 750", "singles.BOLDNESS = 0.75", "evolution.ROUND = 6",
    "evolution.DRAWN = 3",
)  # fmt: skip


def list_heldout(settings: Settings, subjects: Subjects, store: Store) -> Iterator[Task]:
    """The variants, as in the ablation."""
    panel, code = Panel(settings.models, OFFSET), f"{search_code()}+{bench_code('ablation', 'variants', 'heldout')}"
    variants = {variant.name: variant for variant in list_variants(SUFFICIENT)}
    budget = BUDGETS[SUFFICIENT][0]
    for name in NAMES:
        yield Task(f"{SUFFICIENT}/{budget}/{name}", code, partial(_seek, panel, SUFFICIENT, variants[name], budget))
