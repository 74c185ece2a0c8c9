"""Nested sets of one clip: how a model's answer returns as more and more of the clip is kept, in a given order.

A point (one set, accepted or not) hangs on luck; a curve does not. The sets of a curve hold 1, 2, 5, ... per cent of
the clip's energy, each the next one's part. In whose order they grow says what is compared:

``map``
    a model's map (responsibility), from the highest down, ties by energy;
``profile``
    that order with each variable replaced by one of like energy: sets as large *and* as loud as the map's;
``energy``
    the loudest first, whatever any model says;
``random``
    any order: sets as loud, mostly of many weak variables. The same for all models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..search.candidates import prefixes
from ..search.responsibility import rank_by
from ..signal.draws import Rng, make_rng
from ..signal.masks import Mask
from .chance import NEAR
from .settings import CurveSettings

Energies = NDArray[np.float64]
Order = NDArray[np.intp]
Log = NDArray[np.float32]

#: the kinds of order, as stored; the first two are a model's, the others no model's
ORDERS = ("map", "profile", "energy", "random")
#: what names a curve: the kind of its order, whose it is (empty: no model's), and the running number of the draw
Curve = tuple[str, str, int]


def energy_order(energies: Energies) -> Order:
    """The loudest first: float64 [F] → intp [F]."""
    return rank_by(np.zeros_like(energies), energies)


def profile_order(order: Order, energies: Energies, rng: Rng) -> Order:
    """The order with each variable replaced by one of like energy, no two by the same: intp [F] → intp [F].

    Twice :data:`earwitness.analyses.chance.NEAR` neighbours by energy, cut off at random, stand in a ring in random
    order, and each is replaced by the next: none by itself. So each prefix has as many variables as the order's and
    about as much energy; what it has in common with it is left to chance, and to the clip: nothing else may be as loud.
    """
    ranked, width = energy_order(energies), 2 * NEAR
    ring = (np.arange(ranked.size) + rng.integers(width)) // width
    shuffled = ranked[np.lexsort((rng.random(ranked.size), ring))]
    following = np.arange(1, ranked.size + 1)
    starts = np.flatnonzero(np.diff(ring, prepend=-1))
    following[np.append(starts[1:], ranked.size) - 1] = starts
    other = np.empty_like(ranked)
    other[shuffled] = shuffled[following]
    return other[order]


def prefix_sizes(order: Order, energies: Energies, levels: Sequence[float]) -> NDArray[np.intp]:
    """How many variables of an order reach each share of the whole energy, the fewest: intp [levels].

    A level of 1 is the clip itself, with the variables that hold nothing.
    """
    total = np.cumsum(energies[order])
    wanted = np.asarray(levels, dtype=np.float64)
    sizes = np.searchsorted(total, wanted * total[-1]) + 1
    return np.asarray(np.where(wanted >= 1, order.size, np.minimum(sizes, order.size)), dtype=np.intp)


def draw_curves(
    maps: Mapping[str, ArrayLike], energies: Energies, settings: CurveSettings, *facts: object,
    known: Set[Curve] = frozenset(),
) -> Iterator[tuple[Curve, Mask]]:  # fmt: skip
    """The curves of one clip and the sets of each.

    Parameters
    ----------
    maps : mapping of str to float [F]
        By what tells models apart, e.g. their fingerprints.
    energies : float64 [F]
        Not negative, some of them more.
    settings : CurveSettings
    facts : object
        What the draws depend on, e.g. the clip's hash: random orders on these alone, profiles on the map's model too.
    known : set of (order, source, draw)
        Left out: they are there already. More draws or models change none.

    Yields
    ------
    (order, source, draw), bool [levels, F]
    """
    levels = settings.levels

    def sets(curve: Curve) -> Mask:
        kind, source, _ = curve
        if kind == "random":
            order = make_rng(*facts, settings.seed, *curve).permutation(energies.size)
            return prefixes(order, prefix_sizes(order, energies, levels), order.size)
        order = rank_by(np.asarray(maps[source], dtype=np.float64), energies) if source else energy_order(energies)
        sizes = prefix_sizes(order, energies, levels)  # a profile's are its model's
        if kind == "profile":
            order = profile_order(order, energies, make_rng(*facts, settings.seed, *curve))
        return prefixes(order, sizes, order.size)

    wanted: list[Curve] = [("map", source, 0) for source in maps]
    wanted += [("profile", source, draw) for source in maps for draw in range(settings.profiles)]
    wanted += [("energy", "", 0), *(("random", "", draw) for draw in range(settings.draws))]
    yield from ((curve, sets(curve)) for curve in wanted if curve not in known)


@dataclass(frozen=True)
class CurveRow:
    """What a judge says to one set of a curve.

    Attributes
    ----------
    order : str
        One of :data:`ORDERS`.
    source : str
        Whose map it is; empty for ``energy`` and ``random``.
    draw : int
    level : float
        The share of the clip's energy that the set was to reach.
    size : int
        Variables kept.
    energy : float
        The share reached.
    accepted : bool
        Whether the judge says what it says to the clip.
    probability : float
        Of that label.
    """

    order: str
    source: str
    draw: int
    level: float
    size: int
    energy: float
    accepted: bool
    probability: float


def ask_curves(
    maps: Mapping[str, ArrayLike], energies: Energies, ask: Callable[[Mask], Log], settings: CurveSettings,
    *facts: object, known: Set[Curve] = frozenset(), label: int | None = None,
) -> list[CurveRow]:  # fmt: skip
    """What one judge says to the curves of one clip: whether they bring back its own answer to the clip.

    Parameters
    ----------
    maps, energies, settings, facts, known
        See :func:`draw_curves`.
    ask : callable
        Bool [M, F] → float32 [M, n] log-probabilities of the judge. Each distinct set is asked once.
    label : int, optional
        Index of the answer that is to come back; default: the judge's own to the clip.

    Returns
    -------
    list of CurveRow
        By curve and level.
    """
    curves = list(draw_curves(maps, energies, settings, *facts, known=known))
    if not curves:
        return []
    whole = np.ones((1, energies.size), dtype=bool)
    packed = np.packbits(np.concatenate([whole, *(masks for _, masks in curves)]), axis=1)
    distinct, first = np.unique(packed, axis=0, return_inverse=True)
    answers = ask(np.unpackbits(distinct, axis=1, count=energies.size).astype(bool))[first.reshape(-1)]
    label = int(answers[0].argmax()) if label is None else label
    accepted, sure = answers.argmax(axis=1) == label, np.exp(answers[:, label].astype(np.float64))
    rows, row = [], 0
    for curve, masks in curves:
        for level, mask in zip(settings.levels, masks, strict=True):
            row += 1
            energy = float(energies[mask].sum())
            rows.append(CurveRow(*curve, level, int(mask.sum()), energy, bool(accepted[row]), float(sure[row])))
    return rows
