"""TorchScript and exported files: right answers, and nothing of a hostile file is run."""

from __future__ import annotations

import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from earwitness import Classifier, Clip, ModelError, SearchSettings, explain, open_model
from earwitness.explanation import Subset
from planted_files import LABELS, RATE, SAMPLES, SIDECAR, Band, expected

KINDS = ("script", "trace", "export", "fixed export")


def noise(batch: int, samples: int = SAMPLES, seed: int = 0) -> torch.Tensor:
    """Float32 [B, N]."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(0.1 * rng.standard_normal((batch, samples), dtype=np.float32))


def write(kind: str, folder: Path, network: torch.nn.Module | None = None) -> Path:
    """A network as a file, and its sidecar."""
    network = (network or Band()).eval()
    file = folder / ("band.pt2" if "export" in kind else "band.pt")
    file.with_name(f"{file.name}.toml").write_text(SIDECAR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and still about
        if kind == "script":
            torch.jit.script(network).save(file)  # type: ignore[no-untyped-call]
        elif kind == "trace":
            torch.jit.trace(network, noise(2)).save(file)  # type: ignore[no-untyped-call]
        else:
            sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("samples", min=200)}
            shapes = None if kind == "fixed export" else (sizes,)
            torch.export.save(torch.export.export(network, (noise(2),), dynamic_shapes=shapes), file)
    return file


def refused(file: Path, because: str, **options: bool) -> None:
    """It is refused with a reason in which ``because`` is found."""
    with pytest.raises(ModelError, match=because):
        open_model(f"torch:{file}", "cpu", **options)


@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_as_planted(kind: str, tmp_path: Path) -> None:
    model = open_model(f"torch:{write(kind, tmp_path)}", "cpu")
    for count in (1, 2, 5):
        waveforms = noise(count)
        np.testing.assert_allclose(model.logits(waveforms).detach(), expected(waveforms.numpy()), atol=1e-4)
    assert (model.labels, model.sample_rate, model.backend, model.parameters) == (LABELS, RATE, "torch", 3)
    assert model.architecture == ("torch.export" if "export" in kind else "TorchScript")
    assert ("batch: fixed at 2; the last one is filled up with silence" in model.notes) == (kind == "fixed export")
    waveforms = noise(1).requires_grad_()
    model.logits(waveforms)[0, 0].backward()  # type: ignore[no-untyped-call]
    assert waveforms.grad is not None
    assert waveforms.grad.abs().max() > 0


@pytest.mark.parametrize("kind", ["script", "export"])
def test_an_explanation_finds_what_is_planted(kind: str, tmp_path: Path) -> None:
    model = open_model(f"torch:{write(kind, tmp_path)}", "cpu")
    clip = Clip(noise(1, seed=1)[0].numpy() * 5, RATE)
    found = explain(clip, Classifier(model), SearchSettings(delta=0.9))
    assert isinstance(found.sufficient[0], Subset)
    assert found.sufficient[0].runs == ((58, 63),)


def test_a_longest_clip_is_respected_and_shorter_ones_are_not_padded(tmp_path: Path) -> None:
    file = write("script", tmp_path)
    file.with_name("band.pt.toml").write_text(SIDECAR + f"longest = {SAMPLES}")
    model = open_model(f"torch:{file}", "cpu")
    short, long = noise(2, 1000), noise(2, SAMPLES + 600)
    np.testing.assert_allclose(model.logits(short).detach(), expected(short.numpy()), atol=1e-4)
    halves = [torch.from_numpy(expected(long[:, start : start + SAMPLES].numpy())).softmax(dim=1) for start in (0, 600)]
    np.testing.assert_allclose(model.logits(long).softmax(dim=1), (halves[0] + halves[1]) / 2, atol=1e-4)


class Talkative(Band):
    """Returns more than the scores."""

    def forward(self, waveforms: torch.Tensor) -> Any:
        return super().forward(waveforms), waveforms


def test_the_first_of_several_outputs_is_read(tmp_path: Path) -> None:
    waveforms = noise(2)
    answer = open_model(f"torch:{write('trace', tmp_path, Talkative())}", "cpu").logits(waveforms)
    np.testing.assert_allclose(answer.detach(), expected(waveforms.numpy()), atol=1e-4)


# --- what is refused


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


def rewrite(file: Path, change: Callable[[dict[str, bytes]], Any]) -> None:
    """Change an archive's records in place."""
    with zipfile.ZipFile(file) as archive:
        parts = {record.filename.partition("/")[2]: archive.read(record) for record in archive.infolist()}
    change(parts)
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(f"band/{name}", content)


