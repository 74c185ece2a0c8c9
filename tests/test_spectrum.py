"""Fourier domains: round trips, what masks keep, energies, occlusion."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earwitness import Clip, ConfigError
from earwitness.signal.domains import Domain
from earwitness.signal.masks import Mask, from_runs, to_runs
from earwitness.signal.spectrum import Spectrum

RATE = 16_000
DOMAINS = ("rfft", "mel:24", "octave:3", "edges:300,3400", "stft:256:64")


def noise(samples: int, seed: int = 0) -> Clip:
    rng = np.random.default_rng(seed)
    return Clip(rng.uniform(-0.5, 0.5, samples).astype(np.float32), RATE)


def signals(spectrum: Spectrum, masks: Mask) -> NDArray[np.float32]:
    return np.asarray(spectrum.invert(masks).numpy())


@given(st.integers(1, 3000), st.integers(0, 5))
@settings(deadline=None, max_examples=60)
def test_keeping_everything_gives_the_clip_to_the_last_bit(samples: int, seed: int) -> None:
    clip = noise(samples, seed)
    spectrum = Spectrum(clip)
    assert spectrum.size == spectrum.bins == samples // 2 + 1
    np.testing.assert_array_equal(signals(spectrum, np.ones((1, spectrum.size), bool))[0], clip.samples)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("samples", [1, 2, 1000, 1001])
def test_round_trip_and_energy_in_every_domain(domain: str, samples: int) -> None:
    clip = noise(samples)
    spectrum = Spectrum(clip, Domain.parse(domain))
    np.testing.assert_allclose(signals(spectrum, np.ones((1, spectrum.size), bool))[0], clip.samples, rtol=0, atol=1e-6)
    assert spectrum.energy.shape == spectrum.hertz.shape == (spectrum.size,)
    assert spectrum.energy.sum() == pytest.approx(1)
    assert (np.bincount(np.arange(spectrum.size)) == 1).all()


@given(st.integers(2, 400), st.integers(0, 10_000))
@settings(deadline=None, max_examples=40)
def test_kept_and_removed_add_up_to_the_clip(samples: int, seed: int) -> None:
    clip = noise(samples, seed)
    spectrum = Spectrum(clip)
    mask = np.random.default_rng(seed).random(spectrum.size) < 0.5
    kept, removed = signals(spectrum, np.stack([mask, ~mask]))
    np.testing.assert_allclose(kept.astype(float) + removed, clip.samples, atol=1e-6)


@pytest.mark.parametrize("domain", ["rfft", "octave:3"])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_signal_depends_neither_on_its_company_nor_on_threads(
    domain: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spectrum = Spectrum(noise(4801), Domain.parse(domain))
    rng = np.random.default_rng(1)
    masks = rng.random((100, spectrum.size)) < 0.3  # several times as many as are made at once
    gains = np.exp(2j * np.pi * rng.random(masks.shape))
    alone = [spectrum.invert(mask[None])[0].numpy() for mask in masks]
    changed = [spectrum.change(row[None])[0].numpy() for row in gains]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    np.testing.assert_array_equal(signals(spectrum, masks), alone)
    np.testing.assert_array_equal(spectrum.change(gains).numpy(), changed)
    assert signals(spectrum, masks[:0]).shape == (0, 4801)


def test_one_bin_is_a_tone_of_its_frequency_and_energy() -> None:
    clip = noise(1600)
    spectrum = Spectrum(clip)
    mask = np.zeros((1, spectrum.size), bool)
    mask[0, 58] = True
    signal = signals(spectrum, mask)[0]
    assert np.abs(np.fft.rfft(signal)).argmax() == 58
    assert spectrum.hertz[58] == pytest.approx(580)
    share = float((signal.astype(float) ** 2).sum() / (clip.samples.astype(float) ** 2).sum())
    assert spectrum.energy[58] == pytest.approx(share, rel=1e-5)


def test_band_variables_are_whole_bins() -> None:
    spectrum = Spectrum(noise(1600), Domain.parse("edges:300,3400"))
    assert spectrum.size == 3
    middle = spectrum.to_bins(np.array([False, True, False]))
    kept = np.flatnonzero(middle) * 10
    assert (kept.min(), kept.max()) == (300, 3390)


def test_stft_cell_is_local_in_time() -> None:
    spectrum = Spectrum(noise(4000), Domain.parse("stft:256:64"))
    mask = (spectrum.hertz > 0) & (np.arange(spectrum.size) % (spectrum.size // 129) < 10)
    signal = signals(spectrum, mask[None])[0]
    assert (signal[:400] ** 2).sum() > 0.5 * (signal**2).sum() > 0
    assert not signal[1500:].any()


@pytest.mark.parametrize("domain", ["rfft", "mel:24", "stft:256:64"])
def test_occlusion_values(domain: str) -> None:
    clip = noise(1600)
    nothing = np.zeros((1, Spectrum(clip, Domain.parse(domain)).size), bool)
    assert not signals(Spectrum(clip, Domain.parse(domain)), nothing).any()
    mean = signals(Spectrum(clip, Domain.parse(domain, "mean")), nothing)[0]
    assert np.corrcoef(mean, clip.samples)[0, 1] > 0.5  # the phase is the original's
    hiss = [signals(Spectrum(clip, Domain.parse(domain, "noise", seed)), nothing)[0] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(hiss[0], hiss[1])
    assert abs(np.corrcoef(hiss[0], hiss[2])[0, 1]) < 0.3
    assert (hiss[0] ** 2).sum() == pytest.approx(float((clip.samples**2).sum()), rel=0.3)


@given(st.lists(st.booleans(), min_size=1, max_size=80))
def test_runs_round_trip(bits: list[bool]) -> None:
    mask = np.array(bits)
    runs = to_runs(mask)
    np.testing.assert_array_equal(from_runs(runs, mask.size), mask)
    assert all(stop < start for (_, stop), (start, _) in itertools.pairwise(runs))


@pytest.mark.parametrize(
    "text", ["", "fourier", "mel", "mel:x", "mel:-3", "stft:256", "stft:256:200", "rfft:3", "edges", "mel:nan"]
)
def test_bad_domains_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        Domain.parse(text)


def test_signals_are_float32_tensors() -> None:
    spectrum = Spectrum(noise(100))
    assert spectrum.invert(np.ones((2, spectrum.size), bool)).dtype == torch.float32
