"""What a device makes of questions: ``python -m benchmarks.device [--device cuda]`` prints Markdown tables.

Three things, each of models at the size that is published (Wav2Vec2-base, AST, Whisper-base), their weights random
since speed does not hang on them:

*answers*  the shared digit models' log-probabilities beside the CPU's: in float32, as torch leaves it (TF32 in
           convolutions), and in 16 bits;
*passes*   signals a second of the bare model by batch, in each of these; and compiled;
*searches* questions a second of real searches in one process and in several, beside the bare model's best; and which
           share of one process's time goes to the search, to making signals and to the model.

A search needs a model that means something, so that a digit model answers and a base model's pass is its price
(:class:`Priced`). Each number is of a fixed time after a warm-up, so that the whole takes minutes.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from benchmarks.cost.overhead import timed
from benchmarks.search.bench import MODELS, load_clips, load_model
from torch import Tensor

from earwitness import Classifier, Clip, Model, SearchSettings
from earwitness.explanation import make_job
from earwitness.models.huggingface import HuggingFaceModel
from earwitness.search.driver import Driver, Job
from earwitness.search.precision import DTYPES, computed_in
from earwitness.signal.spectrum import Spectrum

DIGITS = "wav2vec2"  #: the digit model that answers
SECONDS = 3.0  #: of a signal
#: seconds of searches before and while they are counted: at first all are at the questions that are asked twice
WARM, MEASURED = 30.0, 10.0
REPETITIONS = 5
WAYS = ("float32", "TF32", "bfloat16", "float16")  #: of a bare pass


def make_base(kind: str, device: torch.device) -> HuggingFaceModel:
    """A model of published size, its weights random."""
    import transformers as hf

    torch.manual_seed(0)
    if kind == "wav2vec2-base":
        network, extractor = hf.Wav2Vec2ForSequenceClassification(hf.Wav2Vec2Config()), hf.Wav2Vec2FeatureExtractor()
    elif kind == "ast-base":
        network, extractor = hf.ASTForAudioClassification(hf.ASTConfig()), hf.ASTFeatureExtractor()
    else:
        network = hf.WhisperForAudioClassification(hf.WhisperConfig(d_model=512, encoder_attention_heads=8,
            encoder_layers=6, encoder_ffn_dim=2048))  # fmt: skip
        extractor = hf.WhisperFeatureExtractor()
    return HuggingFaceModel(network, extractor, device=device, spec=kind)


BASES = ("wav2vec2-base", "ast-base", "whisper-base")


class Priced(Model):
    """Answers as one model does, at the price of another."""

    def __init__(self, answers: Model, price: Model) -> None:
        self.answers, self.price = answers, price
        self.spec, self.labels, self.sample_rate = price.spec, answers.labels, answers.sample_rate
        self.fingerprint, self.device, self.samples = price.spec, answers.device, price.samples

    def logits(self, waveforms: Tensor) -> Tensor:
        """See :meth:`Model.logits`."""
        price = self.price.logits(waveforms.clone()).mean(dim=1, keepdim=True)
        return self.answers.logits(waveforms) + 0 * price


def load(kind: str, device: torch.device) -> Model:
    """A digit model, for itself or at the price of a base model."""
    digits = load_model(DIGITS, device).model
    return digits if kind == DIGITS else Priced(digits, make_base(kind, device))


def wait_for(device: torch.device) -> None:
    """Until the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# --- answers


def compare_answers(device: torch.device) -> Iterator[str]:
    """A row a model: the largest difference from the CPU's log-probabilities."""
    yield f"| model | {' | '.join(WAYS)} |"
    yield f"| --- |{' --: |' * len(WAYS)}"
    clips = load_clips(4)
    for name in MODELS:
        there, here = load_model(name, device), Driver(load_model(name))
        rng, differences = np.random.default_rng(0), []
        for clip in clips:
            spectrum = Spectrum(clip)
            masks = rng.random((32, spectrum.size)) < rng.random((32, 1))
            masks[0] = True
            expected = here.evaluate(spectrum, masks)
            signals = spectrum.invert(masks, device)
            found = []
            for way in WAYS:
                with computing(way, device):
                    found.append(there.log_probabilities(signals.clone()).float().cpu().numpy())
            differences.append([float(np.abs(one - expected).max()) for one in found])
        yield f"| {name} | {' | '.join(f'{each:.1e}' for each in np.max(differences, axis=0))} |"


