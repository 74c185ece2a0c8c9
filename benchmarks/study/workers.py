"""One process, two processes and two Ray workers on the same CPU-bound study, one after the other in one run.

The tables must be the same. Units a second are counted from the first unit done to the last, so that the start of
workers, which a study of days does not feel, is not in them; the seconds are of the whole run. Each is run in rounds
and the best of them taken, since a machine that does other work as well only ever adds.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from earwitness.study.answers import study_tables
from earwitness.study.plan import plan
from earwitness.study.progress import Quiet
from earwitness.study.run import run
from earwitness.study.store import Store

from .workload import make_clips, study_of

CLIPS, SECONDS, ROUNDS = 32, 2.0, 2
WAYS: dict[str, dict[str, object]] = {
    "1 process": {"workers": 1, "threads": 1},
    "2 processes": {"workers": 2, "threads": 1},
    "2 Ray workers": {"executor": "ray", "workers": 2, "threads": 1},
}


class Timing(Quiet):
    """Notes when each unit was done."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def advance(self, units: int = 1, stage: str | None = None) -> None:
        """See :class:`Reporter`."""
        if stage is not None:  # not the reading of clips
            self.times.append(time.perf_counter())

    @property
    def rate(self) -> float:
        """Units a second from the first done to the last."""
        return (len(self.times) - 1) / (self.times[-1] - self.times[0])


def measure(clips: int = CLIPS, rounds: int = ROUNDS) -> dict[str, tuple[float, float]]:
    """By way: units a second once under way, and seconds of the whole run; the best round of each."""
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    tables: set[str] = set()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_clips(folder / "clips", clips, SECONDS)
        for number in range(rounds):
            for way, options in WAYS.items():
                study = study_of(folder / "clips", "heavy", "also_heavy", budget=200, **options)
                start, timing = time.perf_counter(), Timing()
                with Store(folder / f"{way} {number}.db", write=True) as store:
                    summary = run(plan(study, folder), store, timing)
                    seconds[way].append(time.perf_counter() - start)
                    tables.add(str({name: table.write_csv() for name, table in study_tables(store).items()}))
                assert summary.failed == 0, summary
                rates[way].append(timing.rate)
    assert len(tables) == 1, "the tables differ"
    return {way: (max(rates[way]), min(seconds[way])) for way in WAYS}


def report() -> str:
    """What was measured, as a Markdown table."""
    found = measure()
    one, two = found["1 process"][0], found["2 processes"][0]
    lines = [
        f"| {way} | {rate:.2f} | {rate / one:.2f} | {rate / two:.2f} | {seconds:.1f} |"
        for way, (rate, seconds) in found.items()
    ]
    head = f"{len(os.sched_getaffinity(0))} CPUs; {CLIPS} clips of {SECONDS:.0f} s, 2 models; best of {ROUNDS} rounds."
    return "\n".join([
        head, "", "| | units/s | × 1 process | × 2 processes | seconds in all |", "| --- | --- | --- | --- | --- |",
        *lines,
    ])  # fmt: skip


if __name__ == "__main__":
    print(report())
