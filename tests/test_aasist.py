"""The worked example AASIST: by itself with random weights, and against the published network's own outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor

import earwitness
from earwitness import ModelError, open_model
from earwitness.models.callables import find_attribute

FILE = Path(__file__).parent.parent / "examples" / "aasist.py"
aasist: Any = find_attribute(f"{FILE}:aasist")[0]
#: spec's attribute, published name, parameters, channels and shares of nodes kept
SIZES = [("aasist", "AASIST", 297_866, 64, (0.5, 0.7, 0.5)), ("aasist_l", "AASIST-L", 85_306, 24, (0.4, 0.5, 0.7))]
#: what has no weights is a function here, or left out (dropout)
WITHOUT_WEIGHTS = {"selu", "act", "sigmoid", "drop", "drop_way", "input_drop"}


def noise(batch: int, samples: int = 64_600) -> Tensor:
    """Float32 [B, N]."""
    return 0.1 * torch.from_numpy(np.random.default_rng(0).standard_normal((batch, samples), dtype=np.float32))


@pytest.fixture(params=SIZES, ids=[size[0] for size in SIZES])
def size(request: pytest.FixtureRequest) -> Any:
    """One of the two sizes."""
    return request.param


@pytest.fixture
def network(size: Any) -> Any:
    """With random weights."""
    torch.manual_seed(0)
    return aasist.AASIST(*size[3:]).eval()


def test_a_clip_is_answered_alone_and_gradients_reach_its_waveform(size: Any, network: Any) -> None:
    assert sum(weights.numel() for weights in network.parameters()) == size[2]
    waveforms = noise(3).requires_grad_()
    logits = network(waveforms)
    assert logits.shape == (3, 2)
    with torch.inference_mode():
        alone = torch.cat([network(waveform[None]) for waveform in waveforms])
    torch.testing.assert_close(logits.detach(), alone, atol=1e-5, rtol=1e-5)
    (gradient,) = torch.autograd.grad(logits[1, 0] - logits[1, 1], waveforms)
    assert gradient.isfinite().all()
    assert gradient[1].abs().max() > 0
    assert not gradient[[0, 2]].any()


@pytest.mark.parametrize("samples", [1, 1_000, 64_599, 64_600, 70_000])
def test_short_waveforms_are_repeated_and_long_ones_cut(samples: int) -> None:
    waveforms = noise(2, samples)
    wanted = np.tile(waveforms.numpy(), (1, 64_600 // samples + 1))[:, :64_600]
    np.testing.assert_array_equal(aasist.fit(waveforms), wanted)


def test_filters_are_windowed_sincs_on_the_mel_scale() -> None:
    filters = aasist.SincFilters().filters[:, 0].numpy()
    assert filters.shape == (70, 129)
    mel = np.linspace(0, 2595 * np.log10(1 + 8_000 / 700), 71)
    edges = 700 * (10 ** (mel / 2595) - 1)
    for filter, low, high in zip(filters[1:-1], edges[1:], edges[2:], strict=False):
        wanted = scipy.signal.firwin(129, [low, high], pass_zero=False, window=("general_hamming", 0.54), fs=16_000,
                                     scale=False)  # fmt: skip
        window = np.hamming(129) / scipy.signal.get_window(("general_hamming", 0.54), 129, fftbins=False)
        np.testing.assert_allclose(filter, wanted * window, atol=1e-7)


def test_missing_weights_say_how_to_fetch_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AASIST", str(tmp_path))
    with pytest.raises(ModelError, match=r"AASIST-L\.pth; fetch it from https://.* or set AASIST"):
        open_model(f"python:{FILE}:aasist_l", "cpu")


@pytest.fixture
def published(shared: Path, size: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, dict[str, Any], Tensor]:
    """The network with its weights, what it must say, and the recordings to say it to, float32 [B, 64600]."""
    folder = shared / "models" / "aasist"
    monkeypatch.setenv("AASIST", str(folder))
    reference = json.loads((folder / "reference.json").read_text())
    assert reference["files"][-1] == "(silence)"
    clips = [torch.tensor(earwitness.read(shared / "data" / file, 16_000).samples) for file in reference["files"][:-1]]
    waveforms = torch.cat([aasist.fit(clip[None]) for clip in [*clips, torch.zeros(1)]])
    wanted = {"logits": reference["logits"][size[1]], "modules": reference["activations"][size[1]]}
    return getattr(aasist, size[0])(), wanted, waveforms


def test_every_module_gives_what_the_published_one_does(published: tuple[Any, dict[str, Any], Tensor]) -> None:
    network, wanted, waveforms = published
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: Any, given: Any, made: Any) -> None:
            found[name] = made[0] if isinstance(made, tuple) else made

        return hook

    for name, module in network.named_modules():
        module.register_forward_hook(keep(name))
    with torch.inference_mode():
        network(waveforms[:1])
    modules = wanted["modules"]
    assert {name.rpartition(".")[2] for name in modules.keys() - found.keys()} == WITHOUT_WEIGHTS
    for name in modules.keys() & found.keys():
        made, said = found[name], modules[name]
        assert list(made.shape) == said["shape"], name
        values = [made.mean(), made.std(), *made.flatten()[: len(said["first"])]]
        np.testing.assert_allclose(values, [said["mean"], said["std"], *said["first"]], atol=1e-4, err_msg=name)


def test_logits_are_the_published_ones(published: tuple[Any, dict[str, Any], Tensor], size: Any) -> None:
    network, wanted, waveforms = published
    with torch.inference_mode():
        logits = network(waveforms)
    np.testing.assert_allclose(logits, wanted["logits"], atol=1e-4)
    of_silence = dict(zip(network.labels, logits[-1].softmax(dim=0).tolist(), strict=True))
    assert of_silence["bonafide"] == pytest.approx({"aasist": 0.988, "aasist_l": 0.504}[size[0]], abs=1e-3)


def test_it_is_a_model_like_others(published: tuple[Any, dict[str, Any], Tensor], size: Any) -> None:
    model = open_model(f"python:{FILE}:{size[0]}", "cpu")
    assert model.labels == ("spoof", "bonafide")
    assert (model.architecture, model.parameters, model.samples) == ("AASIST", size[2], 64_600)
    assert model.notes[0] == "length: hears 64600 samples, 4.0375 s"
    assert model.differentiable