@contextmanager
def computing(way: str, device: torch.device) -> Iterator[None]:
    """As the driver has float32 and 16 bits computed; ``TF32``: as torch does where nobody says otherwise."""
    with torch.inference_mode(), nullcontext() if way == "TF32" else computed_in(DTYPES[way], device):
        yield


# --- bare passes


def time_passes(answer: Callable[[Tensor], Any], waveforms: Tensor, way: str) -> float:
    """Signals a second, from the median of repetitions."""
    taken = []
    for repetition in range(REPETITIONS + 1):
        wait_for(waveforms.device)
        start = time.perf_counter()
        with computing(way, waveforms.device):
            answer(waveforms)
        wait_for(waveforms.device)
        if repetition:
            taken.append(time.perf_counter() - start)
    return len(waveforms) / statistics.median(taken)


def make_noise(size: int, model: Model) -> Tensor:
    """So many signals for a model, float32 [size, N]."""
    return 0.1 * torch.randn(size, _samples(model), device=model.device)


def sweep(model: Model, sizes: list[int], way: str) -> dict[int, float]:
    """Signals a second by batch, as far as memory goes."""
    rates = {}
    for size in sizes:
        try:
            rates[size] = time_passes(model.logits, make_noise(size, model), way)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            break
    return rates


def list_passes(kinds: list[str], device: torch.device, sizes: list[int], compiled: bool) -> Iterator[str]:
    """A row a model and way to compute."""
    yield f"| model | computed in | {' | '.join(map(str, sizes))} | compiled, at the best batch |"
    yield f"| --- | --- |{' --: |' * (len(sizes) + 1)}"
    for kind in kinds:
        model = load(kind, device)
        for way in WAYS:
            rates = sweep(model, sizes, way)
            best = max(rates, key=lambda size: rates[size])
            faster = time_compiled(kind, device, best, way) if compiled and kind in BASES else ""
            cells = " | ".join(f"{rates[size]:,.0f}" if size in rates else "" for size in sizes)
            yield f"| {kind} | {way} | {cells} | {faster} |"


def time_compiled(kind: str, device: torch.device, size: int, way: str) -> str:
    """Signals a second of a base model of its own when compiled, and how long that took."""
    model = load(kind, device)
    model.price._network.compile(dynamic=False)  # type: ignore[attr-defined]
    start = time.perf_counter()
    try:
        rate = time_passes(model.logits, make_noise(size, model), way)
    except Exception as error:
        return f"failed: {type(error).__name__}"
    return f"{rate:,.0f} (after {time.perf_counter() - start:.0f} s)"


# --- searches


class _Over(BaseException):
    """The time is up: no :class:`Exception`, so that the driver lets it through."""


class Meter:
    """Counts questions once a warm-up is over, and ends the searches when the time is up."""

    def __init__(self, ready: Any) -> None:
        self.spent = dict.fromkeys(("signals", "model"), 0.0)
        self.asked, self._ready, self._start = 0, ready, 0.0
        self._before: dict[str, float] = {}

    def count(self, questions: int) -> None:
        """So many were answered."""
        now = time.perf_counter()
        if not self._start:  # the first model call loads what it needs
            self._ready.wait()
            self._start = time.perf_counter()
        elif not self._before and now > self._start + WARM:
            self._before, self.begun = dict(self.spent), now
        elif self._before:
            self.asked += questions
            if now > self.begun + MEASURED:
                self.seconds = now - self.begun
                raise _Over

    def share(self, name: str) -> float:
        """Of the time measured that something took."""
        return (self.spent[name] - self._before[name]) / self.seconds


