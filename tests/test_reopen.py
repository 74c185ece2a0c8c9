"""A study read back from its store, the results of analyses, and stores of an older schema."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
from contextlib import closing
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from earwitness import AudioError, SearchSettings, StoreError
from earwitness.search.settings import REVISION, ROBUST_REVISION
from earwitness.study.answers import study_tables
from earwitness.study.reopen import reopen
from earwitness.study.status import study_status, tell_environment
from earwitness.study.store import Store
from earwitness.study.store.schema import SCHEMA_VERSION
from earwitness.transferability.options import Options
from test_study import do, make_clips, study_of


def test_a_study_is_read_back_from_its_store_alone(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 2)
    do(study_of(tmp_path / "clips", "low", "high"), tmp_path / "s.db")
    with Store(tmp_path / "s.db") as store:
        study = reopen(store, trust_models=True)
        subsets = study.subsets("sufficient")
        assert subsets["clip"].n_unique() == 2
        assert subsets["model"].n_unique() == 2
        assert subsets["label"].to_list() == subsets["answer"].to_list()
        classifiers = study.classifiers()
        for row in subsets.iter_rows(named=True):
            signal, clip = study.signal(row["subset"]), study.read(row["clip"])
            assert signal.shape == clip.samples.shape
            power = np.abs(np.fft.rfft(signal.astype(np.float64))) ** 2
            assert (power > 1e-6 * max(power.max(), 1e-9)).sum() == row["size"]
            assert tuple(classifiers[row["model"]].labels) == study.labels
        (tmp_path / "clips" / "clip0.wav").unlink()
        with pytest.raises(AudioError, match="no such file"):
            study.read(study.clips["clip"][0])


def test_results_of_an_analysis_come_back_as_they_went_in(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"model": "a", "share": 0.25}, {"model": "b", "share": None}]
    with Store(tmp_path / "s.db", write=True) as store:
        assert store.results("k", "composition").is_empty()
        store.add_results("k", "composition", {"seed": 1}, "one", rows, np.array([1, 2], dtype=np.float32))
        store.add_results("k", "composition", {"seed": 1}, "none", [])
        store.add_results("k", "composition", {"seed": 2}, "two", [{"model": "c", "share": 1.0}])
        assert store.done_units("k", "composition", {"seed": 1}) == {"one", "none"}
        assert store.last_options("k", "composition") == {"seed": 2}
        assert store.results("k", "composition")["unit"].to_list() == ["two"]
        assert store.results("k", "composition", {"seed": 1}).to_dicts() == [{"unit": "one", **row} for row in rows]
        assert store.result_array("k", "composition", "one", {"seed": 1}).tolist() == [1, 2]
        with pytest.raises(StoreError):
            store.result_array("k", "composition", "two")
        store.add_results("k", "composition", {"seed": 1}, "one", rows[:1])
        assert store.last_options("k", "composition") == {"seed": 1}
        assert len(store.results("k", "composition")) == 1
        assert store.analyses("k") == ["composition"]


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_store_of_an_older_schema_is_brought_up_to_date_and_keeps_its_rows(version: int, tmp_path: Path) -> None:
    """Made by the versions that wrote these schemas, of the same two recordings and two models each."""
    path = tmp_path / "s.db"
    shutil.copy(Path(__file__).with_name("fixtures") / f"schema-{version}.db", path)
    rows = "SELECT id, kind, draw, mask, energy, certificate, queries, log_probabilities FROM subsets ORDER BY id"
    answers = "SELECT subset, model, log_probabilities FROM transfers ORDER BY 1, 2"
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (version,)
        before = [db.execute(query).fetchall() for query in (rows, answers)]
    assert all(before)
    with pytest.raises(StoreError, match=f"schema {version}"):
        Store(path)
    Store(path, write=True).close()
    with closing(sqlite3.connect(path)) as db:
        assert [db.execute(query).fetchall() for query in (rows, answers)] == before
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert db.execute("SELECT count(*) FROM planned_models").fetchone() == (2,)
        assert db.execute("SELECT count(*) FROM planned_clips").fetchone() == (2,)
    assert schema_of(path) == schema_of_new(tmp_path / "new.db")
    with Store(path) as store:
        assert (study_status(store)["models"], study_status(store)["explanations"]) == (2, 4)
        alpha = study_tables(store, Options(draws=10))["matrix_sufficient"].head(2)
        assert alpha.select(pl.nth(1, 2)).null_count().row(0) == (0, 0)
        assert store.results("k", "composition").is_empty()


def schema_of(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Tables and their columns."""
    with sqlite3.connect(path) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: db.execute(f"PRAGMA table_info({name})").fetchall() for name in names}


def schema_of_new(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    Store(path, write=True).close()
    return schema_of(path)


def test_a_search_that_finds_other_sets_has_other_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(tmp_path / "s.db", write=True) as store:
        key = store.add_settings(SearchSettings(), ("a", "b"))
        assert store.add_settings(SearchSettings(), ("a", "b")) == key
        monkeypatch.setattr("earwitness.study.store.facts.REVISION", -1)
        assert store.add_settings(SearchSettings(), ("a", "b")) != key


def test_settings_from_before_efforts_are_those_of_a_thorough_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = asdict(SearchSettings(delta=0.25))
    before = {name: value for name, value in now.items() if name != "effort"}
    monkeypatch.setattr("earwitness.study.store.facts.asdict", lambda settings: before)
    with Store(tmp_path / "s.db", write=True) as store:
        key = store.add_settings(SearchSettings(delta=0.25), ("a", "b"))
        assert store.search_settings(key) == SearchSettings(delta=0.25, effort="thorough")


def environments(path: Path) -> list[dict[str, Any]]:
    with Store(path) as store:
        return list(study_status(store)["environments"])


def test_where_it_was_made_is_stored_once_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of(tmp_path / "clips", "low")
    for count in (1, 2):
        make_clips(tmp_path / "clips", count)
        do(study, tmp_path / "s.db")
    (made,) = environments(tmp_path / "s.db")
    assert made["libraries"]["torch"] == version("torch")
    assert made["revision"] == [REVISION, ROBUST_REVISION]
    assert made["threads"] == torch.get_num_threads()
    assert made["cores"] == os.cpu_count()
    told = tell_environment(made)
    assert f"torch {version('torch')}" in told
    assert f"Python {platform.python_version()}" in told
    monkeypatch.setattr(os, "cpu_count", lambda: 77)  # another machine
    do(study, tmp_path / "s.db")
    assert environments(tmp_path / "s.db") == [made]  # which had nothing to do
    make_clips(tmp_path / "clips", 3)
    do(study, tmp_path / "s.db")
    assert environments(tmp_path / "s.db") == [made, {**made, "cores": 77}]
