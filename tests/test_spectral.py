"""Spectra whose entropy is known in closed form; densities against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from earwitness.analyses.spectral import (
    band_energies,
    compare,
    density,
    entropy_of,
    frame_entropies,
    mean_density,
    measure_entropy,
    octave_edges,
    power_shares,
)

RATE = 16_000


def tone(hertz: float, samples: int = RATE) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(samples) / RATE).astype(np.float32)


def test_a_tone_has_no_entropy() -> None:
    found = measure_entropy(tone(1000), RATE)
    assert found is not None
    assert found.bits < 1e-6
    assert found.normalised < 1e-6


@pytest.mark.parametrize("count", [2, 4, 16])
def test_equal_tones_have_the_entropy_of_their_number(count: int) -> None:
    chord = sum(tone(100.0 * (i + 1)) for i in range(count)) / count
    found = measure_entropy(np.asarray(chord, np.float32), RATE)
    assert found is not None
    assert found.bits == pytest.approx(np.log2(count), abs=1e-3)
    assert found.normalised == pytest.approx(np.log2(count) / np.log2(RATE // 2 + 1), abs=1e-4)


def test_white_noise_is_as_far_below_the_maximum_as_theory_says() -> None:
    samples = 1 << 16
    noise = np.random.default_rng(0).standard_normal(samples).astype(np.float32)
    found = measure_entropy(noise, RATE)
    assert found is not None
    expected = np.log2(samples // 2 + 1) - (1 - np.euler_gamma) / np.log(2)
    assert found.bits == pytest.approx(expected, abs=0.02)
    assert 0.95 < found.normalised < 1
    assert found.per_frame is not None
    assert 0.9 < found.per_frame < 1


def test_an_impulse_is_flat() -> None:
    impulse = np.zeros(RATE + 1, np.float32)
    impulse[0] = 1
    found = measure_entropy(impulse, RATE)
    assert found is not None
    assert found.normalised == pytest.approx(1, abs=1e-4)


def test_silence_has_no_entropy_and_no_bands() -> None:
    assert measure_entropy(np.zeros(RATE, np.float32), RATE) is None
    assert band_energies(np.zeros(RATE, np.float32), RATE, octave_edges(RATE)).sum() == 0


def test_quiet_frames_are_left_out() -> None:
    signal = np.zeros(RATE, np.float32)
    signal[: RATE // 2] = tone(1000)[: RATE // 2]
    frames = frame_entropies(signal, RATE)
    assert 30 <= len(frames) <= 33
    assert frames[:28].max() < 0.2
    short = measure_entropy(signal[:100], RATE)
    assert short is not None
    assert short.per_frame is None
    assert short.frames == 0


@given(st.integers(0, 2**31), st.integers(2, 300))
def test_entropy_lies_between_nothing_and_the_maximum(seed: int, samples: int) -> None:
    signal = np.random.default_rng(seed).standard_normal(samples).astype(np.float32)
    shares = power_shares(signal)
    assert shares.sum() == pytest.approx(1)
    assert 0 <= entropy_of(shares) <= np.log2(shares.size) + 1e-9


@pytest.mark.parametrize("samples", [1000, 1001])
def test_shares_are_those_of_the_power(samples: int) -> None:
    # by Parseval: 1 of the constant, ½ of the tone, and for even lengths 1 of the alternation (Nyquist)
    times = np.arange(samples)
    signal = 1 + np.cos(2 * np.pi * 7 * times / samples) + (samples % 2 == 0) * (-1.0) ** times
    shares = power_shares(signal.astype(np.float32))
    total = 1.5 + (samples % 2 == 0)
    assert shares[0] == pytest.approx(1 / total, rel=1e-5)
    assert shares[7] == pytest.approx(0.5 / total, rel=1e-5)
    assert shares[-1] == pytest.approx((samples % 2 == 0) / total, abs=1e-5)


def test_entropy_equals_scipy() -> None:
    shares = power_shares(np.random.default_rng(5).standard_normal(999).astype(np.float32))
    assert float(entropy_of(shares)) == pytest.approx(float(scipy.stats.entropy(shares, base=2)))


def test_density_equals_scipy() -> None:
    signal = np.random.default_rng(1).standard_normal(5000).astype(np.float32)
    hertz, values = density(signal, RATE, 512)
    expected = scipy.signal.welch(signal.astype(np.float64), RATE, nperseg=512)
    np.testing.assert_array_equal(hertz, expected[0])
    np.testing.assert_allclose(values, expected[1], rtol=1e-12)
    # by Parseval, the integral is the variance
    assert values.sum() * (hertz[1] - hertz[0]) == pytest.approx(1, rel=0.1)


def test_a_short_signal_has_a_density_on_the_same_frequencies() -> None:
    assert density(np.ones(10, np.float32), RATE, 512)[0].shape == (257,)


def test_each_signal_counts_alike_in_a_mean_density() -> None:
    mean = mean_density(np.array([[1.0, 3.0], [300.0, 100.0], [0.0, 0.0]]))
    np.testing.assert_allclose(mean, [0.5, 0.5])
    assert mean_density(np.zeros((2, 3))).tolist() == [0, 0, 0]


def test_band_energies_of_two_tones() -> None:
    edges = octave_edges(RATE)
    assert edges == (0, 125, 250, 500, 1000, 2000, 4000, 8000)
    shares = band_energies((2 * tone(300) + tone(5000)).astype(np.float32), RATE, edges)
    np.testing.assert_allclose(shares, [0, 0, 0.8, 0, 0, 0, 0.2], atol=1e-5)
    assert octave_edges(100) == (0, 50)


def test_comparison_equals_scipy_and_pairs_counted_by_hand() -> None:
    # pairs in which the first is larger: (3>1), (3>2), (2>1), and the tie (2, 2) counts half: 3.5 of 4
    found = compare([3.0, 2.0], [1.0, 2.0])
    assert found is not None
    assert found.u == 3.5
    assert found.effect == pytest.approx(0.75)
    rng = np.random.default_rng(0)
    first, second = rng.normal(0, 1, 30).tolist(), rng.normal(1, 1, 20).tolist()
    expected = scipy.stats.mannwhitneyu(first, second)
    found, swapped = compare(first, second), compare(second, first)
    assert found is not None
    assert swapped is not None
    assert (found.u, found.p) == (expected.statistic, expected.pvalue)
    assert found.effect == pytest.approx(-swapped.effect)
    assert found.effect < 0
    assert compare([], [1.0]) is None
