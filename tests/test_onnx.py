"""ONNX files: right answers whatever the batch, labels from metadata or sidecar, hostile files refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from earwitness import Classifier, Clip, ModelError, SearchSettings, explain, open_model
from earwitness.explanation import Subset
from planted_files import LABELS, RATE, SAMPLES, SIDECAR, expected, onnx_band

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

METADATA = {"labels": '["yes", "no", "maybe"]', "sample_rate": "16000"}


def noise(batch: int, samples: int = SAMPLES, seed: int = 0) -> torch.Tensor:
    """Float32 [B, N]."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(0.1 * rng.standard_normal((batch, samples), dtype=np.float32))


def refused(file: Path | str, because: str) -> None:
    """It is refused with a reason in which ``because`` is found."""
    with pytest.raises(ModelError, match=because):
        open_model(f"onnx:{file}", "cpu")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A sound file without metadata, and its sidecar."""
    onnx_band(tmp_path / "band.onnx")
    (tmp_path / "band.onnx.toml").write_text(SIDECAR)
    return tmp_path / "band.onnx"


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("batch", ["batch", 1, 4])
def test_it_answers_as_planted_whatever_the_batch(tmp_path: Path, batch: int | str, rank: int) -> None:
    onnx_band(tmp_path / "band.onnx", batch, rank=rank, metadata=METADATA)
    model = open_model(f"onnx:{tmp_path / 'band.onnx'}", "cpu")
    for count in (1, 4, 7):
        waveforms = noise(count)
        np.testing.assert_allclose(model.logits(waveforms), expected(waveforms.numpy()), atol=1e-3)
    assert (model.labels, model.sample_rate, model.backend) == (LABELS, RATE, "onnx")
    assert model.parameters == SAMPLES * 10 + 1 + 3 + 3
    assert not model.differentiable
    assert any(note == f"batch: fixed at {batch}; the last one is filled up with silence" for note in model.notes) == (
        batch != "batch"
    )


def test_an_explanation_finds_what_is_planted(file: Path) -> None:
    clip = Clip(noise(1, seed=1)[0].numpy() * 5, RATE)
    found = explain(clip, Classifier(open_model(f"onnx:{file}", "cpu")), SearchSettings(delta=0.9))
    assert isinstance(found.sufficient[0], Subset)
    assert found.sufficient[0].runs == ((58, 63),)


def test_short_clips_are_padded_and_long_ones_cut_into_windows(file: Path) -> None:
    model = open_model(f"onnx:{file}", "cpu")
    short = noise(2, 1000)
    padded = torch.nn.functional.pad(short, (0, SAMPLES - 1000)).numpy()
    np.testing.assert_allclose(model.logits(short), expected(padded), atol=1e-3)
    long = noise(2, 2 * SAMPLES + 800)
    windows = [
        torch.from_numpy(expected(long[:, start : start + SAMPLES].numpy())).softmax(dim=1) for start in (0, 2000, 4000)
    ]
    np.testing.assert_allclose(model.logits(long).softmax(dim=1), torch.stack(windows).mean(dim=0), atol=1e-4)
    assert any(note.startswith("padding: zeros at the end") for note in model.notes)
    assert any(note.startswith("long clips: above 3200 samples") for note in model.notes)


@pytest.mark.parametrize("scores", ["probabilities", "sigmoids"])
def test_probabilities_and_sigmoids_become_logits(tmp_path: Path, scores: str) -> None:
    onnx_band(tmp_path / "band.onnx", metadata=METADATA | {"scores": scores}, scores=scores)
    waveforms = noise(3)
    answer = open_model(f"onnx:{tmp_path / 'band.onnx'}", "cpu").logits(waveforms)
    wanted = torch.from_numpy(expected(waveforms.numpy())).float()
    if scores == "probabilities":
        wanted = wanted.log_softmax(dim=1)
    np.testing.assert_allclose(answer, wanted, atol=1e-2)


def test_the_sidecar_overrules_the_metadata(tmp_path: Path) -> None:
    file = tmp_path / "band.onnx"
    onnx_band(file, metadata={"labels": "a, b, c", "sample_rate": "8000", "author": "someone"})
    first = open_model(f"onnx:{file}", "cpu")
    assert (first.labels, first.sample_rate) == (("a", "b", "c"), 8000)
    (tmp_path / "band.toml").write_text(SIDECAR)
    second = open_model(f"onnx:{file}", "cpu")
    assert (second.labels, second.sample_rate) == (LABELS, RATE)
    assert second.fingerprint != first.fingerprint


def test_the_fingerprint_is_of_content(file: Path, tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    for each in (file, file.with_name("band.onnx.toml")):
        (tmp_path / "moved" / each.name).write_bytes(each.read_bytes())
    moved = open_model(f"onnx:{tmp_path / 'moved' / file.name}", "cpu")
    assert moved.fingerprint == open_model(f"onnx:{file}", "cpu").fingerprint


def with_external(proto: Any, location: str, folder: Path) -> Path:
    """The model with its large tensor's data said to be in ``location``."""
    tensor = next(each for each in proto.graph.initializer if each.name == "waves")
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(len(data)))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    (folder / "secret.bin").write_bytes(data)
    inner = folder / "inner"
    inner.mkdir()
    (inner / "weights.bin").write_bytes(data)
    (inner / "link.bin").symlink_to(folder / "secret.bin")
    (inner / "model.onnx").write_bytes(proto.SerializeToString())
    (inner / "model.toml").write_text(SIDECAR)
    return inner / "model.onnx"


