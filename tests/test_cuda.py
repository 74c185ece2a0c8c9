"""On a GPU: what is made there is what a CPU makes, and what a GPU alone has (memory, precision, trial) works there.

Skipped where there is none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from earwitness import SearchSettings, explain
from earwitness.models import Classifier, Model, open_model
from earwitness.models.batching import Batches
from earwitness.search.driver import Driver
from earwitness.search.precision import choose_dtype
from earwitness.signal.domains import Domain
from earwitness.signal.spectrum import Spectrum
from earwitness.signal.views import Viewed, draw_views, in_view, parse_views
from earwitness.study.file import parse_study
from earwitness.study.run import Summary
from earwitness.study.store import Store
from earwitness.study.verify import verify_study
from planted import LOW, PlantedModel, has, make_clip
from test_study import do

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
CUDA, CPU = torch.device("cuda"), torch.device("cpu")


class There(PlantedModel):
    """A planted model to which signals come on the GPU."""

    device = CUDA

    def logits(self, waveforms: Tensor) -> Tensor:
        """See :class:`PlantedModel`."""
        assert waveforms.device.type == "cuda"
        return super().logits(waveforms.cpu()).to(CUDA)


class Convolved(Model):
    """A convolutional network with random weights."""

    labels, sample_rate, spec, fingerprint, device = ("one", "two"), 16_000, "convolved", "convolved", CUDA

    def __init__(self, device: torch.device = CUDA) -> None:
        self.device = device
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Conv1d(1, 64, 32, 8), nn.GELU(), nn.Conv1d(64, 64, 32, 8), nn.GELU()).to(device)
        self.head = nn.Linear(64, 2).to(device)

    def logits(self, waveforms: Tensor) -> Tensor:
        """See :meth:`Model.logits`."""
        logits: Tensor = 10 * self.head(self.network(waveforms[:, None]).mean(dim=2))
        return logits.float()


@pytest.mark.parametrize("domain", ["rfft", "mel:16", "stft:128:64"])
@pytest.mark.parametrize("samples", [512, 511])
def test_signals_are_those_of_a_cpu(domain: str, samples: int) -> None:
    clip = make_clip(257)
    clip = type(clip)(clip.samples[:samples], clip.sample_rate)
    spectrum = Spectrum(clip, Domain.parse(domain))
    masks = np.random.default_rng(0).random((20, spectrum.size)) < 0.5
    there = spectrum.invert(masks, CUDA)
    assert there.device.type == "cuda"
    assert there.dtype == torch.float32
    torch.testing.assert_close(there.cpu(), spectrum.invert(masks), rtol=0, atol=1e-6)


def test_signals_in_views_are_those_of_a_cpu() -> None:
    spectrum = Spectrum(make_clip(2001))
    kinds = parse_views(["noise:30", "gain:6", "shift:10", "room", "others"])
    viewed = Viewed(spectrum, draw_views(kinds, spectrum, 3, 0, others=[make_clip(2001, seed=1)]))
    masks = np.random.default_rng(0).random((4, spectrum.size)) < 0.5
    for view in (None, 0, 1, 2):
        questions = in_view(masks, view, 3)
        there, here = viewed.invert(questions, CUDA), viewed.invert(questions)
        torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_what_is_planted_is_found(precision: str) -> None:
    settings = SearchSettings(precision=precision)
    there, here = (explain(make_clip(257), model, settings) for model in (There(has(LOW)), PlantedModel(has(LOW))))
    assert there.sufficient[0].runs == here.sufficient[0].runs == (LOW,)  # type: ignore[union-attr]
    assert there.complete.runs == (LOW,)  # type: ignore[union-attr]


def test_float32_is_not_rounded_in_convolutions() -> None:
    """A GPU's own choice, TF32, has 10 bits where float32 has 23: no evidence is verified by that."""
    spectrum = Spectrum(make_clip(4001))
    masks = np.random.default_rng(0).random((16, spectrum.size)) < 0.5
    there, here = (Driver(Classifier(Convolved(device))).evaluate(spectrum, masks) for device in (CUDA, CPU))
    np.testing.assert_allclose(there, here, rtol=0, atol=2e-6)


def test_auto_is_float16() -> None:
    fast = torch.cuda.get_device_capability() >= (7, 0)
    assert choose_dtype("auto", CUDA) is (torch.float16 if fast else None)


def test_batches_are_halved_until_there_is_memory() -> None:
    class Greedy(There):
        """Wants a third of all memory for each signal."""

        def logits(self, waveforms: Tensor) -> Tensor:
            total = torch.cuda.mem_get_info()[1]
            held = torch.empty(len(waveforms) * (total // 3), dtype=torch.uint8, device=CUDA)
            del held
            return super().logits(waveforms)

    spectrum, masks = Spectrum(make_clip(257)), np.random.default_rng(0).random((40, 257)) < 0.5
    driver = Driver(Classifier(Greedy(has(LOW))))
    expected = Driver(Classifier(PlantedModel(has(LOW)))).evaluate(spectrum, masks)
    np.testing.assert_array_equal(driver.evaluate(spectrum, masks), expected)
    assert driver.room(512) <= 2, "what found no memory is remembered"


def test_a_size_is_found_by_trial() -> None:
    classifier = Classifier(Convolved())
    spectrum = Spectrum(make_clip(4001))
    start = Batches(CUDA).room(8000)
    masks = np.random.default_rng(0).random((3 * start, spectrum.size)) < 0.5
    Driver(classifier).evaluate(spectrum, np.tile(masks, (4, 1)))
    assert classifier.batches.room(8000) != start or start == 4096


def test_a_study_in_processes_is_whole_and_verifies(tmp_path: Path) -> None:
    study = parse_study({
        "models": ["builtin:mtt-musicnn", "builtin:mtt-vgg"], "data": [{"path": "builtin", "limit": 2}],
        "search": {"budget": 300, "precision": "auto"}, "run": {"workers": 2, "device": "cuda"},
    })  # fmt: skip
    assert do(study, tmp_path / "s.db") == Summary(4, 4, 0)
    with Store(tmp_path / "s.db") as store:
        found = verify_study(store, device="cuda")
    assert found.findings == ()
    assert found.asked == found.of > 0


def test_a_tagger_says_there_what_it_says_here() -> None:
    spectrum = Spectrum(make_clip(24_001))
    masks = np.random.default_rng(0).random((3, spectrum.size)) < 0.5
    there, here = (
        Driver(Classifier(open_model("builtin:mtt-vgg", device))).evaluate(spectrum, masks) for device in (CUDA, "cpu")
    )
    np.testing.assert_allclose(there, here, rtol=0, atol=1e-4)