def edit_program(file: Path, old: str, new: str) -> None:
    """Replace text in an exported program's graph."""

    def change(parts: dict[str, bytes]) -> None:
        text = parts["models/model.json"].decode()
        assert old in text
        parts["models/model.json"] = text.replace(old, new).encode()

    rewrite(file, change)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_refused_and_does_not_run(tmp_path: Path, zipped: bool) -> None:
    file = write("script", tmp_path)
    torch.save(Bomb(tmp_path / "ran"), file, _use_new_zipfile_serialization=zipped)
    refused(file, "a pickle, which can run code.*--allow-pickle")
    assert not (tmp_path / "ran").exists()
    refused(file, "no network", allow_pickle=True)
    assert (tmp_path / "ran").exists()


def test_a_pickled_network_is_read_where_allowed(tmp_path: Path) -> None:
    file = write("script", tmp_path)
    torch.save(Band(), file)
    waveforms = noise(2)
    model = open_model(f"torch:{file}", "cpu", allow_pickle=True)
    np.testing.assert_allclose(model.logits(waveforms).detach(), expected(waveforms.numpy()), atol=1e-4)
    assert any("--allow-pickle" in note for note in model.notes)
    torch.save(Band().state_dict(), file)
    refused(file, "save the whole model, not weights", allow_pickle=True)


def test_sample_inputs_that_are_a_pickle_are_refused_and_do_not_run(tmp_path: Path) -> None:
    # torch.export.load falls back on running them
    file = write("export", tmp_path)
    stream = io.BytesIO()
    torch.save(Bomb(tmp_path / "ran"), stream)
    rewrite(file, lambda parts: parts.update({"data/sample_inputs/model.pt": stream.getvalue()}))
    refused(file, "sample inputs are a pickle")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["weights", "constants"])
def test_a_weight_that_is_a_pickle_is_refused(tmp_path: Path, name: str) -> None:
    file, place = write("export", tmp_path), f"data/{name}/model_{name}_config.json"

    def change(parts: dict[str, bytes]) -> None:
        config = json.loads(parts[place])
        config["config"]["last"] = {"path_name": "custom_obj_0", "is_param": False, "use_pickle": True}
        parts[place] = json.dumps(config).encode()

    rewrite(file, change)
    refused(file, "'last' is stored as a pickle")


@pytest.mark.parametrize(
    ("old", "new", "because"),
    [
        ("torch.ops.aten.log.default", "torch.ops.aten.from_file.default", "numeric operator"),
        ("torch.ops.aten.log.default", "torch.hub.load", "numeric operator"),
        ("torch.ops.aten.log.default", "torch.ops.load_library", "numeric operator"),
        ("torch.ops.aten.log.default", "os.system", "numeric operator"),
        ('"name": "log"', '"name": "log\\\\nimport os"', "plain name"),
        ("Symbol('s", "__import__('os').system('true') or Symbol('s", "expr_str"),
        ("Symbol('s", "preview('s", "expr_str"),
        ("builtins.tuple", "os.system", "in_spec"),
    ],
)
def test_an_exported_graph_that_could_run_code_is_refused(tmp_path: Path, old: str, new: str, because: str) -> None:
    file = write("export", tmp_path)
    edit_program(file, old, new.replace("\\\\n", "\\n"))
    refused(file, because)


def test_guards_and_compiled_parts_of_an_exported_file_are_left_out(tmp_path: Path) -> None:
    file = write("export", tmp_path)
    edit_program(file, '"guards_code": []', f'"guards_code": ["open({str(tmp_path / "ran")!r}, chr(119))"]')
    rewrite(file, lambda parts: parts.update({"data/aotinductor/model/evil.so": b"\x7fELF"}))
    waveforms = noise(2)
    answer = open_model(f"torch:{file}", "cpu").logits(waveforms)
    np.testing.assert_allclose(answer.detach(), expected(waveforms.numpy()), atol=1e-4)
    assert not (tmp_path / "ran").exists()


