"""What a program already holds, as a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import earwitness
from earwitness import Classifier, Clip, ModelError, SearchSettings, as_classifier
from earwitness.explanation import Subset
from planted_files import LABELS, RATE, SAMPLES, Band, expected
from planted_models import Band as CallableBand
from tiny_models import tiny

transformers = pytest.importorskip("transformers")


def noise(batch: int, samples: int = SAMPLES, seed: int = 0) -> torch.Tensor:
    """Float32 [B, N]."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(0.5 * rng.standard_normal((batch, samples), dtype=np.float32))


def planted(waveforms: torch.Tensor) -> np.ndarray:
    """A plain function."""
    return expected(waveforms.numpy())


def found(classifier: Classifier) -> tuple[tuple[int, int], ...]:
    """Where a classifier listens in a clip of noise."""
    explanation = earwitness.explain(Clip(noise(1)[0].numpy(), RATE), classifier, SearchSettings(delta=0.9))
    assert isinstance(explanation.sufficient[0], Subset)
    return explanation.sufficient[0].runs


@pytest.mark.parametrize("thing", [Band(), planted, lambda waveforms: planted(waveforms).tolist()])
def test_networks_and_functions_are_explained(thing: Any) -> None:
    classifier = as_classifier(thing, labels=LABELS, sample_rate=RATE, name="planted")
    assert (classifier.labels, classifier.model.sample_rate, classifier.model.spec) == (LABELS, RATE, "planted")
    assert classifier.model.differentiable == isinstance(thing, Band)
    assert found(classifier) == ((58, 63),)


def test_labels_and_rate_may_be_the_models_own() -> None:
    classifier = as_classifier(CallableBand(58, 63))
    assert classifier.labels == ("yes", "no", "maybe")
    assert found(classifier) == ((58, 63),)
    assert as_classifier(classifier) is classifier
    assert as_classifier(classifier.model).model is classifier.model


def test_a_network_is_copied_not_changed() -> None:
    network = Band().train()
    classifier = as_classifier(network, labels=LABELS, sample_rate=RATE)
    assert network.training
    assert network.last.requires_grad
    same = as_classifier(Band(), labels=LABELS, sample_rate=RATE).model.fingerprint
    assert classifier.model.fingerprint == same
    with torch.no_grad():
        network.last.add_(1)
    assert as_classifier(network, labels=LABELS, sample_rate=RATE).model.fingerprint != same
    waveforms = noise(2)
    np.testing.assert_allclose(classifier.model.logits(waveforms).detach(), expected(waveforms.numpy()), atol=1e-4)


class Named(Band):
    """Answers as networks of transformers do."""

    def forward(self, waveforms: torch.Tensor) -> Any:
        return {"hidden": waveforms, "logits": super().forward(waveforms)}


def test_the_logits_of_several_outputs_are_read() -> None:
    waveforms = noise(2)
    answer = as_classifier(Named(), labels=LABELS, sample_rate=RATE).model.logits(waveforms)
    np.testing.assert_allclose(answer.detach(), expected(waveforms.numpy()), atol=1e-4)


@pytest.mark.parametrize("family", ["wav2vec2", "whisper"])
def test_pipelines_and_pairs_are_the_same_model(family: str) -> None:
    network, extractor = tiny(family)
    pipeline = transformers.AudioClassificationPipeline(model=network, feature_extractor=extractor, top_k=3)
    waveforms = noise(1, 8000)
    (scores,) = [pipeline(waveforms[0].numpy())]
    network.train()
    by_label = {score["label"]: score["score"] for score in scores}
    answers = [as_classifier(*given)(waveforms)[0] for given in ((pipeline,), (network, extractor))]
    answers.append(as_classifier((network, extractor))(waveforms)[0])
    for answer in answers:
        np.testing.assert_allclose(answer, [by_label[label] for label in ("yes", "no", "maybe")], atol=1e-4)
    assert network.training
    names = {as_classifier(*given).model.fingerprint for given in ((pipeline,), (network, extractor))}
    assert len(names) == 1


@pytest.mark.parametrize(
    ("given", "options", "because"),
    [
        ((planted,), {}, "no labels and sample_rate"),
        ((planted,), {"labels": LABELS}, "no sample_rate"),
        ((3,), {}, "not a model"),
        ((Band,), {}, "not a model"),
        ((planted, 3), {"labels": LABELS, "sample_rate": RATE}, "only networks of transformers"),
        ((planted,), {"labels": ("a",), "sample_rate": RATE}, "at least two"),
        ((planted,), {"labels": LABELS, "sample_rate": 0}, "give it in Hz"),
        ((tiny("wav2vec2")[0],), {}, "feature extractor too"),
        (tiny("wav2vec2"), {"labels": LABELS}, "labels of its own"),
    ],
    ids=lambda part: str(part) if not isinstance(part, tuple) else None,  # addresses differ between processes
)
def test_what_lacks_something_is_refused(given: Any, options: dict[str, Any], because: str) -> None:
    with pytest.raises(ModelError, match=because):
        as_classifier(*given, **options)


def test_a_pipeline_of_another_task_is_refused() -> None:
    class Other:
        task, model, feature_extractor = "text-to-speech", None, None

    with pytest.raises(ModelError, match="text-to-speech"):
        as_classifier(Other())
