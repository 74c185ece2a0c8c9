"""Which variables of a clip are worth asking about first."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from ..signal.masks import Mask

Bins = NDArray[np.intp]
NOTHING: Bins = np.empty(0, dtype=np.intp)

ATOMS = 64
COVER = 0.98  #: share of the energy that the atoms hold


def diverse(energy: NDArray[np.float64], order: Bins, strong: int = 48, bands: int = 48) -> Bins:
    """The strongest bins, and the strongest of each of some bands: those that are asked first, int [≤ 96]."""
    edges = np.unique(np.concatenate([[0], np.geomspace(max(4, energy.size / 160), energy.size, bands)]).astype(int))
    rank = np.full(energy.size, energy.size, dtype=np.intp)
    rank[order] = np.arange(order.size)
    tops = [low + int(np.argmin(rank[low:high])) for low, high in itertools.pairwise(edges)]
    chosen = {int(b) for b in order[:strong]} | {b for b in tops if rank[b] < energy.size and energy[b] > 0}
    return np.array(sorted(chosen, key=lambda b: rank[b]), dtype=np.intp)


def make_atoms(energy: NDArray[np.float64], count: int = ATOMS, cover: float = COVER) -> list[Bins]:
    """The strong variables, cut in their own order into at most ``count`` runs of equal amplitude."""
    order = np.argsort(-energy, kind="stable")
    strong = np.sort(order[: int(np.searchsorted(np.cumsum(energy[order]), cover)) + 1])
    amplitude = np.cumsum(np.sqrt(energy[strong]))
    place = np.minimum((amplitude / max(amplitude[-1], 1e-30) * count).astype(np.intp), count - 1)
    return [strong[place == index] for index in np.unique(place)]


def prefixes(order: Bins, lengths: Bins, size: int) -> Mask:
    """The first so many variables of an order (int [≤ size]), bool [len(lengths), size]."""
    rank = np.full(size, size, dtype=np.intp)
    rank[order] = np.arange(order.size)
    return np.asarray(rank[None] < lengths[:, None])


def log_scale(size: int) -> NDArray[np.float64]:
    """Where each variable lies from 0 to 1: about linear in the lowest tenth, logarithmic above, float64 [size]."""
    return np.asarray(np.log1p(11 * np.arange(size) / size) / np.log(12))


def spread(order: Bins, count: int, distance: int) -> Bins:
    """The first ``count`` variables of an order that lie further than ``distance`` from each other, int [≤ count]."""
    chosen: list[int] = []
    for variable in map(int, order):
        if all(abs(variable - other) > distance for other in chosen):
            chosen.append(variable)
            if len(chosen) == count:
                break
    return np.array(chosen, dtype=np.intp)
