"""The Hugging Face back end: right answers, fixed padding, and hostile folders refused."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from earwitness.errors import ModelError
from earwitness.models.huggingface import HuggingFaceModel, load_huggingface
from tiny_models import CONVOLUTIONAL_FAMILIES, CPU, FAMILIES, SHARED, by_library, edit, noise, refused, save, tiny

transformers = pytest.importorskip("transformers")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound Wav2Vec2 folder, for damage."""
    return save(tiny("wav2vec2"), tmp_path / "model")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_answers_as_the_library_does(family: str, tmp_path: Path) -> None:
    pair = tiny(family)
    model = load_huggingface(str(save(pair, tmp_path)), CPU)
    waveforms = noise(3, 7920 if family == "ast" else 16000)
    answer = model.logits(waveforms)
    assert answer.shape == (3, 3)
    assert answer.dtype == torch.float32
    assert torch.allclose(answer, by_library(pair, waveforms), atol=1e-4)
    assert torch.equal(answer, model.logits(waveforms))  # no dropout, no SpecAugment
    assert model.labels == ("yes", "no", "maybe")
    assert (model.sample_rate, model.backend, model.spec) == (16000, "hf", f"hf:{tmp_path}")
    assert model.parameters == sum(weights.numel() for weights in pair[0].parameters())
    assert model.architecture == type(pair[0]).__name__
    assert model.frontend == ("library" if family == "wav2vec2-bert" else "torch")
    assert model.differentiable == (model.frontend == "torch")
    assert any(note.startswith("front end") and model.frontend in note for note in model.notes)
    assert any(note.startswith("padding") for note in model.notes)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("samples", [3000, 20000])
def test_an_answer_does_not_depend_on_the_batch(family: str, samples: int) -> None:
    network, extractor = tiny(family)
    model = HuggingFaceModel(network, extractor, device=CPU, spec="test")
    waveforms = noise(4, samples) * torch.tensor([[1.0], [5.0], [1e-3], [0.0]])
    together = model.logits(waveforms)
    alone = torch.cat([model.logits(waveform[None]) for waveform in waveforms])
    assert torch.allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("family", ["whisper", "ast"])
def test_short_clips_are_padded_in_the_waveform(family: str) -> None:
    pair = tiny(family)
    model = HuggingFaceModel(*pair, device=CPU, spec="test")
    short = noise(2, 3000)
    own = 16000 if family == "whisper" else 400 + 47 * 160
    padded = torch.nn.functional.pad(short, (0, own - 3000))
    assert torch.allclose(model.logits(short), by_library(pair, padded), atol=1e-4)
    assert any(f"{own} samples" in note for note in model.notes if note.startswith("padding"))


@pytest.mark.parametrize("family", CONVOLUTIONAL_FAMILIES)
@pytest.mark.parametrize("samples", [1, 45])
def test_the_shortest_clips_get_an_answer(family: str, samples: int) -> None:
    answer = HuggingFaceModel(*tiny(family), device=CPU, spec="test").logits(noise(2, samples))
    assert torch.isfinite(answer).all()


