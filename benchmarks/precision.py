"""Searches in 16 bits beside float32: ``python -m benchmarks.precision`` prints a Markdown table, one row a model.

Of digit recordings that nothing was chosen on, at δ = 0.5 and 0.9: the share of questions asked again in float32, sets
that float32 did not confirm, certificates it did not, and the bins over those of the search in float32 (geometric mean
over pairs). Beside that, on a CPU, the passes a second of either precision, interleaved: what the processor makes of
it. One without instructions for bfloat16 is several times slower at it; counts are what they are all the same. What a
GPU makes of it is measured by ``benchmarks.device``.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from benchmarks.frontends import time_in_turn
from benchmarks.search.bench import DELTAS, MODELS, load_clips, load_model

from earwitness import Classifier, Clip, Missing, SearchSettings, Subset, explain
from earwitness.explanation import Explanation
from earwitness.search.precision import DTYPES, computed_in

BATCH, REPETITIONS = 16, 5
HEADER = """\
| model | asked again | sets lost | certificates lost | bins | questions | passes a second: float32 | 16 bits |
| --- | --- | --- | --- | --- | --- | --- | --- |"""


@dataclass(frozen=True)
class Pair:
    """One recording explained in both precisions.

    Attributes
    ----------
    model : str
    clip : int
    delta : float
    questions, again : int
        In 16 bits, and of these asked again; what verifies is not counted.
    full : int
        Questions of the search in float32.
    sets, lost : int
        That 16 bits had found, and that float32 did not confirm.
    certificates, refuted : int
        Of those confirmed, and what float32 did not confirm.
    bins : list of (int, int)
        Of each kind that both found: in 16 bits, and in float32.
    """

    model: str
    clip: int
    delta: float
    questions: int
    again: int
    full: int
    sets: int
    lost: int
    certificates: int
    refuted: int
    bins: list[tuple[int, int]]


def compare(name: str, number: int, clip: Clip, classifier: Classifier, delta: float, precision: str) -> Pair:
    """Explain a recording in both precisions."""
    low, full = (
        explain(clip, classifier, SearchSettings(delta=delta, precision=precision))
        for precision in (precision, "float32")
    )
    found = list(_sets(low))
    lost = sum(isinstance(part, Missing) and "not confirmed" in part.why for part in found)
    certified = [part for part in found if isinstance(part, Subset) and part.certificate.kind != "none"]
    refuted = sum(isinstance(part, Subset) and "not confirmed in float32" in part.why for part in found)
    bins = [
        (one.size, other.size)
        for one, other in zip(found, _sets(full), strict=True)
        if isinstance(one, Subset) and isinstance(other, Subset)
    ]
    sets = sum(isinstance(part, Subset) for part in found) + lost
    return Pair(
        name, number, delta, low.queries - low.again, low.again, full.queries, sets, lost, len(certified) + refuted,
        refuted, bins,
    )  # fmt: skip


def _sets(explanation: Explanation) -> Iterator[Subset | Missing]:
    return (part for kind, _, part in explanation.parts() if kind != "inverse")


def time_passes(classifier: Classifier, clip: Clip, dtype: torch.dtype | None) -> tuple[float, float]:
    """Passes a second in float32 and in 16 bits, medians of interleaved repetitions."""
    waveforms = torch.from_numpy(clip.samples).repeat(BATCH, 1)

    def answer(low: bool) -> None:
        with torch.inference_mode(), computed_in(dtype if low else None, waveforms.device):
            classifier.log_probabilities(waveforms.clone())

    both = (partial(answer, False), partial(answer, True))
    time_in_turn(both, 1)  # warms up
    full, reduced = (BATCH / seconds for seconds in time_in_turn(both, REPETITIONS))
    return full, reduced


def row_of(model: str, pairs: Sequence[Pair], passes: tuple[float, float]) -> str:
    """A model's row of the table."""
    again = sum(pair.again for pair in pairs) / sum(pair.questions for pair in pairs)
    ratios = np.log([max(a, 1) / max(b, 1) for pair in pairs for a, b in pair.bins])
    lost, sets = sum(pair.lost for pair in pairs), sum(pair.sets for pair in pairs)
    refuted, certificates = sum(pair.refuted for pair in pairs), sum(pair.certificates for pair in pairs)
    questions = statistics.median(pair.questions / pair.full for pair in pairs)
    return (
        f"| {model} | {again:.0%} | {lost} of {sets} | {refuted} of {certificates} | {np.exp(ratios.mean()):.2f} |"
        f" {questions:.2f} | {passes[0]:.0f} | {passes[1]:.0f} |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="bfloat16", choices=["bfloat16", "float16"])
    parser.add_argument("--out", type=Path, help="write every pair as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(HEADER, flush=True)
    everything: list[Pair] = []
    for name in options.models:
        classifier, clips = load_model(name, options.device), load_clips(options.clips)
        pairs = [
            compare(name, number, clip, classifier, delta, options.precision)
            for number, clip in enumerate(clips)
            for delta in DELTAS
        ]
        passes = (
            time_passes(classifier, clips[0], DTYPES[options.precision])
            if options.device == "cpu"
            else (np.nan, np.nan)
        )
        print(row_of(name, pairs, passes).replace("nan", "–"), flush=True)
        everything += pairs
    print(row_of("all", everything, (np.nan, np.nan)).replace("nan", "–"))
    if options.out:
        options.out.write_text(json.dumps([asdict(pair) for pair in everything], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
