"""What a ``python:`` model may state of itself, and what is found out where it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from earwitness import Classifier, Clip, ModelError, open_model
from earwitness.cli import app
from earwitness.models import Model
from earwitness.models.batching import choose_batch
from earwitness.models.resampling import at_rate
from earwitness.search.driver import Driver
from earwitness.signal.spectrum import Spectrum

MODEL = """
import torch

class Plain:
    labels, sample_rate = ("yes", "no"), 16_000
    def __call__(self, waveforms):
        return torch.stack([waveforms.mean(dim=1), waveforms[:, 0]], dim=1)

class Stated(Plain):
    parameters, architecture, samples, notes = 1_234, "Listener", 64_600, ["padding: repeated"]

class Network(torch.nn.Linear):
    labels, sample_rate = ("yes", "no"), 16_000
    def __init__(self):
        super().__init__(3, 2)
        torch.nn.init.constant_(self.weight, WEIGHT)
        torch.nn.init.zeros_(self.bias)
"""


def opened(folder: Path, name: str, weight: float = 1.0, more: str = "") -> Model:
    """A model of the text above; the weight is read from outside it, as one from a file would be."""
    file = folder / "mine.py"
    file.write_text(MODEL.replace("WEIGHT", 'float(__import__("os").environ["WEIGHT"])') + more)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEIGHT", str(weight))
        return open_model(f"python:{file}:{name}", "cpu")


def test_what_is_stated_is_shown(tmp_path: Path) -> None:
    model = opened(tmp_path, "Stated")
    assert (model.parameters, model.architecture, model.samples) == (1_234, "Listener", 64_600)
    assert model.notes == ("length: hears 64600 samples, 4.0375 s", "padding: repeated")
    assert at_rate(model, 48_000).samples == 193_800


def test_what_is_not_stated_is_found_out(tmp_path: Path) -> None:
    model = opened(tmp_path, "Plain")
    assert (model.parameters, model.architecture, model.samples, model.notes) == (0, "Plain", None, ())
    network = opened(tmp_path, "Network")
    assert (network.parameters, network.architecture, network.differentiable) == (8, "Network", True)


@pytest.mark.parametrize(
    ("line", "because"),
    [('samples = "4 s"', "samples '4 s'; give a whole number"), ("parameters = -1", "parameters -1"),
     ("samples = 1.5", "samples 1.5"), ("parameters = True", "parameters True")],
)  # fmt: skip
def test_what_is_stated_wrongly_is_refused(tmp_path: Path, line: str, because: str) -> None:
    with pytest.raises(ModelError, match=because):
        opened(tmp_path, "Wrong", more=f"\nclass Wrong(Plain):\n    {line}\n")


def test_networks_with_other_weights_are_other_models(tmp_path: Path) -> None:
    fingerprints = [opened(tmp_path, "Network", weight).fingerprint for weight in (1.0, 2.0, 1.0)]
    assert fingerprints[0] == fingerprints[2] != fingerprints[1]


def test_batches_have_room_for_the_models_own_length(tmp_path: Path) -> None:
    model, sizes = opened(tmp_path, "Stated"), list[int]()

    class Counted(Driver):
        def _average(self, waveforms: Tensor, dtype: torch.dtype | None = None) -> Any:
            sizes.append(len(waveforms))
            return super()._average(waveforms, dtype)

    spectrum = Spectrum(Clip(torch.linspace(-0.5, 0.5, 200).numpy(), 16_000))
    masks = torch.rand(40, spectrum.size, generator=torch.Generator().manual_seed(0)).numpy() < 0.5
    Counted(Classifier(model)).evaluate(spectrum, masks)
    assert sizes == [16, 16, 8]
    assert choose_batch(200, torch.device("cpu")) == 32


def test_what_a_model_prints_stays_out_of_what_is_printed_for_machines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 1600)
    samples[0] = 5
    soundfile.write(tmp_path / "loud.wav", samples, 16_000, subtype="FLOAT")
    model = Path(__file__).with_name("planted_models.py")
    command = ["explain", str(tmp_path / "loud.wav"), "--model", f"python:{model}:talks", "--budget", "60", "--json"]
    assert app(command, standalone_mode=False) in (None, 0)
    told = capsys.readouterr()
    assert json.loads(told.out)["label"] == "yes"
    assert "the model talks" in told.err


def test_a_file_that_ends_the_process_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "exits.py").write_text("print('hello')\nraise SystemExit(3)\n")
    with pytest.raises(ModelError, match=r"tried to end the process \(exit code 3\)"):
        open_model(f"python:{tmp_path / 'exits.py'}:model")
