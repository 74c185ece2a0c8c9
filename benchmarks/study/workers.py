"""One process, two processes and two Ray workers on the same CPU-bound study, one after the other in one run.

Seconds are of the whole run, the start of workers included; the tables must be the same. Each is run in rounds and
the best of them taken, since a machine that does other work as well only ever adds.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from earwitness.study.run import plan, run
from earwitness.study.store import Store
from earwitness.tables import study_tables

from .workload import make_clips, study_of

CLIPS, SECONDS, ROUNDS = 16, 2.0, 2
WAYS: dict[str, dict[str, object]] = {
    "1 process": {"workers": 1, "threads": 1},
    "2 processes": {"workers": 2, "threads": 1},
    "2 Ray workers": {"executor": "ray", "workers": 2, "threads": 1},
}


def measure(clips: int = CLIPS, rounds: int = ROUNDS) -> dict[str, tuple[float, float]]:
    """Best wall seconds by way, the start of workers included, and units a second of it."""
    best: dict[str, float] = {}
    tables: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_clips(folder / "clips", clips, SECONDS)
        for number in range(rounds):
            for way, options in WAYS.items():
                path = folder / f"{way} {number}.db"
                study = study_of(folder / "clips", "heavy", "also_heavy", budget=200, **options)
                start = time.perf_counter()
                with Store(path, write=True) as store:
                    summary = run(plan(study, folder), store)
                    best[way] = min(best.get(way, float("inf")), time.perf_counter() - start)
                    tables[way] = str({name: table.write_csv() for name, table in study_tables(store).items()})
                assert summary.failed == 0, summary
    assert len(set(tables.values())) == 1, "the tables differ"
    return {way: (seconds, 4 * clips / seconds) for way, seconds in best.items()}


def report() -> str:
    """What was measured, as a Markdown table."""
    found = measure()
    one, two = found["1 process"][0], found["2 processes"][0]
    lines = [
        f"| {way} | {seconds:.1f} | {rate:.2f} | {one / seconds:.2f} | {two / seconds:.2f} |"
        for way, (seconds, rate) in found.items()
    ]
    head = f"{len(os.sched_getaffinity(0))} CPUs; {CLIPS} clips of {SECONDS:.0f} s, 2 models; best of {ROUNDS} rounds."
    return "\n".join([
        head, "", "| | seconds | units/s | × 1 process | × 2 processes |", "| --- | --- | --- | --- | --- |", *lines,
    ])  # fmt: skip


if __name__ == "__main__":
    print(report())
