"""How far the work is: bars on a terminal, plain lines elsewhere, nothing when quiet; and a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from .cost import tell_duration


class Reporter(Protocol):
    """What the study tells of its progress. Stages may be under way side by side; units and questions are of
    the stage named, else of the one begun last."""

    def stage(self, name: str, total: int, most: int = 0) -> None:
        """A stage begins: what, how many units, and how many questions each takes at most, where that is known."""

    def advance(self, units: int = 1, stage: str | None = None) -> None:
        """Units are done."""

    def ask(self, questions: int, stage: str | None = None) -> None:
        """The model answered so many questions."""

    def say(self, line: str) -> None:
        """A line to keep."""

    def note(self, line: str) -> None:
        """A line for the log alone."""


class Quiet:
    """Tells nothing."""

    def stage(self, name: str, total: int, most: int = 0) -> None:
        """See :class:`Reporter`."""

    def advance(self, units: int = 1, stage: str | None = None) -> None:
        """See :class:`Reporter`."""

    def ask(self, questions: int, stage: str | None = None) -> None:
        """See :class:`Reporter`."""

    def say(self, line: str) -> None:
        """See :class:`Reporter`."""

    def note(self, line: str) -> None:
        """See :class:`Reporter`."""


@dataclass
class _Stage:
    """Counts of a stage; ``most``: questions a unit takes at most, 0 where that is not known."""

    name: str
    total: int
    start: float
    most: int = 0
    done: int = 0
    asked: int = 0

    @property
    def spent(self) -> float:
        """Seconds since it began."""
        return max(time.monotonic() - self.start, 1e-9)

    @property
    def left(self) -> str:
        """The time left: by the units done, and no more than their questions can take; while the first units are under
        way side by side, what these can take."""
        bound = self.spent / self.asked * max(0, self.total * self.most - self.asked) if self.most and self.asked else 0
        if not self.done:
            return f"at most {tell_duration(bound)} left" if bound else ""
        seconds = self.spent / self.done * (self.total - self.done)
        return f"{tell_duration(min(seconds, bound) if bound else seconds)} left" if seconds else ""

    def __str__(self) -> str:
        left = f", {self.left}" if self.left else ""
        rate = f", {self.asked / self.spent:.0f} questions/s" if self.asked else ""
        return f"{self.name}: {self.done}/{self.total}{rate}{left}"


class _Stages:
    """The stages under way, by name; the one begun last is last."""

    def __init__(self) -> None:
        self._stages: dict[str, _Stage] = {}
        self._heard = 0.0

    def begin(self, name: str, total: int, most: int = 0) -> None:
        """A stage begins."""
        self._stages.pop(name, None)  # a stage begun again is the one begun last
        self._stages[name] = _Stage(name, total, time.monotonic(), most)

    def count(self, stage: str | None, *, units: int = 0, questions: int = 0) -> _Stage | None:
        """Add to a stage, or to the one begun last; ``None`` where there is none."""
        one = self._stages.get(stage or next(reversed(self._stages), ""))
        if one is not None:
            if not one.done and not one.asked:
                one.start = max(one.start, self._heard)  # until then another had its turn
            self._heard = time.monotonic()
            one.done += units
            one.asked += questions
        return one


class Lines(Quiet):
    """Plain lines on standard error, at most one every few seconds."""

    def __init__(self, every: float = 5.0) -> None:
        self._every, self._last = every, time.monotonic()
        self._stages = _Stages()

    def stage(self, name: str, total: int, most: int = 0) -> None:
        """See :class:`Reporter`."""
        self._stages.begin(name, total, most)
        self._last = time.monotonic()
        self.say(f"{name}: {total} to do")

    def advance(self, units: int = 1, stage: str | None = None) -> None:
        """See :class:`Reporter`."""
        one = self._stages.count(stage, units=units)
        if one is not None:
            self._show(one, one.done == one.total)

    def ask(self, questions: int, stage: str | None = None) -> None:
        """See :class:`Reporter`."""
        one = self._stages.count(stage, questions=questions)
        if one is not None:
            self._show(one, False)

    def say(self, line: str) -> None:
        """See :class:`Reporter`."""
        print(line, file=sys.stderr, flush=True)

    def _show(self, stage: _Stage, always: bool) -> None:
        now = time.monotonic()
        if always or now - self._last >= self._every:
            self._last = now
            self.say(str(stage))


class Bars(Quiet):
    """Live bars on a terminal, one a stage."""

    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False), TextColumn("{task.fields[left]}", markup=False),
            console=console or Console(stderr=True),
        )  # fmt: skip
        self._stages, self._bars = _Stages(), dict[str, TaskID]()

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def stage(self, name: str, total: int, most: int = 0) -> None:
        """See :class:`Reporter`."""
        self._stages.begin(name, total, most)
        self._bars[name] = self._progress.add_task(name, total=total, rate="", left="")

    def advance(self, units: int = 1, stage: str | None = None) -> None:
        """See :class:`Reporter`."""
        one = self._stages.count(stage, units=units)
        if one is not None:
            self._progress.update(self._bars[one.name], advance=units, left=one.left)

    def ask(self, questions: int, stage: str | None = None) -> None:
        """See :class:`Reporter`."""
        one = self._stages.count(stage, questions=questions)
        if one is not None:
            rate = f"{one.asked / one.spent:.0f} questions/s"
            self._progress.update(self._bars[one.name], rate=rate, left=one.left)

    def say(self, line: str) -> None:
        """See :class:`Reporter`."""
        self._progress.console.print(line, markup=False, highlight=False)


@contextmanager
def open_reporter(quiet: bool = False) -> Iterator[Reporter]:
    """Bars on a terminal or in a notebook, lines elsewhere, nothing when quiet."""
    shown = Console()
    if quiet:
        yield Quiet()
    elif shown.is_jupyter or sys.stderr.isatty():
        with Bars(shown if shown.is_jupyter else None) as bars:
            yield bars
    else:
        yield Lines()


class Logged:
    """Tells another reporter, and writes what is to be kept to a file, each line with its time.

    Parameters
    ----------
    other : Reporter
    path : Path
        Appended to. A log that cannot be written is no reason not to work.
    """

    def __init__(self, other: Reporter, path: Path) -> None:
        self._other, self._path = other, path
        self._stages = _Stages()
        self._file: TextIO | None = None

    def __enter__(self) -> Logged:
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self._path, "a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def stage(self, name: str, total: int, most: int = 0) -> None:
        """See :class:`Reporter`."""
        self._other.stage(name, total, most)
        self._stages.begin(name, total, most)
        self.note(f"{name}: {total} to do")

    def advance(self, units: int = 1, stage: str | None = None) -> None:
        """See :class:`Reporter`."""
        self._other.advance(units, stage)
        one = self._stages.count(stage, units=units)
        if one is not None and one.done == one.total:
            self.note(f"{one.name}: done in {one.spent:.1f} s, {one.asked} questions")

    def ask(self, questions: int, stage: str | None = None) -> None:
        """See :class:`Reporter`."""
        self._other.ask(questions, stage)
        self._stages.count(stage, questions=questions)

    def say(self, line: str) -> None:
        """See :class:`Reporter`."""
        self._other.say(line)
        self.note(line)

    def note(self, line: str) -> None:
        """See :class:`Reporter`."""
        if self._file is not None:
            with suppress(OSError):
                print(datetime.now().isoformat(timespec="seconds"), line, file=self._file, flush=True)
