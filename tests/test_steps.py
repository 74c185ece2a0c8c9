"""Robust sets and curves as steps of a study: found, stored, judged, resumed, extended."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from earwitness import transfer
from earwitness.analyses.robustness import find_robust
from earwitness.analyses.settings import CurveSettings
from earwitness.errors import ConfigError
from earwitness.explanation import Subset, explain
from earwitness.models import Classifier, open_model
from earwitness.search.settings import RobustSettings, SearchSettings
from earwitness.signal import audio
from earwitness.signal.masks import from_runs
from earwitness.study.answers import load_answers, study_tables
from earwitness.study.export import export_tables
from earwitness.study.file import load_study
from earwitness.study.plan import plan
from earwitness.study.run import Summary
from earwitness.study.store import Store, facts
from earwitness.transferability.tables import make_tables
from test_study import MODELS, RATE, do, make_clips, study_of

SAMPLES = 800  # 401 bins
ROBUST = {"views": ["noise:30", "gain:6"], "searched": 8, "questions": 1500}
CURVES = {"levels": [0.05, 0.2, 0.5, 1.0], "draws": 1, "profiles": 1}
EVIDENCE: dict[str, Any] = {"robust": ROBUST, "curves": CURVES}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("steps")
    make_clips(folder / "clips", 2, SAMPLES)
    do(study_of(folder / "clips", "high", "other", **EVIDENCE), folder / "s.db")
    return folder / "s.db"


def rows_of(path: Path) -> list[tuple[Any, ...]]:
    """All sets, null signals and judgements, by content."""
    with sqlite3.connect(path) as db:
        return db.execute(
            "SELECT c.sha256, m.spec, s.kind, s.draw, s.mask, s.certificate, s.options, j.spec, t.log_probabilities"
            " FROM signals s JOIN explanations e ON e.id = s.explanation JOIN clips c ON c.id = e.clip"
            " JOIN models m ON m.id = e.model LEFT JOIN transfers t ON t.subset = s.id"
            " LEFT JOIN models j ON j.id = t.model ORDER BY 1, 2, 3, 4, 8"
        ).fetchall()


def answers_of(path: Path) -> tuple[list[Any], list[Any]]:
    with Store(path) as store:
        answers = load_answers(store)
    return answers.survival.rows(), answers.nested.rows()


def test_robust_sets_are_those_of_python_and_are_judged(made: Path) -> None:
    with Store(made) as store:
        answers = load_answers(store)
    classifier = Classifier(open_model(f"python:{MODELS}:high"))
    for path in sorted((made.parent / "clips").glob("*.wav")):
        one = explain(audio.read(path, RATE), classifier, SearchSettings(delta=0.9, budget=600))
        found = find_robust(one, classifier, RobustSettings(("noise:30", "gain:6"), searched=8, questions=1500))
        assert isinstance(found.robust, Subset)
        mask = from_runs(found.robust.runs, one.spectrum.size)
        assert np.flatnonzero(mask).tolist() == [200, 201, 202]
        own = answers.judgements.filter(
            (pl.col("path") == str(path)) & pl.col("source").str.ends_with(":high") & (pl.col("kind") == "robust")
        )
        assert own["size"].unique().to_list() == [3]
        assert dict(own.select(pl.col("judge").str.split(":").list.last(), "accepted").iter_rows()) == {
            "high": True, "other": False,
        }  # fmt: skip
        rows = answers.survival.filter((pl.col("source").str.ends_with(":high")) & (pl.col("clip") == own["clip"][0]))
        for_all = answers.judgements.filter(pl.col("clip") == own["clip"][0], pl.col("source").str.ends_with(":high"))
        assert set(rows.select("kind", "draw").iter_rows()) == set(
            for_all.filter(pl.col("kind") != "inverse").select("kind", "draw").iter_rows()
        )
        held = {(kind, draw): (held, views) for kind, draw, held, views in rows.select(
            "kind", "draw", "held", "views").iter_rows()}  # fmt: skip
        assert held == {name: (survival.held, survival.views) for name, survival in found.survival.items()}
        assert held["robust", 0] == (64, 64)


def test_robust_sets_have_null_signals_of_their_own(made: Path) -> None:
    with Store(made) as store:
        answers = load_answers(store)
    sets = answers.judgements.filter(pl.col("kind").str.starts_with("robust")).unique("subset")
    nulls = answers.nulls.filter(pl.col("parent").is_in(sets["subset"].to_list())).unique("subset")
    joined = nulls.join(sets.select(parent="subset", wanted="size"), on="parent")
    counts = joined.group_by("parent", "kind").len()
    assert set(counts["kind"]) == {"null_size", "null_energy", "null_profile"}  # silence is the others' too
    assert counts["len"].unique().to_list() == [1]
    assert len(counts) == 3 * len(sets) == 3 * 2 * 2 * 2
    assert joined.filter(pl.col("kind") == "null_size").select((pl.col("size") == pl.col("wanted")).all()).item()


def test_curves_are_those_of_python(made: Path) -> None:
    classifiers = [Classifier(open_model(f"python:{MODELS}:{name}")) for name in ("high", "other")]
    clips = [audio.read(path, RATE) for path in sorted((made.parent / "clips").glob("*.wav"))]
    settings = SearchSettings(delta=0.9, budget=600)
    explained = [explain(clip, classifier, settings) for clip in clips for classifier in classifiers]
    curves = CurveSettings(levels=(0.05, 0.2, 0.5, 1.0), draws=1, profiles=1)
    wanted = make_tables(transfer(explained, classifiers, curves=curves))
    with Store(made) as store:
        tables = study_tables(store)
    for name in ("transfer_curves", "shared_evidence"):
        assert tables[name].equals(wanted[name]), name
        assert len(tables[name])


def test_a_study_that_was_interrupted_or_extended_is_the_same(made: Path, tmp_path: Path) -> None:
    """Evidence added to a plain study, clip by clip and model by model, step by step."""
    clips = made.parent / "clips"
    path = tmp_path / "s.db"
    do(study_of(clips, "high", data=[{"path": str(clips), "include": "*0.wav"}]), path)
    assert answers_of(path) == ([], [])
    assert do(study_of(clips, "high"), path) == Summary(1, 1, 0)
    assert do(study_of(clips, "high", robust=ROBUST), path) == Summary(0, 2, 0, tested=2)
    assert do(study_of(clips, "high", **EVIDENCE), path) == Summary(0, 0, 0, traced=2)
    assert do(study_of(clips, "high", "other", **EVIDENCE), path) == Summary(2, 4, 0, tested=2, traced=4)
    assert do(study_of(clips, "high", "other", **EVIDENCE), path) == Summary(0, 0, 0)
    assert rows_of(path) == rows_of(made)
    assert answers_of(path) == answers_of(made)


def test_a_store_from_before_there_was_evidence_gets_only_that(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store of schema 3, made by the version that wrote it of the same recordings and models."""
    # its searches were of revision 5, which knew no effort: what they found is not what is found today
    monkeypatch.setattr(facts, "REVISION", 5)
    monkeypatch.setattr(facts, "asdict", lambda settings: {k: v for k, v in asdict(settings).items() if k != "effort"})
    path, clips = tmp_path / "s.db", made.parent / "clips"
    shutil.copy(Path(__file__).with_name("fixtures") / "schema-3.db", path)
    assert do(study_of(clips, "high", "other"), path) == Summary(0, 0, 0)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM subsets").fetchone() == (56,)
        assert db.execute("SELECT count(*) FROM transfers").fetchone() == (112,)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    assert do(study_of(clips, "high", "other", **EVIDENCE), path) == Summary(0, 4, 0, tested=4, traced=4)
    # where the models lay is their spec until they are planned anew: all else is as if made today
    assert [row[:1] + row[2:7] + row[8:] for row in rows_of(path)] == [
        row[:1] + row[2:7] + row[8:] for row in rows_of(made)
    ]


