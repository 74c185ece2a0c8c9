"""``earwitness explain`` of a folder or several files: one table, the same sets as one by one, a study where kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from earwitness.cli import app
from earwitness.errors import ConfigError
from earwitness.study.store import Store
from test_study import MODELS, make_clips

OPTIONS = ("--model", f"python:{MODELS}:low", "--delta", "0.9", "--budget", "600", "--quiet")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    make_clips(tmp_path / "clips", 3, 800)
    return tmp_path / "clips"


def call(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["explain", *words, *OPTIONS], catch_exceptions=False)
    return done.exit_code, done.stdout


def test_a_folder_and_its_files_give_the_rows_of_each_alone(clips: Path) -> None:
    files = [str(clips / f"clip{number}.wav") for number in range(3)]
    code, said = call(str(clips), "--json")
    assert code == 0
    told = json.loads(said)
    assert told["failures"] == []
    assert json.loads(call(*files, "--json")[1]) == told
    for file, row in zip(files, told["explanations"], strict=True):
        alone = json.loads(call(file, "--json")[1])
        least = min(alone["subsets"]["sufficient"], key=lambda part: part["size"])
        assert row == {
            "recording": file, "label": alone["label"], "confidence": pytest.approx(alone["confidence"]),
            "size": least["size"], "energy": pytest.approx(least["energy"]),
            "certificate": least["certificate"]["kind"],
            "complete": alone["subsets"]["complete"]["size"], "questions": alone["queries"],
        }  # fmt: skip


def test_one_that_fails_is_told_and_the_rest_is_done(clips: Path) -> None:
    (clips / "text.wav").write_text("no sound")
    code, said = call(str(clips))
    assert code == 1
    assert [line.split()[0] for line in said.splitlines() if ".wav" in line and "failed" not in line] == [
        "clip0.wav", "clip1.wav", "clip2.wav",
    ]  # fmt: skip
    assert f"failed: {clips / 'text.wav'}: " in said


def test_what_is_kept_is_a_study_and_goes_on(clips: Path, tmp_path: Path) -> None:
    code, said = call(str(clips), "--out", str(tmp_path / "out"))
    assert code == 0
    assert f"earwitness open {tmp_path / 'out' / 'study.db'}" in said
    make_clips(clips, 4, 800)
    before = (tmp_path / "out" / "study.db.log").read_text()
    assert call(str(clips), "--out", str(tmp_path / "out"))[0] == 0
    assert "1 to do" in (tmp_path / "out" / "study.db.log").read_text()[len(before) :]
    with Store(tmp_path / "out" / "study.db") as store:
        assert store.count(store.settings_key())["explanations"] == 4


def test_what_is_no_recording_is_refused_before_work_is_spent(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("hello")
    for other in ("text.txt", "none.wav"):
        with pytest.raises(ConfigError, match=other):
            call(str(clips), str(tmp_path / other))
