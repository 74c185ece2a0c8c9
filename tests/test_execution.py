"""Executors: the same results from one process, several, and Ray; lost workers; models that find no room."""

from __future__ import annotations

from pathlib import Path

import pytest

from earwitness.study.run import Summary
from earwitness.study.store import Store
from earwitness.tables import study_tables
from test_study import do, dump, make_clips, study_of


def tables(path: Path) -> dict[str, str]:
    with Store(path) as store:
        return {name: table.write_csv() for name, table in study_tables(store).items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clips and a study of them done in this process."""
    folder = tmp_path_factory.mktemp("whole")
    make_clips(folder / "clips", 6)
    do(study_of(folder / "clips", "low", "also_low", "high"), folder / "one.db")
    return folder


def test_two_processes_give_the_same_tables_as_one(whole: Path, tmp_path: Path) -> None:
    study = study_of(whole / "clips", "low", "also_low", "high", run={"workers": 2})
    assert do(study, tmp_path / "two.db") == Summary(18, 18, 0)
    assert dump(tmp_path / "two.db") == dump(whole / "one.db")
    assert tables(tmp_path / "two.db") == tables(whole / "one.db")