@pytest.mark.parametrize("family", ["whisper", "ast"])
def test_long_clips_are_cut_into_even_windows_and_averaged(family: str) -> None:
    pair = tiny(family)
    model = HuggingFaceModel(*pair, device=CPU, spec="test")
    own = 16000 if family == "whisper" else 400 + 47 * 160
    waveforms = noise(2, 5 * own // 2)
    starts = (0, round(0.75 * own), 3 * own // 2)
    windows = [by_library(pair, waveforms[:, start : start + own]).softmax(dim=-1) for start in starts]
    found = model.logits(waveforms)
    assert torch.allclose(found.softmax(dim=-1), torch.stack(windows).mean(dim=0), atol=1e-5)
    assert torch.allclose(found.exp().sum(dim=-1), torch.ones(2), atol=1e-5)  # they are log probabilities
    assert any(note.startswith("long clips") for note in model.notes)


def test_a_fraction_of_a_frame_makes_no_second_window() -> None:
    pair = tiny("ast")
    waveforms = noise(2, 400 + 47 * 160 + 159)
    answer = HuggingFaceModel(*pair, device=CPU, spec="test").logits(waveforms)
    assert torch.allclose(answer, by_library(pair, waveforms), atol=1e-4)


def test_a_tagger_returns_the_logits_of_its_sigmoids() -> None:
    pair = tiny("ast", problem_type="multi_label_classification")
    model = HuggingFaceModel(*pair, device=CPU, spec="test")
    own = 400 + 47 * 160
    waveforms = noise(1, 2 * own)
    halves = [by_library(pair, waveforms[:, start : start + own]).sigmoid() for start in (0, own)]
    assert torch.allclose(model.logits(waveforms).sigmoid(), sum(halves, torch.zeros(1, 3)) / 2, atol=1e-5)
    assert torch.allclose(model.logits(waveforms[:, :own]).sigmoid(), halves[0], atol=1e-5)
    assert any(note.startswith("tags") for note in model.notes)


@pytest.mark.parametrize("family", ["wav2vec2", "whisper", "ast"])
def test_gradients_reach_the_waveform(family: str) -> None:
    waveforms = noise(1, 7000).requires_grad_()
    HuggingFaceModel(*tiny(family), device=CPU, spec="test").logits(waveforms)[0, 0].backward()  # type: ignore[no-untyped-call]
    assert waveforms.grad is not None
    assert waveforms.grad.abs().max() > 0


def test_dither_is_said_to_be_random() -> None:
    network, _ = tiny("whisper")
    dithering = transformers.WhisperFeatureExtractor(feature_size=20, chunk_length=1, dither=1e-3)
    model = HuggingFaceModel(network, dithering, device=CPU, spec="test")
    assert (model.frontend, model.deterministic) == ("library", False)


def test_waveforms_of_another_shape_are_refused() -> None:
    model = HuggingFaceModel(*tiny("wav2vec2"), device=CPU, spec="test")
    for waveforms in (torch.zeros(100), torch.zeros(2, 0)):
        with pytest.raises(ModelError, match="give \\[B, N\\]"):
            model.logits(waveforms)


# --- identity, quiet, the hub's cache


def test_the_fingerprint_is_of_content(folder: Path, tmp_path: Path) -> None:
    first = load_huggingface(str(folder), CPU).fingerprint
    moved = shutil.copytree(folder, tmp_path / "moved")
    edit(moved, lambda config: config.update(_name_or_path="elsewhere", transformers_version="0.0"))
    assert load_huggingface(str(moved), CPU).fingerprint == first
    edit(moved, lambda config: config.update(layer_norm_eps=1e-3))
    assert load_huggingface(str(moved), CPU).fingerprint != first
    network, extractor = tiny("wav2vec2")
    pair = HuggingFaceModel(network, extractor, device=CPU, spec="test").fingerprint
    assert HuggingFaceModel(*tiny("wav2vec2"), device=CPU, spec="other").fingerprint == pair
    next(network.parameters()).data[0] += 1
    assert HuggingFaceModel(network, extractor, device=CPU, spec="test").fingerprint != pair


def test_loading_is_silent_and_leaves_the_librarys_settings(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = transformers.utils.logging
    before = log.get_verbosity(), log.is_progress_bar_enabled()
    capfd.readouterr()
    load_huggingface(str(folder), CPU)
    assert capfd.readouterr() == ("", "")
    assert (log.get_verbosity(), log.is_progress_bar_enabled()) == before


def cached(folder: Path, cache: Path) -> Path:
    """The folder in the layout of the hub's cache: a snapshot of links to blobs."""
    home, commit = cache / "models--org--name", "0" * 40
    snapshot = home / "snapshots" / commit
    for place in (home / "blobs", home / "refs", snapshot):
        place.mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    for number, file in enumerate(sorted(folder.iterdir())):
        shutil.copy(file, home / "blobs" / f"{number}")
        (snapshot / file.name).symlink_to(Path("../../blobs") / f"{number}")
    return snapshot


def test_a_hub_id_is_read_from_the_cache_offline(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    snapshot = cached(folder, tmp_path / "hub")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    found = load_huggingface("org/name", CPU)
    assert found.fingerprint == load_huggingface(str(folder), CPU).fingerprint
    assert found.fingerprint == load_huggingface(str(snapshot), CPU).fingerprint
    refused("org/other", "neither a folder nor a hub id")


def shared_rows() -> list[dict[str, str]]:
    """The rows of MODELS.csv; none where the folder is absent."""
    table = SHARED / "models" / "hf" / "MODELS.csv"
    if not table.is_file():
        return []
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def shared_clips(task: str, samples: int) -> tuple[Tensor, list[str]]:
    """Float32 [B, N] at 16 kHz, cut or padded with zeros at the end; and labels."""
    import soundfile

    prefix = {"digits": "fsdd/", "emotion": "ravdess/", "spoof": "spoof/"}[task]
    with (SHARED / "data" / "metadata.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["file"].startswith(prefix)]
    waveforms = torch.zeros(len(rows), samples)
    for number, row in enumerate(rows):
        amplitude, rate = soundfile.read(SHARED / "data" / row["file"], dtype="float32")
        assert rate == 16000
        waveforms[number, : len(amplitude)] = torch.from_numpy(amplitude[:samples])
    return waveforms, [row["label"] for row in rows]


@pytest.mark.skipif(not shared_rows(), reason=f"no models in {SHARED.name}/ beside the project")
@pytest.mark.parametrize("row", shared_rows(), ids=lambda row: row["path"])
def test_shared_models_reach_their_accuracy_and_agree_with_the_library(row: dict[str, str]) -> None:
    model = load_huggingface(str(SHARED / "models" / "hf" / row["path"]), CPU)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(SHARED / "models" / "hf" / row["path"])
    network = transformers.AutoModelForAudioClassification.from_pretrained(SHARED / "models" / "hf" / row["path"])
    waveforms, truth = shared_clips(row["task"], 16000 * int(row["clip_seconds"]))
    ours, librarys = [], []
    with torch.inference_mode():
        for batch in torch.split(waveforms, 16):
            ours.append(model.logits(batch).argmax(dim=-1))
            inputs = extractor(list(batch.numpy()), sampling_rate=16000, return_tensors="pt")
            librarys.append(network(**inputs).logits.argmax(dim=-1))
    answers = torch.cat(ours)
    assert torch.equal(answers, torch.cat(librarys))
    assert set(truth) == set(model.labels)
    right = [model.labels[answer] == label for answer, label in zip(answers.tolist(), truth, strict=True)]
    assert round(sum(right) / len(right), 4) == float(row["accuracy_on_shared_data"])
    assert model.parameters == int(row["params"])
    assert model.frontend == "torch"
