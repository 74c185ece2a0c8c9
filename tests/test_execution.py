"""Executors: the same results from one process and several; lost workers; models that find no room."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from earwitness.study.answers import study_tables
from earwitness.study.devices import list_devices, with_workers
from earwitness.study.executors.pool import Finished, Handle, Lost, Pool, Ready, WorkerError
from earwitness.study.file import RunSection, Study, parse_study
from earwitness.study.messages import Asked, Chunk, Done, Event, Failed, NoRoom, Source, Unit
from earwitness.study.plan import plan
from earwitness.study.run import Summary, run
from earwitness.study.status import study_status
from earwitness.study.store import Store
from test_study import Listening, do, dump, make_clips, study_of


def tables(path: Path) -> dict[str, str]:
    with Store(path) as store:
        return {name: table.write_csv() for name, table in study_tables(store).items()}


def study_beside(folder: Path, *models: str, **run: Any) -> Study:
    """A study of the folder's clips by the models of a copy of planted_workers.py there."""
    copy = folder / "planted.py"
    shutil.copy(Path(__file__).parent / "planted_workers.py", copy)
    return parse_study({
        "models": [f"python:{copy}:{name}" for name in models],
        "data": [{"path": str(folder / "clips")}], "search": {"delta": 0.9}, "run": run,
    })  # fmt: skip


def test_two_processes_give_the_same_tables_as_one(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 4)
    do(study_of(tmp_path / "clips", "low", "also_low", "high"), tmp_path / "one.db")
    study = study_of(tmp_path / "clips", "low", "also_low", "high", run={"workers": 2})
    assert do(study, tmp_path / "two.db") == Summary(12, 12, 0)
    assert dump(tmp_path / "two.db") == dump(tmp_path / "one.db")
    assert tables(tmp_path / "two.db") == tables(tmp_path / "one.db")


def test_the_work_of_a_lost_worker_is_done_by_another(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 4)
    assert do(study_beside(tmp_path, "low", "mortal", workers=2), tmp_path / "two.db") == Summary(8, 8, 0)
    assert (tmp_path / "died").exists()
    do(study_beside(tmp_path, "low", "mortal"), tmp_path / "one.db")
    assert dump(tmp_path / "two.db") == dump(tmp_path / "one.db")


def test_a_unit_that_kills_its_workers_becomes_a_failed_row(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 2)
    loud = np.random.default_rng(9).uniform(-0.5, 0.5, 3200)
    loud[0] = 5  # beyond what masks make of other clips by chance
    soundfile.write(tmp_path / "clips" / "loud.wav", loud, 16_000, subtype="FLOAT")
    summary = do(study_beside(tmp_path, "low", "deadly", workers=2), tmp_path / "s.db")
    assert summary.explained == 5
    with Store(tmp_path / "s.db") as store:
        failures = study_status(store)["failures"]
    assert {(row["stage"], Path(row["clip"]).name) for row in failures} == {
        ("explain", "loud.wav"), ("judge", "loud.wav"),
    }  # fmt: skip
    assert all("3 workers died" in row["reason"] for row in failures)


def test_a_model_that_fits_once_is_loaded_once_and_its_clips_queue(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 4)
    study = study_beside(tmp_path, "big", workers=2)
    study = study.model_copy(update={"models": (*study.models, study.models[0].replace(":big", ":low"))})
    (tmp_path / "loads").touch()
    assert do(study, tmp_path / "s.db") == Summary(8, 8, 0)
    loads = (tmp_path / "loads").read_text().split()[1::2]
    assert len(loads) == len(set(loads)), "a worker loaded it twice"
    assert len(loads) == 2, "once to plan, once to work"


def test_models_that_do_not_fit_together_are_loaded_in_turn(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 2)
    listening = Listening()
    study = study_beside(tmp_path, "crowded", "also_crowded")
    with Store(tmp_path / "s.db", write=True) as store:
        planned = plan(study, tmp_path, listening)
        assert run(planned, store) == Summary(4, 4, 0)
    assert any("each is loaded when its turn comes" in line for line in listening.said)


def test_a_batch_that_finds_no_memory_is_asked_in_smaller_ones(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 2)
    assert do(study_beside(tmp_path, "narrow"), tmp_path / "narrow.db") == Summary(2, 2, 0)
    do(study_beside(tmp_path, "low"), tmp_path / "low.db")
    found = [[row[2:] for row in dump(tmp_path / name)] for name in ("narrow.db", "low.db")]
    assert [row[:7] for row in found[0]] == [row[:7] for row in found[1]]


def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 2)
    study = study_beside(tmp_path, "stuck", workers=2)
    driver = multiprocessing.get_context("forkserver").Process(target=do, args=(study, tmp_path / "s.db"))
    os.mkfifo(tmp_path / "stuck")
    driver.start()
    with open(tmp_path / "stuck") as told:
        workers = [told.readline().strip()]  # one is busy
        driver.kill()
        driver.join()
        workers += told.read().split()  # comes to an end once none lives that could still write
    driver.close()
    assert 1 <= len(set(workers)) <= 2


