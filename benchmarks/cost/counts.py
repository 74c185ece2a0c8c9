"""Counts, which no busy machine changes: questions, model calls, bytes. A test holds them against ``counts.json``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from torch import Tensor

from earwitness.explanation import make_job
from earwitness.models import Classifier
from earwitness.report import write_report
from earwitness.search.driver import Driver
from earwitness.search.settings import SearchSettings
from earwitness.study.plan import plan
from earwitness.study.run import run
from earwitness.study.store import Store

from ..search.planted import KINDS, PlantedModel, plant
from ..study.workload import make_clips, study_of

FILE = Path(__file__).parent / "counts.json"
SAMPLES, BUDGET, CLIPS, SECONDS = 16_000, 900, 4, 1.0
Counts = dict[str, int]


class Counting(PlantedModel):
    """Counts how often it is called."""

    calls = 0

    def logits(self, waveforms: Tensor) -> Tensor:
        """See :meth:`Model.logits`."""
        self.calls += 1
        return super().logits(waveforms)


def count() -> Counts:
    """Questions and model calls of a search of each planted kind; bytes a clip of a study's store and of its page."""
    found: Counts = {}
    for kind, (_, soft, _) in KINDS.items():
        clip, bins = plant(kind, SAMPLES, 0)
        model = Counting(clip, bins, soft)
        job = Driver(Classifier(model)).run_one(make_job(clip, SearchSettings(delta=0.9, budget=BUDGET)))
        found |= {f"{kind}: questions": job.asked, f"{kind}: model calls": model.calls}
    return found | _bytes()


def _bytes() -> Counts:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_clips(folder / "clips", CLIPS, SECONDS)
        with Store(folder / "s.db", write=True) as store:
            run(plan(study_of(folder / "clips", "light", budget=60), folder), store)
            write_report(store, folder / "page")
        page = sum(path.stat().st_size for path in (folder / "page").rglob("*") if path.is_file())
        return {"store: bytes a clip": (folder / "s.db").stat().st_size // CLIPS, "page: bytes a clip": page // CLIPS}


def read() -> Counts:
    """What was counted when it was last written."""
    found: Counts = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def write(counts: Counts) -> None:
    """Take counts for those to hold others against."""
    FILE.write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")
