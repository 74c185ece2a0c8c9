"""Climbing to a property and thinning while it lasts, on answers that are known by construction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earwitness.search.evolution import Climb, Draws, thin
from earwitness.search.minimality import Best
from earwitness.search.questions import Sufficient, Target
from earwitness.signal.masks import Mask
from planted import drive

SIZE = 400
WANTED = np.arange(60, 72)
TARGET = Target(label=0, confidence=0.9, delta=0.5)


def graded(masks: Mask) -> NDArray[np.float32]:
    """Each wanted variable adds a nat to the first of two labels; all but one are needed."""
    logits = masks[:, WANTED].sum(axis=1) - (WANTED.size - 1.5)
    return np.asarray(-np.logaddexp(0, np.stack([-logits, logits], axis=1)), dtype=np.float32)


def make_draws(seed: int, allowed: Mask | None = None) -> Draws:
    energy = np.random.default_rng(seed).exponential(size=SIZE)
    energy[WANTED] += 3
    return Draws(energy / energy.sum(), np.random.default_rng(seed), allowed)


@given(st.integers(0, 1000), st.integers(1, 50), st.integers(2, 300))
def test_draws_stay_among_the_allowed(seed: int, count: int, longest: int) -> None:
    allowed = np.random.default_rng(seed).random(SIZE) < 0.3
    draws = make_draws(seed, allowed)
    single, run = draws.single(count), draws.run(longest)
    assert 0 < single.size <= count
    assert allowed[single].all()
    assert run.size <= max(longest, 4)
    assert allowed[run].all()
    assert run.size == 0 or run.max() - run.min() < max(longest, 4)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_climb_reaches_what_silence_is_far_from(seed: int) -> None:
    silence = np.zeros(SIZE, dtype=bool)
    slack = float(TARGET.slack(graded(silence[None]))[0])
    climb = Climb(Sufficient(TARGET), make_draws(seed))
    found, asked = drive(climb.from_(silence, slack, 100, 1000), graded, 1000)
    assert found is not None
    assert TARGET.slack(graded(found[None]))[0] > 0
    assert found.sum() <= 100
    assert asked < 1000


def test_a_climb_that_leads_nowhere_ends_at_half_of_its_questions() -> None:
    def deaf(masks: Mask) -> NDArray[np.float32]:
        return np.log(np.tile(np.array([[0.2, 0.8]], dtype=np.float32), (len(masks), 1)))

    silence = np.zeros(SIZE, dtype=bool)
    climb = Climb(Sufficient(TARGET), make_draws(0))
    found, asked = drive(climb.from_(silence, -1.4, 100, 200), deaf, 1000)
    assert found is None
    assert 100 <= asked < 130


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(24, 600))
def test_thinning_keeps_the_property_whenever_the_budget_ends(seed: int, budget: int) -> None:
    best, everything = Best(), np.ones(SIZE, dtype=bool)
    mask, _ = drive(thin(Climb(Sufficient(TARGET), make_draws(seed)), everything, best), graded, budget)
    assert best.mask is not None
    for kept in (mask, best.mask):
        assert TARGET.slack(graded(kept[None]))[0] > 0
    assert best.mask.sum() <= mask.sum()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_thinning_drops_nearly_all_that_is_not_needed(seed: int) -> None:
    everything = np.ones(SIZE, dtype=bool)
    mask, _ = drive(thin(Climb(Sufficient(TARGET), make_draws(seed)), everything, Best()), graded, 2000)
    assert mask.sum() <= 2 * WANTED.size


def test_thinning_exchanges_many_for_a_few_that_do_as_well() -> None:
    """Each of forty weak variables is needed, unless a strong one that is worth thirty of them is added."""
    weak, strong = np.arange(100, 140), 300
    energy = np.full(SIZE, 1e-4)
    energy[strong] = 1.0

    def worth(masks: Mask) -> NDArray[np.float32]:
        logits = masks[:, weak].sum(axis=1) + 30 * masks[:, strong] - (weak.size - 0.5)
        return np.asarray(-np.logaddexp(0, np.stack([-logits, logits], axis=1)), dtype=np.float32)

    start = np.zeros(SIZE, dtype=bool)
    start[weak] = True
    draws = Draws(energy / energy.sum(), np.random.default_rng(0))
    mask, _ = drive(thin(Climb(Sufficient(TARGET), draws), start, Best()), worth, 2000)
    assert mask[strong]
    assert mask.sum() <= 12


def test_what_lacks_the_property_is_never_offered() -> None:
    best = Best()
    silence = np.zeros(SIZE, dtype=bool)
    silence[:5] = True
    drive(thin(Climb(Sufficient(TARGET), make_draws(0)), silence, best, passes=False), graded, 500)
    assert best.mask is None
