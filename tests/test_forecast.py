"""What a study will ask is told before it asks; settings from the command line; the page opened."""

from __future__ import annotations

import json
import webbrowser
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from torch import Tensor
from typer.testing import CliRunner

from earwitness.cli import app
from earwitness.errors import AudioError, ConfigError
from earwitness.search.driver import Driver
from earwitness.study.file import load_study, parse_setting
from earwitness.study.forecast import forecast
from earwitness.study.plan import plan
from earwitness.study.progress import Quiet
from earwitness.study.run import run
from earwitness.study.store import Store
from test_study import MODELS, RATE, make_clips, study_of

SPECS = [f"python:{MODELS}:{name}" for name in ("low", "high")]
EVIDENCE = {
    "robust": {"level": 0.2, "searched": 2, "verified": 2, "questions": 40},
    "curves": {"levels": [0.1, 0.5, 1.0], "draws": 1, "profiles": 1},
}


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rate that nobody looks at needs no second to be measured."""
    monkeypatch.setattr("earwitness.study.forecast.TRIAL", 0.01)


class Counting(Quiet):
    """Counts questions by step."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def ask(self, questions: int, stage: str | None = None) -> None:
        assert stage is not None
        self.asked[stage.split()[0]] += questions


LOW_PRECISION = {**EVIDENCE, "search": {"delta": 0.9, "budget": 300, "precision": "bfloat16"}}


@pytest.mark.parametrize("evidence", [{}, EVIDENCE, LOW_PRECISION])
def test_no_more_is_asked_than_was_told(evidence: dict[str, Any], tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 3, 800)
    planned = plan(study_of(tmp_path / "clips", "low", "high", "other", **evidence), tmp_path)
    told = forecast(planned, workers=2)
    counting = Counting()
    with Store(tmp_path / "s.db", write=True) as store:
        run(planned, store, counting)
    assert set(counting.asked) <= set(told.questions)
    for step, asked in counting.asked.items():
        assert asked <= told.questions[step], step
    assert (told.recordings, told.models, told.variables) == (3, 3, 401)
    assert set(told.seconds) == {model.spec for model in planned.models}
    assert told.most == pytest.approx(sum(told.questions.values()) / 3 * sum(told.seconds.values()) / 2)


def test_the_rate_is_that_of_the_searches_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_clips(tmp_path / "clips", 1, 800)
    asked: list[torch.dtype | None] = []
    average = Driver._average

    def noted(driver: Driver, waveforms: Tensor, dtype: torch.dtype | None = None) -> Any:
        asked.append(dtype)
        return average(driver, waveforms, dtype)

    monkeypatch.setattr(Driver, "_average", noted)
    for precision, low in (("float32", False), ("bfloat16", True)):
        asked.clear()
        search = {"precision": precision}
        forecast(plan(study_of(tmp_path / "clips", "low", search=search), tmp_path))
        assert (torch.bfloat16 in asked) is low
        assert None in asked  # the first questions are asked in float32 again


def test_recordings_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 1, 800)
    (tmp_path / "clips" / "a.wav").write_text("no sound")
    assert forecast(plan(study_of(tmp_path / "clips", "low"), tmp_path)).variables == 401
    (tmp_path / "clips" / "clip0.wav").write_text("no sound")
    with pytest.raises(AudioError, match=r"none of 2 recordings can be read; the first: .*not readable"):
        forecast(plan(study_of(tmp_path / "clips", "low"), tmp_path))


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("search.delta=0.9", "search.delta", 0.9), ("seconds = 3", "seconds", 3), ("robust={}", "robust", {}),
        ("search.domain=mel:64", "search.domain", "mel:64"), ('name="a = b"', "name", "a = b"),
        ("curves.levels=[0.1, 1]", "curves.levels", [0.1, 1]), ("name=x=y", "name", "x=y"),
        ("only_correct=true", "only_correct", True),
    ],
)  # fmt: skip
def test_settings_are_read_as_toml_else_as_text(text: str, key: str, value: Any) -> None:
    assert parse_setting(text) == (key, value)


@pytest.mark.parametrize("text", ["search.delta", "=3", "a b=3", "search..delta=3"])
def test_what_is_no_setting_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"write a setting and its value, e\.g\. search\.delta=0\.9"):
        parse_setting(text)


def test_what_is_given_takes_the_place_of_what_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(
        f"models = {SPECS}\nseconds = 5\n[[data]]\npath = 'a'\n[[data]]\npath = 'b'\n[search]\ndelta = 0.5\ncount = 2\n"
    )
    given = {"search.delta": 0.9, "data.limit": 3, "robust": {}, "curves.draws": 5, "models": SPECS[:1]}
    study, folder = load_study(tmp_path / "s.toml", given=given, workers=2)
    assert (study.search.delta, study.search.count, study.seconds) == (0.9, 2, 5)
    assert [(section.path, section.limit) for section in study.data] == [("a", 3), ("b", 3)]
    assert study.robust is not None
    assert study.curves is not None
    assert (study.curves.draws, study.run.workers, study.models) == (5, 2, (SPECS[0],))
    assert folder == tmp_path
    with pytest.raises(ConfigError, match="seconds is 5, no section"):
        load_study(tmp_path / "s.toml", given={"seconds.most": 3})
    with pytest.raises(ConfigError, match="did you mean 'search'"):
        load_study(tmp_path / "s.toml", given={"serch.delta": 3})


def call(*words: str) -> str:
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_study_without_a_file_from_plan_to_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_clips(tmp_path / "clips", 2, 800)
    soundfile.write(tmp_path / "one.wav", soundfile.read(tmp_path / "clips" / "clip0.wav")[0] / 2, RATE)
    monkeypatch.chdir(tmp_path)
    words = [word for spec in SPECS for word in ("--model", spec)]
    words += ["--data", "clips", "--data", "one.wav", "--set", "search.budget=60", "--set", "search.delta=0.9"]
    told = json.loads(call("study", "plan", *words, "--json"))
    assert told["recordings"] == 3
    assert told["questions"]["explain"] == 3 * 2 * 60
    assert "questions a second: python:" in call("study", "plan", *words, "--quiet")
    assert "6 explanations and 6 judgements added" in call("study", "run", *words, "--quiet")
    opened: list[str] = []

    def show(address: str) -> bool:
        opened.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", show)
    page = Path(call("open", "study.db", "--quiet").strip())
    assert page == tmp_path / "study-page" / "index.html"
    assert opened == [page.as_uri()]
    call("open", "study.db", "--quiet", "--no-browser", "--out", "elsewhere")
    assert len(opened) == 1
    assert (tmp_path / "elsewhere" / "index.html").is_file()
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    assert call("open", "study.db", "--quiet").strip() == str(page)  # what it says of the browser is no answer


def test_neither_a_file_nor_all_of_it_is_refused() -> None:
    for words in ([], ["--model", SPECS[0]], ["--data", "builtin"]):
        with pytest.raises(ConfigError, match="no study file, and not both --model and --data"):
            CliRunner().invoke(app, ["study", "run", *words], catch_exceptions=False)