def test_workers_change_nothing(made: Path, tmp_path: Path) -> None:
    clips = made.parent / "clips"
    assert do(study_of(clips, "high", "other", run={"workers": 2}, **EVIDENCE), tmp_path / "s.db").failed == 0
    assert rows_of(tmp_path / "s.db") == rows_of(made)
    assert answers_of(tmp_path / "s.db") == answers_of(made)


def test_other_options_have_sets_of_their_own_and_lose_none(made: Path, tmp_path: Path) -> None:
    clips, path = made.parent / "clips", tmp_path / "s.db"
    path.write_bytes(made.read_bytes())
    other = {**ROBUST, "views": ["noise:40"]}
    assert do(study_of(clips, "high", "other", robust=other, curves=CURVES), path) == Summary(0, 4, 0, tested=4)
    assert {row[6] for row in rows_of(path)}.isdisjoint({row[6] for row in rows_of(made)} - {""})
    assert do(study_of(clips, "high", "other", **EVIDENCE), path) == Summary(0, 0, 0)
    assert rows_of(path) == rows_of(made)
    assert do(study_of(clips, "high", "other"), path) == Summary(0, 0, 0)  # without: as if never sought
    assert not [row for row in rows_of(path) if row[6] or row[2].startswith("robust")]
    assert answers_of(path) == ([], [])