def run_searches(kind: str, precision: str, device: str, number: int, ready: Any, counts: Any) -> None:
    """One process: searches without end, counted after the warm-up."""
    torch.set_num_threads(1)
    model, meter = load(kind, torch.device(device)), Meter(ready)
    driver = Driver(Classifier(model), precision=precision, progress=meter.count)
    _time(model, "logits", meter.spent, "model")
    with suppress(_Over):
        for _ in driver.run(_jobs(load_clips(32), precision, number, meter.spent)):
            pass
    room = driver.room(_samples(model))
    counts.put((meter.asked / meter.seconds, meter.share("signals"), meter.share("model"), room))


def _samples(model: Model) -> int:
    return round(SECONDS * model.sample_rate)


def _jobs(clips: list[Clip], precision: str, number: int, spent: dict[str, float]) -> Iterator[Job[Any]]:
    for seed in itertools.count(1000 * number):
        clip = clips[seed % len(clips)].fit(SECONDS)
        job = make_job(clip, SearchSettings(delta=0.9, seed=seed, precision=precision))
        _time(job.spectrum, "invert", spent, "signals")
        yield job


def _time(owner: Any, method: str, spent: dict[str, float], name: str) -> None:
    """Count what a method takes; the device is waited for, as the answers' way back to the host does anyway."""
    work = getattr(owner, method)

    def run(*given: Any, **named: Any) -> Any:
        found = work(*given, **named)
        wait_for(found.device)
        return found

    setattr(owner, method, timed(run, spent, name))


def search(kind: str, precision: str, device: str, processes: int) -> tuple[float, float, float, int]:
    """Questions a second of all processes; one's shares of time for signals and model; and its batch."""
    context = multiprocessing.get_context("spawn")
    ready, counts = context.Barrier(processes), context.Queue()
    work = partial(run_searches, kind, precision, device)
    workers = [context.Process(target=work, args=(number, ready, counts)) for number in range(processes)]
    for worker in workers:
        worker.start()
    found = [counts.get() for _ in workers]
    for worker in workers:
        worker.join()
    rates, signals, models, rooms = zip(*found, strict=True)
    return sum(rates), statistics.mean(signals), statistics.mean(models), int(statistics.median(rooms))


def list_searches(kinds: list[str], device: str, processes: list[int], precisions: list[str]) -> Iterator[str]:
    """A row a model, precision and number of processes."""
    yield "| model | precision | processes | batch | questions a second | search | signals | model |"
    yield "| --- | --- | --: | --: | --: | --: | --: | --: |"
    for kind, precision, count in itertools.product(kinds, precisions, processes):
        rate, signals, model, room = search(kind, precision, device, count)
        shares = f"{1 - signals - model:.0%} | {signals:.0%} | {model:.0%}"
        yield f"| {kind} | {precision} | {count} | {room} | {rate:,.0f} | {shares} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--only", nargs="*", default=["answers", "passes", "searches"])
    parser.add_argument("--models", nargs="*", default=[DIGITS, *BASES], choices=[DIGITS, *BASES])
    parser.add_argument("--sizes", nargs="*", type=int, default=[8, 32, 128, 512, 1024])
    parser.add_argument("--processes", nargs="*", type=int, default=[1, 4, 8])
    parser.add_argument("--precisions", nargs="*", default=list(DTYPES))
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    device = torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, {SECONDS:g} s of sound\n", flush=True)
    parts: dict[str, Callable[[], Iterator[str]]] = {
        "answers": lambda: compare_answers(device),
        "passes": lambda: list_passes(options.models, device, options.sizes, options.compile),
        "searches": lambda: list_searches(options.models, options.device, options.processes, options.precisions),
    }
    for part in options.only:
        for line in parts[part]():
            print(line, flush=True)
        print(flush=True)


if __name__ == "__main__":
    main()
