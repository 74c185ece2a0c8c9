"""Null signals: as large or as loud as what they stand for, and the same for the same seed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from earwitness.analyses.chance import NULLS, TOLERANCE, make_rng, same_energy, same_size, silence


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


def test_silence_keeps_nothing() -> None:
    assert not silence(np.ones(5, dtype=bool), np.ones(5), make_rng(0)).any()
    assert set(NULLS) == {"null_size", "null_energy", "silence"}


def test_draws_depend_on_the_facts_alone() -> None:
    mask, energies = np.arange(500) < 50, np.random.default_rng(0).exponential(size=500)
    for draw in NULLS.values():
        np.testing.assert_array_equal(
            draw(mask, energies, make_rng("clip", 1)), draw(mask, energies, make_rng("clip", 1))
        )
    assert (same_size(mask, energies, make_rng("clip", 1)) != same_size(mask, energies, make_rng("clip", 2))).any()