def test_workers_are_spread_over_the_gpus() -> None:
    assert list_devices("auto", 2) == list_devices("cuda", 2) == ["cuda:0", "cuda:1"]
    assert list_devices("cuda:1", 2) == ["cuda:1"]
    assert list_devices("auto", 0) == ["auto"]


class Scripted(Handle):
    """A worker that answers as it is told."""

    def __init__(self, script: Any) -> None:
        super().__init__()
        self.said: list[Event | Ready | Finished | Lost] = [Ready()]
        self.script = script
        self.dropped = self.stopped = False

    def send(self, chunk: Chunk) -> None:
        self.said += self.script(self, chunk)

    def drop(self) -> None:
        self.dropped = True

    def stop(self) -> None:
        self.stopped = True


class Fake(Pool):
    """Workers that answer as they are told, one after the other."""

    def __init__(self, script: Any, workers: int = 2, ready: bool = True) -> None:
        self.asked: list[tuple[int, int]] = []
        self.lines: list[str] = []
        super().__init__(workers, lambda *asked: self.asked.append(asked), self.lines.append)
        self.script, self.works = script, ready
        self.made: list[Scripted] = []

    def start(self) -> Handle:
        self.made.append(Scripted(self.script))
        if not self.works:
            self.made[-1].said = [Lost("no such library")]
        return self.made[-1]

    def wait(self, handles: Sequence[Handle]) -> list[tuple[Handle, Event | Ready | Finished | Lost]]:
        for handle in handles:
            assert isinstance(handle, Scripted)
            if handle.said:
                return [(handle, handle.said.pop(0))]
        raise AssertionError("the pool waits for nobody")


def units(count: int) -> tuple[Unit, ...]:
    return tuple(Unit(Source(i, f"{i}.wav", "", 1)) for i in range(count))


def finish(_: Scripted, chunk: Chunk) -> list[Event | Finished]:
    done = [Done(index, Failed("as planned")) for index in reversed(range(len(chunk.units)))]
    return [Asked(7), *done, Finished()]


def test_every_unit_is_done_once_and_questions_are_told() -> None:
    pool = Fake(finish)
    chunks = [Chunk("explain", model, units(3)) for model in (0, 1, 2)]
    done = [(chunk.model, unit.clip.id) for chunk, unit, _ in pool.run(chunks)]
    assert sorted(done) == [(model, clip) for model in (0, 1, 2) for clip in (0, 1, 2)]
    assert sorted(pool.asked) == [(0, 7), (1, 7), (2, 7)]


def test_nobody_is_started_for_nothing() -> None:
    pool = Fake(finish)
    assert list(pool.run([])) == []
    assert not pool.made


def test_a_model_that_fits_nowhere_fails_once_all_others_have_given_up_theirs() -> None:
    def script(_: Scripted, chunk: Chunk) -> list[Event | Finished]:
        return [NoRoom("too big"), Finished()] if chunk.model == 1 else finish(_, chunk)

    pool = Fake(script)
    done = [
        (chunk.model, unit.clip.id, outcome)
        for chunk, unit, outcome in pool.run([Chunk("judge", 0, units(2)), Chunk("judge", 1, units(2))])
    ]
    assert sorted(row[:2] for row in done) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [outcome for model, _, outcome in done if model == 1] == [Failed("too big")] * 2
    assert any(handle.dropped for handle in pool.made)


def test_workers_that_never_come_up_end_the_run() -> None:
    with pytest.raises(WorkerError, match="no such library"):
        list(Fake(finish, ready=False).run([Chunk("explain", 0, units(1))]))


def test_what_a_lost_worker_had_not_finished_is_done_one_by_one() -> None:
    sent: list[int] = []

    def script(_: Scripted, chunk: Chunk) -> list[Event | Finished | Lost]:
        sent.append(len(chunk.units))
        if any(unit.clip.id == 2 for unit in chunk.units):
            return [Done(0, Failed("done")), Lost("killed")] if len(chunk.units) > 1 else [Lost("killed")]
        return [*finish(_, chunk)]

    pool = Fake(script, workers=1)
    outcomes = {unit.clip.id: outcome for _, unit, outcome in pool.run([Chunk("explain", 0, units(4))])}
    assert sorted(sent) == [1, 1, 1, 1, 4]
    assert isinstance(outcomes[2], Failed)
    assert "killed" in outcomes[2].reason
    assert outcomes[1] == outcomes[3] == Failed("as planned")
    assert len(pool.lines) == 3


@pytest.mark.parametrize(
    ("run", "workers"),
    [({}, 8), ({"workers": 3}, 3), ({"device": "cpu"}, 1), ({"device": "cuda:0"}, 8), ({"executor": "ray"}, None)],
)
def test_a_gpu_is_shared_by_several_processes(
    run: dict[str, Any], workers: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert with_workers(RunSection(**run)).workers == workers
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert with_workers(RunSection(**run)).workers == (run.get("workers") or (None if "executor" in run else 1))
