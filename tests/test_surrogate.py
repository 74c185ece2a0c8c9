"""What is foretold of sets not asked yet, on answers that are known by construction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from earwitness.search.candidates import spread
from earwitness.search.questions import Complete, Property, Sufficient, Target
from earwitness.search.surrogate import Surrogate
from earwitness.signal.masks import Mask

SIZE = 600
ENERGY = np.full(SIZE, 1 / SIZE)
PEAK = 230
TARGET = Target(label=0, confidence=1.0, delta=1.0)


def singles(variables: NDArray[np.intp]) -> Mask:
    return np.asarray(np.arange(SIZE) == variables[:, None])


def nearness(masks: Mask) -> NDArray[np.float64]:
    """Slack that falls with the distance of the one kept variable from the peak."""
    return np.asarray(-np.abs(masks.argmax(axis=1) - PEAK) / 100, dtype=np.float64)


def least(mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(mean.min(axis=0))


def learn(surrogate: Surrogate, masks: Mask, *slack: NDArray[np.float64]) -> None:
    """Let each part of a property know how far sets are from it.

    Where all is wanted of a clip that is certain of its label, sufficient sets' slack is the logarithm of the label's
    probability, where no other label comes near; necessary ones' that by which another label leads.
    """
    for part, values, other in zip(surrogate.parts, slack, (-50.0, 0.0), strict=False):
        part.masks(masks)
        label = values if other < 0 else -values
        part.slack(np.stack([label, np.full(len(masks), other)], axis=1).astype(np.float32))


class Watch:
    """Worth that remembers the first means and deviations it was given."""

    def __init__(self) -> None:
        self.seen: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []

    def __call__(self, mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> NDArray[np.float64]:
        self.seen.append((mean, deviation))
        return least(mean, deviation)


@given(st.integers(0, 1000))
def test_what_promises_most_is_near_the_best_answers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    surrogate = Surrogate(Sufficient(TARGET), ENERGY)
    asked = singles(np.arange(5, SIZE, 25))
    learn(surrogate, asked, nearness(asked))
    drawn = singles(rng.permutation(SIZE)[:200])
    best = np.sort(np.abs(drawn.argmax(axis=1) - PEAK))
    chosen, _ = surrogate.choose(drawn, 3, least)
    assert np.abs(chosen.argmax(axis=1) - PEAK).max() <= best[2] + 60


@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 40), st.sampled_from([Sufficient, Complete]))
def test_choices_are_different_candidates(
    seed: int, count: int, drawn: int, property_: Callable[[Target], Property]
) -> None:
    rng = np.random.default_rng(seed)
    surrogate = Surrogate(property_(TARGET), rng.random(SIZE))
    learn(surrogate, rng.random((30, SIZE)) < 0.1, *rng.normal(size=(len(surrogate.parts), 30)))
    candidates = rng.random((drawn, SIZE)) < 0.1
    chosen, first = surrogate.choose(candidates, count, least)
    assert len(chosen) == first.size == min(count, drawn)
    assert len({mask.tobytes() for mask in chosen}) == len(chosen)
    assert {mask.tobytes() for mask in chosen} <= {mask.tobytes() for mask in candidates}
    assert set(first) <= set(range(len(surrogate.parts)))


def test_what_a_set_leaves_counts_only_where_it_decides() -> None:
    """Whole bands kept but for one variable look alike; what they leave does not."""
    edges = np.ones((2, SIZE), dtype=bool)
    edges[0, 100] = edges[1, 500] = False
    watch = Watch()
    slack = np.array([-3.0, -1.0])
    for property_ in (Sufficient(TARGET), Complete(TARGET)):
        surrogate = Surrogate(property_, ENERGY)
        learn(surrogate, edges, *([slack] * len(surrogate.parts)))
        surrogate.choose(edges.repeat(2, axis=0), 1, watch)
    alike, different = (float(np.ptp(mean[0])) for mean, _ in (watch.seen[0], watch.seen[-1]))
    assert different > 1.5
    assert alike < different


def test_each_candidate_is_asked_first_what_it_likely_lacks() -> None:
    """Sets around one place are not sufficient, those around another not necessary."""
    here, there = singles(np.arange(100, 140)), singles(np.arange(400, 440))
    surrogate = Surrogate(Complete(TARGET), ENERGY)
    low, high = np.full(20, -4.0), np.full(20, -0.1)
    learn(surrogate, np.concatenate([here[::2], there[::2]]), np.r_[low, high], np.r_[high, low])
    for around, part in ((here, 0), (there, 1)):
        _, first = surrogate.choose(around[1::2], 5, least)
        assert (first == part).all()


def test_old_answers_are_forgotten_but_not_the_first() -> None:
    surrogate = Surrogate(Sufficient(TARGET), ENERGY)
    for start in range(0, 600, 20):
        masks = singles(np.arange(start, start + 20))
        learn(surrogate, masks, nearness(masks))
    candidates = singles(np.array([10, 590, 200]))
    watch = Watch()
    surrogate.choose(candidates, 2, watch)
    deviation = watch.seen[0][1][0]
    assert deviation[:2].max() < deviation[2]  # first and latest are known better than the middle


def test_near_misses_are_given_once_the_nearest_first() -> None:
    surrogate = Surrogate(Sufficient(TARGET), ENERGY)
    masks = np.arange(SIZE) < np.array([2, 5, 3, 4])[:, None]
    learn(surrogate, masks, np.array([-0.5, -0.1, -0.2, 0.0]))
    for expected, nearest in ((3, -0.2), (2, -0.5)):
        found = surrogate.take_nearest(4, SIZE)
        assert found is not None
        mask, slack = found
        assert mask.sum() == expected
        assert slack == pytest.approx(nearest, abs=1e-4)
    assert surrogate.take_nearest(4, SIZE) is None


@given(st.permutations(range(60)), st.integers(1, 20), st.integers(0, 10))
def test_spread_variables_lie_apart(order: list[int], count: int, distance: int) -> None:
    chosen = spread(np.array(order), count, distance)
    assert chosen[0] == order[0]
    assert chosen.size <= count
    assert all(abs(a - b) > distance for i, a in enumerate(chosen) for b in chosen[:i])
    if chosen.size < count:  # nothing else was left
        assert all(min(abs(chosen - variable)) <= distance for variable in order)
