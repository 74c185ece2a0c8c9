"""Null signals: what a set of the same size, energy or both is accepted for by chance.

Pure functions on masks and energies. ``silence`` is the mask that keeps nothing: with occlusion ``zero`` its signal
is silence, else what stands in for removed content.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from ..signal.draws import Rng, make_rng
from ..signal.masks import Mask

Draw = Callable[[Mask, NDArray[np.float64], Rng], Mask]

#: a set of the same energy may differ from it by this share
TOLERANCE = 0.01
#: a variable of like energy stands so many ranks away at most, in the order by energy
NEAR = 4
#: a set of the same profile may differ in energy from its model by this share; so often one is drawn for it
LIKENESS, TRIES = 0.1, 16


def same_size(mask: Mask, energies: NDArray[np.float64], rng: Rng) -> Mask:
    """As many variables, drawn uniformly without replacement: bool [F] → bool [F]. ``energies`` do not matter."""
    drawn = np.zeros_like(mask)
    drawn[rng.choice(mask.size, int(mask.sum()), replace=False)] = True
    return drawn


def same_energy(mask: Mask, energies: NDArray[np.float64], rng: Rng) -> Mask:
    """Variables in random order, each kept unless the energy of ``mask`` would be exceeded, until it is reached.

    Parameters
    ----------
    mask : bool [F]
    energies : float64 [F]
        Not negative, any unit.
    rng : numpy.random.Generator

    Returns
    -------
    bool [F]
        Its energy exceeds the mask's by no more than :data:`TOLERANCE`, and falls short of it by no more than the
        smallest variable that was passed over. A set of no energy is matched by no variables.
    """
    drawn, wanted = np.zeros_like(mask), float(energies[mask].sum())
    left, gap = rng.permutation(mask.size), wanted * (1 + TOLERANCE)
    enough = wanted * 2 * TOLERANCE
    while gap > enough and left.size:
        left = left[energies[left] <= gap]
        total = np.cumsum(energies[left])
        # as many as fit, but not past the point where the energy is reached
        fits = min(int(np.searchsorted(total, gap, "right")), int(np.searchsorted(total, gap - enough)) + 1)
        if fits == 0:
            break
        drawn[left[:fits]] = True
        gap -= float(total[fits - 1])
        left = left[fits:]
    return drawn


def same_profile(mask: Mask, energies: NDArray[np.float64], rng: Rng) -> Mask:
    """Each variable replaced by another of like energy that the set lacks: bool [F] → bool [F].

    As many variables as the set *and* about as much energy, of the same shape: few loud ones stand for few loud ones,
    where :func:`same_energy` mostly draws hundreds of weak ones.

    Parameters
    ----------
    mask : bool [F]
    energies : float64 [F]
        Not negative, any unit.
    rng : numpy.random.Generator

    Returns
    -------
    bool [F]
        As many variables as the mask, none of them in it; of a mask of more than half of all, those for which there is
        no other stay, drawn at random. Of :data:`TRIES` draws the first whose energy is within :data:`LIKENESS` of the
        mask's, else the nearest: what is left of a clip may have nothing as loud.
    """
    others = np.flatnonzero(~mask)
    others = others[np.argsort(energies[others], kind="stable")]
    wanted, best, least = float(energies[mask].sum()), mask, np.inf
    for _ in range(TRIES):
        replaced = rng.permutation(np.flatnonzero(mask))[: others.size]
        drawn = mask.copy()
        drawn[replaced] = False
        drawn[others[_like(np.sort(energies[replaced]), energies[others], rng)]] = True
        gap = abs(float(energies[drawn].sum()) - wanted)
        if gap < least:
            best, least = drawn, gap
        if least <= wanted * LIKENESS:
            break
    return best


def _like(wanted: NDArray[np.float64], there: NDArray[np.float64], rng: Rng) -> NDArray[np.intp]:
    """A place of its own for each wanted energy, among energies like it: both rising, [n] and [m ≥ n] → intp [n].

    Each is given a place within :data:`NEAR` of its own at random. The nearest distinct rising places to given ones
    are those less 0, 1, 2, ... made rising: an isotonic regression.
    """
    if not wanted.size:
        return np.empty(0, dtype=np.intp)
    steps = np.arange(wanted.size)
    places = np.sort(np.searchsorted(there, wanted) - 0.5 + rng.uniform(-NEAR, NEAR, wanted.size))
    spread = np.clip(np.rint(isotonic_regression(places - steps).x), 0, there.size - wanted.size)
    return np.asarray(spread + steps, dtype=np.intp)


def silence(mask: Mask, energies: NDArray[np.float64], rng: Rng) -> Mask:
    """The mask that keeps nothing: bool [F] → bool [F]."""
    return np.zeros_like(mask)


#: the kinds of null signals, as stored
NULLS: dict[str, Draw] = {
    "null_size": same_size, "null_energy": same_energy, "null_profile": same_profile, "silence": silence,
}  # fmt: skip
#: those that are drawn for each set
DRAWN = tuple(kind for kind in NULLS if kind != "silence")


@dataclass(frozen=True, eq=False)
class Null:
    """A null signal.

    Attributes
    ----------
    kind : str
    draw : int
        Numbers the nulls of a kind within one explanation.
    parent : int
        Index of the set that it is the chance baseline of; silence, the same for all, belongs to the first.
    mask : bool [F]
    """

    kind: str
    draw: int
    parent: int
    mask: Mask


def draw_nulls(
    masks: Sequence[Mask], energies: NDArray[np.float64], count: int, *facts: object,
    known: Set[tuple[str, int]] = frozenset(), quiet: bool = True,
) -> list[Null]:  # fmt: skip
    """The null signals of the sets of one explanation.

    Parameters
    ----------
    masks : sequence of bool [F]
    energies : float64 [F]
    count : int
        Draws a set and kind; 0 draws nothing, silence neither.
    facts : object
        What the draws depend on, e.g. the clip's hash, the model's fingerprint and a seed.
    known : set of (kind, draw)
        Left out: they are there already. A larger count adds draws and changes none.
    quiet : bool
        With silence.
    """
    nulls = []
    for kind, draw_mask in NULLS.items():
        total = count * len(masks) if kind != "silence" else min(count, len(masks), int(quiet))
        for draw in range(total):
            parent = draw % len(masks)
            if (kind, draw) not in known:
                mask = draw_mask(masks[parent], energies, make_rng(*facts, kind, draw))
                nulls.append(Null(kind, draw, parent, mask))
    return nulls
