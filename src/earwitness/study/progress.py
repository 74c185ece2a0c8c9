"""How far the work is: bars on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class Reporter(Protocol):
    """What the study tells of its progress."""

    def stage(self, name: str, total: int) -> None:
        """A stage begins: what, and how many units."""

    def advance(self, units: int = 1) -> None:
        """Units are done."""

    def ask(self, questions: int) -> None:
        """The model answered so many questions."""

    def say(self, line: str) -> None:
        """A line to keep."""


class Quiet:
    """Tells nothing."""

    def stage(self, name: str, total: int) -> None:
        """See :class:`Reporter`."""

    def advance(self, units: int = 1) -> None:
        """See :class:`Reporter`."""

    def ask(self, questions: int) -> None:
        """See :class:`Reporter`."""

    def say(self, line: str) -> None:
        """See :class:`Reporter`."""


class Lines(Quiet):
    """Plain lines on standard error, at most one every few seconds."""

    def __init__(self, every: float = 5.0) -> None:
        self._every, self._name, self._total, self._done, self._asked = every, "", 0, 0, 0
        self._start = self._last = time.monotonic()

    def stage(self, name: str, total: int) -> None:
        """See :class:`Reporter`."""
        self._name, self._total, self._done, self._asked = name, total, 0, 0
        self._start = self._last = time.monotonic()
        self.say(f"{name}: {total} to do")

    def advance(self, units: int = 1) -> None:
        """See :class:`Reporter`."""
        self._done += units
        self._show(self._done == self._total)

    def ask(self, questions: int) -> None:
        """See :class:`Reporter`."""
        self._asked += questions
        self._show(False)

    def say(self, line: str) -> None:
        """See :class:`Reporter`."""
        print(line, file=sys.stderr, flush=True)

    def _show(self, always: bool) -> None:
        now = time.monotonic()
        if not always and now - self._last < self._every:
            return
        self._last, spent = now, max(now - self._start, 1e-9)
        left = f", {spent / self._done * (self._total - self._done):.0f} s left" if self._done else ""
        rate = f", {self._asked / spent:.0f} questions/s" if self._asked else ""
        self.say(f"{self._name}: {self._done}/{self._total}{rate}{left}")


class Bars(Quiet):
    """Live bars on a terminal."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[rate]}"), console=Console(stderr=True),
        )  # fmt: skip
        self._task: TaskID | None = None
        self._asked, self._start = 0, time.monotonic()

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def stage(self, name: str, total: int) -> None:
        """See :class:`Reporter`."""
        self._asked, self._start = 0, time.monotonic()
        self._task = self._progress.add_task(name, total=total, rate="")

    def advance(self, units: int = 1) -> None:
        """See :class:`Reporter`."""
        if self._task is not None:
            self._progress.advance(self._task, units)

    def ask(self, questions: int) -> None:
        """See :class:`Reporter`."""
        self._asked += questions
        if self._task is not None:
            rate = self._asked / max(time.monotonic() - self._start, 1e-9)
            self._progress.update(self._task, rate=f"{rate:.0f} questions/s")

    def say(self, line: str) -> None:
        """See :class:`Reporter`."""
        self._progress.console.print(line, markup=False, highlight=False)
