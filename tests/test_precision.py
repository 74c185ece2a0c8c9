"""Searches in bfloat16: what is too near a threshold is asked again, and only what float32 confirms is stored."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from earwitness import (
    Classifier,
    ConfigError,
    Missing,
    RobustSettings,
    SearchSettings,
    Subset,
    explain,
    find_robust,
)  # fmt: skip
from earwitness.explanation import finish, make_job
from earwitness.models import Model, open_model
from earwitness.models.base import without_rounding
from earwitness.search.driver import Driver, Job, _unpack
from earwitness.search.precision import FIRST, SURE, Doubt, choose_dtype, full_precision
from earwitness.search.questions import TOLERANCE, Target
from earwitness.signal.masks import from_runs
from earwitness.study.run import Summary
from earwitness.study.store import Store
from earwitness.verification import broken
from planted import HIGH, LOW, SIZE, PlantedModel, Rule, both, either, has, make_clip
from test_study import do, make_clips, study_of

CPU = torch.device("cpu")
NONE = np.zeros((1, 1), dtype=bool)  #: masks, where they do not matter


class Network(Model):
    """Weighs the magnitudes of a planted clip's bins: a matrix product, which autocast computes in bfloat16."""

    spec = fingerprint = "network"
    labels = ("yes", "no", "maybe")
    sample_rate = 16_000

    def __init__(self) -> None:
        self.weights = torch.randn(257, 3, generator=torch.Generator().manual_seed(5)) / 8

    def logits(self, waveforms: Tensor) -> Tensor:
        """Of the magnitudes of the bins."""
        return torch.matmul(torch.fft.rfft(waveforms).abs(), self.weights)


