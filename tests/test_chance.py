"""Null signals: as large or as loud as what they stand for, and the same for the same seed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from earwitness.analyses.chance import (
    LIKENESS,
    NULLS,
    TOLERANCE,
    draw_nulls,
    same_energy,
    same_profile,
    same_size,
    silence,
)
from earwitness.signal.draws import make_rng


@given(st.lists(st.booleans(), min_size=1, max_size=80), st.integers(0, 99))
def test_same_size(bits: list[bool], seed: int) -> None:
    mask = np.array(bits)
    drawn = same_size(mask, np.ones(mask.size), make_rng(seed))
    assert drawn.sum() == mask.sum()
    assert drawn.dtype == bool


@given(st.integers(1, 400), st.floats(0, 1), st.integers(0, 9999))
def test_same_energy(size: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    energies, mask = rng.exponential(size=size) ** 3, rng.random(size) < share
    drawn, wanted = same_energy(mask, energies, make_rng(seed)), energies[mask].sum()
    energy = energies[drawn].sum()
    assert energy <= wanted * (1 + TOLERANCE) + 1e-12
    if energy < wanted * (1 - TOLERANCE):
        assert energies[~drawn].min() > wanted * (1 + TOLERANCE) - energy - 1e-9


def test_same_energy_of_many_is_close_and_random() -> None:
    rng = np.random.default_rng(1)
    energies, mask = rng.exponential(size=8001), rng.random(8001) < 0.05
    first, second = (same_energy(mask, energies, make_rng(seed)) for seed in (1, 2))
    for drawn in (first, second):
        assert abs(energies[drawn].sum() / energies[mask].sum() - 1) <= TOLERANCE + 1e-9
        assert 300 < drawn.sum() < 500  # variables of all sizes, not many small ones
    assert 0 < (first & second).sum() < 80
    assert not same_energy(np.zeros(9, dtype=bool), np.ones(9), make_rng(0)).any()


@given(st.integers(1, 200), st.floats(0, 1), st.integers(0, 9999))
def test_same_profile_is_as_many_others(size: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    energies, mask = rng.exponential(size=size) ** 3, rng.random(size) < share
    drawn = same_profile(mask, energies, make_rng(seed))
    assert drawn.sum() == mask.sum()
    # none of the set's own, but where there are too few others
    assert (drawn & mask).sum() == max(0, 2 * mask.sum() - size)


def test_same_profile_of_many_is_alike_and_random() -> None:
    rng = np.random.default_rng(1)
    energies, mask = rng.exponential(size=8001) ** 3, rng.random(8001) < 0.05
    first, second = (same_profile(mask, energies, make_rng(seed)) for seed in (1, 2))
    for drawn in (first, second):
        assert abs(energies[drawn].sum() / energies[mask].sum() - 1) <= LIKENESS
        mine, its = (np.sort(energies[one]) for one in (mask, drawn))
        between = slice(20, -20)  # the weakest and the loudest have neighbours far off
        np.testing.assert_allclose(its[between], mine[between], rtol=0.1)
    assert 0.05 < (first & second).sum() / mask.sum() < 0.5


def test_same_profile_takes_its_neighbours_from_both_sides() -> None:
    energies, mask = np.arange(100.0), np.zeros(100, dtype=bool)
    mask[50:60] = True
    drawn = [np.flatnonzero(same_profile(mask, energies, make_rng(seed))) for seed in range(40)]
    below = [(one < 50).mean() for one in drawn]
    assert 0.4 < np.mean(below) < 0.6
    assert min(one.min() for one in drawn) > 40
    assert max(one.max() for one in drawn) < 70
    mask[:] = energies > 89  # nothing else is as loud: the next
    assert np.flatnonzero(same_profile(mask, energies, make_rng(0))).tolist() == list(range(80, 90))


def test_another_kind_changes_no_draws() -> None:
    """As drawn before there was ``null_profile``: stores hold them."""
    masks, energies = [np.arange(40) < 9, np.arange(40) % 5 == 0], np.random.default_rng(0).exponential(size=40)
    drawn = {(one.kind, one.draw): np.flatnonzero(one.mask) for one in draw_nulls(masks, energies, 2, "clip", "model")}
    assert drawn["null_size", 3].tolist() == [6, 10, 12, 15, 18, 33, 34, 39]
    assert drawn["null_energy", 2].tolist() == [0, 3, 4, 8, 11, 12, 13, 17, 20, 29, 30, 33]
    assert [draw for kind, draw in drawn if kind == "null_profile"] == [0, 1, 2, 3]


def test_silence_keeps_nothing() -> None:
    assert not silence(np.ones(5, dtype=bool), np.ones(5), make_rng(0)).any()
    assert set(NULLS) == {"null_size", "null_energy", "null_profile", "silence"}


def test_draws_depend_on_the_facts_alone() -> None:
    mask, energies = np.arange(500) < 50, np.random.default_rng(0).exponential(size=500)
    for draw in NULLS.values():
        np.testing.assert_array_equal(
            draw(mask, energies, make_rng("clip", 1)), draw(mask, energies, make_rng("clip", 1))
        )
    assert (same_size(mask, energies, make_rng("clip", 1)) != same_size(mask, energies, make_rng("clip", 2))).any()