def test_an_explanation_made_again_has_its_robust_sets_made_again(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(made.read_bytes())
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("DELETE FROM explanations WHERE clip = 1 AND model = 1")
    done = do(study_of(made.parent / "clips", "high", "other", **EVIDENCE), path)
    assert (done.explained, done.tested) == (1, 1)
    assert rows_of(path) == rows_of(made)


def test_what_others_are_is_said_and_a_unit_without_any_fails(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 1, SAMPLES)
    study = study_of(tmp_path / "clips", "high", "other", robust={**ROBUST, "views": ["noise:30", "others"]})
    summary = do(study, tmp_path / "s.db")
    assert (summary.tested, summary.failed, summary.judged) == (0, 2, 2)
    with Store(tmp_path / "s.db") as store:
        reasons = {row["reason"] for row in store.list_failures(store.settings_key())}
    assert len(reasons) == 1
    assert "no recording with another label" in reasons.pop()


def test_tables_and_exports_have_them(made: Path) -> None:
    with Store(made) as store:
        tables, exported = study_tables(store), dict(export_tables(store))
    survival = tables["survival"].filter(pl.col("kind") == "robust")
    assert survival.select("source", "survival", "always", "sought", "found").rows() == [
        ("planted_models.py:high", 1.0, 1.0, 2, 1.0), ("planted_models.py:other", 1.0, 1.0, 2, 1.0),
    ]  # fmt: skip
    matrix = tables["matrix_robust"].filter(pl.col("model") == "planted_models.py:high")
    assert matrix.select("planted_models.py:high", "planted_models.py:other").row(0) == (1.0, 0.0)
    assert {"robust", "robust_complete"} <= set(exported["subsets"]["kind"])
    assert len(exported["survival"]) == len(exported["judgements"].unique("subset").filter(pl.col("kind") != "inverse"))
    assert set(exported["nested"]["order"]) == {"map", "profile", "energy", "random"}
    assert not [name for name in exported if name in ("result curves", "result survival")]


def test_bad_views_and_levels_are_refused_with_the_file(tmp_path: Path) -> None:
    head = 'models = ["builtin:mtt-vgg"]\n[[data]]\npath = "builtin"\n'
    for section, said in (
        ("[robust]\nlevel = 2", "level"),
        ("[curves]\nlevels = [0.5, 0.2]", "rising"),
        ("[curves]\ndraw = 2", "draws"),
    ):
        (tmp_path / "study.toml").write_text(head + section)
        with pytest.raises(ConfigError, match=said):
            load_study(tmp_path / "study.toml")
    with pytest.raises(ConfigError, match="did you mean 'noise'"):
        plan(study_of(tmp_path, "high", robust={"views": ["nose:30"]}), tmp_path)
