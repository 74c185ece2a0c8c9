"""A study that is killed, a disk that is full, stores that cannot be used: nothing is lost, nothing done twice."""

from __future__ import annotations

import multiprocessing
import os
import re
import sqlite3
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earwitness import StoreError
from earwitness.study.file import Study, parse_study
from earwitness.study.plan import plan
from earwitness.study.progress import Logged, Quiet
from earwitness.study.run import run
from earwitness.study.store import Store
from test_execution import tables
from test_study import MODELS, Listening, do, dump, make_clips, study_of

KILLS = 20
NAMES = ("low", "also_low", "high")


class Telling(Quiet):
    """Tells another process of each unit done."""

    def __init__(self, to: Connection) -> None:
        self.to = to

    def advance(self, units: int = 1, stage: str | None = None) -> None:
        if stage is not None:  # not the reading of clips
            self.to.send(stage)


def work(study: Study, path: Path, to: Connection) -> None:
    """The life of the process that is killed."""
    with Store(path, write=True) as store, Logged(Telling(to), path.with_suffix(".log")) as reporter:
        run(plan(study, path.parent), store, reporter)


def committed(path: Path) -> dict[str, int]:
    """Units in the store by stage and model."""
    if not path.exists():
        return {}
    with sqlite3.connect(path) as db:
        if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return {}
        explained = db.execute(
            "SELECT m.spec, count(*) FROM explanations e JOIN models m ON m.id = e.model GROUP BY m.spec"
        ).fetchall()
        judged = db.execute(
            "SELECT m.spec, count(DISTINCT e.clip) FROM transfers t JOIN models m ON m.id = t.model"
            " JOIN subsets s ON s.id = t.subset JOIN explanations e ON e.id = s.explanation GROUP BY m.spec"
        ).fetchall()
    return {**{f"explain {spec}": n for spec, n in explained}, **{f"judge {spec}": n for spec, n in judged}}


def to_do(log: str) -> dict[str, int]:
    """What a run said it had to do, by stage and model."""
    return {stage: int(n) for stage, n in re.findall(r"((?:explain|judge) \S+): (\d+) to do", log)}


def test_killed_at_20_random_moments_it_ends_as_if_it_never_had_been(tmp_path: Path) -> None:
    rng, clips = np.random.default_rng(7), 5
    make_clips(tmp_path / "clips", clips, samples=800)
    study = study_of(tmp_path / "clips", *NAMES)
    do(study, tmp_path / "whole.db")
    whole = dump(tmp_path / "whole.db")
    total = committed(tmp_path / "whole.db")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["earwitness.study.run"])
    kills = finished = 0
    while kills < KILLS or finished == 0:
        path = tmp_path / f"{finished}.db"
        log = path.with_suffix(".log")
        before, read = committed(path), log.stat().st_size if log.exists() else 0
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(study, path, theirs))
        process.start()
        theirs.close()
        doomed = kills < KILLS
        if doomed:
            kill_soon(process, ours, rng)
        process.join()
        said = to_do(log.read_text()[read:]) if log.exists() else {}
        # what a run sets out to do is what the store did not hold: nothing committed is done again
        for stage, number in said.items():
            assert number == total[stage] - before.get(stage, 0), stage
        after = committed(path)
        assert all(after[stage] >= number for stage, number in before.items()), "something was lost"
        ours.close()
        if process.exitcode == 0:
            finished += 1
            assert dump(path) == whole
            assert tables(path) == tables(tmp_path / "whole.db")
        else:
            assert process.exitcode == -9
            kills += 1
        process.close()
    assert kills == KILLS


def kill_soon(process: BaseProcess, said: Connection, rng: np.random.Generator) -> None:
    """Kill a process some units further on, at any moment of the next one."""
    for _ in range(rng.integers(0, 4)):
        if not said.poll(60) or not receive(said):
            break
    process.join(rng.uniform(0, 0.05))
    process.kill()


def receive(connection: Connection) -> bool:
    """Whether there was something to be heard."""
    try:
        connection.recv()
    except EOFError:
        return False
    return True


def test_a_full_disk_ends_the_run_and_loses_nothing(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 8, samples=800)
    study = study_of(tmp_path / "clips", "low", "high")
    do(study, tmp_path / "whole.db")
    with Store(tmp_path / "s.db", write=True) as store:
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages + 1}")
        with pytest.raises(StoreError, match=r"s\.db: cannot be written \(database or disk is full\); earlier"):
            run(plan(study, tmp_path), store)
    assert sum(committed(tmp_path / "s.db").values()) > 0
    do(study, tmp_path / "s.db")
    assert dump(tmp_path / "s.db") == dump(tmp_path / "whole.db")


