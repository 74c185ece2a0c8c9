"""Packages that add back ends, searches, layouts and tables by entry points: found, listed, loaded when asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from earwitness.plugins import GROUPS, Registry, find_plugins

CODE = """
import numpy as np
import polars as pl
import torch
from earwitness.datasets import Reader
from earwitness.datasets.recording import Listing, Recording
from earwitness.models import Model
from earwitness.search.minimal import minimal


class Tone(Model):
    labels, sample_rate, backend = ("yes", "no"), 16000, "tone"

    def __init__(self, hertz, device):
        self.hertz, self.device, self.spec = hertz, device, f"tone:{hertz:g}"
        self.fingerprint = self.spec

    def logits(self, waveforms):
        bin_ = round(self.hertz * waveforms.shape[1] / self.sample_rate)
        level = torch.fft.rfft(waveforms)[:, bin_].abs() / waveforms.shape[1]
        return torch.stack([level - 0.01, 0.01 - level], dim=1) * 1000


def load_tone(target, device, trust):
    return Tone(float(target), device)


def search(problem):
    print("searched by the plugin")
    return minimal(problem)


def read(source):
    paths = sorted(source.root.glob("*.tone.wav"))
    return Listing([Recording(path, "yes") for path in paths])


reader = Reader(read, lambda source: bool(list(source.root.glob("*.tone.wav"))), "tones")


def hum(samples, sample_rate, amount, rng):
    assert amount == 20
    time = np.arange(samples.size) / sample_rate
    return samples + 10 ** (-amount / 20) * np.sin(2 * np.pi * 50 * (time + rng.random()))


def silent(samples, sample_rate, amount, rng):
    assert amount is None
    return samples * 0


def short(samples, sample_rate, amount, rng):
    return samples[1:]


def count(answers, options):
    return pl.DataFrame({"models": [len(answers.models)]})
"""
ENTRIES = """
[earwitness.backends]
tone = earwitness_tone:load_tone
hf = earwitness_tone:load_tone
broken = earwitness_tone:nothing
[earwitness.searches]
mine = earwitness_tone:search
[earwitness.layouts]
tones = earwitness_tone:reader
[earwitness.views]
hum = earwitness_tone:hum
silent = earwitness_tone:silent
short = earwitness_tone:short
[earwitness.tables]
counted = earwitness_tone:count
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A package as an installer leaves it, a folder of recordings beside it."""
    place = tmp_path / "site"
    facts = place / "earwitness_tone-1.2.dist-info"
    facts.mkdir(parents=True)
    (place / "earwitness_tone.py").write_text(CODE)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: earwitness-tone\nVersion: 1.2\n")
    (facts / "entry_points.txt").write_text(ENTRIES)
    (tmp_path / "clips").mkdir()
    for number in range(2):
        tone = np.sin(2 * np.pi * 1000 * np.arange(3200) / 16_000) * (0.5 + 0.1 * number)
        noise = np.random.default_rng(number).uniform(-0.01, 0.01, 3200)
        soundfile.write(tmp_path / "clips" / f"{number}.tone.wav", tone + noise, 16_000, subtype="FLOAT")
    return tmp_path


def call(folder: Path, *words: str) -> tuple[int, str, str]:
    """A command where the package is installed."""
    run = subprocess.run(
        [sys.executable, "-m", "earwitness", *words], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(folder / "site")},
    )  # fmt: skip
    return run.returncode, run.stdout, run.stderr


ONE_AFTER_THE_OTHER = """
import contextlib, io, json, sys
from earwitness.cli import main
said = []
for words in json.loads(sys.stdin.read()):
    sys.argv, errors = ["earwitness", *words], io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        try:
            main()
        except SystemExit as stop:
            said.append([int(stop.code or 0), errors.getvalue()])
