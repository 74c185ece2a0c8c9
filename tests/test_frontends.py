"""The torch front ends give the library's features, are no slower in kind, and pass gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("transformers")

from transformers.models.audio_spectrogram_transformer import ASTFeatureExtractor
from transformers.models.wav2vec2 import Wav2Vec2FeatureExtractor
from transformers.models.whisper import WhisperFeatureExtractor

from earwitness.models.frontends import LibraryFrontEnd, front_end

TOLERANCE = 1e-4
KINDS = ("noise", "quiet noise", "tone", "chirp", "clicks", "offset", "silence", "half silent", "loud and low")


@st.composite
def batches(draw: st.DrawFn, most: int = 24000) -> torch.Tensor:
    """One to three clips of one random length; float32 [B, N], every clip of a random kind."""
    samples = draw(st.integers(400, most))
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return torch.from_numpy(np.stack([clip(kind, samples, rng) for kind in kinds]))


def clip(kind: str, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Float32 [samples]."""
    time = np.arange(samples) / 16000
    noise = rng.standard_normal(samples)
    made = {
        "noise": 0.1 * noise,
        "quiet noise": 1e-4 * noise,
        "tone": 0.9 * np.sin(2 * np.pi * rng.uniform(20, 7900) * time),
        "chirp": 0.9 * np.sin(2 * np.pi * rng.uniform(500, 4000) * time**2),
        "clicks": (rng.random(samples) < 0.001).astype(float),
        "offset": 0.5 + 0.01 * noise,
        "silence": np.zeros(samples),
        "half silent": np.where(time < time[-1] / 2, 0.1 * noise, 0),
        "loud and low": 0.9 * np.sin(2 * np.pi * 50 * time) + 1e-5 * noise,
    }
    return made[kind].astype(np.float32)


def largest_difference(extractor: Any, waveforms: torch.Tensor) -> float:
    """Between our features and those of the library, which sees one clip at a time."""
    ours = front_end(extractor)
    assert ours.path == "torch"
    found = ours(waveforms)
    for name, features in found.items():
        assert features.dtype == (torch.int32 if name == "attention_mask" else torch.float32)
    worst = 0.0
    for number, waveform in enumerate(waveforms.numpy()):
        options = {} if isinstance(extractor, WhisperFeatureExtractor) else {"padding": True}
        expected = extractor([waveform], sampling_rate=extractor.sampling_rate, return_tensors="pt", **options)
        assert set(found) == set(expected)
        for name, features in expected.items():
            assert found[name][number].shape == features[0].shape
            worst = max(worst, float((found[name][number] - features[0]).abs().max()))
    return worst


# 200 clips of random lengths in all, each test at least its share


@settings(max_examples=60, deadline=None)
@given(batches(), st.booleans(), st.booleans())
def test_normalised_waveforms_are_the_librarys(waveforms: torch.Tensor, normalise: bool, mask: bool) -> None:
    extractor = Wav2Vec2FeatureExtractor(do_normalize=normalise, return_attention_mask=mask)
    assert largest_difference(extractor, waveforms) < TOLERANCE


@settings(max_examples=70, deadline=None)
@given(batches(most=40000), st.sampled_from([1, 2]), st.sampled_from([(80, 400, 160), (64, 512, 200), (20, 256, 256)]))
def test_log_mels_are_the_librarys(waveforms: torch.Tensor, seconds: int, shape: tuple[int, int, int]) -> None:
    extractor = WhisperFeatureExtractor(
        feature_size=shape[0], n_fft=shape[1], hop_length=shape[2], chunk_length=seconds
    )
    assert largest_difference(extractor, waveforms) < TOLERANCE


@settings(max_examples=70, deadline=None)
@given(batches(), st.sampled_from([1, 64, 98, 128]), st.sampled_from([16, 40]), st.booleans())
def test_filter_banks_are_the_librarys(waveforms: torch.Tensor, frames: int, bands: int, normalise: bool) -> None:
    extractor = ASTFeatureExtractor(max_length=frames, num_mel_bins=bands, do_normalize=normalise, mean=-5.5, std=2.25)
    assert largest_difference(extractor, waveforms) < TOLERANCE


@pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")  # the library's, of its AST
def test_default_whisper_and_ast_agree_on_full_length_clips() -> None:
    rng = np.random.default_rng(1)
    clips = [np.stack([clip(kind, samples, rng) for kind in ("noise", "tone")]) for samples in (480_000, 163_840)]
    for extractor, waveforms in zip((WhisperFeatureExtractor(), ASTFeatureExtractor()), clips, strict=True):
        assert largest_difference(extractor, torch.from_numpy(waveforms)) < TOLERANCE


EXTRACTORS = (
    Wav2Vec2FeatureExtractor(),
    WhisperFeatureExtractor(chunk_length=1),
    ASTFeatureExtractor(max_length=64, num_mel_bins=32),
)


@pytest.mark.parametrize("extractor", EXTRACTORS, ids=lambda extractor: type(extractor).__name__)
def test_gradients_reach_the_waveform(extractor: Any) -> None:
    waveforms = torch.from_numpy(clip("noise", 8000, np.random.default_rng(2)))[None].requires_grad_()
    (values,) = front_end(extractor)(waveforms).values()
    values.square().sum().backward()
    assert waveforms.grad is not None
    assert torch.isfinite(waveforms.grad).all()
    assert (waveforms.grad != 0).float().mean() > 0.9


@pytest.mark.parametrize("extractor", EXTRACTORS, ids=lambda extractor: type(extractor).__name__)
def test_a_clips_features_do_not_depend_on_its_batch(extractor: Any) -> None:
    rng = np.random.default_rng(3)
    waveforms = torch.from_numpy(np.stack([clip(kind, 9000, rng) for kind in KINDS * 3]))
    ours = front_end(extractor)
    together = next(iter(ours(waveforms).values()))
    for number, features in enumerate(together):
        alone = next(iter(ours(waveforms[number : number + 1]).values()))[0]
        assert torch.allclose(features, alone, atol=1e-5)


def test_the_lengths_are_the_extractors() -> None:
    whisper, ast = front_end(EXTRACTORS[1]), front_end(EXTRACTORS[2])
    assert (whisper.samples, whisper.maximum) == (16000, 16000)
    assert (ast.samples, ast.maximum) == (400 + 63 * 160, 400 + 63 * 160 + 159)
    assert (front_end(EXTRACTORS[0]).samples, front_end(EXTRACTORS[0]).maximum) == (None, None)


class Doubled(Wav2Vec2FeatureExtractor):  # type: ignore[misc]
    """A stranger: what a subclass computes is its own affair."""


@pytest.mark.parametrize(
    "extractor",
    [
        WhisperFeatureExtractor(chunk_length=1, dither=1e-3),
        WhisperFeatureExtractor(chunk_length=1, padding_value=0.5),
        WhisperFeatureExtractor(chunk_length=1, padding_side="left"),
        WhisperFeatureExtractor(chunk_length=1, n_fft=401, feature_size=20),
        ASTFeatureExtractor(max_length=64, num_mel_bins=16, sampling_rate=8000),
        Wav2Vec2FeatureExtractor(feature_size=2),
        Doubled(),
    ],
    ids=["dither", "padding value", "padding side", "odd n_fft", "rate", "feature size", "subclass"],
)
def test_what_cannot_be_reproduced_is_left_to_the_library(extractor: Any) -> None:
    assert front_end(extractor).path == "library"


def test_the_librarys_own_extractor_is_given_what_it_needs() -> None:
    waveforms = torch.from_numpy(np.stack([clip("noise", 5000, np.random.default_rng(seed)) for seed in (1, 2)]))
    for extractor in EXTRACTORS:
        library, ours = LibraryFrontEnd(extractor)(waveforms), front_end(extractor)(waveforms)
        assert library.keys() == ours.keys()
        assert all(torch.allclose(library[name], ours[name], atol=TOLERANCE) for name in ours)
