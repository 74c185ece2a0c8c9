"""Feature extraction, ours beside the library's: clips a second at batch 16, and the largest difference.

``python benchmarks/frontends.py`` prints a Markdown table. Repetitions of the two are interleaved and medians of the
processor time are compared, which counts no time in which other processes had the processor; one thread each. Both
start from what they would be given: the library from a list of NumPy clips, ours from a batch in memory. The digit and
spoof models are read from ``../shared`` (or ``EARWITNESS_SHARED``) and left out where it is absent; the default Whisper
and AST need no files.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoFeatureExtractor
from transformers.models.audio_spectrogram_transformer import ASTFeatureExtractor
from transformers.models.whisper import WhisperFeatureExtractor

from earwitness.models.frontends import LibraryFrontEnd, front_end

_SHARED = Path(os.environ.get("EARWITNESS_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@dataclass(frozen=True)
class Timing:
    """One extractor's row.

    Attributes
    ----------
    name : str
    seconds : float
        The clips' length.
    library, ours : float
        Clips a second of processor time, medians.
    difference : float
        The largest absolute difference of any feature.
    """

    name: str
    seconds: float
    library: float
    ours: float
    difference: float


def cases(shared: Path) -> Iterator[tuple[str, Any, float]]:
    """(name, extractor, clip length in seconds) of every extractor to time."""
    for folder in sorted((shared / "models" / "hf").glob("*/*")):
        if (folder / "preprocessor_config.json").exists():
            seconds = 1.0 if folder.parent.name == "digits" else 3.0
            extractor = AutoFeatureExtractor.from_pretrained(folder)
            yield f"{folder.parent.name}/{folder.name}", extractor, seconds
    yield "Whisper, default (80 mel, 30 s), 1 s clips", WhisperFeatureExtractor(), 1.0
    yield "Whisper, default (80 mel, 30 s), 30 s clips", WhisperFeatureExtractor(), 30.0
    yield "AST, default (128 mel, 1024 frames), 10.24 s clips", ASTFeatureExtractor(), 10.24


def measure(name: str, extractor: Any, seconds: float, *, batch: int, repetitions: int) -> Timing:
    """Time both on the same noise.

    Parameters
    ----------
    name : str
    extractor : transformers.SequenceFeatureExtractor
    seconds : float
        Clip length.
    batch, repetitions : int
    """
    ours, library = front_end(extractor).eval(), LibraryFrontEnd(extractor)
    rng = np.random.default_rng(0)
    clips = rng.standard_normal((batch, round(seconds * library.sample_rate)), dtype=np.float32) * 0.1
    waveforms, listed = torch.from_numpy(clips), list(clips)
    kind = type(extractor).__name__
    options: dict[str, Any] = {} if kind == "WhisperFeatureExtractor" else {"padding": True}

    def by_library() -> Any:
        return extractor(listed, sampling_rate=library.sample_rate, return_tensors="pt", **options)

    def by_us() -> dict[str, torch.Tensor]:
        with torch.inference_mode():
            return ours(waveforms)  # type: ignore[no-any-return]

    expected, found = by_library(), by_us()
    difference = max(float((found[key].float() - expected[key].float()).abs().max()) for key in found)
    rates = [batch / seconds for seconds in time_in_turn((by_library, by_us), repetitions)]
    return Timing(f"{name} ({kind}, {ours.path})", seconds, rates[0], rates[1], difference)


def time_in_turn(functions: Sequence[Callable[[], Any]], repetitions: int) -> list[float]:
    """Seconds of processor time that each takes, medians of repetitions that are interleaved."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(repetitions):
        for function, taken in zip(functions, times, strict=True):
            start = time.process_time()
            function()
            taken.append(time.process_time() - start)
    return [statistics.median(taken) for taken in times]


def _with_one_thread() -> None:
    """Start again with one thread: NumPy's libraries read the number only once, when they are loaded."""
    wanted = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | wanted)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repetitions", type=int, default=11)
    arguments = parser.parse_args()
    _with_one_thread()
    warnings.filterwarnings("ignore", "At least one mel filter has all zero values")  # the library's own AST
    print(f"Batch {arguments.batch}, CPU, one thread, torch {torch.__version__}.\n")
    print("| extractor | clip, s | library, clips/s | ours, clips/s | ratio | largest difference |")
    print("| --- | --: | --: | --: | --: | --: |")
    for name, extractor, seconds in cases(_SHARED):
        row = measure(name, extractor, seconds, batch=arguments.batch, repetitions=arguments.repetitions)
        rates = f"{row.library:,.0f} | {row.ours:,.0f} | {row.ours / row.library:.1f}"
        print(f"| {row.name} | {row.seconds:g} | {rates} | {row.difference:.1e} |", flush=True)


if __name__ == "__main__":
    main()
