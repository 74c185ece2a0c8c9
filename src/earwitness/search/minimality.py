"""Make a set smaller until nothing can be dropped from it, and certify that.

The set is cut into chunks. Each chunk is dropped alone, all in one batch. Dropping several of those that passed
may fail (sufficiency is not monotone), so ever larger unions of them, those with the most slack first, are asked
in a second batch and the largest that passes is taken. When no chunk can be dropped, chunks are halved, down to
single variables. The last batch, in which no single variable could be dropped, is the certificate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..signal.masks import Mask
from .questions import TOLERANCE, Certificate, Found, Property, Search, ask


@dataclass
class Best:
    """The smallest set seen to have the property so far; survives the end of the budget."""

    mask: Mask | None = None
    certificate: Certificate = field(default_factory=Certificate)

    @property
    def kept(self) -> int | None:
        """How many variables it keeps; ``None`` where there is no set."""
        return None if self.mask is None else int(np.count_nonzero(self.mask))

    def offer(self, mask: Mask, certificate: Certificate | None = None) -> bool:
        """Take the set if it is smaller, or certified at the same size; whether it was taken."""
        certificate = certificate or Certificate()
        if (old := self.kept) is not None:
            new = int(np.count_nonzero(mask))
            if new > old or (new == old and certificate.kind == "none"):
                return False
        self.mask, self.certificate = mask, certificate
        return True

    def found(self, why: str = "") -> Found:
        """As the result of a search."""
        return Found(self.mask, self.certificate, why)


def shrink(property_: Property, mask: Mask, order: NDArray[np.intp], best: Best, chunks: int = 8) -> Search[Mask]:
    """Drop what can be dropped from a set that has the property.

    Parameters
    ----------
    property_ : Property
    mask : bool [size]
        A set that has the property.
    order : int [size]
        All variables, the most important first; chunks are cut from the kept ones in this order.
    best : Best
        Gets each smaller set, and the certificate.
    chunks : int
        The first number of chunks.

    Returns
    -------
    bool [size]
        The set from which nothing can be dropped alone.
    """
    best.offer(mask)
    while mask.any():
        kept = order[mask[order]]
        chunks = min(chunks, kept.size)
        parts = np.array_split(kept, chunks)
        candidates = without(mask, parts)
        slack = yield from ask(property_, candidates)
        passing = np.flatnonzero(slack >= TOLERANCE)
        if passing.size:
            mask = yield from _drop(property_, mask, [parts[i] for i in passing], slack[passing])
            best.offer(mask)
            continue
        certain = bool((slack < -TOLERANCE).all())
        if chunks == kept.size:
            if certain:
                best.offer(mask, Certificate("one_minimal", chunks, tuple(parts)))
            return mask
        if certain:
            best.offer(mask, Certificate("group_minimal", chunks, tuple(parts)))
        chunks *= 2
    best.offer(mask, Certificate("one_minimal", 0))
    return mask


def shrink_into(best: Best, property_: Property, mask: Mask, order: NDArray[np.intp], chunks: int = 8) -> Search[None]:
    """Shrink a set by itself; what came of it is offered even if the budget ends meanwhile."""
    own = Best()
    try:
        yield from shrink(property_, mask, order, own, chunks)
    finally:
        if own.mask is not None:
            best.offer(own.mask, own.certificate)


def smallest(candidates: Mask, slack: NDArray[np.float64]) -> Mask | None:
    """The smallest of the candidates (bool [M, size]) that have the property, the first of equals."""
    passing = np.flatnonzero(slack >= TOLERANCE)
    if not passing.size:
        return None
    return np.asarray(candidates[passing[np.argmin(np.count_nonzero(candidates[passing], axis=1))]])


def extend(mask: Mask, parts: Iterable[NDArray[np.intp]]) -> Mask:
    """The set with each part added alone, bool [parts, size]."""
    return _edit(mask, parts, True)


def without(mask: Mask, parts: Iterable[NDArray[np.intp]]) -> Mask:
    """The set without each part alone, bool [parts, size]."""
    return _edit(mask, parts, False)


def _edit(mask: Mask, parts: Iterable[NDArray[np.intp]], kept: bool) -> Mask:
    parts = list(parts)
    candidates = np.repeat(mask[None], len(parts), axis=0)
    for row, part in enumerate(parts):
        candidates[row, part] = kept
    return candidates


def _drop(property_: Property, mask: Mask, parts: list[NDArray[np.intp]], slack: NDArray[np.float64]) -> Search[Mask]:
    """Drop the largest tried union of parts that can each be dropped alone, those with most slack first."""
    ranked = [parts[i] for i in np.argsort(-slack, kind="stable")]
    counts = sorted({max(1, round(len(ranked) * share)) for share in (1, 7 / 8, 3 / 4, 1 / 2, 1 / 4, 1 / 8)})
    unions = [np.concatenate(ranked[:count]) for count in counts if count > 1]
    if unions:
        candidates = without(mask, unions)
        passing = np.flatnonzero((yield from ask(property_, candidates)) >= TOLERANCE)
        if passing.size:
            return np.asarray(candidates[passing[-1]])
    return np.asarray(without(mask, ranked[:1])[0])
