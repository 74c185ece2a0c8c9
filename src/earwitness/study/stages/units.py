"""The deeper analyses of a study: one file each, from the store through pure functions back to the store.

An analysis lists its units of work; :func:`do_units` does those that the store lacks, commits each when it is done,
and notes one that fails, with its reason, as a failed row. Failed units are tried again the next time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...errors import EarwitnessError, StoreError
from ..progress import Quiet, Reporter
from ..reopen import Reopened

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Unit:
    """A unit of work.

    Attributes
    ----------
    name : str
        Its own within the analysis; it must name everything the unit depends on that can grow in the store.
    work : callable
        Gives its rows (flat records of JSON scalars), and float32 values that belong to them or ``None``.
    clip, model : str
        What it is about, for the list of failures; ``clip`` defaults to the name.
    """

    name: str
    work: Callable[[], tuple[Rows, NDArray[np.float32] | None]]
    clip: str = ""
    model: str = ""


@dataclass(frozen=True)
class Done:
    """What an analysis did.

    Attributes
    ----------
    units : int
        Done now.
    failures : tuple of str
        What failed now, and why.
    """

    units: int = 0
    failures: tuple[str, ...] = field(default=())

    def __add__(self, other: Done) -> Done:
        return Done(self.units + other.units, self.failures + other.failures)


def unit_of_sets(part: pl.DataFrame) -> str:
    """The name of a unit about one model's sets of one clip (some of :meth:`Reopened.subsets`): another where the sets
    are others, since a study that grows, or searches again, has more of them or others."""
    sets = part.sort("kind", "draw").select("kind", "draw", "size", "energy").rows()
    return f"{part['clip'][0]}/{part['model'][0]}/{blake2b(repr(sets).encode(), digest_size=6).hexdigest()}"


def of_sets_there(rows: pl.DataFrame, subsets: pl.DataFrame) -> pl.DataFrame:
    """Results but for those about sets that are no longer there: what is not named after a model, and what is named as
    :func:`unit_of_sets` names units today."""
    today = {unit_of_sets(part) for _, part in subsets.group_by("clip", "model", maintain_order=True)}
    return rows.filter(~pl.col("unit").str.contains("/") | pl.col("unit").is_in(list(today)))


def do_units(
    study: Reopened,
    analysis: str,
    options: Mapping[str, Any],
    units: Sequence[Unit],
    reporter: Reporter | None = None,
) -> Done:
    """Do the units that the store lacks, each in a transaction of its own.

    Parameters
    ----------
    study : Reopened
        From a store open for writing.
    analysis : str
        Its name in the store.
    options : mapping
        All that decides its result, apart from the study.
    units : sequence of Unit
    reporter : Reporter, optional

    Raises
    ------
    StoreError
        The store cannot be written; what was committed before stays.
    """
    store, reporter = study.store, reporter or Quiet()
    done = store.done_units(study.key, analysis, options)
    todo = [unit for unit in units if unit.name not in done]
    store.forget_failures(study.key, [(analysis, unit.clip or unit.name, unit.model) for unit in units])
    if todo:
        reporter.stage(analysis, len(todo))
    count, failures = 0, []
    for unit in todo:
        try:
            rows, array = unit.work()
            store.add_results(study.key, analysis, options, unit.name, rows, array)
            count += 1
        except StoreError:
            raise
        except Exception as error:
            reason = str(error) if isinstance(error, EarwitnessError) else repr(error)
            store.add_failure(study.key, analysis, unit.clip or unit.name, unit.model, reason)
            failures.append(f"{analysis} {unit.clip or unit.name} {unit.model}: {reason}")
        reporter.advance()
    return Done(count, tuple(failures))
