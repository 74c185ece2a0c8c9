"""Recordings: what can be read, what is refused and how."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from earwitness import AudioError, Clip, read
from earwitness.signal.audio import write

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
