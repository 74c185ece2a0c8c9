"""How soon the door opens: the time from a command to its answer, beside that of ``import typer``.

``python -m benchmarks.startup [--repetitions N]`` from the project's root. All are taken in turn, in one run, so that
other work on the machine bears on each alike; medians.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

MODEL = """
class Band:
    labels, sample_rate, fingerprint = ("yes", "no"), 16000, "band"

    def __call__(self, waveforms):
        import torch
        power = torch.fft.rfft(waveforms.double())[:, 58:63].abs().square().min(dim=1).values
        return torch.stack([torch.log(power + 1e-12), torch.zeros_like(power)], dim=1).float()


model = Band()
"""
STUDY = """
models = ["python:band.py:model"]
[[data]]
path = "clips"
[search]
budget = 100
"""


@dataclass(frozen=True)
class Measured:
    """Seconds of wall time, median, and peak memory in MB of a command."""

    name: str
    seconds: float
    memory: float


def main() -> None:
    """Parse, measure, print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=str(__doc__).split("\n\n")[0])
    parser.add_argument("--repetitions", type=int, default=15)
    repetitions = parser.parse_args().repetitions
    with tempfile.TemporaryDirectory(prefix="earwitness-") as folder:
        store = make_store(Path(folder))
        earwitness = [sys.executable, "-m", "earwitness"]
        commands = {
            'python -c "import typer"': [sys.executable, "-c", "import typer"],
            'python -c "import earwitness"': [sys.executable, "-c", "import earwitness"],
            "earwitness --help": [*earwitness, "--help"],
            "earwitness explain --help": [*earwitness, "explain", "--help"],
            "earwitness study status": [*earwitness, "study", "status", str(store)],
            "earwitness study tables": [*earwitness, "study", "tables", str(store), "--table", "models"],
        }
        measured = measure(commands, repetitions)
    print("| command | s | times `import typer` | MB |\n| --- | --- | --- | --- |")
    for one in measured:
        print(f"| `{one.name}` | {one.seconds:.3f} | {one.seconds / measured[0].seconds:.1f} | {one.memory:.0f} |")


def measure(commands: dict[str, list[str]], repetitions: int) -> list[Measured]:
    """Run the commands in turn, again and again."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    memory = dict.fromkeys(commands, 0.0)
    for _ in range(repetitions + 1):  # the first is for warming up
        for name, words in commands.items():
            start = time.perf_counter()
            process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            if status:
                raise SystemExit(f"{' '.join(words)}: exit status {status}")
            seconds[name].append(time.perf_counter() - start)
            memory[name] = max(memory[name], usage.ru_maxrss / 1024)
    return [Measured(name, float(np.median(seconds[name][1:])), memory[name]) for name in commands]


def make_store(folder: Path) -> Path:
    """The store of a small study of a planted model."""
    (folder / "clips").mkdir()
    for number in range(3):
        samples = np.random.default_rng(number).uniform(-1, 1, 3200)
        soundfile.write(folder / "clips" / f"clip{number}.wav", samples, 16_000, subtype="FLOAT")
    (folder / "band.py").write_text(MODEL, encoding="utf-8")
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "earwitness", "study", "run", str(folder / "study.toml"), "--quiet"],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return folder / "study.db"


if __name__ == "__main__":
    main()