def test_external_data_beside_the_file_is_read_and_counts(tmp_path: Path) -> None:
    file = with_external(onnx_band(tmp_path / "band.onnx"), "weights.bin", tmp_path)
    waveforms = noise(2)
    model = open_model(f"onnx:{file}", "cpu")
    np.testing.assert_allclose(model.logits(waveforms), expected(waveforms.numpy()), atol=1e-3)
    weights = np.frombuffer((file.parent / "weights.bin").read_bytes(), dtype=np.float32).copy()
    (file.parent / "weights.bin").write_bytes((weights * 2).tobytes())
    assert open_model(f"onnx:{file}", "cpu").fingerprint != model.fingerprint


@pytest.mark.parametrize(
    ("location", "because"),
    [
        ("../secret.bin", "outside its folder"),
        ("inner/../../secret.bin", "outside its folder"),
        ("/etc/passwd", "outside its folder"),
        ("link.bin", "outside its folder"),
        ("*/_ORT_MEM_ADDR_/*", "outside its folder"),
        ("", "outside its folder"),
        ("gone.bin", "not there"),
    ],
)
def test_external_data_outside_the_folder_is_refused(tmp_path: Path, location: str, because: str) -> None:
    refused(with_external(onnx_band(tmp_path / "band.onnx"), location, tmp_path), because)


def test_external_data_of_a_subgraph_is_refused_too(tmp_path: Path) -> None:
    proto = onnx_band(tmp_path / "band.onnx", metadata=METADATA)
    hidden = onnx.TensorProto(name="hidden", data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    entry = hidden.external_data.add()
    entry.key, entry.value = "location", "../secret.bin"
    inner = onnx.helper.make_graph([onnx.helper.make_node("Constant", [], ["c"], value=hidden)], "inner", [], [])
    proto.graph.node[0].attribute.append(onnx.helper.make_attribute("body", inner))
    (tmp_path / "band.onnx").write_bytes(proto.SerializeToString())
    refused(tmp_path / "band.onnx", "'hidden'.*outside its folder")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04}.", bytes(range(256)), b"\x0a" * 100])
def test_what_is_no_onnx_file_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    refused(file, "not an ONNX file")


def test_an_operator_of_a_foreign_library_is_refused(file: Path) -> None:
    proto = onnx.load(file)
    proto.graph.node[-1].domain, proto.graph.node[-1].op_type = "evil.com", "Run"
    proto.opset_import.append(onnx.helper.make_opsetid("evil.com", 1))
    file.write_bytes(proto.SerializeToString())
    refused(file, "ONNX Runtime cannot load it")