def test_a_store_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 1)
    study = study_of(tmp_path / "clips", "low", "high")
    do(study, tmp_path / "s.db")
    before = dump(tmp_path / "s.db")
    with Store(tmp_path / "s.db", write=True) as store:
        store._db.execute("PRAGMA query_only = ON")  # what a read-only place does, also to the superuser
        with pytest.raises(StoreError, match="readonly database"):
            run(plan(study, tmp_path), store)
    assert dump(tmp_path / "s.db") == before
    if os.geteuid() != 0:
        (tmp_path / "s.db").chmod(0o444)
        with pytest.raises(StoreError, match="check the path and its rights"):
            Store(tmp_path / "s.db", write=True)


@pytest.mark.parametrize("share", [0.3, 0.7])
@pytest.mark.parametrize("write", [True, False])
def test_a_truncated_store_is_refused_and_left_as_it_is(tmp_path: Path, share: float, write: bool) -> None:
    make_clips(tmp_path / "clips", 2)
    do(study_of(tmp_path / "clips", "low", "high"), tmp_path / "s.db")
    content = (tmp_path / "s.db").read_bytes()
    cut = content[: int(len(content) * share)]
    (tmp_path / "s.db").write_bytes(cut)
    with pytest.raises(StoreError, match="restore a copy"), Store(tmp_path / "s.db", write=write) as store:
        study_tables_of(store)
    assert (tmp_path / "s.db").read_bytes() == cut


def test_damage_inside_a_store_is_one_message(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 2)
    do(study_of(tmp_path / "clips", "low", "high"), tmp_path / "s.db")
    content = bytearray((tmp_path / "s.db").read_bytes())
    content[8192:] = os.urandom(len(content) - 8192)
    (tmp_path / "s.db").write_bytes(content)
    with pytest.raises(StoreError, match="restore a copy"), Store(tmp_path / "s.db") as store:
        study_tables_of(store)


def study_tables_of(store: Store) -> Any:
    from earwitness.study.answers import study_tables
    from earwitness.study.status import study_status

    study_status(store)
    return study_tables(store)


def test_a_finished_store_is_one_plain_file(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 1)
    do(study_of(tmp_path / "clips", "low", "high"), tmp_path / "s.db")
    assert sorted(path.name for path in tmp_path.glob("s.db*")) == ["s.db", "s.db.lock"]
    with sqlite3.connect(tmp_path / "s.db") as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_clip_that_vanishes_or_changes_after_it_was_read_becomes_a_failed_row(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 3)
    study = study_of(tmp_path / "clips", "low", "high")

    class Meddling(Quiet):
        def stage(self, name: str, total: int, most: int = 0) -> None:
            if name.startswith("explain"):
                (tmp_path / "clips" / "clip0.wav").unlink(missing_ok=True)
                (tmp_path / "clips" / "clip2.wav").write_bytes((tmp_path / "clips" / "clip1.wav").read_bytes())

    with Store(tmp_path / "s.db", write=True) as store:
        summary = run(plan(study, tmp_path), store, Meddling())
        reasons = store.frame("SELECT DISTINCT stage, clip AS path, reason FROM failures ORDER BY path").rows()
    assert summary.explained == 2
    assert summary.failed == 8
    assert {(stage, Path(clip).name) for stage, clip, _ in reasons} == {
        (stage, name) for stage in ("explain", "judge") for name in ("clip0.wav", "clip2.wav")
    }
    assert all("no such file" in reason or "has changed" in reason for _, _, reason in reasons)


def test_only_correct_explains_only_what_is_labelled_rightly(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 4)
    for number, label in enumerate(("Yes", "no", "yes", "violin")):
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / "clips" / f"clip{number}.wav").rename(tmp_path / label / f"{number}.wav")
    (tmp_path / "clips").rmdir()
    listening = Listening()
    study = parse_study({
        "models": [f"python:{MODELS}:low", f"python:{MODELS}:high"], "only_correct": True,
        "data": [{"path": "."}], "search": {"delta": 0.9},
    })  # fmt: skip
    with Store(tmp_path / "s.db", write=True) as store:
        planned = plan(study, tmp_path)
        first = run(planned, store, listening)
        # every model says yes to every clip: two of the four are explained, all are answered
        assert (first.explained, first.failed) == (4, 0)
        assert store.frame("SELECT count(*) AS n FROM originals")["n"][0] == 8
        paths = store.frame("SELECT DISTINCT c.path FROM explanations e JOIN clips c ON c.id = e.clip")["path"]
        assert sorted(Path(path).name for path in paths) == ["0.wav", "2.wav"]
        assert "1 clips are not explained" in " ".join(listening.said)
        second = run(planned, store)
        assert (second.explained, second.judged) == (0, 0)
