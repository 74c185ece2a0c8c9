"""Recordings and models as whoever asks has them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import earwitness
from earwitness import AudioError, Clip, SearchSettings, as_clip
from planted_models import RATE, low
from test_study import MODELS

SAMPLES = np.random.default_rng(0).uniform(-0.9, 0.9, 3200).astype(np.float32)
SETTINGS = SearchSettings(delta=0.9, budget=600)


def forms(folder: Path) -> dict[str, Any]:
    """The same recording in every form."""
    soundfile.write(folder / "clip.wav", SAMPLES, RATE, subtype="FLOAT")
    row = {"array": SAMPLES, "sampling_rate": RATE, "path": "some.wav"}
    decoded = SimpleNamespace(data=torch.tensor(SAMPLES)[None], sample_rate=RATE)
    return {
        "path": folder / "clip.wav", "text": str(folder / "clip.wav"), "clip": Clip(SAMPLES, RATE),
        "array": (SAMPLES, RATE), "float64": (SAMPLES.astype(np.float64), RATE), "list": (SAMPLES.tolist(), RATE),
        "tensor": (torch.tensor(SAMPLES), RATE), "row": row, "row of a set": {"audio": row, "label": 3},
        "decoder": SimpleNamespace(get_all_samples=lambda: decoded),
        "channels first": (np.stack([SAMPLES] * 2), RATE), "channels last": (np.stack([SAMPLES] * 2, axis=1), RATE),
    }  # fmt: skip


def test_what_is_given_stays_as_it_is() -> None:
    mine = SAMPLES.copy()
    as_clip((mine, RATE))
    mine[0] = 0.5  # not made read-only


def test_every_form_is_the_same_clip(tmp_path: Path) -> None:
    for name, form in forms(tmp_path).items():
        assert as_clip(form).sha256 == Clip(SAMPLES, RATE).sha256, name
        assert as_clip(form, 8000, 0.1).sha256 == Clip(SAMPLES, RATE).resample(8000).fit(0.1).sha256, name


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.uint8, np.int64])
def test_integers_are_amplitudes(kind: Any) -> None:
    info = np.iinfo(kind)
    ends = np.array([info.min, info.max], dtype=kind)
    clip = as_clip((ends, RATE))
    assert clip.samples[0] == -1
    assert 1 - 1 / 100 < clip.samples[1] <= 1
    middle = as_clip((np.array([(int(info.min) + int(info.max) + 1) // 2], dtype=kind), RATE))
    assert middle.samples[0] == 0
    both = as_clip((np.stack([ends, ends]), RATE))
    np.testing.assert_array_equal(both.samples, clip.samples)


@pytest.mark.parametrize(
    ("recording", "because"),
    [
        (3, "a recording of type int; give a path, .samples, sample_rate"),
        (SAMPLES, "a recording of type ndarray"),
        ({"array": SAMPLES}, "of type dict"),
        ((SAMPLES, "loud"), "no numbers"),
        ((np.zeros((2, 3, 4)), RATE), "use one channel"),
        ((np.array(["a"]), RATE), "samples of type <U1"),
        ((np.array([], dtype=np.float32), RATE), "no samples"),
        ((SAMPLES * np.nan, RATE), "NaN"),
        ((SAMPLES, 0), "sample rate 0"),
    ],
)
def test_what_is_no_recording_is_refused(recording: Any, because: str) -> None:
    with pytest.raises(AudioError, match=because):
        as_clip(recording)


def test_one_line_explains(tmp_path: Path) -> None:
    spec = f"python:{MODELS}:low"
    first, *others = forms(tmp_path).values()
    models = (spec, low(), earwitness.open_model(spec), earwitness.Classifier(earwitness.open_model(spec)))
    for recording, model in [*((first, model) for model in models), *((other, spec) for other in others)]:
        (part,) = earwitness.explain(recording, model, SETTINGS).sufficient
        assert isinstance(part, earwitness.Subset)
        assert part.runs == ((58, 63),)
    assert earwitness.explain(tmp_path / "clip.wav", spec, SETTINGS, seconds=0.1).spectrum.size == 801
    # at another rate it is resampled to the model's
    twice = Clip(SAMPLES, RATE).resample(2 * RATE)
    (part,) = earwitness.explain(twice, spec, SETTINGS).sufficient
    assert isinstance(part, earwitness.Subset)
    assert part.runs == ((58, 63),)
