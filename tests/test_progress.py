"""Progress: lines, bars, and the log beside the store."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from earwitness.study.progress import Bars, Lines, Logged, Quiet, Reporter
from test_cli import call, write_study
from test_study import make_clips


def tell(reporter: Reporter) -> None:
    """Two stages side by side."""
    reporter.stage("explain a", 2)
    reporter.stage("explain b", 1)
    reporter.ask(7, "explain a")
    reporter.advance(1, "explain a")
    reporter.advance()  # of the stage begun last
    reporter.say("[not] markup")
    reporter.advance(1, "explain a")


def test_lines_tell_each_stage_and_end_it(capsys: pytest.CaptureFixture[str]) -> None:
    tell(Lines(every=1e9))
    told = capsys.readouterr().err.splitlines()
    assert told[:2] == ["explain a: 2 to do", "explain b: 1 to do"]
    assert [line.split(",")[0] for line in told[2:]] == ["explain b: 1/1", "[not] markup", "explain a: 2/2"]
    assert "questions/s" in told[-1]


def test_a_stage_that_waits_for_another_is_timed_from_its_turn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = 0.0
    monkeypatch.setattr("earwitness.study.progress.time", SimpleNamespace(monotonic=lambda: seconds))
    lines = Lines(every=0)
    lines.stage("explain a", 1)
    lines.stage("explain b", 2)
    seconds = 100.0
    lines.advance(1, "explain a")
    seconds = 110.0
    lines.ask(50, "explain b")
    lines.advance(1, "explain b")
    assert capsys.readouterr().err.splitlines()[2:] == [
        "explain a: 1/1", "explain b: 0/2, 5 questions/s", "explain b: 1/2, 5 questions/s, 10 s left",
    ]  # fmt: skip


def test_the_time_left_is_told_while_the_first_units_run_side_by_side(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Eight searches at once end late: until then the questions that they may ask say how long it takes at most."""
    seconds = 0.0
    monkeypatch.setattr("earwitness.study.progress.time", SimpleNamespace(monotonic=lambda: seconds))
    lines = Lines(every=0)
    lines.stage("explain a", 10, 100)
    seconds = 10.0
    lines.ask(100)
    seconds = 80.0
    lines.ask(700)  # of 1,000 that it may take
    lines.advance(1)
    seconds = 82.0
    lines.advance(8)
    assert capsys.readouterr().err.splitlines()[1:] == [
        "explain a: 0/10, 10 questions/s, at most 1.5 min left",
        "explain a: 0/10, 10 questions/s, at most 20 s left",
        "explain a: 1/10, 10 questions/s, 20 s left",  # not nine times the 80 s that the first took
        "explain a: 9/10, 10 questions/s, 9 s left",
    ]


def test_bars_show_each_stage_with_its_rate() -> None:
    text = io.StringIO()
    with Bars(Console(file=text, force_terminal=True, width=120)) as bars:
        tell(bars)
        bars.stage("explain c", 2)
        bars.advance()  # not done: there is time left
    shown = text.getvalue()
    assert "explain a" in shown
    assert "2/2" in shown
    assert "1/1" in shown
    assert "questions/s" in shown
    assert "second left" in shown
    assert "[not] markup" in shown


def test_the_log_keeps_what_was_said_and_how_long_it_took(tmp_path: Path) -> None:
    for _ in range(2):
        with Logged(Quiet(), tmp_path / "s.log") as logged:
            tell(logged)
            logged.note("for the log alone")
    lines = (tmp_path / "s.log").read_text().splitlines()
    said = [line.split(" ", 1)[1] for line in lines]
    assert said[0] == "explain a: 2 to do"
    assert said[4].startswith("explain a: done in ")
    assert said[4].endswith("7 questions")
    assert len(said) == 12
    assert said.count("for the log alone") == 2


def test_a_log_that_cannot_be_written_is_no_reason_not_to_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Logged(Quiet(), tmp_path / "file" / "s.log") as logged:
        tell(logged)


def test_an_interrupted_study_says_so_and_is_resumed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    make_clips(tmp_path / "clips", 2)
    path = write_study(tmp_path)

    class Interrupting(Quiet):
        def advance(self, units: int = 1, stage: str | None = None) -> None:
            if stage is not None:
                raise KeyboardInterrupt

    def interrupting(*_: Any) -> Reporter:
        return Interrupting()

    with monkeypatch.context() as change:
        change.setattr("earwitness.commands.work.make_reporter", interrupting)
        assert call(change, "study", "run", path) == 130
    assert "run the same command again" in capsys.readouterr().err
    assert call(monkeypatch, "study", "run", path, "-q") == 0
    assert capsys.readouterr().out.startswith("3 explanations")
