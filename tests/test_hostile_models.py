"""Models that hang, fork or upset the process that asks them: what others answer, and what is stored, is the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from earwitness.errors import ModelError
from earwitness.models.guarded import guarded
from earwitness.search.driver import Driver
from earwitness.signal.audio import Clip
from earwitness.signal.spectrum import Spectrum
from earwitness.study.run import Summary
from earwitness.study.status import study_status
from earwitness.study.store import Store
from test_study import RATE, do, dump, make_clips, study_of


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two clips, and one that is loud at the start."""
    make_clips(tmp_path / "clips", 2)
    loud = np.random.default_rng(9).uniform(-0.5, 0.5, 1600)
    loud[0] = 5
    soundfile.write(tmp_path / "clips" / "loud.wav", loud, RATE, subtype="FLOAT")
    return tmp_path / "clips"


def others(path: Path, model: str) -> list[tuple[Any, ...]]:
    """What a store says of all models but one."""
    return [row for row in dump(path) if model not in row[1] and model not in (row[9] or "")]


def sets_of(path: Path, model: str) -> set[tuple[Any, ...]]:
    """A model's sets, by clip and kind; null signals are drawn for each model anew."""
    rows = dump(path)
    return {(row[0], row[2], row[4]) for row in rows if row[1].endswith(f":{model}") and "null" not in row[2]}


def test_a_model_that_hangs_becomes_a_failed_row(clips: Path, tmp_path: Path) -> None:
    study = study_of(clips, "low", "hangs", run={"time_limit": 0.5})
    summary = do(study, tmp_path / "s.db")
    assert summary.explained == 5
    with Store(tmp_path / "s.db") as store:
        failures = study_status(store)["failures"]
    explained = [row for row in failures if row["stage"] == "explain"]
    assert [Path(row["clip"]).name for row in explained] == ["loud.wav"]
    assert "took longer than the 0.5 s a call may take; raise run.time_limit" in explained[0]["reason"]
    do(study_of(clips, "low"), tmp_path / "alone.db")
    assert others(tmp_path / "s.db", "hangs") == dump(tmp_path / "alone.db")


def test_a_time_limit_that_is_kept_changes_nothing(clips: Path, tmp_path: Path) -> None:
    do(study_of(clips, "low", "high", run={"time_limit": 600}), tmp_path / "limited.db")
    do(study_of(clips, "low", "high"), tmp_path / "s.db")
    assert dump(tmp_path / "limited.db") == dump(tmp_path / "s.db")


def test_compiled_code_that_hears_no_alarm_ends_with_its_process() -> None:
    deaf = """
import itertools
from earwitness.models import guarded
guarded.GRACE = 0.1
with guarded.guarded("deaf", 0.1):
    sum(itertools.repeat(0))
"""
    run = subprocess.run([sys.executable, "-c", deaf], capture_output=True, text=True, timeout=120)
    assert run.returncode == 1
    assert "Timeout" in run.stderr


def count_to(number: int) -> None:
    count = 0
    while count < number:
        count += 1


def test_an_alarm_does_not_outlive_its_call() -> None:
    with pytest.raises(ModelError, match=r"took longer than the 0\.05 s"), guarded("slow", 0.05):
        count_to(1 << 40)
    with guarded("quick", 0.05):
        pass
    count_to(3_000_000)  # well over the limit: an alarm left behind would ring in here


@pytest.fixture
def single() -> Iterator[None]:
    """One thread: a fork has no other, and would wait for them before it comes back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("single")
def test_a_model_that_forks_does_nothing_twice(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[int] = []
    fork = os.fork

    def remember() -> int:
        child = fork()
        children.append(child)
        return child

    monkeypatch.setattr(os, "fork", remember)
    assert do(study_of(clips, "low", "forks"), tmp_path / "s.db") == Summary(6, 6, 0)
    assert children
    assert {os.waitpid(child, 0)[1] for child in children} == {0}
    again = dump(tmp_path / "s.db")
    assert len(again) == len(set(again))
    assert sets_of(tmp_path / "s.db", "low") == sets_of(tmp_path / "s.db", "forks")


@pytest.fixture
def restored() -> Iterator[None]:
    """What the upsetting model leaves behind is put right after the test."""
    errors, dtype = np.geterr(), torch.get_default_dtype()
    yield
    np.seterr(**errors)
    torch.set_default_dtype(dtype)


@pytest.mark.usefixtures("restored")
def test_a_model_that_upsets_the_process_changes_nothing(clips: Path, tmp_path: Path) -> None:
    do(study_of(clips, "also_low", "high", "low"), tmp_path / "s.db")
    here = os.getcwd()
    do(study_of(clips, "also_low", "high", "upsetting"), tmp_path / "upset.db")
    assert os.getcwd() == here
    assert others(tmp_path / "upset.db", "upsetting") == others(tmp_path / "s.db", ":low")
    assert sets_of(tmp_path / "upset.db", "upsetting") == sets_of(tmp_path / "s.db", "low")


def test_a_model_that_computes_in_its_input_is_asked_about_the_clip_each_time() -> None:
    from earwitness import Classifier, open_model
    from test_study import MODELS

    spectrum = Spectrum(Clip(np.random.default_rng(0).uniform(-1, 1, 800).astype(np.float32), RATE))
    masks = np.ones((1, spectrum.size), dtype=bool)
    answers = [
        Driver(Classifier(open_model(f"python:{MODELS}:{name}")), repeats=3).evaluate(spectrum, masks)
        for name in ("low", "zeroing")
    ]
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-6)
