"""The published search on planted truths: responsibility, extraction, chains, budgets, seeds, batches."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earwitness.errors import ConfigError
from earwitness.models import Classifier
from earwitness.search.candidates import prefixes
from earwitness.search.driver import Driver, Job
from earwitness.search.freqrex import Extraction, _first, _several, _Walk, extend, freqrex, make_grid
from earwitness.search.problem import Outcome, Problem
from earwitness.search.questions import Sufficient
from earwitness.search.responsibility import (
    Refinement,
    _combinations,
    _cut,
    _minimal,
    _Part,
    agreement,
    rank_by,
    responsibility,
)
from earwitness.signal.spectrum import Spectrum
from planted import (
    HIGH,
    LOW,
    SIZE,
    TOP,
    Oracle,
    PlantedModel,
    Rule,
    bins_of,
    both,
    drive,
    either,
    has,
    is_yes,
    kept,
    make_clip,
    make_problem,
    odd,
    or_exactly,
    or_silence,
    target_of,
)

RULES: dict[str, Rule] = {
    "band": has(LOW),
    "redundant": either(LOW, HIGH),
    "conjunction": both(LOW, HIGH),
    "exclusive-or": odd(LOW, HIGH, TOP),
    "silence": or_silence(has(LOW)),
}


def map_of(rule: Rule, seed: int = 0, budget: int = 1500, **how: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    refinement = Refinement(**{"spread": 0.0, **how})
    search = responsibility(make_problem(SIZE, seed=seed), target_of(rule), refinement=refinement)
    found, asked = drive(search, Oracle(rule), budget)
    assert asked <= budget
    assert found.shape == (SIZE,)
    assert found.dtype == np.float32
    return found


def search_on(rule: Rule, budget: int = 3000, extraction: Extraction | None = None, **problem: Any) -> Outcome:
    outcome, asked = drive(freqrex(make_problem(SIZE, **problem), extraction), Oracle(rule), budget)
    assert asked <= budget
    return outcome


# --- responsibility


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_responsibility_is_highest_on_the_planted_band(seed: int) -> None:
    found = map_of(has(LOW), seed)
    inside = np.zeros(SIZE, dtype=bool)
    inside[slice(*LOW)] = True
    assert found[inside].min() > 0.9 * found.max()
    assert found[inside].min() > 3 * np.median(found[~inside])


def test_both_redundant_bands_are_responsible() -> None:
    found = map_of(either(LOW, HIGH))
    elsewhere = np.median(found)
    assert found[slice(*LOW)].min() > 2 * elsewhere
    assert found[slice(*HIGH)].min() > 2 * elsewhere


def test_a_conjunction_shares_responsibility_between_its_bands() -> None:
    alone, shared = map_of(has(LOW)), map_of(both(LOW, HIGH))
    assert shared[slice(*LOW)].min() > 2 * np.median(shared)
    assert shared[slice(*HIGH)].min() > 2 * np.median(shared)
    assert shared.max() < alone.max()  # 1/2 each where 1 was


def test_one_cut_gives_the_published_values() -> None:
    # parts of one bin each: what passes is known for every combination
    rule: Rule = lambda masks: (masks[:, 0] & masks[:, 1]) | masks[:, 3]  # noqa: E731
    problem = make_problem(4)
    target = target_of(rule, size=4)
    once = Refinement(iterations=1, spread=0.0)
    found, asked = drive(responsibility(problem, target, refinement=once), Oracle(rule), 100)
    assert found.tolist() == [0.5, 0.5, 0.0, 1.0]
    assert asked == 14


def test_when_all_parts_are_needed_they_share_responsibility() -> None:
    problem, rule = make_problem(4), has((0, 4))
    target = target_of(rule, size=4)
    found, _ = drive(responsibility(problem, target, refinement=Refinement(iterations=1, spread=0)), Oracle(rule), 100)
    assert found.tolist() == [0.25] * 4


def test_spreading_changes_no_sum_and_follows_the_magnitude() -> None:
    even, spread = map_of(has(LOW), iterations=1), map_of(has(LOW), iterations=1, spread=0.5)
    assert spread.sum() == pytest.approx(even.sum(), rel=1e-5)
    energy = make_problem(SIZE).energy
    inside = np.flatnonzero(even == even.max())
    assert agreement(spread[inside], energy[inside]) == 1


def test_equal_seeds_give_equal_maps_and_others_agree() -> None:
    assert np.array_equal(map_of(has(LOW), 3), map_of(has(LOW), 3))
    assert not np.array_equal(map_of(has(LOW), 3), map_of(has(LOW), 4))


@pytest.mark.parametrize("name", ["band", "redundant", "exclusive-or"])
def test_maps_of_other_seeds_agree(name: str) -> None:
    maps = [map_of(RULES[name], seed, spread=0.5) for seed in range(4)]
    assert np.mean([agreement(a, b) for a, b in combinations(maps, 2)]) > 0.8


def test_a_stable_map_ends_the_iterations() -> None:
    def asked(**how: Any) -> int:
        search = responsibility(make_problem(SIZE), target_of(has(LOW)), refinement=Refinement(**how))
        return drive(search, Oracle(has(LOW)), 100_000)[1]

    assert asked(stability=0.9) < asked(stability=0.99) < 100_000 // 2
    assert asked(stability=0.9, patience=1) <= asked(stability=0.9, patience=8)


def test_a_budget_below_one_cut_gives_an_empty_map() -> None:
    assert not map_of(has(LOW), budget=13).any()
    assert map_of(has(LOW), budget=14).any()


@given(size=st.integers(1, 40), parts=st.integers(2, 8), budget=st.integers(0, 300), seed=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_any_size_and_budget_gives_a_map(size: int, parts: int, budget: int, seed: int) -> None:
    size = max(size, 2)
    rule: Rule = lambda masks: masks[:, size // 2]  # noqa: E731
    problem = make_problem(size, seed=seed)
    target = target_of(rule, size=size)
    refinement = Refinement(parts=parts, spread=0, iterations=20)
    found, asked = drive(responsibility(problem, target, refinement=refinement), Oracle(rule), budget)
    assert asked <= budget
    assert found.min() >= 0
    assert not found.any() or found[size // 2] == found.max()


@given(st.integers(0, 100), st.integers(2, 50), st.integers(2, 8), st.integers(0, 1000))
def test_cuts_are_partitions(start: int, length: int, parts: int, seed: int) -> None:
    part = _Part(start, start + length, np.zeros(200, dtype=bool))
    edges = _cut(part, parts, np.random.default_rng(seed))
    assert (edges[0], edges[-1], edges.size) == (start, start + length, min(parts, length) + 1)
    assert (np.diff(edges) > 0).all()


@given(st.lists(st.booleans(), min_size=14, max_size=14))
def test_minimal_combinations_contain_no_other(passed: list[bool]) -> None:
    passing = _combinations(4)[np.array(passed)]
    sets = [frozenset(np.flatnonzero(row)) for row in passing]
    expected = {a for a in sets if not any(b < a for b in sets)} or {frozenset(np.arange(4))}
    assert {frozenset(np.flatnonzero(row)) for row in _minimal(passing, np.random.default_rng(0))} == expected


def test_agreement_of_constant_maps() -> None:
    flat, slope = np.zeros(5), np.arange(5.0)
    assert agreement(flat, flat) == 1
    assert agreement(flat, slope) == 0
    assert agreement(slope, -slope) == -1


def test_ties_are_broken_by_energy() -> None:
    assert rank_by(np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.4, 0.1, 0.3, 0.2])).tolist() == [3, 1, 0, 2]


# --- extraction


@given(st.integers(1, 5000), st.integers(1, 50), st.integers(1, 600))
def test_grids_ascend_to_the_end_within_their_length(size: int, step: int, most: int) -> None:
    grid = make_grid(size, step, most)
    assert grid[-1] == size
    assert (np.diff(grid) > 0).all()
    assert grid.size <= max(most, np.log2(size) + 2)


@pytest.mark.parametrize(
    ("holds", "ended", "expected"),
    [
        ([0, 1, 0, 1, 1, 1], False, (3, 3)),
        ([0, 1, 0, 0, 0, 1], True, (5, 1)),
        ([1, 0, 1, 1, 0, 0], True, (2, 2)),
        ([0, 0], True, (0, 0)),
        ([], False, (0, 0)),
    ],
)
def test_the_first_chain_else_the_end_else_the_longest(
    holds: list[bool], ended: bool, expected: tuple[int, int]
) -> None:
    assert _first([bool(one) for one in holds], 3, ended) == expected


@pytest.mark.parametrize(("chain", "size"), [(1, 20), (2, 63), (3, 63)])
def test_a_chain_passes_over_a_spurious_set(chain: int, size: int) -> None:
    rule = or_exactly(has(LOW), 20)
    order = np.arange(SIZE)
    search = extend(Sufficient(target_of(rule)), order, np.arange(1, SIZE + 1), SIZE, chain, 1000)
    (mask, why), asked = drive(search, Oracle(rule), 1000)
    assert kept(mask) == set(range(size))
    assert why == ""
    assert asked <= size + chain + 16


def test_a_spent_budget_gives_the_best_so_far_and_says_so() -> None:
    rule = or_exactly(has(LOW), 20)
    search = extend(Sufficient(target_of(rule)), np.arange(SIZE), np.arange(1, SIZE + 1), SIZE, 3, 40)
    (mask, why), asked = drive(search, Oracle(rule), 40)
    assert kept(mask) == set(range(20))
    assert "1 of 3" in why
    assert "budget" in why
    assert asked == 40


@pytest.mark.parametrize("name", ["band", "redundant", "conjunction", "exclusive-or"])
def test_sets_are_what_they_say(name: str) -> None:
    rule = RULES[name]
    outcome = search_on(rule, delta=0.9)
    (kept_set, _), (whole, _), (one, _) = outcome.sufficient[0], outcome.complete, outcome.one_complete
    assert is_yes(rule, kept_set.mask)
    for found in (whole, one):
        assert found.mask is not None
        assert is_yes(rule, found.mask)
        assert found.mask.all() or not is_yes(rule, ~found.mask)
        assert kept(kept_set.mask) <= kept(found.mask)
    assert {found.certificate.kind for found in (kept_set, whole, one)} == {"none"}
    assert outcome.responsibility is not None
    assert outcome.original.tolist() == Oracle(rule)(np.ones((1, SIZE), dtype=bool))[0].tolist()


def test_a_band_is_found_with_little_else() -> None:
    found = search_on(has(LOW)).sufficient[0][0]
    assert bins_of(LOW) <= kept(found.mask)
    assert len(kept(found.mask)) <= 20


def test_silence_that_suffices_is_the_empty_set() -> None:
    outcome = search_on(RULES["silence"], count=3)
    ((found, spent),) = outcome.sufficient
    assert kept(found.mask) == set()
    assert spent == 1
    assert "silence" in outcome.why


def test_redundant_bands_are_two_disjoint_sets() -> None:
    walk = _Walk(np.arange(SIZE), Extraction(), SIZE)
    search = _several(3, Sufficient(target_of(RULES["redundant"])), walk, silent=False, budget=2000)
    (sets, why), _ = drive(search, Oracle(RULES["redundant"]), 2000)
    assert [kept(found.mask) for found, _ in sets] == [set(range(63)), set(range(63, 205))]
    assert why.startswith("2 of 3")


def test_redundant_bins_are_as_many_disjoint_sets() -> None:
    bins = [60, 200, 230]
    outcome = search_on(either(*((one, one + 1) for one in bins)), count=5)
    sets = [kept(found.mask) for found, _ in outcome.sufficient]
    assert sorted(min(one & set(bins)) for one in sets) == bins
    assert sum(map(len, sets)) == len(set().union(*sets))
    assert outcome.why.startswith("3 of 5")


def test_the_complete_set_has_all_redundant_bins() -> None:
    outcome = search_on(either((60, 61), (200, 201)))
    assert len(kept(outcome.sufficient[0][0].mask) & {60, 200}) == 1
    assert {60, 200} <= kept(outcome.complete[0].mask)


@given(budget=st.integers(2, 800), count=st.integers(1, 3), name=st.sampled_from(sorted(RULES)))
@settings(max_examples=30, deadline=None)
def test_any_budget_is_kept_and_every_set_is_verified(budget: int, count: int, name: str) -> None:
    rule = RULES[name]
    outcome = search_on(rule, budget, count=count)
    assert 1 <= len(outcome.sufficient) <= count
    assert len(outcome.sufficient) == count or outcome.why
    for found, spent in outcome.sufficient:
        assert is_yes(rule, found.mask)
        assert 0 <= spent <= budget
    for found, _ in (outcome.complete, outcome.one_complete):
        assert found.mask is not None
        assert is_yes(rule, found.mask)
        assert not is_yes(rule, ~found.mask) or (found.mask.all() and found.why)


def test_a_noisy_model_is_searched_to_the_end() -> None:
    oracle = Oracle(has(LOW), noise=1.0)
    outcome, asked = drive(freqrex(make_problem(SIZE)), oracle, 3000)
    assert asked <= 3000
    assert outcome.sufficient[0][0].mask is not None
    assert outcome.responsibility is not None
    assert outcome.responsibility[slice(*LOW)].mean() > 2 * np.median(outcome.responsibility)


@pytest.mark.parametrize(
    ("settings_of", "words"), [(lambda: Extraction(chain=0), "chain 0"), (lambda: Refinement(parts=9), "parts 9")]
)
def test_settings_out_of_range_are_refused(settings_of: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        settings_of()


# --- through the driver


def masks_of(outcome: Outcome) -> list[bytes]:
    found = [*(one for one, _ in outcome.sufficient), outcome.complete[0], outcome.one_complete[0]]
    return [one.mask.tobytes() for one in found if one.mask is not None]


@pytest.mark.parametrize("name", ["redundant", "exclusive-or"])
def test_the_batch_size_changes_nothing(name: str) -> None:
    spectrum = Spectrum(make_clip(SIZE))
    results = []
    for batch in (1, 7, 64):
        driver = Driver(Classifier(PlantedModel(RULES[name])), batch=batch)
        job = Job(spectrum, freqrex(Problem(spectrum, 0.5, 2)), 600)
        assert [one.error for one in driver.run([job])] == [None]
        assert job.result is not None
        assert job.result.responsibility is not None
        spent = [spent for _, spent in (*job.result.sufficient, job.result.complete, job.result.one_complete)]
        results.append((job.asked, spent, masks_of(job.result), job.result.responsibility.tobytes()))
    assert results[0] == results[1] == results[2]


def test_the_model_hears_what_the_oracle_sees() -> None:
    spectrum = Spectrum(make_clip(SIZE))
    outcome, asked = drive(freqrex(Problem(spectrum, 0.5)), Oracle(has(LOW)), 600)
    job = Job(spectrum, freqrex(Problem(spectrum, 0.5)), 600)
    list(Driver(Classifier(PlantedModel(has(LOW)))).run([job]))
    assert job.result is not None
    assert (masks_of(job.result), job.asked) == (masks_of(outcome), asked)


def test_a_long_spectrum_is_walked_in_longer_steps() -> None:
    for size in (1_001, 24_001):
        outcome, asked = drive(freqrex(make_problem(size)), Oracle(has(LOW)), 1500)
        found, spent = outcome.sufficient[0]
        assert asked <= 1500
        assert spent < 250
        assert len(kept(found.mask)) < size / 10


def test_prefixes_hold_the_first_of_the_order() -> None:
    order = np.argsort(-make_problem(SIZE).energy)
    masks = prefixes(order, np.array([3, 9]), SIZE)
    assert masks.sum(axis=1).tolist() == [3, 9]
    assert masks[0, order[:3]].all()
    assert masks[1, order[:9]].all()
