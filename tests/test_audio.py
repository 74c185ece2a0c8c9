"""Recordings: what can be read, what is refused and how."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from earwitness import AudioError, Clip, ModelError, read
from earwitness.models.callables import CallableModel
from earwitness.models.resampling import at_rate
from earwitness.search.settings import SearchSettings
from earwitness.signal import audio
from earwitness.signal.audio import write
from earwitness.signal.domains import Domain
from earwitness.signal.limits import Limits
from earwitness.signal.spectrum import Spectrum, count_variables
from earwitness.study.cost import tell_cost

RATE = 16_000


def tone(seconds: float = 0.5, hertz: float = 440, rate: int = RATE) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def test_every_container_reads(tmp_path: Path) -> None:
    for suffix in ("wav", "flac", "ogg", "aiff"):
        path = tmp_path / f"tone.{suffix}"
        soundfile.write(path, tone(), RATE)
        clip = read(path)
        assert clip.sample_rate == RATE
        assert len(clip) == RATE // 2
        assert np.corrcoef(clip.samples, tone())[0, 1] > 0.99


def test_192_khz_8_channels_become_mono_at_the_wanted_rate(tmp_path: Path) -> None:
    high = tone(0.25, 1000, 192_000)
    soundfile.write(tmp_path / "wide.wav", np.tile(high[:, None], (1, 8)), 192_000, subtype="FLOAT")
    clip = read(tmp_path / "wide.wav", RATE)
    assert clip.sample_rate == RATE
    assert len(clip) == RATE // 4
    inner = slice(400, -400)  # the resampler's filter rings at the edges
    np.testing.assert_allclose(clip.samples[inner], tone(0.25, 1000)[inner], atol=1e-3)


def test_channels_are_averaged(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "stereo.wav", np.array([[1.0, 0.0], [0.5, -0.5]]), RATE, subtype="FLOAT")
    np.testing.assert_array_equal(read(tmp_path / "stereo.wav").samples, np.array([0.5, 0.0], np.float32))


def test_one_sample_survives_resampling(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "one.wav", np.array([0.25], np.float32), 48_000, subtype="FLOAT")
    assert len(read(tmp_path / "one.wav", RATE)) >= 1


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"", "empty"), (b"this is no sound at all, only text\n" * 20, "not readable as audio")],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "text.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=word):
        read(path)


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such file"):
        read(tmp_path / "none.wav")
    with pytest.raises(AudioError, match="a folder"):
        read(tmp_path)


def test_truncated_flac_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "whole.flac", rng.uniform(-0.5, 0.5, RATE), RATE)
    whole = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AudioError, match=r"truncated|not readable"):
        read(tmp_path / "cut.flac")


def test_zero_samples_and_nan_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "none.wav", np.empty(0, np.float32), RATE)
    soundfile.write(tmp_path / "nan.wav", np.array([0.1, np.nan], np.float32), RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match="no samples"):
        read(tmp_path / "none.wav")
    with pytest.raises(AudioError, match="NaN"):
        read(tmp_path / "nan.wav")


def test_fit_says_what_it_did() -> None:
    clip = Clip(tone(0.5), RATE)
    longer, shorter = clip.fit(1.0), clip.fit(0.25)
    assert (len(longer), longer.fitted) == (RATE, "padded from 8000 samples")
    assert not longer.samples[RATE // 2 :].any()
    assert (len(shorter), shorter.fitted) == (RATE // 4, "cropped from 8000 samples")
    assert clip.fit(0.5) is clip


def test_identity_is_content() -> None:
    assert Clip(tone(), RATE, "a").sha256 == Clip(tone(), RATE, "b").sha256
    assert Clip(tone(), RATE).sha256 != Clip(tone(), RATE + 1).sha256
    assert Clip(tone(), RATE).sha256 != Clip(tone() * 0.5, RATE).sha256


@given(st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=50))
def test_writing_and_reading_is_exact(tmp_path_factory: pytest.TempPathFactory, values: list[float]) -> None:
    path = tmp_path_factory.mktemp("round") / "signal.wav"
    samples = np.array(values, dtype=np.float32)
    write(path, samples, RATE)
    np.testing.assert_array_equal(read(path).samples, samples)


RATES = [(48_000, RATE), (44_100, RATE), (16_000, 8_000), (8_000, 48_000), (11_025, RATE), (RATE, 22_050), (500, RATE)]


@pytest.mark.parametrize(("rate", "wanted"), RATES)
def test_reading_the_beginning_gives_the_bits_of_the_whole(
    tmp_path: Path, rate: int, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    low = min(rate, wanted)
    frames = round(4 * audio.MARGIN * rate / low) + 7
    noise = np.random.default_rng(rate).uniform(-1, 1, (frames, 2)).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", noise, rate, subtype="FLOAT")
    monkeypatch.setattr(audio, "BLOCK", 9999)  # several blocks
    whole = Clip(noise.mean(axis=1), rate).resample(wanted)
    for seconds in (10 / wanted, 0.4 * audio.MARGIN / low, 2 * audio.MARGIN / low, 5 * audio.MARGIN / low):
        clip, fitted = read(tmp_path / "long.wav", wanted, seconds), whole.fit(seconds)
        np.testing.assert_array_equal(clip.samples, fitted.samples)
        assert clip.fitted == fitted.fitted
    assert read(tmp_path / "long.wav", wanted).sha256 == whole.sha256


def test_no_more_than_the_beginning_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "long.wav", np.full((300_000, 2), 0.5), 48_000)
    asked: list[int] = []
    real = soundfile.SoundFile.read

    def count(file: soundfile.SoundFile, frames: int, **options: object) -> object:
        asked.append(frames)
        return real(file, frames, **options)

    monkeypatch.setattr(soundfile.SoundFile, "read", count)
    read(tmp_path / "long.wav", RATE, 1.0)
    assert sum(asked) == 48_000 + 3 * audio.MARGIN


@given(
    st.integers(1, 5000), st.sampled_from([100, 8000, 11_025, 44_100, 192_000]), st.sampled_from([8000, RATE, 44_100])
)
def test_the_length_is_known_before_resampling(
    tmp_path_factory: pytest.TempPathFactory, frames: int, rate: int, wanted: int
) -> None:
    path = tmp_path_factory.mktemp("length") / "some.wav"
    soundfile.write(path, np.zeros(frames), rate)
    assert audio.measure(path, wanted).whole == len(Clip(np.zeros(frames, np.float32), rate).resample(wanted))


def planted_wav(path: Path, rate: int, channels: int, frames: int) -> Path:
    """A sparse WAV of silence whose header says this."""
    size = frames * channels * 2
    form = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * channels * 2 % 2**32, channels * 2, 16)
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + form + b"data" + struct.pack("<I", size))
        file.truncate(44 + size)
    return path


@pytest.mark.parametrize(
    ("rate", "channels", "frames", "limit"),
    [
        (1, 1, 2_000_000, "sample rate 1 Hz; use 100 to 1000000 Hz: .* lower the limit 'lowest_rate'"),
        (2_000_000, 1, 100, "sample rate 2000000 Hz; .* raise the limit 'highest_rate'"),
        (48_000, 65, 100, "65 channels; use 64 at most: mix them down"),
        (48_000, 1, 2**31 - 100, r"2147483548 frames at 48000 Hz \(12.4 h\).* give 'seconds'"),
        (100, 1, 4_000_000, "640000000 samples of them to hold"),  # when resampled
        (100, 1, 100, "resampling from 100 to 50000 Hz; the rates may differ 256-fold at most"),
    ],
)
def test_absurd_headers_are_refused_at_once(
    tmp_path: Path, rate: int, channels: int, frames: int, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = planted_wav(tmp_path / "absurd.wav", rate, channels, frames)
    monkeypatch.setattr(soundfile.SoundFile, "read", None)
    with pytest.raises(AudioError, match=limit) as refused:
        read(path, 50_000 if "50000" in limit else RATE)
    assert str(refused.value).count(str(path)) == 1


def test_limits_can_be_raised(tmp_path: Path) -> None:
    path = planted_wav(tmp_path / "slow.wav", 50, 1, 500)
    with pytest.raises(AudioError, match="sample rate 50 Hz"):
        read(path, RATE)
    assert len(read(path, RATE, limits=Limits(lowest_rate=50, most_ratio=320))) == 10 * RATE


def test_the_beginning_of_an_absurd_recording_is_read(tmp_path: Path) -> None:
    clip = read(planted_wav(tmp_path / "sparse.wav", 48_000, 1, 2**31 - 100), RATE, 1.0)
    assert (len(clip), clip.fitted) == (RATE, "cropped from 715827849 samples")


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan"), 1e9])
def test_absurd_durations_are_refused(tmp_path: Path, seconds: float) -> None:
    soundfile.write(tmp_path / "tone.wav", tone(), RATE)
    with pytest.raises(AudioError, match=r"use a positive duration|samples of them to hold"):
        read(tmp_path / "tone.wav", RATE, seconds)


def test_a_recording_that_memory_does_not_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "tone.wav", tone(), RATE)

    def fail(*_: object, **__: object) -> Iterator[None]:
        raise MemoryError("std::bad_alloc")

    monkeypatch.setattr(soxr, "resample", fail)
    with pytest.raises(AudioError, match="no memory for 8000 frames"):
        read(tmp_path / "tone.wav", 8000)


def test_a_model_at_an_absurd_rate_is_refused() -> None:
    model = CallableModel(lambda waves: waves[:, :2], ("yes", "no"), 3, spec="planted", fingerprint="planted")
    with pytest.raises(ModelError, match="planted: resampling from 16000 to 3 Hz; the rates may differ 256-fold"):
        at_rate(model, RATE)


@pytest.mark.parametrize("domain", ["rfft", "mel:64", "octave:3", "edges:300,3400", "stft:512:128", "stft:33:7"])
@pytest.mark.parametrize("samples", [61 * RATE, 61 * RATE + 1, 10])
def test_variables_are_counted_without_a_spectrum(domain: str, samples: int) -> None:
    if samples == 10 and domain[0] in "moe":
        pytest.skip("bands narrower than a bin vanish")
    chosen = Domain.parse(domain)
    clip = Clip(np.random.default_rng(0).uniform(-1, 1, samples).astype(np.float32), RATE)
    assert count_variables(chosen, samples, RATE) == Spectrum(clip, chosen).size


def test_what_long_clips_cost() -> None:
    settings = SearchSettings(budget=500, repeats=2)
    assert tell_cost([60 * RATE], RATE, 3, settings) == ""
    line = tell_cost([61 * RATE, 3600 * RATE, RATE], RATE, 3, settings)
    assert line.startswith("2 clips are longer than a minute (3,600 s, 28,800,001 variables): up to 6,000 questions")
