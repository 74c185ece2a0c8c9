"""Composites of additive models whose largest set is known, and changes of a known level."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earwitness.analyses.composition import (
    Ask,
    find_largest,
    fit_lengths,
    join_masks,
    make_noise,
    mean_of,
    overlay,
    replace_bins,
    scale,
    signal_to_noise,
)
from earwitness.analyses.settings import GreedySettings
from earwitness.errors import ConfigError
from earwitness.signal.masks import Mask


def additive(weights: list[float], threshold: float = 0.0) -> Ask:
    """Accepts a set if the mean of its weights exceeds a threshold."""

    def ask(sets: Mask) -> NDArray[np.float32]:
        means = (sets * np.array(weights)).sum(axis=1) / sets.sum(axis=1)
        return np.stack([means - threshold, np.zeros(len(sets))], axis=1).astype(np.float32)

    return ask


def largest_by_sorting(weights: list[float]) -> int:
    """Of an additive model: the longest prefix of the sorted weights with no negative sum (a tie is label 0)."""
    sums = np.cumsum(np.sort(weights)[::-1])
    return int((sums >= 0).sum())


def test_all_are_taken_where_the_mean_of_all_is_accepted() -> None:
    found = find_largest(additive([1.0] * 30), 30, 0)
    assert (found.size, found.degree, found.certificate, found.questions) == (30, 1.0, "all", 1)


def test_none_is_found_where_no_set_is_accepted() -> None:
    few, many = find_largest(additive([-1.0] * 5), 5, 0), find_largest(additive([-1.0] * 40), 40, 0)
    assert (few.size, few.certificate, few.questions) == (0, "exact", 31)
    assert (many.size, many.certificate) == (0, "none")


def test_the_other_label_has_the_complement() -> None:
    weights = [3.0, 0.5, -1.0, -1.0, -1.0, -1.0, -1.0]
    assert find_largest(additive(weights), 7, 0).size == 5
    found = find_largest(additive(weights), 7, 1)  # all but the 3
    assert found.size == 7
    assert found.certificate == "all"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([-3.0, -1.0, -0.5, 0.75, 1.25, 2.0]), min_size=1, max_size=9))
def test_small_sets_are_exact(weights: list[float]) -> None:
    found = find_largest(additive(weights), len(weights), 0)
    assert found.size == largest_by_sorting(weights)
    assert found.certificate in ("all", "exact")
    if found.size:
        assert additive(weights)(found.members[None])[0].argmax() == 0


@pytest.mark.parametrize("seed", range(5))
def test_greedy_finds_the_largest_of_additive_models(seed: int) -> None:
    weights = np.random.default_rng(seed).normal(-0.6, 1, 40).tolist()
    found = find_largest(additive(weights), 40, 0, GreedySettings(seed=seed))
    assert found.size == largest_by_sorting(weights)
    assert found.size <= found.bound < 40


def test_greedy_is_maximal_on_a_model_that_is_not_monotone() -> None:
    # accepts sets of at most 9, or even ones of at most 14 that hold signal 3
    def ask(sets: Mask) -> NDArray[np.float32]:
        size = sets.sum(axis=1)
        good = (size <= 9) | ((size <= 14) & (size % 2 == 0) & sets[:, 3])
        return np.where(good[:, None], [1.0, 0.0], [0.0, 1.0]).astype(np.float32)

    found = find_largest(ask, 25, 0)
    assert found.certificate == "maximal"
    for extra in np.flatnonzero(~found.members):
        more = found.members.copy()
        more[extra] = True
        assert ask(more[None])[0].argmax() == 1


def test_taking_out_finds_what_putting_in_cannot() -> None:
    # accepts 15 or more signals without any of the first 6; smaller sets lure towards those 6
    def ask(sets: Mask) -> NDArray[np.float32]:
        size, bad = sets.sum(axis=1), sets[:, :6].sum(axis=1)
        margin = np.where(size >= 15, np.where(bad == 0, 1.0, -bad), bad - 100.0)
        return np.stack([margin, np.zeros(len(sets))], axis=1).astype(np.float32)

    found = find_largest(ask, 30, 0, GreedySettings(budget=2000))
    assert np.flatnonzero(~found.members).tolist() == [0, 1, 2, 3, 4, 5]
    assert found.certificate == "maximal"


def test_what_was_found_grows_until_nothing_can_be_added() -> None:
    # accepts 10 signals without the first, or 11 and 12 if the second is one of them; smaller sets lure towards the
    # first. Taking out (of ties, the first goes first) ends at the last 10, and only adding the second leads on
    def ask(sets: Mask) -> NDArray[np.float32]:
        size, first, second = sets.sum(axis=1), sets[:, 0], sets[:, 1]
        good = ~first & ((size == 10) | (second & (size > 10) & (size <= 12)))
        margin = np.where(good, 0.5, np.where(size < 10, first - 2.0, -size))
        return np.stack([margin, np.zeros(len(sets))], axis=1).astype(np.float32)

    found = find_largest(ask, 20, 0, GreedySettings(restarts=0, budget=1000))
    assert (found.size, bool(found.members[1]), found.certificate) == (12, True, "maximal")


def test_the_budget_is_kept_and_said() -> None:
    weights = np.random.default_rng(0).normal(-0.6, 1, 40).tolist()
    asked = 0

    def ask(sets: Mask) -> NDArray[np.float32]:
        nonlocal asked
        asked += len(sets)
        return additive(weights)(sets)

    found = find_largest(ask, 40, 0, GreedySettings(budget=100))
    assert asked == found.questions <= 100
    assert found.certificate == "none"


def test_no_set_is_asked_twice() -> None:
    seen: set[bytes] = set()
    weights = np.random.default_rng(3).normal(-0.6, 1, 20).tolist()

    def ask(sets: Mask) -> NDArray[np.float32]:
        for row in sets:
            assert row.any()
            assert row.tobytes() not in seen
            seen.add(row.tobytes())
        return additive(weights)(sets)

    assert find_largest(ask, 20, 0).questions == len(seen)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="no signals"):
        find_largest(additive([]), 0, 0)
    with pytest.raises(ConfigError, match="use 0 to 20"):
        GreedySettings(exact=30)
    with pytest.raises(ConfigError, match="pad, crop"):
        fit_lengths([np.zeros(3, np.float32)], "stretch")


def test_unequal_lengths_are_padded_or_cropped() -> None:
    signals = [np.ones(2, np.float32), np.full(3, 3, np.float32)]
    assert fit_lengths(signals).tolist() == [[1, 1, 0], [3, 3, 3]]
    assert fit_lengths(signals, "crop").tolist() == [[1, 1], [3, 3]]
    both = mean_of(fit_lengths(signals), np.array([[True, True], [False, True]]))
    assert both.tolist() == [[2, 2, 1.5], [3, 3, 3]]


def test_masks_of_unequal_clips_join_by_frequency() -> None:
    one, two = np.zeros(6, bool), np.zeros(6, bool)
    one[2] = two[4] = True
    assert np.flatnonzero(join_masks([one, two], [10, 10], 10)).tolist() == [2, 4]
    # bin 2 of 10 samples is frequency 0.2, ± 0.05: of 20 samples bins 3, 4 (5 is the next bin's half)
    assert np.flatnonzero(join_masks([one], [10], 20)).tolist() == [3, 4]
    assert np.flatnonzero(join_masks([one], [10], 5)).tolist() == [1]


@given(st.integers(0, 2**31), st.integers(2, 60))
def test_joining_equal_lengths_is_the_union(seed: int, samples: int) -> None:
    masks = np.random.default_rng(seed).random((3, samples // 2 + 1)) < 0.3
    np.testing.assert_array_equal(join_masks(list(masks), [samples] * 3, samples), masks.any(axis=0))


@pytest.mark.parametrize("level", [-20.0, 0.0, 6.0])
def test_an_overlay_at_a_level_has_that_signal_to_noise_ratio(level: float) -> None:
    rng = np.random.default_rng(1)
    clip, signal = rng.standard_normal((2, 400)).astype(np.float32) * 0.1
    changed = overlay(clip, scale(signal, clip, level))
    assert signal_to_noise(clip, changed) == pytest.approx(-level, abs=1e-3)
    assert scale(signal, clip, None) is not None
    np.testing.assert_array_equal(scale(signal[:300], clip, None)[300:], 0)


def test_silence_has_no_level() -> None:
    zeros, ones = np.zeros(8, np.float32), np.ones(8, np.float32)
    with pytest.raises(ConfigError, match="silence"):
        scale(zeros, ones, -10)
    assert signal_to_noise(ones, ones) is None
    assert signal_to_noise(zeros, ones) is None


def test_replacing_bins_changes_those_and_no_others() -> None:
    rng = np.random.default_rng(2)
    clip, signal = rng.standard_normal((2, 101)).astype(np.float32)
    bins = np.zeros(51, bool)
    bins[[3, 17, 50]] = True
    spectrum = np.fft.rfft(replace_bins(clip, signal, bins))
    np.testing.assert_allclose(spectrum[bins], np.fft.rfft(signal)[bins], atol=1e-4)
    np.testing.assert_allclose(spectrum[~bins], np.fft.rfft(clip)[~bins], atol=1e-4)


def test_noise_has_the_power_of_what_it_stands_for() -> None:
    signals = np.stack([np.full(40_000, 0.5), np.full(40_000, 2.0)]).astype(np.float32)
    noise = make_noise(signals, np.random.default_rng(0))
    np.testing.assert_allclose((noise.astype(np.float64) ** 2).mean(axis=1), [0.25, 4.0], rtol=0.05)


def test_exhaustive_search_agrees_with_all_subsets() -> None:
    # a model with interactions: accepts where an odd number of {0, 2, 5} is in, and not both 1 and 4
    def ask(sets: Mask) -> NDArray[np.float32]:
        good = (sets[:, [0, 2, 5]].sum(axis=1) % 2 == 1) & ~(sets[:, 1] & sets[:, 4])
        return np.where(good[:, None], [1.0, 0.0], [0.0, 1.0]).astype(np.float32)

    best = 0
    for size in range(1, 9):
        for members in combinations(range(8), size):
            mask = np.isin(np.arange(8), members)
            best = size if ask(mask[None])[0].argmax() == 0 else best
    found = find_largest(ask, 8, 0)
    assert found.size == best == 7
    assert found.certificate == "exact"
