"""How much two models' sets of one clip have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..search.settings import JUDGED
from ..signal.masks import Mask
from .statistics.rates import Real, ratio


def compare_sets(
    sets: Sequence[tuple[int, Any, str]], masks: Sequence[Mask], energies: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """Overlap of the sets of different models on one clip.

    Parameters
    ----------
    sets : sequence of (id, model, kind)
        Sets of the kinds :data:`earwitness.search.settings.JUDGED` are compared with others of their kind.
    masks : sequence of bool [F]
    energies : float64 [F]

    Returns
    -------
    list of dict
        ``subset``, ``other`` (ids), ``jaccard``, ``weighted`` (None where both are empty), each pair once.
    """
    rows = []
    for kind in JUDGED:
        chosen = [i for i, (_, _, own) in enumerate(sets) if own == kind]
        if not chosen:
            continue
        stacked = np.stack([masks[i] for i in chosen])
        plain, weighted = jaccard(stacked), jaccard(stacked, energies)
        for a, first in enumerate(chosen):
            for b, second in enumerate(chosen[:a]):
                if sets[first][1] != sets[second][1]:
                    values = {"jaccard": plain[a, b], "weighted": weighted[a, b]}
                    known = {name: float(value) if np.isfinite(value) else None for name, value in values.items()}
                    rows.append({"subset": sets[second][0], "other": sets[first][0], **known})
    return rows


def jaccard(masks: NDArray[np.bool_], weights: Real | None = None) -> Real:
    """Weight of what two sets share over the weight of what either holds, for all pairs.

    Parameters
    ----------
    masks : bool [M, F]
    weights : float64 [F], optional
        The energy of each variable; by default all count the same.

    Returns
    -------
    float64 [M, M]
        NaN where neither set weighs anything: two empty sets say nothing about what was listened to.
    """
    kept = masks.astype(np.float64)
    shared = (kept if weights is None else kept * weights) @ kept.T
    own = np.diag(shared)
    either = own[:, None] + own[None] - shared
    return ratio(shared, np.where(either > 0, either, 0))
