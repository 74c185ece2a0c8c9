"""Asking about candidates, each no more than decides it, on answers that are known by construction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from earwitness.search.questions import (
    TOLERANCE,
    Answer,
    BudgetSpent,
    Complete,
    Necessary,
    Part,
    Property,
    Sufficient,
    Target,
    ask,
)
from earwitness.signal.masks import Mask

Values = NDArray[np.float64]
slacks = st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=30)


@dataclass(frozen=True)
class Kept:
    """Slack of what is kept; the answer is the slack itself."""

    def masks(self, candidates: Mask) -> Mask:
        return candidates

    def slack(self, log_probabilities: NDArray[np.float32]) -> Values:
        return log_probabilities[:, 0].astype(np.float64)


@dataclass(frozen=True)
class Left(Kept):
    """Slack of what is left."""

    def masks(self, candidates: Mask) -> Mask:
        return ~candidates


@dataclass(frozen=True)
class Both:
    parts: tuple[Part, ...] = (Kept(), Left())


def ask_table(
    table: Values, first: NDArray[np.intp] | None = None, *, best: bool = False, property_: Property | None = None
) -> tuple[Values, list[list[tuple[int, int]]]]:
    """The slack found of candidates whose parts have the slack of a table; the (candidate, part)s asked, by batch."""
    candidates = np.eye(len(table), max(len(table), 3), dtype=bool)
    search = ask(property_ or Both(), candidates, first, best=best)
    batches = []
    try:
        masks = next(search)
        while True:
            parts = (masks.sum(axis=1) > 1).astype(int)
            rows = np.where(parts == 0, masks.argmax(axis=1), masks.argmin(axis=1))
            batches.append(list(zip(rows.tolist(), parts.tolist(), strict=True)))
            masks = search.send(Answer(table[rows, parts][:, None].astype(np.float32), 0))
    except StopIteration as stop:
        return stop.value, batches


@given(slacks, st.booleans())
def test_nothing_is_lost_by_asking_less(rows: list[tuple[float, float]], best: bool) -> None:
    table = np.array(rows, dtype=np.float32).astype(np.float64)
    truth = table.min(axis=1)
    first = np.random.default_rng(len(rows)).integers(0, 2, len(rows))
    found, batches = ask_table(table, first, best=best)
    asked = [question for batch in batches for question in batch]
    assert len(asked) == len(set(asked)) <= table.size
    assert (found >= truth).all()
    passing = truth >= TOLERANCE
    assert ((found >= TOLERANCE) == passing).all()
    assert ((found < -TOLERANCE) == (truth < -TOLERANCE)).all()
    np.testing.assert_array_equal(found[passing], truth[passing])
    if best:
        assert found.max() == truth.max()
        assert truth[found.argmax()] == truth.max()


def test_what_fails_is_not_asked_further() -> None:
    table = np.array([[-1.0, 2.0], [1.0, -2.0], [1.0, 2.0], [0.0, 3.0]])
    found, batches = ask_table(table)
    assert batches == [[(0, 0), (1, 0), (2, 0), (3, 0)], [(1, 1), (2, 1), (3, 1)]]
    assert found.tolist() == [-1, -2, 1, 0]


def test_each_candidate_is_asked_first_what_was_named() -> None:
    _, batches = ask_table(np.array([[-1.0, 2.0], [1.0, -2.0]]), np.array([0, 1]))
    assert batches == [[(0, 0), (1, 1)]]


def test_the_nearest_is_sought_from_the_most_promising_down() -> None:
    """The first part alone would name 0; of the nearer half 2 is best, and 3 cannot be better."""
    table = np.array([[-1.0, -9.0], [-2.0, -8.0], [-3.0, -3.5], [-4.0, -1.0], [-5.0, 9.0], [-6.0, 9.0]])
    found, batches = ask_table(table, best=True)
    assert batches[1:] == [[(0, 1), (1, 1), (2, 1)]]
    assert found.argmax() == 2


def test_sufficient_sets_take_one_batch() -> None:
    @dataclass(frozen=True)
    class One:
        parts: tuple[Part, ...] = (Kept(),)

    found, batches = ask_table(np.array([[-1.0, 0.0], [1.0, 0.0]]), best=True, property_=One())
    assert batches == [[(0, 0), (1, 0)]]
    assert found.tolist() == [-1, 1]


def test_the_end_of_the_budget_ends_the_asking() -> None:
    search = ask(Both(), np.eye(3, dtype=bool))
    next(search)
    with pytest.raises(BudgetSpent):
        search.throw(BudgetSpent())


def test_complete_is_sufficient_and_necessary() -> None:
    target = Target(label=0, confidence=0.8, delta=0.5)
    kept, left = Complete(target).parts
    assert (kept, left) == (Sufficient(target), Necessary(target))
    candidates = np.eye(3, dtype=bool)
    np.testing.assert_array_equal(kept.masks(candidates), candidates)
    np.testing.assert_array_equal(left.masks(candidates), ~candidates)
    answers = np.log(np.array([[0.6, 0.4], [0.2, 0.8]], dtype=np.float32))
    assert kept.slack(answers) == pytest.approx([np.log(0.6 / 0.4), np.log(0.2 / 0.8)], rel=1e-5)
    assert left.slack(answers) == pytest.approx([np.log(0.4 / 0.6), np.log(0.8 / 0.2)], rel=1e-5)
