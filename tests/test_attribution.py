"""The map of the search ``minimal``: planted bands, agreement over seeds, budgets, batches."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from earwitness.errors import ConfigError
from earwitness.models import Classifier
from earwitness.search.attribution import STAGES, Survey, attribute
from earwitness.search.driver import Driver, Job
from earwitness.search.problem import Problem
from earwitness.search.questions import Answer
from earwitness.search.responsibility import agreement
from earwitness.signal.masks import Mask
from earwitness.signal.spectrum import Spectrum
from planted import HIGH, LOW, SIZE, Oracle, PlantedModel, Rule, both, drive, has, make_clip, make_problem, target_of


def map_of(rule: Rule, seed: int = 0, budget: int = 300, size: int = SIZE) -> NDArray[np.float32]:
    problem, target = make_problem(size, seed=seed), target_of(rule, size=size)
    found, asked = drive(attribute(problem, target, budget), Oracle(rule), budget)
    assert asked <= budget
    assert found.shape == (size,)
    assert found.dtype == np.float32
    return found


def hears(*bands: tuple[int, int]) -> Rule:
    """Yes if at least half of the bins of some bands are there."""

    def rule(masks: Mask) -> Mask:
        heard = np.concatenate([masks[:, slice(*band)] for band in bands], axis=1)
        return np.asarray(heard.mean(axis=1) >= 0.5)

    return rule


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_planted_band_is_on_top(seed: int) -> None:
    found = map_of(has(LOW), seed)
    assert LOW[0] <= int(found.argmax()) < LOW[1]
    outside = np.delete(found, np.arange(*LOW))
    assert found[slice(*LOW)].min() > 2 * np.median(outside)


def test_both_bands_of_a_conjunction_stand_out() -> None:
    found = map_of(both(LOW, HIGH), budget=600)
    top = np.argsort(-found)[:40]
    assert np.isin(np.arange(*LOW), top).all()
    assert np.isin(np.arange(*HIGH), top).all()


def test_seeds_agree_at_the_default_budget() -> None:
    maps = [map_of(hears((400, 700)), seed, size=8_001) for seed in range(4)]
    pairs = [agreement(a, b) for a, b in combinations(maps, 2)]
    assert min(pairs) > 0.8
    assert max(pairs) < 1  # the seed does matter


def test_a_seed_gives_the_same_map_again() -> None:
    assert map_of(has(LOW), 5).tobytes() == map_of(has(LOW), 5).tobytes()


def test_the_batch_size_changes_nothing() -> None:
    spectrum, maps = Spectrum(make_clip(SIZE)), []
    for batch in (1, 7, 64):
        driver = Driver(Classifier(PlantedModel(has(LOW))), batch=batch)
        job = Job(spectrum, attribute(Problem(spectrum, 0.5), target_of(has(LOW)), 100), 100)
        assert [one.error for one in driver.run([job])] == [None]
        assert job.result is not None
        maps.append(job.result.tobytes())
    assert maps[0] == maps[1] == maps[2]


def test_what_answers_say_nothing_of_is_ordered_by_energy() -> None:
    problem, nothing = make_problem(100), has((0, 0))
    found, _ = drive(attribute(problem, target_of(nothing, size=100), 100), Oracle(nothing), 100)
    assert np.argsort(-found, kind="stable").tolist() == np.argsort(-problem.energy, kind="stable").tolist()


def test_a_budget_cut_short_leaves_the_map_so_far() -> None:
    search = attribute(make_problem(SIZE), target_of(has(LOW)), 300)
    found, asked = drive(search, Oracle(has(LOW)), 150)
    assert 0 < asked <= 150
    assert found.max() == 1
    assert np.ptp(found) > 0


@pytest.mark.parametrize("budget", [0, 1])
def test_without_a_question_there_is_no_map(budget: int) -> None:
    assert not map_of(has(LOW), budget=budget).any()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_few_variables_are_mapped_one_by_one(size: int) -> None:
    rule = has((0, 1))
    found, _ = drive(attribute(make_problem(max(size, 3)), target_of(rule, size=max(size, 3)), 20), Oracle(rule), 20)
    assert int(found.argmax()) == 0


@pytest.mark.parametrize("how", [{"cells": 1}, {"rounds": 0}])
def test_impossible_surveys_are_refused(how: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="too small; use at least"):
        Survey(**how)


def area(rule: Rule, scores: NDArray[np.float32]) -> float:
    """Area under the insertion curve of a map less that under its deletion curve."""
    rank = np.argsort(np.argsort(-scores, kind="stable"), kind="stable")
    kept = rank < np.linspace(0, scores.size, 80).round()[:, None]
    return float((rule(kept).astype(float) - rule(~kept)).mean())


def test_questions_beyond_the_effects_order_the_cells() -> None:
    """Two bands that spoil each other have no effect on average."""
    first, second, third = (hears((start, start + 200)) for start in (900, 1900, 5900))

    def rule(masks: Mask) -> Mask:
        return np.asarray((first(masks) ^ second(masks)) | third(masks))

    gains = []
    for seed in range(4):
        known, ordered = (map_of(rule, seed, budget, size=8_001) for budget in (300, 600))
        assert np.unique(ordered).size <= 256
        assert ordered.max() == 1
        gains.append(area(rule, ordered) - area(rule, known))
    assert min(gains) >= 0
    assert np.mean(gains) > 0.02


def test_each_part_of_the_order_goes_on_from_the_one_before() -> None:
    search, oracle = attribute(make_problem(SIZE), target_of(has(LOW)), 500), Oracle(has(LOW))
    asked: list[Mask] = []
    try:
        masks = next(search)
        while True:
            asked.append(masks[: len(masks) // 2])
            masks = search.send(Answer(oracle(masks), 1000))
    except StopIteration:
        pass
    parts = asked[-len(STAGES) :]
    assert sum(len(np.unique(ways, axis=0)) > 1 for ways in parts) > len(STAGES) / 2
    for before, after in pairwise(parts):
        assert (before <= after.all(axis=0)).all(axis=1).any()
