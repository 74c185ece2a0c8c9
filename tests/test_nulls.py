"""Null signals in a study: drawn once, judged by all, the same however the study came about."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from earwitness import LabelError, StoreError
from earwitness.analyses.chance import NULLS
from earwitness.study.answers import load_answers
from earwitness.study.run import Summary
from earwitness.study.store import Store
from earwitness.transferability.answers import unique_names
from stores import rewrite
from test_study import do, dump, make_clips, study_of


def nulls_of(path: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as db:
        return db.execute(
            "SELECT c.path, m.spec, p.kind, p.draw, s.kind, s.draw, s.mask, j.spec, t.log_probabilities FROM subsets s"
            " JOIN subsets p ON p.id = s.parent JOIN explanations e ON e.id = s.explanation"
            " JOIN clips c ON c.id = e.clip JOIN models m ON m.id = e.model JOIN transfers t ON t.subset = s.id"
            " JOIN models j ON j.id = t.model ORDER BY c.path, m.spec, s.kind, s.draw, j.spec"
        ).fetchall()


def test_every_set_has_its_nulls_and_all_models_judge_them(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 2)
    study = study_of(tmp_path / "clips", "low", "high", transfer={"nulls": 2})
    do(study, tmp_path / "s.db")
    with Store(tmp_path / "s.db") as store:
        answers = load_answers(store)
        sizes = {row["subset"]: store.mask(row["subset"]).sum() for row in answers.nulls.to_dicts()}
    assert set(answers.judgements["kind"]).isdisjoint(NULLS)
    parents = answers.judgements.select("subset", "judge", parent_size="size", parent_energy="energy")
    nulls = answers.nulls.join(parents, left_on=["parent", "judge"], right_on=["subset", "judge"])
    assert nulls.height == answers.nulls.height
    # a clip and model: 3 sets (sufficient, complete, one_complete) x 2 draws x 3 kinds, and silence; two judges
    assert nulls.group_by("clip", "source").len()["len"].to_list() == [(3 * 2 * 3 + 1) * 2] * 4
    same = nulls.filter(pl.col("kind").is_in(["null_size", "null_profile"]))
    assert same["size"].to_list() == same["parent_size"].to_list() == [sizes[i] for i in same["subset"]]
    quiet = nulls.filter(pl.col("kind") == "silence")
    assert quiet["size"].to_list() == [0] * 8
    assert not quiet["accepted"].any()  # planted models say no to silence
    assert not same.filter(pl.col("kind") == "null_size")["accepted"].any()  # five bins of 1601 by chance: never


def test_nulls_are_drawn_once_and_more_change_none(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 2)
    do(study_of(tmp_path / "clips", "low", transfer={"nulls": 0}), tmp_path / "s.db")
    assert nulls_of(tmp_path / "s.db") == []
    one = study_of(tmp_path / "clips", "low", "high")
    # two clips: high is explained, then both models judge what is new to them
    assert do(one, tmp_path / "s.db") == Summary(explained=2, judged=4, failed=0)
    assert do(one, tmp_path / "s.db") == Summary(0, 0, 0)
    first = nulls_of(tmp_path / "s.db")
    do(one, tmp_path / "whole.db")
    assert nulls_of(tmp_path / "whole.db") == first
    assert dump(tmp_path / "whole.db") == dump(tmp_path / "s.db")
    more = study_of(tmp_path / "clips", "low", "high", transfer={"nulls": 3})
    assert do(more, tmp_path / "s.db") == Summary(0, 4, 0)
    assert set(first) < set(nulls_of(tmp_path / "s.db"))
    assert do(one, tmp_path / "s.db") == Summary(0, 0, 0)


def test_a_store_of_fewer_kinds_gets_what_it_lacks(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 2)
    do(study_of(tmp_path / "clips", "low", "high", transfer={"nulls": 2}), tmp_path / "s.db")
    whole = nulls_of(tmp_path / "s.db")
    with rewrite(tmp_path / "s.db") as db:
        gone = "(SELECT id FROM subsets WHERE kind = 'null_profile')"
        db.execute(f"DELETE FROM transfers WHERE subset IN {gone}")
        db.execute("DELETE FROM subsets WHERE kind = 'null_profile'")
    # of the other kinds there are more than it asks for
    do(study_of(tmp_path / "clips", "low", "high", transfer={"nulls": 1}), tmp_path / "s.db")
    there = nulls_of(tmp_path / "s.db")
    assert [row for row in whole if row[4] != "null_profile" or row[5] < 3] == there


def test_overlaps_are_by_energy(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 1)
    study = study_of(tmp_path / "clips", "low", "also_low", "high")
    do(study, tmp_path / "s.db")
    with Store(tmp_path / "s.db") as store:
        answers = load_answers(store)
        energies = answers.judgements.filter(pl.col("kind") == "sufficient").unique("source")
    own = {row["source"].rpartition(":")[2]: row["energy"] for row in energies.to_dicts()}
    table = answers.overlaps.filter(pl.col("kind") == "sufficient").with_columns(
        pl.col("source", "judge").str.split(":").list.last()
    )  # fmt: skip
    found = {(row["source"], row["judge"]): (row["jaccard"], row["weighted"]) for row in table.to_dicts()}
    # low needs bins 58-62, also_low 58-61
    assert found["low", "also_low"] == found["also_low", "low"] == (0.8, pytest.approx(own["also_low"] / own["low"]))
    assert found["low", "high"] == (0, 0)
    assert len(found) == 6


def test_a_clip_that_is_gone_is_a_failed_row(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 2)
    study = study_of(tmp_path / "clips", "low", transfer={"nulls": 0})
    do(study, tmp_path / "s.db")
    with Store(tmp_path / "s.db", write=True) as store:
        from earwitness.errors import AudioError
        from earwitness.study.progress import Quiet
        from earwitness.study.stages.nulls import add_nulls

        def gone() -> Any:
            raise AudioError("gone")

        key = store.settings_key()
        add_nulls(store, key, {1: gone}, 1, 0, Quiet())
        assert store.frame("SELECT stage, reason FROM failures").rows() == [("nulls", "gone")]


def test_only_the_models_of_the_plan_count(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 1)
    do(study_of(tmp_path / "clips", "low", "also_low", "high"), tmp_path / "s.db")
    do(study_of(tmp_path / "clips", "low", "high"), tmp_path / "s.db")
    with Store(tmp_path / "s.db") as store:
        answers = load_answers(store)
    for names in (answers.models["model"], answers.judgements["source"], answers.nulls["judge"]):
        assert {name.rpartition(":")[2] for name in names} == {"low", "high"}


def test_a_stored_answer_with_nan_and_one_label_are_refused(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 1)
    do(study_of(tmp_path / "clips", "low", "high"), tmp_path / "s.db")
    with rewrite(tmp_path / "s.db") as db:
        nan = np.full(3, np.nan, dtype="<f4").tobytes()
        subset = db.execute("SELECT min(subset) FROM transfers").fetchone()[0]
        db.execute("UPDATE transfers SET log_probabilities = ? WHERE subset = ?", (nan, subset))
    with Store(tmp_path / "s.db") as store, pytest.raises(StoreError, match=f"subset {subset}, model 1 is damaged"):
        load_answers(store)
    with rewrite(tmp_path / "s.db") as db:
        db.execute("UPDATE settings SET labels = '[\"yes\"]'")
    with Store(tmp_path / "s.db") as store, pytest.raises(LabelError, match="1 label after alignment"):
        load_answers(store)
    with Store(tmp_path / "empty.db", write=True) as store, pytest.raises(StoreError, match="no study"):
        load_answers(store)


def test_models_of_one_spec_are_told_apart() -> None:
    assert unique_names(["a", "b", "a"], ["0123456789", "1", "abcdefabcdef"]) == ["a#01234567", "b", "a#abcdefab"]
