"""The Hugging Face back end: right answers, fixed padding, and hostile folders refused."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from earwitness import open_model
from earwitness.errors import ModelError
from earwitness.models.huggingface import HuggingFaceModel, load_huggingface

transformers = pytest.importorskip("transformers")

CPU = torch.device("cpu")
SHARED = Path(os.environ.get("EARWITNESS_SHARED", Path(__file__).resolve().parents[2] / "shared"))
CONVOLUTIONAL = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
    "conv_dim": [8, 8], "conv_kernel": [10, 8], "conv_stride": [5, 4], "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 8, "vocab_size": 8,
    # SpecAugment would act if the model were left in training mode
    "mask_time_prob": 0.9, "mask_time_length": 2, "mask_time_min_masks": 2,
}  # fmt: skip
CONVOLUTIONAL_FAMILIES = ("wav2vec2", "hubert", "wavlm", "sew", "unispeech-sat", "data2vec-audio")
FAMILIES = (*CONVOLUTIONAL_FAMILIES, "whisper", "ast", "wav2vec2-bert")


def tiny(family: str, **changes: Any) -> tuple[Any, Any]:
    """A small random model of a family, in eval mode, and its extractor."""
    torch.manual_seed(0)
    names = {"id2label": {0: "yes", 1: "no", 2: "maybe"}, "label2id": {"yes": 0, "no": 1, "maybe": 2}} | changes
    if family == "whisper":
        config: Any = transformers.WhisperConfig(
            d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=16, decoder_ffn_dim=16, num_mel_bins=20, max_source_positions=50, vocab_size=16,
            max_target_positions=8, classifier_proj_size=8, pad_token_id=0, bos_token_id=1, eos_token_id=2,
            decoder_start_token_id=1, begin_suppress_tokens=None, **names,
        )  # fmt: skip
        extractor: Any = transformers.WhisperFeatureExtractor(feature_size=20, chunk_length=1)
    elif family == "ast":
        config = transformers.ASTConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, max_length=48,
            num_mel_bins=16, patch_size=8, frequency_stride=8, time_stride=8, **names,
        )  # fmt: skip
        extractor = transformers.ASTFeatureExtractor(max_length=48, num_mel_bins=16)
    elif family == "wav2vec2-bert":
        config = transformers.Wav2Vec2BertConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
            classifier_proj_size=8, feature_projection_input_dim=160, **names,
        )  # fmt: skip
        extractor = transformers.SeamlessM4TFeatureExtractor()
    else:
        config = transformers.AutoConfig.for_model(family, **CONVOLUTIONAL, **names)
        extractor = transformers.Wav2Vec2FeatureExtractor(return_attention_mask=family == "wav2vec2")
    return transformers.AutoModelForAudioClassification.from_config(config).eval(), extractor


def save(pair: tuple[Any, Any], folder: Path) -> Path:
    """A model and its extractor as a folder."""
    for each in pair:
        each.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound Wav2Vec2 folder, for damage."""
    return save(tiny("wav2vec2"), tmp_path / "model")


def noise(batch: int, samples: int, seed: int = 0) -> Tensor:
    """Float32 [B, N]."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(0.1 * rng.standard_normal((batch, samples), dtype=np.float32))


def by_library(pair: tuple[Any, Any], waveforms: Tensor) -> Tensor:
    """Logits through the library's own extractor, a clip at a time."""
    model, extractor = pair
    answers = []
    for waveform in waveforms.numpy():
        inputs = extractor([waveform], sampling_rate=16000, return_tensors="pt")
        answers.append(model(**inputs).logits[0].detach())
    return torch.stack(answers)


def refused(path: Path | str, because: str, **options: bool) -> None:
    """It is refused with a reason in which ``because`` is found."""
    with pytest.raises(ModelError, match=because):
        load_huggingface(str(path), CPU, **options)


# --- right answers


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


# --- what is refused


def edit(folder: Path, change: Callable[[dict[str, Any]], Any], name: str = "config.json") -> None:
    """Change a JSON file in place."""
    file = folder / name
    settings = json.loads(file.read_text()) if file.exists() else {}
    change(settings)
    file.write_text(json.dumps(settings))


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none", "there is no folder")
    (tmp_path / "file").touch()
    refused(tmp_path / "file", "is a file")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", r"there is no config\.json")


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.safetensors"])
def test_a_pickle_is_refused_and_does_not_run(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"weights": Bomb(tmp_path / "ran")}, folder / name)
    refused(folder, "not a sound safetensors" if name.endswith("safetensors") else "only a pickle.*--allow-pickle")
    refused(folder, "cannot load it|not a sound", allow_pickle=True)  # allowed, it still may hold only tensors
    assert not (tmp_path / "ran").exists()


def test_a_pickle_of_tensors_is_read_where_allowed(folder: Path) -> None:
    expected = load_huggingface(str(folder), CPU).logits(noise(1, 8000))
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    found = load_huggingface(str(folder), CPU, allow_pickle=True).logits(noise(1, 8000))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("header", [2**62, 2**40, 10, 0])
def test_a_lying_safetensors_header_is_refused(folder: Path, header: int) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(header.to_bytes(8, "little") + content[8:])
    refused(folder, "not a sound safetensors file")


