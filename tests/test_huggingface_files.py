"""Folders of the Hugging Face back end that are damaged, hostile or not what they say are refused."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from earwitness import open_model
from earwitness.errors import ModelError
from earwitness.models.huggingface import HuggingFaceModel, load_huggingface
from tiny_models import CPU, by_library, edit, noise, refused, save, tiny

transformers = pytest.importorskip("transformers")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound Wav2Vec2 folder, for damage."""
    return save(tiny("wav2vec2"), tmp_path / "model")


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
