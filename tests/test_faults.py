"""Studies under faults: whatever fails, and whenever, nothing stored is lost, doubled or wrong.

Each seed is a study whose reads, writes, commits, models, clock and life fail at random for three runs; after every
run what is stored is part of what an undisturbed study stores, and after a last run without faults it is all of it.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import soundfile
from torch import Tensor

from earwitness.errors import EarwitnessError
from earwitness.models.callables import CallableModel
from earwitness.study.plan import plan
from earwitness.study.run import run
from earwitness.study.status import study_status
from earwitness.study.store import Store
from test_study import do, dump, make_clips, study_of

#: seeded studies; more with EARWITNESS_FAULTS=200, as make fuzz does
STUDIES = int(os.environ.get("EARWITNESS_FAULTS", "20"))
RUNS = 3
#: of an undisturbed run, inside transactions
STATEMENTS = 94


class Killed(BaseException):
    """The process has ended here: nothing that it would still do is done."""


#: what fails at a rate
RATES = {"read": 0.3, "model": 0.05, "memory": 0.1, "nan": 0.03, "clock": 0.5}
#: what ends a run, at one of its statements
ENDS = ("write", "commit", "full", "kill")


class Faults:
    """When what fails: each kind at a rate of its own, that is none in many studies; and how each run ends."""

    def __init__(self, seed: int, statements: int) -> None:
        self.random, self.statements = random.Random(seed), statements
        self.rates = {kind: self.random.choice((0, 0, rate)) for kind, rate in RATES.items()}
        self.met: set[str] = set()
        # the first runs of many studies go through all statements: 37 has no divisor in common with their number
        self.end, self.left = ENDS[seed % len(ENDS)], seed * 37 % statements

    def begin_run(self) -> None:
        """Draw what ends the next run, and at which of its statements; or nothing does."""
        self.end, self.left = self.random.choice((*ENDS, "")), self.random.randrange(self.statements)

    def ends(self, *kinds: str) -> str:
        """Whether the run ends at this statement, if that is of these kinds, and of what."""
        self.left -= 1
        if self.left >= 0 or self.end not in kinds:
            return ""
        end, self.end = self.end, ""
        self.met.add(end)
        return end

    def strikes(self, kind: str) -> bool:
        """Whether it fails this time."""
        struck = self.random.random() < self.rates[kind]
        if struck:
            self.met.add(kind)
        return struck


class FaultyConnection(sqlite3.Connection):
    """A database on a disk that fails, of a process that may be killed."""

    faults: Faults | None = None
    dead = False

    def execute(self, query: str, parameters: Any = ()) -> sqlite3.Cursor:
        self._fail(query)
        return super().execute(query, parameters)

    def executemany(self, query: str, parameters: Any) -> sqlite3.Cursor:
        self._fail(query)
        return super().executemany(query, parameters)

    def _fail(self, query: str) -> None:
        faults = self.faults
        if self.dead:
            raise Killed
        if faults is None or not self.in_transaction or query == "ROLLBACK":
            return
        writes = ("write", "full") if query.startswith(("INSERT", "UPDATE", "DELETE")) else ()
        end = faults.ends("kill", *(("commit",) if query == "COMMIT" else writes))
        if end == "kill":
            self.dead = True
            raise Killed
        if end in ("commit", "full"):  # what fsync refuses is not there; a full disk ends the transaction
            super().execute("ROLLBACK")
        if end:
            raise sqlite3.OperationalError("database or disk is full" if end == "full" else "disk I/O error")


@contextmanager
def failing(faults: Faults) -> Iterator[None]:
    """The world as the faults make it."""
    connect, read, logits, monotonic = sqlite3.connect, soundfile.SoundFile.read, CallableModel.logits, time.monotonic

    def faulty_connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        return connect(*arguments, **options, factory=FaultyConnection)

    def faulty_read(file: Any, *arguments: Any, **options: Any) -> Any:
        if faults.strikes("read"):
            raise faults.random.choice((OSError(5, "Input/output error"), RuntimeError("unspecified internal error")))
        return read(file, *arguments, **options)

    def faulty_logits(model: CallableModel, waveforms: Tensor) -> Tensor:
        if faults.strikes("model"):
            raise RuntimeError("the model broke")
        if faults.strikes("memory") and len(waveforms) > 1:
            raise MemoryError
        answers = logits(model, waveforms)
        return answers * float("nan") if faults.strikes("nan") else answers

    def faulty_clock() -> float:
        return monotonic() + (faults.random.uniform(-1e5, 1e5) if faults.strikes("clock") else 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", faulty_connect)
        patch.setattr(soundfile.SoundFile, "read", faulty_read)
        patch.setattr(CallableModel, "logits", faulty_logits)
        patch.setattr(time, "monotonic", faulty_clock)
        yield


def run_under(faults: Faults, study: Any, path: Path) -> None:
    """One run; it ends well, with an error of the tree, or killed."""
    with failing(faults):
        store = Store(path, write=True)
        assert isinstance(store._db, FaultyConnection)
        store._db.faults = faults
        try:
            run(plan(study, path.parent), store, retry_failed=True)
        except EarwitnessError:
            store._db.faults = None
            store.close()
        except Killed:
            store._db.close()  # what the system does for the dead: the transaction is gone, and the lock
            store._release()
        else:
            store._db.faults = None
            store.close()
    faults.begin_run()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clips, and what an undisturbed study of them stores."""
    folder = tmp_path_factory.mktemp("faults")
    make_clips(folder / "clips", 3, 400)
    do(study(folder), folder / "whole.db")
    return folder


def study(folder: Path) -> Any:
    return study_of(folder / "clips", "low", "high", search={"delta": 0.9, "budget": 60})


#: what has failed in any of the studies, and how many there were
met: set[str] = set()
studied: list[int] = []


@pytest.mark.parametrize("seed", range(STUDIES))
def test_nothing_is_lost_doubled_or_wrong(folder: Path, tmp_path: Path, seed: int) -> None:
    faults, whole = Faults(seed, STATEMENTS), dump(folder / "whole.db")
    wanted = {row[:9] for row in whole}, set(whole)
    for _ in range(RUNS):
        run_under(faults, study(folder), tmp_path / "s.db")
        stored = dump(tmp_path / "s.db")
        assert len(stored) == len(set(stored))
        assert {row[:9] for row in stored} <= wanted[0]
        assert {row for row in stored if row[9] is not None} <= wanted[1]  # those that were judged
    summary = do(study(folder), tmp_path / "s.db", retry_failed=True)
    assert summary.failed == 0
    assert dump(tmp_path / "s.db") == whole
    with Store(tmp_path / "s.db") as store:
        assert study_status(store)["finished"]
    met.update(faults.met)
    studied.append(seed)


def test_every_kind_of_fault_was_met() -> None:
    if len(studied) < STUDIES:
        pytest.skip("only some of the studies were run")
    assert met == {*RATES, *ENDS}


def test_as_many_statements_as_a_run_has_may_fail(folder: Path, tmp_path: Path) -> None:
    counting = Faults(0, STATEMENTS)
    counting.rates, counting.end, counting.left = dict.fromkeys(RATES, 0.0), "", 0
    with failing(counting), Store(tmp_path / "s.db", write=True) as store:
        assert isinstance(store._db, FaultyConnection)
        store._db.faults = counting
        run(plan(study(folder), folder), store)
        store._db.faults = None
    assert counting.left == -STATEMENTS