class Liar(PlantedModel):
    """Hears the planted band in float32, and in bfloat16 by another rule."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(has(LOW))
        self._other = PlantedModel(rule)

    def logits(self, waveforms: Tensor) -> Tensor:
        """See :class:`PlantedModel`."""
        honest = super().logits(waveforms)
        return self._other.logits(waveforms) if torch.is_autocast_enabled("cpu") else honest


def rows(*probabilities: list[float]) -> NDArray[np.float32]:
    return np.asarray(np.log(np.array(probabilities)), dtype=np.float32)


def test_what_is_near_a_threshold_is_in_doubt() -> None:
    doubt = Doubt(delta=0.5)
    original = rows([0.8, 0.1, 0.1])
    assert doubt.of(NONE, original).all()  # the thresholds are not known yet
    doubt.learn(original, original)
    first = rows(*[[0.01, 0.98, 0.01]] * FIRST)
    assert doubt.of(NONE, first).tolist() == [True] * (FIRST - 1) + [False]
    # logits differ by 0.1: so does the lead
    doubt.learn(first[:-1], first[:-1] + np.array([0.1, 0, 0], dtype=np.float32))
    width = doubt.width
    assert 0.2 < width < 0.35
    tests = rows(
        [0.1, 0.8, 0.1], [0.4, 0.3, 0.3], [0.8, 0.1, 0.1], [0.45, 0.46, 0.09], [0.7, 0.2, 0.1], [0.999, 0.0005, 0.0005]
    )
    assert doubt.of(NONE, tests).tolist() == [False, True, True, True, False, False]


def test_a_small_change_of_a_sure_answer_is_a_large_one() -> None:
    doubt = Doubt(delta=0.5)
    original = rows([0.9, 0.05, 0.05])
    doubt.of(NONE, original)
    doubt.learn(original, original)
    before = rows([0.998, 0.001, 0.001])
    doubt.learn(before, before - np.array([0.002, 0, 0], dtype=np.float32))
    assert doubt.width == pytest.approx(3 * np.sqrt(0.5) * 0.5, rel=0.1)  # 0.002 of 0.004
    surest = rows([1 - 1e-7, 5e-8, 5e-8])
    assert doubt._others(surest) == pytest.approx([SURE])


def test_in_views_the_threshold_is_the_views() -> None:
    doubt = Doubt(0.5, (Target(0, 0.8, 0.5), Target(0, 0.4, 0.5)))
    views = np.array([[True, True, False], [True, False, True]])
    doubt.of(np.repeat(views, FIRST, axis=0), rows(*[[0.01, 0.98, 0.01]] * 2 * FIRST))
    before = rows([0.5, 0.25, 0.25])
    doubt.learn(before, before + np.array([0.04, 0, 0], dtype=np.float32))
    assert doubt.width == pytest.approx(0.24)
    near = rows([0.41, 0.04, 0.55], [0.41, 0.04, 0.55], [0.21, 0.1, 0.69], [0.21, 0.1, 0.69])
    assert doubt.of(views[[0, 1, 0, 1]], near).tolist() == [True, False, False, True]


@pytest.mark.parametrize("delta", [0.5, 0.9])
def test_all_that_is_stored_holds_in_float32(delta: float) -> None:
    clip, classifier = make_clip(SIZE), Classifier(Network())
    found = explain(clip, classifier, SearchSettings(delta=delta, precision="bfloat16", budget=1500))
    assert FIRST <= found.again < 1000
    driver = Driver(classifier)
    answer = driver.original(found.spectrum)
    np.testing.assert_array_equal(found.log_probabilities, answer)
    sets = [(kind, part) for kind, _, part in found.parts() if isinstance(part, Subset)]
    assert {kind for kind, _ in sets} == {"sufficient", "complete", "one_complete", "inverse"}
    for kind, part in sets:
        mask = from_runs(part.runs, found.spectrum.size)
        kept, left = driver.evaluate(found.spectrum, np.stack([mask, ~mask]))
        np.testing.assert_array_equal(part.log_probabilities, kept)
        assert not broken(kind, Target.of(answer, delta), kept, left)


def test_where_answers_differ_those_asked_again_decide() -> None:
    job = make_job(make_clip(SIZE), SearchSettings(delta=0.9, precision="bfloat16", budget=1500))
    driver = Driver(Classifier(Network()), precision="bfloat16")
    driver.run_one(job)
    keys = list(job.memory)
    asked = np.stack([job.memory[key] for key in keys])
    full = driver.evaluate(job.spectrum, _unpack(keys, job.spectrum.size))
    sure = np.array([key in job.sure for key in keys])
    assert sure.sum() == job.again
    np.testing.assert_allclose(asked[sure], full[sure], atol=TOLERANCE)
    assert np.abs(asked[~sure] - full[~sure]).max() > 1e-3
    target = Target.of(full[0], 0.9)
    differ = (target.slack(asked) >= 0) != (target.slack(full) >= 0)
    assert differ.mean() < 0.01


def test_what_a_model_says_in_bfloat16_alone_is_no_evidence() -> None:
    found = explain(
        make_clip(SIZE), Classifier(Liar(either(LOW, HIGH))), SearchSettings(delta=0.9, precision="bfloat16")
    )
    parts = [part for kind, _, part in found.parts() if kind != "inverse"]
    for part in parts:
        if isinstance(part, Missing):
            assert "not confirmed" in part.why
        else:
            assert has(LOW)(from_runs(part.runs, 257)[None]).all()
    assert any(isinstance(part, Missing) or part.certificate.kind == "none" for part in parts)


def test_a_certificate_that_float32_refutes_is_withdrawn() -> None:
    settings = SearchSettings(delta=0.9, precision="bfloat16")
    found = explain(make_clip(SIZE), Classifier(Liar(both(LOW, HIGH))), settings).sufficient[0]
    assert isinstance(found, Subset)
    assert found.size == 10
    assert found.certificate.kind == "none"
    assert "not confirmed in float32" in found.why
    plain = explain(make_clip(SIZE), Classifier(PlantedModel(has(LOW))), settings).sufficient[0]
    assert isinstance(plain, Subset)
    assert (plain.size, plain.certificate.kind, plain.certificate.groups) == (5, "one_minimal", 5)


def test_robust_sets_hold_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    again: list[int] = []
    run_one = Driver.run_one

    def counted(driver: Driver, job: Job[Any]) -> Job[Any]:
        done = run_one(driver, job)
        again.append(done.again)
        return done

    monkeypatch.setattr(Driver, "run_one", counted)
    settings = SearchSettings(delta=0.5, precision="bfloat16", budget=400)
    explanation = explain(make_clip(SIZE), Classifier(Network()), settings)
    again.clear()
    found = find_robust(explanation, Classifier(Network()), RobustSettings(questions=300, searched=8))
    assert isinstance(found.robust, Subset)
    assert found.robust.certificate.kind == "one_minimal"
    assert found.survival["robust", 0].low >= 0.92
    assert max(again) >= FIRST
    driver = Driver(Classifier(Network()))
    mask = from_runs(found.robust.runs, SIZE)
    kept = driver.evaluate(explanation.spectrum, mask[None])
    np.testing.assert_array_equal(found.robust.log_probabilities, kept[0])
    assert Target.of(driver.original(explanation.spectrum), 0.5).slack(kept)[0] > 0


def test_a_robust_certificate_that_float32_refutes_is_withdrawn() -> None:
    plain = explain(make_clip(SIZE), Classifier(PlantedModel(has(LOW))), SearchSettings(delta=0.9))
    views = RobustSettings(views=("gain:1",), questions=1500, searched=4)
    for model, kind in ((PlantedModel(has(LOW)), "one_minimal"), (Liar(both(LOW, HIGH)), "none")):
        low = Driver(Classifier(model), precision="bfloat16")
        none = Missing("no set to begin with")
        explanation = replace(plain, sufficient=(none,), complete=none, one_complete=none)
        found = find_robust(explanation, Classifier(model), views, driver=low).robust
        assert isinstance(found, Subset)
        assert found.certificate.kind == kind


def test_judges_hear_in_float32_whatever_the_search_did() -> None:
    spectrum = make_job(make_clip(SIZE), SearchSettings()).spectrum
    masks = np.random.default_rng(0).random((8, spectrum.size)) < 0.5
    low, full = Driver(Classifier(Network()), precision="bfloat16"), Driver(Classifier(Network()))
    np.testing.assert_array_equal(low.evaluate(spectrum, masks), full.evaluate(spectrum, masks))


def test_auto_is_what_the_device_is_fast_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    assert choose_dtype("auto", CPU) is None
    assert choose_dtype("bfloat16", CPU) is torch.bfloat16
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert choose_dtype("auto", CPU) is torch.bfloat16
    assert choose_dtype("float32", CPU) is None
    assert choose_dtype("auto", torch.device("mps")) is None
    for capability, dtype in (((6, 1), None), ((7, 0), torch.float16), ((9, 0), torch.float16)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, told=capability: told)
        assert choose_dtype("auto", torch.device("cuda")) is dtype


def test_a_precision_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="precision 'float61': did you mean 'float16'"):
        SearchSettings(precision="float61")


def test_an_answer_that_overflowed_is_asked_again_and_teaches_nothing() -> None:
    doubt = Doubt(0.5)
    fair = rows([0.9, 0.1], [0.8, 0.2])
    doubt.learn(fair, rows([0.91, 0.09], [0.79, 0.21]))
    width = doubt.width
    overflown = np.array([[np.nan, np.nan]], dtype=np.float32)
    doubt._seen = FIRST
    assert doubt.of(NONE, overflown).tolist() == [True]
    assert doubt.of(NONE, rows([1 - 1e-7, 1e-7])).tolist() == [False]
    doubt.learn(overflown, rows([0.9, 0.1]))
    assert doubt.width == width


class Large(Network):
    """Answers NaN in float16: always, or only to what is quieter than the whole clip."""

    def __init__(self, always: bool) -> None:
        super().__init__()
        self.always, self.low = always, 0

    def logits(self, waveforms: Tensor) -> Tensor:
        """See :class:`Network`."""
        found = super().logits(waveforms)
        if torch.is_autocast_enabled("cpu"):
            self.low += len(waveforms)
            return found * torch.nan if self.always else found.where(torch.rand(len(found), 1) > 0.2, torch.nan)
        return found


def test_a_model_whose_numbers_overflow_is_asked_in_float32() -> None:
    settings = SearchSettings(delta=0.9, precision="float16", budget=400)
    model = Large(always=True)
    found = explain(make_clip(SIZE), Classifier(model), settings)
    full = explain(make_clip(SIZE), Classifier(Network()), replace(settings, precision="float32"))
    assert [part for _, _, part in found.parts()]
    assert [getattr(one, "runs", one) for _, _, one in found.parts()] == [
        getattr(one, "runs", one) for _, _, one in full.parts()
    ]
    assert model.low == found.again, "asked in float16 until it was seen that it cannot"


def test_some_overflow_costs_some_questions_twice_and_nothing_else() -> None:
    torch.manual_seed(0)
    settings = SearchSettings(delta=0.9, precision="float16", budget=400)
    model = Large(always=False)
    found = explain(make_clip(SIZE), Classifier(model), settings)
    assert 0.15 * model.low < found.again < model.low
    for kind, _, part in found.parts():
        assert isinstance(part, Subset) or "not confirmed" not in part.why, kind


def test_features_are_not_rounded_with_the_network() -> None:
    waveforms = torch.tensor(make_clip(24_001).samples)[None]
    model = open_model("builtin:mtt-vgg", "cpu")
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        with without_rounding(waveforms):
            assert (waveforms @ waveforms.T).dtype == torch.float32
        low = model.mels(waveforms)  # type: ignore[attr-defined]
        heard: list[Tensor] = []
        model.network.register_forward_pre_hook(lambda module, given: heard.append(given[0]))  # type: ignore[attr-defined]
        model.logits(waveforms)
    with torch.inference_mode():
        full = model.mels(waveforms)[:, : heard[0].shape[1]]  # type: ignore[attr-defined]
    assert not torch.equal(low[:, : full.shape[1]], full)
    torch.testing.assert_close(heard[0], full, rtol=0, atol=0)


def test_what_was_found_before_there_was_a_choice_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path / "s.db", write=True) as store:
        key = store.add_settings(SearchSettings(), ("a", "b"))
        low = SearchSettings(precision="bfloat16")
        other = store.add_settings(low, ("a", "b"))
        assert store.search_settings(key) == SearchSettings()
        assert store.search_settings(other) == low
        before = {name: value for name, value in asdict(SearchSettings()).items() if name != "precision"}
        before["precision"] = "float32"
        monkeypatch.setattr("earwitness.study.store.facts.asdict", lambda settings: dict(before))
        assert store.add_settings(SearchSettings(), ("a", "b")) == key != other
        assert "precision" not in store.settings(key)[0]


def test_a_study_in_another_precision_is_made_anew(tmp_path: Path, capsys: pytest.CaptureFixture[Any]) -> None:
    make_clips(tmp_path / "clips", 1, 800)
    path = tmp_path / "s.db"
    assert do(study_of(tmp_path / "clips", "high"), path) == Summary(1, 1, 0)
    low = study_of(tmp_path / "clips", "high", search={"precision": "bfloat16"})
    assert do(low, path) == Summary(1, 1, 0)
    assert do(low, path) == Summary(0, 0, 0)
    assert do(study_of(tmp_path / "clips", "high"), path) == Summary(0, 0, 0)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM explanations").fetchone() == (2,)


def test_what_is_asked_again_counts_as_often_as_it_was_asked() -> None:
    settings = SearchSettings(delta=0.5, precision="bfloat16", repeats=3)
    classifier, clip = Classifier(Network()), make_clip(SIZE)
    driver, job = Driver(classifier, repeats=3, precision="bfloat16"), make_job(clip, settings)
    assert finish(driver.run_one(job), driver, settings).again == 3 * job.again > 0


@pytest.fixture
def kinds() -> Iterator[list[Any]]:
    """Whose products a GPU may round."""
    found: list[Any] = [torch.backends.cudnn, torch.backends.cuda.matmul]
    before = [kind.allow_tf32 for kind in found]
    yield found
    for kind, allowed in zip(found, before, strict=True):
        kind.allow_tf32 = allowed


@pytest.mark.parametrize("allowed", [True, False])
def test_on_a_gpu_float32_is_float32_and_settings_are_put_back(allowed: bool, kinds: list[Any]) -> None:
    for kind in kinds:
        kind.allow_tf32 = allowed
    with full_precision(torch.device("cpu")):
        assert {kind.allow_tf32 for kind in kinds} == {allowed}
    with suppress(ZeroDivisionError), full_precision(torch.device("cuda")):
        assert {kind.allow_tf32 for kind in kinds} == {False}
        raise ZeroDivisionError
    assert {kind.allow_tf32 for kind in kinds} == {allowed}


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="this PyTorch has no newer names")
def test_what_was_set_by_newer_names_is_put_back_by_them() -> None:
    """In a process of its own: PyTorch does not forget that the newer names were used."""
    code = """
import torch
from earwitness.search.precision import full_precision

def told():
    return [torch.backends.cudnn.conv.fp32_precision, torch.backends.cudnn.rnn.fp32_precision,
            torch.backends.cuda.matmul.fp32_precision]

torch.backends.fp32_precision = "tf32"
before = told()
with full_precision(torch.device("cuda")):
    assert told() == ["ieee"] * 3, told()
assert told() == before, told()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
