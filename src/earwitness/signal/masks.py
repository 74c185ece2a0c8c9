"""Masks: which variables of a spectrum are kept; as bits and as runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Runs = tuple[tuple[int, int], ...]


def to_runs(mask: Mask) -> Runs:
    """A mask (bool [size]) as half-open intervals of kept variables.

    Examples
    --------
    >>> to_runs(np.array([False, True, True, False, True]))
    ((1, 3), (4, 5))
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return tuple((int(start), int(stop)) for start, stop in edges.reshape(-1, 2))


def from_runs(runs: Runs, size: int) -> Mask:
    """The mask (bool [size]) of half-open intervals: the inverse of :func:`to_runs`."""
    mask = np.zeros(size, dtype=bool)
    for start, stop in runs:
        mask[start:stop] = True
    return mask