@pytest.mark.parametrize(
    ("sidecar", "because"),
    [
        ('labels = ["a", "b"]', "does not say sample_rate"),
        ("sample_rate = 16000", "does not say labels"),
        ('labels = ["a"]\nsample_rate = 16000', "labels"),
        ('labels = ["a", "a", "b"]\nsample_rate = 16000', "the same one twice"),
        ('labels = ["a", "b"]\nsample_rate = 16000', r"\[B, 2\] is needed"),
        ("labels = 3\nsample_rate = 16000", "labels"),
        (SIDECAR + "sampels = 3", "did you mean 'samples'"),
        (SIDECAR + "samples = 5", "takes 3200 samples, its sidecar says 5"),
        (SIDECAR + "scores = 'loud'", "scores"),
        (SIDECAR + "output = 'other'", "its outputs are out"),
        (SIDECAR + "input = 'other'", "its inputs are waveform"),
        ("labels = [", "not readable as TOML"),
    ],
)
def test_a_wrong_sidecar_is_refused(file: Path, sidecar: str, because: str) -> None:
    file.with_name("band.onnx.toml").write_text(sidecar)
    refused(file, because)


def test_no_labels_anywhere_names_the_sidecar(file: Path) -> None:
    file.with_name("band.onnx.toml").unlink()
    refused(file, r"write band\.onnx\.toml beside it")


def test_too_many_labels_are_refused(file: Path) -> None:
    labels = ", ".join(f'"{number}"' for number in range(100_001))
    file.with_name("band.onnx.toml").write_text(f"labels = [{labels}]\nsample_rate = 16000")
    refused(file, "at most 100000 items")


def test_a_model_of_spectrograms_is_refused(file: Path) -> None:
    proto = onnx.load(file)
    proto.graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info("waveform", 1, ["b", 80, 3200]))
    file.write_bytes(proto.SerializeToString())
    refused(file, "waveforms float")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.onnx", "no such file")


def test_a_model_that_fails_on_a_clip_says_so(tmp_path: Path) -> None:
    proto = onnx_band(tmp_path / "band.onnx", metadata=METADATA)
    proto.graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info("waveform", 1, ["b", "n"]))
    (tmp_path / "band.onnx").write_bytes(proto.SerializeToString())
    model = open_model(f"onnx:{tmp_path / 'band.onnx'}", "cpu")
    with pytest.raises(ModelError, match=r"failed on waveforms of shape \(2, 3201\)"):
        model.logits(noise(2, 3201))


def test_without_the_library_the_extra_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    refused(file, r"pip install 'earwitness\[onnx\]'")


def test_a_model_that_wants_more_memory_than_there_is_says_so(tmp_path: Path) -> None:
    """A shape in the file is no reason to end the process."""
    huge = np.array([1 << 40, 1 << 30], dtype=np.int64)
    ends = [
        onnx.numpy_helper.from_array(np.array([value], dtype=np.int64), name) for name, value in (("a", 0), ("b", 3))
    ]
    nodes = [
        onnx.helper.make_node("ConstantOfShape", ["shape"], ["all"]),
        onnx.helper.make_node("ReduceSum", ["all"], ["sum"], keepdims=0),
        onnx.helper.make_node("Add", ["waveform", "sum"], ["louder"]),
        onnx.helper.make_node("Slice", ["louder", "a", "b", "one"], ["out"]),
    ]
    info, constant = onnx.helper.make_tensor_value_info, onnx.numpy_helper.from_array
    graph = onnx.helper.make_graph(
        nodes, "huge", [info("waveform", onnx.TensorProto.FLOAT, ["batch", 3200])],
        [info("out", onnx.TensorProto.FLOAT, ["batch", 3])],
        [constant(huge, "shape"), *ends, constant(np.array([1], dtype=np.int64), "one")],
    )  # fmt: skip
    opsets = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "huge.onnx")
    (tmp_path / "huge.onnx.toml").write_text(SIDECAR)
    with pytest.raises(ModelError, match="failed on waveforms"):
        open_model(f"onnx:{tmp_path / 'huge.onnx'}", "cpu").logits(torch.zeros(1, 3200))
