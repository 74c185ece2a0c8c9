"""Silence, and single variables: often one of them suffices.

One bin of a whole clip's transform is a tone as long as the clip. What a model answers to it changes smoothly with the
tone's frequency and loudness, though in a few of thousands of bins only it may be what is sought. So a few strong ones
that lie apart are asked, and then those that a Gaussian process over place and amplitude finds most promising, until
it finds none that might do.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from ..signal.masks import Mask
from .candidates import NOTHING, Bins, log_scale, spread
from .gaussian import GaussianProcess, Values, choose, hope, rough
from .minimality import Best, extend
from .questions import TOLERANCE, Certificate, Property, Search, ask

FIRST = 8  #: variables asked before anything is known
ROUND = 4  #: variables a round
POOL = 1500  #: the strongest variables, from which they are chosen
APART = 1 / 256  #: of all variables: as far the first lie from each other at least (30 Hz at 16 kHz)
PLACES = (0.003, 0.01, 0.03, 0.1)  #: of the scale of frequencies: over so much answers change, or
LEVELS = (0.5, 2.0, 8.0)  #: over so many nats of amplitude
BOLDNESS = 1.5  #: standard deviations that not knowing is worth
DESPAIR = 2.5  #: standard deviations by which all must be expected to fail


def ask_singles(
    property_: Property, energy: NDArray[np.float64], order: Bins, questions: int
) -> Search[tuple[Bins, Values]]:
    """Ask silence and single variables, until one passes or none promises to.

    Parameters
    ----------
    property_ : Property
    energy : float64 [size]
        Share of the clip's energy in each variable.
    order : int [≤ size]
        The variables that may be asked, the strongest first.
    questions : int
        At most; at least two candidates' worth.

    Returns
    -------
    variables : int [K]
        Those that were asked.
    slack : float64 [1 + K]
        How far silence, and each of them alone, is from the property, in nats.
    """
    pool = order[:POOL]
    place, level = log_scale(energy.size)[pool], 0.5 * np.log(energy[pool] + 1e-24)
    points = np.stack([place, level], axis=1)
    process = GaussianProcess([np.array(lengths) for lengths in itertools.product(PLACES, LEVELS)], rough)
    silence = np.zeros(energy.size, dtype=bool)
    first = spread(pool, min(FIRST, questions - 1), int(APART * energy.size))
    rows, variables = np.flatnonzero(np.isin(pool, first)), first
    slack = yield from ask(property_, extend(silence, [NOTHING, *first[:, None]]))
    answers, todo = slack[1:], np.ones(pool.size, dtype=bool)
    while slack.max() < TOLERANCE and rows.size:
        process.learn(points[rows], answers)
        todo[rows] = False
        count, left = min(ROUND, questions - slack.size), np.flatnonzero(todo)
        if count <= 0 or not left.size:
            break
        foretold = process.predict(points[left])
        if (foretold.mean + DESPAIR * foretold.deviation).max() < 0:
            break
        rows = left[choose([foretold], count, hope(BOLDNESS))]
        answers = yield from ask(property_, extend(silence, pool[rows, None]))
        variables, slack = np.concatenate([variables, pool[rows]]), np.concatenate([slack, answers])
    return variables, slack


def offer_singles(best: Best, variables: Bins, slack: Values, size: int) -> Mask:
    """Silence and each variable alone as sets, bool [1 + K, size]; the first that has the property is offered.

    Parameters
    ----------
    best : Best
    variables, slack
        What :func:`ask_singles` returned.
    size : int
        The number of variables of a mask.
    """
    masks = extend(np.zeros(size, dtype=bool), [NOTHING, *variables[:, None]])
    passing = np.flatnonzero(slack >= TOLERANCE)
    if passing.size:
        # silence was asked as well: a single variable that passes without it is minimal
        certain, mask = passing[0] == 0 or slack[0] < -TOLERANCE, masks[passing[0]]
        parts = tuple(np.flatnonzero(mask)[:, None])
        best.offer(mask, Certificate("one_minimal", len(parts), parts) if certain else None)
    return masks
