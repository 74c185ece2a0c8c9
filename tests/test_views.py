"""Harmless changes of a signal."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given
from hypothesis import strategies as st

from earwitness import ConfigError
from earwitness.signal.audio import Clip
from earwitness.signal.domains import Domain
from earwitness.signal.spectrum import Spectrum
from earwitness.signal.views import View, Viewed, code, draw_views, in_view, make_noise, make_room, parse_views
from planted import make_clip

ALL = ("noise:30", "gain:6", "shift:10", "room")


def draw(kinds: tuple[str, ...], spectrum: Spectrum, count: int = 4, seed: int = 0, **others: object) -> list[View]:
    return draw_views(parse_views(kinds), spectrum, count, seed, "test", **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("nose:30",), "noise"),
        (("noise",), "write noise:DB"),
        (("noise:loud",), "write noise:DB"),
        (("noise:30:brown",), "pink, white, own"),
        (("gain:-3",), "more than 0"),
        (("gain:nan",), "more than 0"),
        (("codec:aac",), "codec:mp3 or codec:vorbis"),
        (("room:2",), "takes no numbers"),
        (("gain:3", "gain:6"), "listed twice"),
    ],
)
def test_other_views_are_refused(texts: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_views(texts)


def test_a_view_is_the_same_whichever_it_is_drawn_with() -> None:
    spectrum = Spectrum(make_clip(257))
    four, two = draw(ALL, spectrum), draw(ALL, spectrum, 2)
    signals = torch.tensor(spectrum.clip.samples[None])
    for one, other in zip(two, four, strict=False):
        np.testing.assert_array_equal(one.apply(signals), other.apply(signals))
    assert not torch.equal(four[0].apply(signals), four[1].apply(signals))
    assert not torch.equal(draw(ALL, spectrum, seed=1)[0].apply(signals), four[0].apply(signals))


def test_a_kind_more_changes_no_other() -> None:
    spectrum = Spectrum(make_clip(257))
    short, long = draw(("noise:30",), spectrum), draw(("noise:30", "gain:6"), spectrum)
    for one, other in zip(short, long, strict=True):
        np.testing.assert_array_equal(one.noise, other.noise)


@pytest.mark.parametrize("colour", ["pink", "white", "own"])
def test_noise_lies_as_far_under_the_clip_as_wanted(colour: str) -> None:
    clip = make_clip(4001)
    noise = make_noise(clip, 30, colour, np.random.default_rng(0)).astype(np.float64)
    level = 10 * np.log10((clip.samples.astype(np.float64) ** 2).mean() / (noise**2).mean())
    assert level == pytest.approx(30, abs=1e-3)


def test_pink_noise_falls_by_three_decibels_an_octave() -> None:
    clip = Clip(np.random.default_rng(0).standard_normal(1 << 18).astype(np.float32), 16_000)
    noise = make_noise(clip, 30, "pink", np.random.default_rng(1))
    hertz, power = scipy.signal.welch(noise, 16_000, nperseg=4096)
    fit = (hertz > 100) & (hertz < 7000)
    slope = np.polyfit(np.log2(hertz[fit]), 10 * np.log10(power[fit]), 1)[0]
    assert slope == pytest.approx(-3.01, abs=0.1)


def test_own_noise_has_the_clips_spectrum() -> None:
    rng = np.random.default_rng(0)
    samples = scipy.signal.sosfilt(scipy.signal.butter(4, [900, 1100], "band", fs=16_000, output="sos"),
                                   rng.standard_normal(32_000))  # fmt: skip
    noise = make_noise(Clip(samples.astype(np.float32), 16_000), 30, "own", rng)
    hertz, power = scipy.signal.welch(noise, 16_000, nperseg=1024)
    assert power[(hertz > 800) & (hertz < 1200)].sum() > 0.95 * power.sum()


@given(st.integers(-20, 20), st.integers(2, 40))
def test_a_shift_moves_and_fills_with_zeros(shift: int, length: int) -> None:
    shift = int(np.clip(shift, 1 - length, length - 1))
    signal = torch.arange(1, length + 1, dtype=torch.float32)[None]
    moved = View(shift=shift).apply(signal)
    expected = np.zeros(length, dtype=np.float32)
    whole = np.arange(1, length + 1, dtype=np.float32)
    if shift >= 0:
        expected[shift:] = whole[: length - shift]
    else:
        expected[:shift] = whole[-shift:]
    np.testing.assert_array_equal(moved[0], expected)


def test_draws_stay_within_what_was_asked() -> None:
    spectrum = Spectrum(make_clip(4001))
    views = draw(("gain:6", "shift:10"), spectrum, 200)
    gains = 20 * np.log10([view.gain for view in views])
    shifts = np.array([view.shift for view in views]) / 16
    assert np.abs(gains).max() <= 6 < 6.5 * np.abs(gains).max() / 6
    assert np.abs(gains).max() > 5.5
    assert np.abs(shifts).max() <= 10
    assert shifts.min() < -9 < 9 < shifts.max()


def test_a_room_is_a_convolution_cut_to_length() -> None:
    rng = np.random.default_rng(0)
    signal, room = rng.standard_normal(900).astype(np.float32), make_room(16_000, rng)
    heard = View(room=room).apply(torch.from_numpy(signal[None]))[0].numpy()
    np.testing.assert_allclose(heard, scipy.signal.fftconvolve(signal, room)[:900], atol=1e-4)
    assert room[0] == 1
    assert (room[1:] ** 2).sum() == pytest.approx(0.1, rel=1e-4)  # 10 dB under the direct sound


@pytest.mark.parametrize("codec", ["mp3", "vorbis"])
def test_a_codec_keeps_length_and_sound(codec: str) -> None:
    time = np.arange(16_000) / 16_000
    signal = (2 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)  # beyond full scale
    coded = code(signal, 16_000, codec)
    assert coded.shape == signal.shape
    spectrum = np.abs(np.fft.rfft(coded))
    assert spectrum.argmax() == 440
    assert 0.8 < spectrum.max() / np.abs(np.fft.rfft(signal)).max() < 1.25


def test_a_codec_that_does_not_write_the_rate_says_so() -> None:
    with pytest.raises(ConfigError, match="not written at 12345 Hz"):
        code(np.zeros(100, dtype=np.float32), 12_345, "mp3")


@pytest.mark.parametrize("domain", ["rfft", "stft:64:16", "mel:8"])
def test_what_is_removed_becomes_another_recording(domain: str) -> None:
    clip, other = make_clip(257), make_clip(257, seed=5)
    spectrum = Spectrum(clip, Domain.parse(domain))
    view = draw(("others",), spectrum, 1, others=[other])[0]
    viewed = Viewed(spectrum, [view])
    masks = np.stack([np.ones(spectrum.size, bool), np.zeros(spectrum.size, bool)])
    whole, nothing = viewed.invert(in_view(masks, 0, 1)).numpy()
    np.testing.assert_allclose(whole, clip.samples, atol=1e-6)
    power = np.sqrt((clip.samples**2).mean() / (other.samples**2).mean())
    np.testing.assert_allclose(nothing, other.samples * power, atol=1e-6)
    np.testing.assert_array_equal(viewed.invert(in_view(masks, None, 1)), spectrum.invert(masks))


def test_others_must_be_given_and_of_the_clips_rate() -> None:
    spectrum = Spectrum(make_clip(257))
    with pytest.raises(ConfigError, match="no recording with another label"):
        draw(("others",), spectrum)
    with pytest.raises(ConfigError, match="use the clip's 16000"):
        draw(("others",), spectrum, others=[make_clip(257, sample_rate=8000)])


def test_signals_do_not_depend_on_the_batch() -> None:
    spectrum = Spectrum(make_clip(257))
    viewed = Viewed(spectrum, draw(ALL, spectrum))
    rng = np.random.default_rng(0)
    kept = rng.random((8, spectrum.size)) < 0.3
    masks = np.concatenate([in_view(kept[i : i + 1], (None, 0, 1, 2, 3)[i % 5], 4) for i in range(8)])
    together = viewed.invert(masks)
    for row in range(8):
        np.testing.assert_array_equal(viewed.invert(masks[row : row + 1])[0], together[row])
