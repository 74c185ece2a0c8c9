"""Peak memory of a study of many clips beside that of a few: nothing but a few clips is held at a time.

Each study runs in a process of its own; its peak is that process's largest resident size.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from earwitness.study.plan import plan
from earwitness.study.run import run
from earwitness.study.store import Store

from .workload import make_clips, study_of

FEW, MANY, SECONDS = 50, 1000, 30.0


def measure(few: int = FEW, many: int = MANY, seconds: float = SECONDS) -> dict[int, float]:
    """Peak in megabytes by number of clips."""
    return {count: _peak(count, seconds) for count in (few, many)}


def _peak(count: int, seconds: float) -> float:
    words = [sys.executable, "-m", "benchmarks.study.memory", str(count), str(seconds)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout))


def main(count: int, seconds: float) -> None:
    """Run one study and print its peak in megabytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_clips(folder / "clips", count, seconds)
        with Store(folder / "s.db", write=True) as store:
            summary = run(plan(study_of(folder / "clips", "light", budget=10), folder), store)
        assert summary.failed == 0, summary
        assert summary.explained == count, summary
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def report() -> str:
    """What was measured, as a Markdown table."""
    peaks = measure()
    few, many = peaks.values()
    lines = [f"| {count:,} clips of {SECONDS:.0f} s | {peak:.0f} |" for count, peak in peaks.items()]
    return "\n".join(["| | peak, MB |", "| --- | --- |", *lines, f"| ratio | {many / few:.2f} |"])


if __name__ == "__main__":
    if len(sys.argv) == 3:
        main(int(sys.argv[1]), float(sys.argv[2]))
    else:
        print(report())
