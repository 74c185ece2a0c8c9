"""What is foretold of sets not asked yet, on answers that are known by construction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from earwitness.search.candidates import spread
from earwitness.search.questions import Answer, Sufficient, Target
from earwitness.search.surrogate import Remembered, Surrogate
from earwitness.spectrum import Mask

SIZE = 600
ENERGY = np.full(SIZE, 1 / SIZE)
PEAK = 230


def singles(variables: NDArray[np.intp]) -> Mask:
    return np.asarray(np.arange(SIZE) == variables[:, None])


def nearness(masks: Mask) -> NDArray[np.float64]:
    """Slack that falls with the distance of the one kept variable from the peak."""
    return np.asarray(-np.abs(masks.argmax(axis=1) - PEAK) / 100, dtype=np.float64)


def hope(mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> NDArray[np.float64]:
    return mean


class Watch:
    """Worth that remembers the first means and deviations it was given."""

    def __init__(self) -> None:
        self.seen: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []

    def __call__(self, mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> NDArray[np.float64]:
        self.seen.append((mean, deviation))
        return mean


@given(st.integers(0, 1000))
def test_what_promises_most_is_near_the_best_answers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    surrogate = Surrogate(ENERGY)
    asked = singles(np.arange(5, SIZE, 25))
    surrogate.learn(asked, nearness(asked))
    drawn = singles(rng.permutation(SIZE)[:200])
    best = np.sort(np.abs(drawn.argmax(axis=1) - PEAK))
    chosen = surrogate.choose(drawn, 3, hope)
    assert np.abs(drawn[chosen].argmax(axis=1) - PEAK).max() <= best[2] + 60


@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 40), st.booleans())
def test_choices_are_different_candidates(seed: int, count: int, drawn: int, complements: bool) -> None:
    rng = np.random.default_rng(seed)
    surrogate = Surrogate(rng.random(SIZE), complements=complements)
    masks = rng.random((30, SIZE)) < 0.1
    surrogate.learn(masks, rng.normal(size=30))
    candidates = rng.random((drawn, SIZE)) < 0.1
    chosen = surrogate.choose(candidates, count, hope)
    assert chosen.size == min(count, drawn)
    assert np.unique(chosen).size == chosen.size
    assert chosen.max() < drawn


def test_what_a_set_leaves_counts_only_where_it_decides() -> None:
    """Whole bands kept but for one variable look alike; what they leave does not."""
    edges = np.ones((2, SIZE), dtype=bool)
    edges[0, 100] = edges[1, 500] = False
    watch = Watch()
    for complements in (False, True):
        surrogate = Surrogate(ENERGY, complements=complements)
        surrogate.learn(edges, np.array([-1.0, 1.0]))
        surrogate.choose(edges.repeat(2, axis=0), 1, watch)
    alike, different = (float(np.ptp(mean)) for mean, _ in (watch.seen[0], watch.seen[-1]))
    assert different > 1.5
    assert alike < different


def test_old_answers_are_forgotten_but_not_the_first() -> None:
    surrogate = Surrogate(ENERGY)
    for start in range(0, 600, 20):
        masks = singles(np.arange(start, start + 20))
        surrogate.learn(masks, nearness(masks))
    candidates = singles(np.array([10, 590, 200]))
    watch = Watch()
    surrogate.choose(candidates, 2, watch)
    _, deviation = watch.seen[0]
    assert deviation[:2].max() < deviation[2]  # first and latest are known better than the middle


def test_near_misses_are_given_once_the_nearest_first() -> None:
    target = Target(label=0, confidence=1.0, delta=1.0)
    remembered = Remembered(Sufficient(target), Surrogate(ENERGY))
    masks = np.zeros((4, SIZE), dtype=bool)
    for row, count in enumerate((2, 5, 3, 4)):
        masks[row, :count] = True
    probabilities = np.array([0.6, 0.9, 0.8, 1.0])
    remembered.masks(masks)
    answers = np.log(np.stack([probabilities, 1 - probabilities + 1e-9], axis=1)).astype(np.float32)
    assert (remembered.slack(Answer(answers, 0)) >= 0).tolist() == [False, False, False, True]
    for expected in (3, 2):
        found = remembered.take_nearest(4, SIZE)
        assert found is not None
        mask, slack = found
        assert mask.sum() == expected
        assert slack == pytest.approx(np.log({3: 0.8, 2: 0.6}[expected]), abs=1e-4)
    assert remembered.take_nearest(4, SIZE) is None


@given(st.permutations(range(60)), st.integers(1, 20), st.integers(0, 10))
def test_spread_variables_lie_apart(order: list[int], count: int, distance: int) -> None:
    chosen = spread(np.array(order), count, distance)
    assert chosen[0] == order[0]
    assert chosen.size <= count
    assert all(abs(a - b) > distance for i, a in enumerate(chosen) for b in chosen[:i])
    if chosen.size < count:  # nothing else was left
        assert all(min(abs(chosen - variable)) <= distance for variable in order)
