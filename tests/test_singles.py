"""Which single variables are asked, on answers that are known by construction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from earwitness.search.questions import Answer, Sufficient, Target
from earwitness.search.singles import FIRST, ask_singles

Values = NDArray[np.float64]
SIZE = 4000
TARGET = Target(label=0, confidence=1.0, delta=0.5)


def decay(seed: int) -> Values:
    """Energies that fall with frequency, with noise: the variables are not in order of energy."""
    rng = np.random.default_rng(seed)
    energy = np.exp(-np.arange(SIZE) / SIZE + rng.normal(0, 1, SIZE))
    return np.asarray(energy / energy.sum())


def drive(
    slack_of: Callable[[int], float],
    energy: Values,
    questions: int,
    silent: float = -5,
    allowed: NDArray[np.intp] | None = None,
) -> tuple[NDArray[np.intp], Values, list[int | None]]:
    """Answer with the slack that a rule gives a single variable; also what was asked, None for silence."""
    order = np.argsort(-energy) if allowed is None else allowed
    search = ask_singles(Sufficient(TARGET), energy, order, questions)
    asked: list[int | None] = []
    answer: Answer | None = None
    try:
        while True:
            masks = next(search) if answer is None else search.send(answer)
            assert (masks.sum(axis=1) <= 1).all()
            batch = [int(mask.argmax()) if mask.any() else None for mask in masks]
            asked += batch
            slack = np.array([silent if variable is None else slack_of(variable) for variable in batch])
            confidence = np.minimum(0.5 * np.exp(slack), 1)
            logs = np.log(np.stack([confidence, np.full(len(masks), 1e-9)], axis=1)).astype(np.float32)
            answer = Answer(logs, questions - len(asked))
    except StopIteration as stop:
        variables, slack = stop.value
        return variables, slack, asked


@pytest.mark.parametrize("place", [310, 777, 1500])
def test_the_few_that_pass_are_found_by_the_slope_around_them(place: int) -> None:
    """Nine of 4,000 variables pass; asked in order of energy or at random it would take hundreds of questions."""
    energy = decay(0)
    variables, slack, asked = drive(lambda v: 0.05 - abs(v - place) / 80, energy, 60)
    assert slack.max() >= 0
    assert abs(int(variables[slack[1:].argmax()]) - place) <= 4
    assert len(asked) <= 60


def test_it_ends_where_nothing_promises() -> None:
    variables, slack, asked = drive(lambda v: -3 - 0.001 * v / SIZE, decay(1), 60)
    assert len(asked) == variables.size + 1 == slack.size
    assert len(asked) <= FIRST + 5


def test_silence_that_passes_ends_it_at_once() -> None:
    """Though a bin might pass as well."""
    _, slack, asked = drive(lambda v: -0.2 + 0.3 * np.sin(v / 30), decay(2), 60, silent=0.5)
    assert slack[0] > 0
    assert len(asked) == FIRST + 1


@given(st.integers(0, 100), st.integers(2, 40), st.sampled_from([1, 3, 50, SIZE]))
def test_each_is_asked_once_and_no_more_than_may_be(seed: int, questions: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    answers = rng.normal(-1, 0.4, SIZE)
    energy = decay(seed)
    allowed = np.argsort(-energy)[:count]
    variables, slack, asked = drive(lambda v: min(answers[v], -0.01), energy, questions, allowed=allowed)
    seen = [variable for variable in asked if variable is not None]
    assert variables.tolist() == seen
    assert len(set(seen)) == len(seen) == slack.size - 1
    assert set(seen) <= set(allowed.tolist())
    assert len(seen) + 1 <= questions


def test_none_may_be_asked() -> None:
    variables, slack, asked = drive(lambda v: 0.5, decay(3), 20, allowed=np.empty(0, dtype=np.intp))
    assert asked == [None]
    assert (variables.size, slack.size) == (0, 1)
