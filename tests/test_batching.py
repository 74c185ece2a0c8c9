"""How many signals a model is asked at once: by length on a CPU, by trial elsewhere; what was learnt is remembered."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from earwitness.models import Classifier
from earwitness.models.batching import CAUTIOUS, MOST, TRIES, WORTH, Batches, choose_batch
from earwitness.search.driver import Driver
from earwitness.signal.audio import Clip
from earwitness.signal.spectrum import Spectrum
from planted import LOW, PlantedModel, has

CPU = torch.device("cpu")
SAMPLES = 16_000


def settle(batches: Batches, seconds: dict[int, float], calls: int = 100) -> list[int]:
    """The sizes asked, each once, of a model whose full batches take a signal so long (others 1 s)."""
    asked: list[int] = []
    for _ in range(calls):
        size = batches.room(SAMPLES)
        asked += [size] if size not in asked else []
        batches.took(SAMPLES, size, size * seconds.get(size, 1.0))
    return asked


def test_a_cpu_is_asked_by_length_whatever_it_takes() -> None:
    batches = Batches(CPU)
    assert settle(batches, {32: 1.0, 64: 0.1}) == [32] == [choose_batch(SAMPLES, CPU)]
    assert [choose_batch(seconds * 16_000, CPU) for seconds in (1, 3, 10, 30, 300)] == [32, 21, 6, 2, 1]


def test_sizes_grow_while_a_signal_takes_less_time() -> None:
    start = MOST // CAUTIOUS
    fast = {start: 1.0, 2 * start: 0.7, 4 * start: 0.5, 8 * start: 0.49}
    batches = Batches(CPU, trial=True)
    assert settle(batches, fast) == [start, 2 * start, 4 * start, 8 * start]
    assert batches.room(SAMPLES) == 4 * start, "a gain of 2 % is none"
    assert batches.room(2 * SAMPLES) == start, "of other lengths nothing is known"


def test_sizes_end_at_some_times_what_should_fit() -> None:
    batches = Batches(CPU, trial=True)
    assert max(settle(batches, {2**k: 0.5**k for k in range(20)})) == CAUTIOUS * MOST == batches.room(SAMPLES)


def test_one_slow_call_decides_nothing() -> None:
    batches, size = Batches(CPU, trial=True), MOST // CAUTIOUS
    for seconds in (size * 1.0,) * TRIES + (2 * size * 30.0,) + (2 * size * 0.5,) * (TRIES - 1):
        batches.took(SAMPLES, batches.room(SAMPLES), seconds)
    assert batches.room(SAMPLES) == 4 * size


def test_fewer_signals_than_there_was_room_for_say_nothing() -> None:
    batches = Batches(CPU, trial=True)
    size = batches.room(SAMPLES)
    for _ in range(10 * TRIES):
        batches.took(SAMPLES, size - 1, 1e-9)
    assert batches.room(SAMPLES) == size


@given(st.lists(st.one_of(st.integers(1, 200), st.floats(0.01, 10)), max_size=60))
def test_no_size_is_asked_again_that_found_no_memory(events: list[float]) -> None:
    batches, most = Batches(CPU, trial=True), CAUTIOUS * MOST
    for event in events:
        size = batches.room(SAMPLES)
        assert 1 <= size <= most
        if isinstance(event, int):  # memory for so many, or less than one of them
            if size > event:
                batches.limit(SAMPLES, size // 2)
                most = max(1, min(most, size // 2))
        else:
            batches.took(SAMPLES, size, event)


def test_a_trial_ends_with_the_best_of_the_sizes_it_tried() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        batches = Batches(CPU, trial=True)
        seconds = {2**k: float(rng.uniform(0.1, 2)) for k in range(12)}
        asked, found = settle(batches, seconds), batches.room(SAMPLES)
        assert seconds[found] * WORTH <= min(seconds[size] for size in asked)


class Narrow(PlantedModel):
    """Has memory for five signals."""

    sizes: list[int]

    def logits(self, waveforms: Tensor) -> Tensor:
        self.sizes.append(len(waveforms))
        if len(waveforms) > 5:
            raise MemoryError
        return super().logits(waveforms)


@pytest.mark.parametrize("batch", [None, 24])
def test_what_found_no_memory_is_remembered_of_the_model(batch: int | None) -> None:
    model = Narrow(has(LOW))
    model.sizes = []
    classifier, spectrum = Classifier(model), Spectrum(Clip(np.linspace(-0.5, 0.5, 3200, dtype=np.float32), 16_000))
    masks = np.random.default_rng(0).random((40, spectrum.size)) < 0.5
    first = Driver(classifier, batch=batch).evaluate(spectrum, masks)
    tried, model.sizes = model.sizes, []
    again = Driver(classifier).evaluate(spectrum, masks)
    assert (first == again).all()
    assert tried[:4] == ([32, 16, 8, 4] if batch is None else [24, 12, 6, 3])
    assert model.sizes[0] == (4 if batch is None else 32), "a size that was asked for is no matter of the model"


def test_answers_do_not_hang_on_a_trial() -> None:
    spectrum = Spectrum(Clip(np.linspace(-0.5, 0.5, 3200, dtype=np.float32), 16_000))
    masks, found = np.random.default_rng(1).random((300, spectrum.size)) < 0.5, []
    for trial in (False, True):
        classifier = Classifier(PlantedModel(has(LOW)))
        classifier.batches = Batches(CPU, trial)
        driver = Driver(classifier)
        assert driver.room(3200) == (MOST // CAUTIOUS if trial else MOST)
        found.append(driver.evaluate(spectrum, masks))
    assert (found[0] == found[1]).all()
