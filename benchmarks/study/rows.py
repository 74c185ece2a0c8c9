"""A million judgements: how long they take to be written, counted, planned for and tabulated.

Rows are written as a study writes them, a unit a transaction: 5 models, 5,000 clips, 8 signals a clip and model.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from earwitness.datasets.recording import Recording
from earwitness.models import Model
from earwitness.search.settings import SearchSettings
from earwitness.signal.audio import Clip
from earwitness.study.answers import study_tables
from earwitness.study.status import study_status
from earwitness.study.store import Record, Store, pack, pack_mask

LABELS = tuple("abcdefghij")
MODELS, CLIPS, SETS, SIZE = 5, 5000, 8, 401


class Named(Model):
    """A model that is only noted, never asked."""

    labels = LABELS
    sample_rate = 16_000
    device = torch.device("cpu")

    def __init__(self, number: int) -> None:
        self.spec = self.fingerprint = f"model {number}"

    def logits(self, waveforms: Tensor) -> Tensor:
        """Never called."""
        raise NotImplementedError


def measure(clips: int = CLIPS) -> dict[str, float]:
    """Seconds of each step, and how many rows there were."""
    with tempfile.TemporaryDirectory() as folder:
        path, seconds = Path(folder) / "s.db", {}
        with Store(path, write=True) as store:
            seconds["write"] = timed(lambda: fill(store, clips))
        with Store(path, write=True) as store:
            key = store.meta()["settings"]
            seconds["plan what is missing"] = timed(lambda: store.unjudged(key))
        with Store(path) as store:
            seconds["status"] = timed(lambda: study_status(store))
            seconds["tables"] = timed(lambda: study_tables(store))
            rows = store.frame("SELECT count(*) AS n FROM transfers")["n"][0]
        return {"rows": rows, "megabytes": path.stat().st_size / 1e6, **seconds}


def timed(step: Callable[[], Any]) -> float:
    """Seconds a step takes."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def fill(store: Store, clips: int) -> None:
    """Write explanations and answers, a unit a transaction."""
    rng = np.random.default_rng(0)
    key = store.add_settings(SearchSettings(count=SETS - 3), LABELS)
    models = [store.add_model(Named(number)) for number in range(MODELS)]
    store.set_meta(settings=key, name="rows", epsilon=0.5)
    ids = []
    for number in range(clips):
        clip = Clip(rng.standard_normal(160).astype(np.float32), 16_000, f"/clips/{number}.wav")
        ids.append(store.add_clip(clip, Recording(Path(clip.path), LABELS[number % 10])))
    store.set_plan(key, models, ids)
    for clip_id in ids:
        for model in models:
            store.add_explanation(clip_id, model, key, record(rng))
        for model in models:
            _, masks = store.unanswered(clip_id, model, key)
            logs = answers(rng, len(masks) + 1)
            store.add_answers(clip_id, model, key, logs[0], dict(zip((row for row, _ in masks), logs[1:], strict=True)))


def record(rng: np.random.Generator) -> Record:
    """An explanation with as many sets as the benchmark wants."""
    logs = answers(rng, SETS + 1)
    kinds = [("sufficient", draw) for draw in range(SETS - 3)] + [("complete", 0), ("one_complete", 0), ("inverse", 0)]
    masks = rng.random((SETS, SIZE)) < 0.02
    subsets = tuple(
        (kind, draw, pack_mask(mask), int(mask.sum()), 0.1, "one_minimal", 8, 100, pack(log), "")
        for (kind, draw), mask, log in zip(kinds, masks, logs[1:], strict=True)
    )
    return Record(SIZE, 1000, 1.0, "", None, pack(logs[0]), subsets)


def answers(rng: np.random.Generator, count: int) -> Any:
    """Log-probabilities, float32 [count, labels]."""
    logits = rng.standard_normal((count, len(LABELS))).astype(np.float32)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def report() -> str:
    """What was measured, as a Markdown table."""
    found = measure()
    lines = [
        f"{found.pop('rows'):,.0f} rows, {found.pop('megabytes'):.0f} MB",
        "",
        "| step | seconds |",
        "| --- | --- |",
    ]
    return "\n".join([*lines, *(f"| {name} | {seconds:.2f} |" for name, seconds in found.items())])


if __name__ == "__main__":
    print(report())
