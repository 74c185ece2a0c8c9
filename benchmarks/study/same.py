"""Whether a study of real models says the same whatever batch, threads, workers and order of clips.

Three panels: spoof detectors (AST, Wav2Vec2, HuBERT), AASIST and AASIST-L, the built-in taggers. Each study is run in
ways that may not matter, and held against the first: which sets differ, and by how much answers do at most.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earwitness.study.file import parse_study
from earwitness.study.plan import plan
from earwitness.study.run import run
from earwitness.study.store import Store

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("EARWITNESS_SHARED", ROOT.parent / "shared"))
BUDGET = 40
Answers = dict[tuple[Any, ...], NDArray[np.float64]]
# before there are worker processes: they inherit it
os.environ.setdefault("AASIST", str(SHARED / "models/aasist"))
WAYS: dict[str, dict[str, Any]] = {
    "batch 1": {"batch": 1}, "batch 7": {"batch": 7}, "1 thread": {"threads": 1}, "2 workers": {"workers": 2},
}  # fmt: skip


def panels() -> Iterator[tuple[str, list[str], dict[str, Any]]]:
    """Name, models, data and seconds of each study that can be run here."""
    taggers = [f"builtin:{name}" for name in ("msd-vgg", "mtt-musicnn")]
    yield "built-in taggers", taggers, {"data": [{"path": "builtin", "limit": 1}], "seconds": 3.0}
    spoofs = {"path": str(SHARED / "data/metadata.csv"), "include": "spoof/*", "limit": 1}
    if (SHARED / "models/hf/spoof").is_dir():
        specs = [f"hf:{SHARED}/models/hf/spoof/{name}" for name in ("ast", "wav2vec2", "hubert")]
        yield "spoof detectors", specs, {"data": [spoofs], "seconds": 2.0}
    if (SHARED / "models/aasist").is_dir():
        specs = [f"python:{ROOT}/examples/aasist.py:{name}" for name in ("aasist", "aasist_l")]
        yield "AASIST", specs, {"data": [{**spoofs, "limit": 1}], "seconds": 1.0}


def compare(specs: list[str], content: dict[str, Any], folder: Path) -> Iterator[tuple[str, int, int, float]]:
    """Way, sets, sets that differ from the first way's, and the largest difference of a probability."""
    first: Answers = {}
    base = {"models": specs, "search": {"delta": 0.5, "budget": BUDGET}, "transfer": {"nulls": 1}, **content}
    for way, settings in {"as planned": {}, **WAYS, "models reversed": {}}.items():
        models = specs[::-1] if way == "models reversed" else specs
        path = folder / f"{way}.db"
        with Store(path, write=True) as store:
            summary = run(plan(parse_study({**base, "models": models, "run": settings}), ROOT), store)
        assert summary.failed == 0, (way, summary)
        found = _answers(path)
        first = first or found
        sets, before = ({row[:6] for row in rows} for rows in (found, first))
        both = found.keys() & first.keys()
        gaps = [np.abs(found[row] - first[row]).max() for row in both]
        yield way, len(sets), len(sets ^ before), float(max(gaps, default=0.0))


def _answers(path: Path) -> Answers:
    """What every model says to every set, null signals included: probabilities, by the names of labels."""
    query = (
        "SELECT c.sha256, m.fingerprint, s.kind, s.draw, s.mask, s.certificate, j.fingerprint, t.log_probabilities"
        " FROM subsets s JOIN explanations e ON e.id = s.explanation JOIN clips c ON c.id = e.clip"
        " JOIN models m ON m.id = e.model JOIN transfers t ON t.subset = s.id JOIN models j ON j.id = t.model"
    )
    with closing(sqlite3.connect(path)) as db:
        (labels,) = (json.loads(row[0]) for row in db.execute("SELECT labels FROM settings"))
        order = np.argsort(labels)
        return {
            tuple(row[:-1]): np.exp(np.frombuffer(row[-1], dtype="<f4").astype(np.float64))[order]
            for row in db.execute(query)
        }


def report() -> str:
    """What was found, as a Markdown table."""
    lines = [
        "| models | way | sets | that differ | probabilities differ by at most |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, specs, content in panels():
        with tempfile.TemporaryDirectory() as folder:
            for way, sets, differ, gap in compare(specs, content, Path(folder)):
                if way != "as planned":
                    lines.append(f"| {name} | {way} | {sets} | {differ} | {gap:.1e} |")
    return "\n".join(lines)