class Reader(Band):
    """Reads, and makes, a file."""

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        return self.last + torch.from_file("ran", shared=True, size=3)


class Saver(Band):
    """Writes a file."""

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        torch.save(waveforms, "ran")
        return self.last


@pytest.mark.parametrize(("network", "because"), [(Reader, "from_file"), (Saver, "save")])
def test_a_script_that_touches_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: type[Band], because: str
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(write("script", tmp_path, network()), f"its code uses .*{because}")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "code",
    ["torch.classes.x.Y()", "b.classes.x.Y()", "ops.inductor.z(a)", "ops . evil . run(a)", "b = ops", "rpc_sync(a)"],
)
def test_a_script_of_foreign_operators_is_refused(tmp_path: Path, code: str) -> None:
    file = write("script", tmp_path)
    place = next(name for name in zipfile.ZipFile(file).namelist() if name.endswith(".py")).partition("/")[2]
    rewrite(file, lambda parts: parts.update({place: parts[place] + f"\n    {code}\n".encode()}))
    refused(file, "its code uses")


def test_an_object_of_a_native_class_is_refused(tmp_path: Path) -> None:
    file = write("script", tmp_path)
    native = b"\x80\x02c__torch__.torch.classes.aoti\nAOTIModelContainer\n."
    rewrite(file, lambda parts: parts.update({"constants.pkl": native}))
    refused(file, r"classes.*constants\.pkl")


def test_a_name_given_twice_is_refused(tmp_path: Path) -> None:
    file = write("script", tmp_path)
    with warnings.catch_warnings(), zipfile.ZipFile(file, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(archive.namelist()[0], b"other")
    refused(file, "same name twice")


@pytest.mark.parametrize("kind", ["script", "export"])
def test_damaged_files_are_refused(kind: str, tmp_path: Path) -> None:
    file = write(kind, tmp_path)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    refused(file, "a pickle|damaged")
    file.write_bytes(b"hello")
    refused(file, "neither TorchScript nor")
    file.unlink()
    refused(file, "no such file")


@pytest.mark.parametrize("content", [b"", bytes(11)])
def test_a_weight_shorter_than_its_tensor_is_refused(tmp_path: Path, content: bytes) -> None:
    """PyTorch would read on behind it; found by fuzzing."""
    file = write("script", tmp_path)
    rewrite(file, lambda parts: parts.update({"data/0": content}))
    refused(file, f"data/0 has {len(content)} bytes of 12")
    rewrite(file, lambda parts: parts.pop("data/0"))
    refused(file, "data/0 has 0 bytes of 12")


class Mark:
    """Leaves a mark when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.place,))


def test_nothing_that_a_pickle_names_is_run_to_measure_it(tmp_path: Path) -> None:
    file = write("script", tmp_path)
    rewrite(file, lambda parts: parts.update({"data.pkl": pickle.dumps(Mark(tmp_path / "ran"), 2)}))
    with pytest.raises(ModelError):
        open_model(f"torch:{file}", "cpu")
    rewrite(file, lambda parts: parts.update({"data.pkl": b"\x80\x02X\xff\xff\xff\x7f"}))
    refused(file, "data.pkl is damaged")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"graph_module": 3}', b"{}"])
def test_a_program_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    file = write("export", tmp_path)
    rewrite(file, lambda parts: parts.update({"models/model.json": content}))
    refused(file, "not JSON|no JSON object|torch cannot load it")


def test_labels_come_from_the_sidecar(tmp_path: Path) -> None:
    file = write("script", tmp_path)
    file.with_name("band.pt.toml").unlink()
    refused(file, r"write band\.pt\.toml beside it")


def test_loading_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = write("export", tmp_path)
    capfd.readouterr()
    open_model(f"torch:{file}", "cpu")
    assert capfd.readouterr() == ("", "")
