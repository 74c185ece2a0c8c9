"""Likeness of transcripts, intelligibility and distortion, against the libraries and on cases known by hand."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from earwitness.analyses.fidelity import (
    at_speech_rate,
    compare_texts,
    measure_distortion,
    measure_intelligibility,
    normalise,
    open_recogniser,
    transcribe,
)
from earwitness.errors import ConfigError, ModelError
from earwitness.signal import audio

pystoi = pytest.importorskip("pystoi")
distance = pytest.importorskip("rapidfuzz.distance")

RATE = 16_000


def noise(samples: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32) * np.float32(0.1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Don't  STOP—it's 5 o'clock! ", "dont stop its 5 oclock"),
        ("Straße, CAFÉ; ﬁne", "strasse café fine"),
        ("[Music] ...", "music"),
        ("¿¡!?", ""),
        ("नमस्ते दुनिया", "नमस्ते दुनिया"),
    ],
)
def test_transcripts_are_normalised(text: str, expected: str) -> None:
    assert normalise(text) == expected


@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def test_ratios_counted_by_hand() -> None:
    # kitten → sitting: 3 edits of 7 characters; without substitutions 5 of 13
    found = compare_texts("Kitten!", "sitting")
    assert found is not None
    assert found.character == pytest.approx(1 - 3 / 7)
    assert found.indel == pytest.approx(1 - 5 / 13)
    assert found.word == 0
    # one word of four is missing
    found = compare_texts("the cat sat down", "the cat down")
    assert found is not None
    assert found.word == pytest.approx(3 / 4)


def test_nothing_heard_keeps_nothing_and_nothing_said_is_missing() -> None:
    found = compare_texts("hello", "...")
    assert found is not None
    assert (found.character, found.word, found.indel) == (0, 0, 0)
    assert compare_texts(" ?! ", "hello") is None


@given(st.text(alphabet="ab c'é", max_size=20), st.text(alphabet="ab c'é", max_size=20))
def test_ratios_equal_rapidfuzz(one: str, other: str) -> None:
    found = compare_texts(one, other)
    first, second = normalise(one), normalise(other)
    if not first:
        assert found is None
        return
    assert found is not None
    edits = distance.Levenshtein.distance(first, second)
    assert found.character == pytest.approx(1 - edits / max(len(first), len(second)))
    words = distance.Levenshtein.distance(first.split(), second.split())
    assert found.word == pytest.approx(1 - words / max(len(first.split()), len(second.split())))
    assert found.indel == pytest.approx(distance.Indel.normalized_similarity(first, second))


@pytest.mark.parametrize("extended", [False, True])
def test_intelligibility_equals_pystoi(extended: bool) -> None:
    original = noise(RATE)
    other = (original + noise(RATE, 1)).astype(np.float32)
    expected = pystoi.stoi(original.astype(np.float64), other.astype(np.float64), RATE, extended=extended)
    assert measure_intelligibility(original, other, RATE, extended=extended).value == pytest.approx(expected, abs=1e-9)
    same = measure_intelligibility(original, original, RATE, extended=extended).value
    assert same == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("samples", [1, 100, 500, 3000])
def test_what_is_too_short_is_missing_with_its_reason(samples: int) -> None:
    found = measure_intelligibility(noise(samples), noise(samples, 1), RATE)
    assert found.value is None
    assert "too short" in found.why


def test_silence_is_missing_with_its_reason() -> None:
    silence = np.zeros(RATE, np.float32)
    for measure in (lambda a, b: measure_intelligibility(a, b, RATE), measure_distortion):
        assert measure(noise(RATE), silence).why == "the signal is silence"
        assert measure(silence, noise(RATE)).why == "the original is silence"


@given(st.floats(-30, 60), st.floats(0.01, 100))
def test_distortion_of_orthogonal_noise_is_its_level_whatever_the_gain(level: float, gain: float) -> None:
    times = np.arange(1600)
    original = np.sin(2 * np.pi * 100 * times / RATE)
    other = np.sin(2 * np.pi * 300 * times / RATE) * 10 ** (-level / 20)
    found = measure_distortion(original.astype(np.float32), (gain * (original + other)).astype(np.float32))
    assert found.value == pytest.approx(level, abs=0.02)


def test_distortion_has_no_infinities() -> None:
    original = noise(1000)
    assert "infinite" in measure_distortion(original, original * np.float32(0.5)).why
    times = np.arange(1600)
    one, two = (np.sin(2 * np.pi * k * times / 1600).astype(np.float32) for k in (4, 9))
    found = measure_distortion(one, two)
    assert found.value is None or found.value < -100
    assert measure_distortion(np.ones(10, np.float32), noise(10)).why == "the original is constant"


def test_a_recogniser_is_any_callable_and_is_not_asked_about_silence() -> None:
    asked = []

    def recogniser(signal: NDArray[np.float32], sample_rate: int) -> str:
        asked.append((len(signal), sample_rate))
        return " yes "

    assert transcribe(recogniser, noise(100), RATE) == "yes"
    assert transcribe(recogniser, np.zeros(100, np.float32), RATE) == ""
    assert asked == [(100, RATE)]
    with pytest.raises(ModelError, match="it must give text"):
        transcribe(lambda signal, rate: 3, noise(10), RATE)  # type: ignore[arg-type,return-value]


def test_recognisers_are_opened_by_spec(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def hear(signal, sample_rate):\n    return 'hello'\n")
    assert open_recogniser(f"python:{tmp_path / 'mine.py'}:hear")(noise(10), RATE) == "hello"
    with pytest.raises(ConfigError, match="did you mean 'python'"):
        open_recogniser("pyton:x:y")
    with pytest.raises(ConfigError, match="use one of"):
        open_recogniser("whatever")
    with pytest.raises(ModelError, match="no such file"):
        open_recogniser(f"python:{tmp_path / 'none.py'}:hear")


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(ConfigError, match=r"earwitness\[fidelity\]"):
        open_recogniser("faster-whisper:tiny.en")
    monkeypatch.setitem(sys.modules, "pystoi", None)
    with pytest.raises(ConfigError, match=r"earwitness\[fidelity\]"):
        measure_intelligibility(noise(RATE), noise(RATE, 1), RATE)
    monkeypatch.setitem(sys.modules, "rapidfuzz.distance", None)
    with pytest.raises(ConfigError, match=r"earwitness\[fidelity\]"):
        compare_texts("a", "b")


def test_a_transformers_folder_is_a_recogniser(tmp_path: Path) -> None:
    """A tiny CTC model whose weights say "a" to everything: what it is asked, and that text comes back."""
    transformers = pytest.importorskip("transformers")
    (tmp_path / "vocab.json").write_text(json.dumps({"<pad>": 0, "<unk>": 1, "|": 2, "a": 3}))
    transformers.Wav2Vec2CTCTokenizer(
        str(tmp_path / "vocab.json"), pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    config = transformers.Wav2Vec2Config(
        vocab_size=4, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        conv_dim=(8, 8), conv_stride=(20, 16), conv_kernel=(20, 16), num_feat_extract_layers=2,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, pad_token_id=0,
    )  # fmt: skip
    model = transformers.Wav2Vec2ForCTC(config)
    with torch.no_grad():
        model.lm_head.weight.zero_()
        model.lm_head.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 9.0]))
    model.save_pretrained(tmp_path)
    recogniser = open_recogniser(f"transformers:{tmp_path}", "cpu")
    assert transcribe(recogniser, noise(8000), 8000) == "a"
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_recogniser(f"transformers:{tmp_path / 'none'}", "cpu")


def test_signals_reach_recognisers_at_their_rate() -> None:
    assert len(at_speech_rate(noise(8000), 8000)) == 16_000
    same = noise(100)
    assert at_speech_rate(same, 16_000) is same


@pytest.mark.skipif(
    "EARWITNESS_WHISPER" not in os.environ,
    reason="EARWITNESS_WHISPER names no folder with a CTranslate2 Whisper model (docs/deepfake-analyses.md says how)",
)
def test_a_real_recogniser_hears_real_speech(shared: Path) -> None:
    pytest.importorskip("faster_whisper")
    recogniser = open_recogniser(f"faster-whisper:{os.environ['EARWITNESS_WHISPER']}", "cpu")
    clip = audio.read(shared / "data/spoof/bonafide/vctk_p225_003.flac", 16_000)
    # VCTK's third sentence: "Six spoons of fresh snow peas, five thick slabs of blue cheese, and maybe ..."
    text = transcribe(recogniser, clip.samples, clip.sample_rate)
    found = compare_texts("six spoons of fresh snow peas five thick slabs of blue cheese", text)
    assert found is not None
    assert found.word > 0.4
    assert transcribe(recogniser, clip.samples, clip.sample_rate) == text
    assert transcribe(recogniser, np.zeros(16_000, np.float32), 16_000) == ""