def test_cut_off_weights_are_refused(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    refused(folder, "not a sound safetensors file")
    (folder / "model.safetensors").unlink()
    refused(folder, "no weights")


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({"num_labels": 10**9}, "num_labels = 1000000000"),
        ({"_num_labels": 10**9}, "_num_labels"),
        ({"id2label": {str(number): "x" for number in range(100_001)}}, "100001 labels"),
        ({"id2label": [1, 2]}, "id2label"),
        ({"id2label": {"0": "a", "7": "b", "9": "c"}, "label2id": {}}, "without gaps"),
        ({"id2label": {"0": "a"}, "label2id": {"a": 0}}, "do not fit its config"),
        ({"problem_type": "regression"}, "not a classifier"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"auto_map": {"AutoModelForAudioClassification": "code.Model"}}, "--trust-remote-code"),
        ({"nested": {"auto_map": {"AutoConfig": "code.Config"}}}, "nested.auto_map"),
        ({"_attn_implementation": "someone/kernel"}, "kernel"),
        ({"model_type": "bert"}, "cannot load it as an audio classifier"),
        ({"model_type": "no-such-thing"}, "cannot load it as an audio classifier"),
        ({"hidden_size": 32}, "do not fit its config"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_hostile_or_wrong_config_is_refused(folder: Path, change: dict[str, Any], because: str) -> None:
    (folder / "code.py").write_text("raise SystemExit('this ran')")
    edit(folder, lambda config: config.update(change))
    refused(folder, because)


def test_code_of_a_model_runs_only_where_trusted(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "modules")])
    (folder / "code.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
        "from transformers import Wav2Vec2ForSequenceClassification\n"
        "class Own(Wav2Vec2ForSequenceClassification):\n    pass\n"
    )
    edit(folder, lambda config: config.update(auto_map={"AutoModelForAudioClassification": "code.Own"}))
    with pytest.raises(ModelError, match="--trust-remote-code"):
        open_model(f"hf:{folder}", "cpu")
    assert not (tmp_path / "ran").exists()
    assert open_model(f"hf:{folder}", "cpu", trust_remote_code=True).architecture == "Own"
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", ["{", "[1, 2]", "\x00", "[" * 100_000, "nul"])
def test_a_config_that_is_no_json_object_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    refused(folder, "is not JSON|a JSON object is needed")


def test_the_extractors_settings_are_checked_too(folder: Path) -> None:
    extractor = "preprocessor_config.json"
    (folder / "code.py").write_text("raise SystemExit('this ran')")
    edit(folder, lambda settings: settings.update(auto_map={"AutoFeatureExtractor": "code.Extractor"}), extractor)
    refused(folder, "--trust-remote-code")
    (folder / extractor).write_text("{")
    refused(folder, "is not JSON")
    (folder / extractor).unlink()
    refused(folder, "there is no preprocessor_config")


@pytest.mark.parametrize("name", ["../secret.safetensors", "/secret.safetensors", "a\\b.safetensors", "weights.bin"])
def test_an_index_that_leaves_the_folder_is_refused(folder: Path, name: str) -> None:
    shutil.move(folder / "model.safetensors", folder.parent / "secret.safetensors")
    edit(folder, lambda index: index.update(weight_map={"weight": name}), "model.safetensors.index.json")
    refused(folder, "of the same folder is allowed")


def test_an_index_must_name_files_that_are_there(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    edit(folder, lambda index: index.update(weight_map={"weight": "gone.safetensors"}), "model.safetensors.index.json")
    refused(folder, "gone.safetensors, which is not there")
    edit(folder, lambda index: index.update(weight_map=[]), "model.safetensors.index.json")
    refused(folder, "no weight_map")


def test_weights_in_parts_are_read(tmp_path: Path) -> None:
    network, extractor = tiny("wav2vec2")
    network.save_pretrained(tmp_path, max_shard_size="10KB")
    extractor.save_pretrained(tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    found = load_huggingface(str(tmp_path), CPU).logits(noise(1, 8000))
    assert torch.allclose(found, by_library((network, extractor), noise(1, 8000)), atol=1e-4)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "code.py"])
def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    if (folder / name).exists():
        shutil.move(folder / name, outside)
    else:
        outside.touch()
    (folder / name).symlink_to(outside)
    refused(folder, "outside the folder")
    # a link to another file of the folder is harmless
    (folder / name).unlink()
    shutil.move(outside, folder / "inside")
    (folder / name).symlink_to("inside")
    assert load_huggingface(str(folder), CPU).labels == ("yes", "no", "maybe")


def test_an_adapter_is_refused(folder: Path) -> None:
    edit(folder, lambda adapter: adapter.update(base_model_name_or_path="/etc"), "adapter_config.json")
    refused(folder, "adapter of another model")


def test_a_model_without_its_classifier_is_refused(tmp_path: Path) -> None:
    network, extractor = tiny("wav2vec2")
    save((network.wav2vec2, extractor), tmp_path)
    refused(tmp_path, r"lack classifier\.bias.*random")


@pytest.mark.parametrize("family", ["whisper", "ast"])
def test_an_extractor_of_another_model_is_refused(family: str) -> None:
    network, _ = tiny(family)
    other = {"whisper": transformers.WhisperFeatureExtractor(feature_size=20, chunk_length=2)}.get(
        family, transformers.ASTFeatureExtractor(max_length=99, num_mel_bins=16)
    )
    with pytest.raises(ModelError, match="frames, the model takes"):
        HuggingFaceModel(network, other, device=CPU, spec="test")


def test_without_the_library_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    refused(folder, r"pip install 'earwitness\[hf\]'")


# --- the models of the shared folder


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
