"""How much is tried for complete sets: ways that take turns, and when they stop. Against planted truths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from earwitness import Classifier, ConfigError, SearchSettings, Subset, explain
from earwitness.explanation import make_job
from earwitness.search.attribution import attribute
from earwitness.search.effort import EFFORTS
from earwitness.search.minimal import minimal
from earwitness.search.minimality import Best
from earwitness.search.problem import Outcome
from earwitness.search.questions import BudgetSpent, Certificate, Search
from earwitness.search.turns import Progress, take_turns
from earwitness.signal.masks import Mask
from planted import (
    HIGH,
    LOW,
    Oracle,
    PlantedModel,
    Rule,
    drive,
    either,
    has,
    is_yes,
    make_clip,
    make_problem,
    or_silence,
    target_of,
)

BUDGET = 3000


def seek(rule: Rule, effort: str, budget: int = BUDGET) -> tuple[Outcome, int]:
    problem = replace(make_problem(delta=0.9), effort=EFFORTS[effort])
    return drive(minimal(problem), Oracle(rule), budget)


def always(masks: Mask) -> Mask:
    return np.ones(len(masks), dtype=bool)


@pytest.mark.parametrize("effort", ["quick", "normal"])
def test_where_there_is_no_complete_set_the_search_soon_gives_up(effort: str) -> None:
    outcome, asked = seek(always, effort)
    assert outcome.complete[0].mask is not None
    assert outcome.complete[0].mask.all()
    assert "no smaller complete set was found" in outcome.one_complete[0].why
    assert asked <= 200


def test_a_thorough_search_goes_on_as_long_as_the_budget_lasts() -> None:
    assert seek(always, "thorough", 1000)[1] > 900


@pytest.mark.parametrize("rule", [either(LOW, HIGH), or_silence(has(LOW))])
def test_less_effort_asks_less_and_what_it_finds_is_complete_too(rule: Rule) -> None:
    asked, sizes = [], []
    for effort in ("quick", "normal", "thorough"):
        outcome, questions = seek(rule, effort)
        whole = outcome.complete[0].mask
        assert whole is not None
        assert is_yes(rule, whole)
        assert not is_yes(rule, ~whole)
        asked.append(questions)
        sizes.append(int(whole.sum()))
    assert asked[0] < asked[1] < asked[2]
    assert sizes[0] >= sizes[1] >= sizes[2]


def test_a_map_of_a_model_that_always_answers_alike_is_not_asked_to_the_end() -> None:
    quick, thorough = (seek(always, effort, 1000)[0].responsibility for effort in ("quick", "thorough"))
    assert quick is not None
    assert thorough is not None
    assert np.argmax(quick) == np.argmax(thorough)  # nothing was established: both go by energy
    problem = replace(make_problem(delta=0.9), effort=EFFORTS["quick"])
    assert drive(attribute(problem, target_of(always, 0.9), 300), Oracle(always), BUDGET)[1] <= 60


def test_the_settings_say_how_much_is_tried() -> None:
    def asked(effort: str) -> int:
        job = make_job(make_clip(257), SearchSettings(effort=effort, budget=1000))
        return drive(job.search, Oracle(always), 1000)[1]

    assert asked("quick") < asked("normal") < asked("thorough")
    with pytest.raises(ConfigError, match="effort 'normale': did you mean 'normal'"):
        SearchSettings(effort="normale")


def test_a_question_that_is_asked_three_times_counts_as_one_for_patience() -> None:
    model = Classifier(PlantedModel(either(LOW, HIGH)))
    once, thrice = (
        explain(make_clip(257), model, SearchSettings(delta=0.9, repeats=repeats, budget=repeats * BUDGET)).complete
        for repeats in (1, 3)
    )
    assert isinstance(once, Subset)
    assert isinstance(thrice, Subset)
    assert once.queries < BUDGET / 5  # it was enough before the budget was spent
    assert 2.5 * once.queries < thrice.queries < 3.5 * once.queries


def counting(log: list[str], name: str, rounds: int, size: int) -> Search[None]:
    """Asks so many rounds of ``size`` masks, each mask another."""
    try:
        for number in range(rounds):
            log.append(name)
            yield numbered(1000 * ord(name) + number * size + np.arange(size))
    finally:
        log.append(f"{name} over")


def numbered(numbers: NDArray[np.int64]) -> Mask:
    """A mask for each number: its binary digits, bool [M, 32]."""
    return np.asarray((numbers[:, None] >> np.arange(32)) & 1, dtype=bool)


def take(searches: list[Search[None]], questions: int, left: int, enough: Callable[[int], bool]) -> int:
    return drive(take_turns(searches, questions, left, enough), Oracle(always), BUDGET)[1]


def test_ways_ask_so_many_questions_in_turn_until_all_are_over() -> None:
    log: list[str] = []
    take([counting(log, "a", 4, 5), counting(log, "b", 5, 5)], 10, BUDGET, lambda asked: False)
    # the next round of a way is made when its turn ends, and asked in its next
    assert log == ["a", "a", "a", "b", "b", "b", "a", "a over", "b", "b", "b over"]


def test_when_it_is_enough_ways_come_to_their_end_at_once() -> None:
    log: list[str] = []
    told: list[int] = []

    def enough(asked: int) -> bool:
        told.append(asked)
        return sum(told) >= 15

    assert take([counting(log, "a", 9, 5), counting(log, "b", 9, 5)], 10, BUDGET, enough) == 15
    assert log[-2:] == ["a over", "b over"]


def test_a_way_whose_own_questions_are_spent_is_told_so() -> None:
    log: list[str] = []

    def told(name: str) -> Search[None]:
        try:
            yield from counting(log, name, 99, 5)
        except BudgetSpent:
            log.append(f"{name} was told")

    assert take([told("a"), told("b")], 10, 20, lambda asked: False) == 40
    assert {"a was told", "b was told"} <= set(log)


def test_ways_that_only_ask_what_is_remembered_come_to_an_end() -> None:
    def again() -> Search[None]:
        try:
            while True:
                yield numbered(np.arange(5))
        except BudgetSpent:
            return

    assert take([again(), again()], 10, 50, lambda asked: False) == 5


def test_a_search_goes_on_while_sets_become_smaller_by_a_tenth() -> None:
    best = Best()
    progress = Progress(EFFORTS["normal"], best, lambda: 0.0, BUDGET)
    best.offer(numbered(np.array([2**30 - 1]))[0], Certificate("group_minimal", 8))  # 30 variables
    assert not progress.enough(1)
    assert not progress.enough(EFFORTS["normal"].patience(30) - 2)
    best.offer(numbered(np.array([2**20 - 1]))[0], Certificate("group_minimal", 8))  # 20: more than a tenth less
    assert not progress.enough(1)
    assert not progress.enough(EFFORTS["normal"].patience(20) - 1)
    assert progress.enough(1)


def test_larger_sets_are_worth_more_patience_within_limits() -> None:
    normal = EFFORTS["normal"]
    assert normal.patience(1) == normal.least
    assert normal.least < normal.patience(15) < normal.patience(20) < normal.most
    assert normal.patience(5000) == normal.most


def test_a_small_set_is_certified_while_there_are_questions_for_it() -> None:
    best = Best()
    progress = Progress(EFFORTS["thorough"], best, lambda: 0.0, 100)
    best.offer(numbered(np.array([2**20 - 1]))[0])  # to drop each of 20 alone takes up to 40 questions
    assert not progress.enough(20)
    assert progress.enough(20)


def test_without_a_set_what_counts_is_that_answers_come_nearer() -> None:
    nearness = [-5.0]
    progress = Progress(EFFORTS["quick"], Best(), lambda: nearness[0], BUDGET)
    assert not progress.enough(30)
    nearness[0] = -4.0
    assert not progress.enough(30)
    nearness[0] = -3.9999  # as good as nothing
    assert not progress.enough(30)
    assert progress.enough(30)