print(json.dumps(said))
"""


def refused(folder: Path, *commands: tuple[str, ...]) -> list[str]:
    """What is said of commands that are refused, each in one process with the others: that imports much once."""
    run = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_THE_OTHER], cwd=folder, input=json.dumps(commands), capture_output=True,
        text=True, check=True, env={**os.environ, "PYTHONPATH": str(folder / "site")},
    )  # fmt: skip
    said = json.loads(run.stdout)
    assert [code for code, _ in said] == [2] * len(commands), said
    return [errors for _, errors in said]


def test_they_are_listed_and_the_broken_one_is_named(installed: Path) -> None:
    code, said, _ = call(installed, "plugins", "--json")
    rows = {(row["group"], row["name"]): row for row in json.loads(said)}
    assert code == 1
    assert {row["of"] for row in rows.values()} == {"earwitness-tone 1.2"}
    assert {group for group, _ in rows} == set(GROUPS)
    broken = rows.pop(("earwitness.backends", "broken"))
    assert "of earwitness-tone 1.2): cannot be imported (AttributeError" in broken["error"]
    assert not any(row["error"] for row in rows.values())
    assert call(installed, "plugins")[1].splitlines()[0].split()[:2] == ["earwitness.backends", "broken"]


def test_all_that_they_add_works_in_one_study(installed: Path) -> None:
    words = (
        "--model",
        "tone:1000",
        "--model",
        "tone:1010",
        "--data",
        "clips",
        "--set",
        "search.search=mine",
        "--quiet",
    )
    code, said, errors = call(installed, "study", "run", *words)
    assert code == 0, errors
    assert "searched by the plugin" in said
    code, said, _ = call(installed, "study", "tables", "study.db", "--table", "counted", "--format", "json")
    assert json.loads(said)["counted"] == [{"models": 2}]
    code, said, _ = call(installed, "export", "study.db", "--out", "csv", "--format", "csv")
    rows = (installed / "csv" / "clips.csv").read_text().splitlines()[1:]
    assert [row.split(",")[6] for row in rows] == ["tones", "tones"], rows


@pytest.mark.parametrize(("views", "held"), [("hum:20,gain:6", 36), ("silent", 0)])
def test_views_are_changes_of_signals(installed: Path, views: str, held: int) -> None:
    """A hum at 50 Hz leaves a tone at 1 kHz what it is; silence leaves nothing of it."""
    words = ("robust", "clips/0.tone.wav", "--model", "tone:1000", "--views", views, "--verified", "36")
    code, said, errors = call(installed, *words, "--questions", "10", "--budget", "50", "--quiet", "--json")
    assert code == 0, errors
    rows = [row for row in json.loads(said)["sets"] if row["kind"] == "sufficient"]
    assert [row["held"] for row in rows] == [held]


def test_a_view_that_makes_no_signal_is_named(installed: Path) -> None:
    words = ("robust", "clips/0.tone.wav", "--model", "tone:1000", "--budget", "50", "--quiet", "--views")
    short, unknown, loud = refused(installed, (*words, "short"), (*words, "hun:20"), (*words, "hum:loud"))
    assert "view short of earwitness_tone: returned no signal of the same length" in short
    assert "did you mean 'hum'" in unknown
    assert "write hum or hum:NUMBER, with one number" in loud


def test_what_cannot_be_loaded_is_an_error_and_own_names_stay(installed: Path) -> None:
    wav = str(installed / "clips" / "0.tone.wav")
    words = ("explain", wav, "--model")
    broken, own, unknown = refused(installed, (*words, "broken:1"), (*words, "hf:1000"), (*words, "tune:1"))
    assert (
        "earwitness.backends 'broken' (earwitness_tone:nothing, of earwitness-tone 1.2): cannot be imported" in broken
    )
    assert "hf:1000" in own  # the one that comes with Earwitness, which finds no such folder
    assert "did you mean 'tone'" in unknown


def test_none_is_there_and_none_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    assert [each for group in GROUPS for each in find_plugins(group)] == []
    registry: Registry[Any] = Registry("earwitness.tables", {"a": 1, "b": 2})
    assert (list(registry), len(registry), registry["a"], "c" in registry) == (["a", "b"], 2, 1, False)
    with pytest.raises(KeyError):
        registry["c"]
