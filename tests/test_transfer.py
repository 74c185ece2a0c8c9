"""Transfer without a study: what classifiers say to the signals of explanations, the same as in a study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import earwitness
from earwitness import Classifier, ConfigError, Explanation, LabelError, RobustSettings, SearchSettings
from earwitness.models.callables import CallableModel
from earwitness.signal import audio
from earwitness.study.answers import load_answers
from earwitness.study.store import Store
from earwitness.transferability.tables import make_tables
from planted_models import Band, other_labels
from test_study import RATE, do, make_clips, study_of


def classifier(band: Band, name: str) -> Classifier:
    return Classifier(CallableModel(band, band.labels, RATE, spec=name, fingerprint=band.fingerprint))


LOW, ALSO, HIGH = (classifier(Band(*ends), name) for name, ends in
                   {"low": (58, 63), "also_low": (58, 62), "high": (200, 203)}.items())  # fmt: skip


def explained(folder: Path, *classifiers: Classifier, clips: int = 1) -> list[Explanation]:
    make_clips(folder, clips)
    return [
        earwitness.explain(audio.read(path, RATE), one, SearchSettings(delta=0.9))
        for path in sorted(folder.glob("*.wav")) for one in classifiers
    ]  # fmt: skip


def test_transfer_is_the_studys(tmp_path: Path) -> None:
    explanations = explained(tmp_path / "clips", LOW, ALSO, HIGH, clips=2)
    answers = earwitness.transfer(explanations, [LOW, ALSO, HIGH])
    do(study_of(tmp_path / "clips", "low", "also_low", "high"), tmp_path / "s.db")
    with Store(tmp_path / "s.db") as store:
        stored = load_answers(store)
    short = pl.col("source", "judge").str.split(":").list.last()
    columns = ("path", "source", "judge", "kind", "draw", "size", "energy", "label", "answer", "accepted", "rank")
    for mine, theirs in ((answers.judgements, stored.judgements), (answers.overlaps, stored.overlaps)):
        names = [name for name in (*columns, "jaccard", "weighted") if name in mine.columns]
        first, second = (table.with_columns(short).select(names).sort(names) for table in (mine, theirs))
        assert first.equals(second)
    # null signals have fingerprints of their own: these callables' are others than the study's files'
    assert answers.nulls.height == stored.nulls.height
    matrix = make_tables(answers)["matrix_sufficient"]
    np.testing.assert_array_equal(matrix.select("low", "also_low", "high")[:3].to_numpy(),
                                  [[1, 1, 0], [0, 1, 0], [0, 0, 1]])  # fmt: skip


def test_one_explanation_and_one_other_model(tmp_path: Path) -> None:
    (explanation,) = explained(tmp_path / "clips", LOW)
    answers = earwitness.transfer(explanation, [ALSO], nulls=3)
    assert answers.models["model"].to_list() == ["also_low", "low"]
    own = answers.judgements.filter(pl.col("kind") == "sufficient")
    assert own.select("source", "judge", "accepted").rows() == [("low", "also_low", True)]
    assert answers.nulls["kind"].value_counts().sort("kind").rows() == [
        ("null_energy", 9), ("null_profile", 9), ("null_size", 9), ("silence", 1),
    ]  # fmt: skip
    assert earwitness.transfer(explanation, [ALSO], nulls=0).nulls.is_empty()


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    (explanation,) = explained(tmp_path / "clips", LOW)
    with pytest.raises(LabelError, match="other labels than low; align the models first"):
        earwitness.transfer(explanation, [classifier(other_labels(), "german")])
    with pytest.raises(ConfigError, match="nothing to compare"):
        earwitness.transfer([], [LOW])
    single = Classifier(LOW.model, ["yes"], [[0, 1, 2]])
    with pytest.raises(LabelError, match="1 label after alignment"):
        earwitness.transfer(replace(explanation, labels=("yes",)), [single])


def test_robust_sets_transfer_as_in_a_study(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"level": 0.2, "searched": 2, "verified": 2, "questions": 60}
    models = {"low": LOW, "also_low": ALSO, "high": HIGH}
    found = [
        earwitness.find_robust(one, models[one.spec], RobustSettings(**settings))
        for one in explained(tmp_path / "clips", *models.values(), clips=2)
    ]
    answers = earwitness.transfer(found, list(models.values()))
    do(study_of(tmp_path / "clips", *models, robust=settings), tmp_path / "s.db")
    with Store(tmp_path / "s.db") as store:
        stored = load_answers(store)
    assert "robust" in set(answers.judgements["kind"])
    short = pl.col("source").str.split(":").list.last()
    for mine, theirs, columns in (
        (answers.judgements, stored.judgements, ("path", "source", "kind", "draw", "size", "answer", "accepted")),
        (answers.survival, stored.survival, ("source", "kind", "draw", "held", "views")),
        (answers.nulls, stored.nulls, ("path", "source", "kind", "draw")),
    ):  # fmt: skip
        first, second = (table.with_columns(short).select(columns).sort(columns) for table in (mine, theirs))
        assert first.equals(second), columns
    assert make_tables(answers)["survival"].height > 0
    without = earwitness.transfer([one.explanation for one in found], list(models.values()))
    assert without.survival.is_empty()
    assert not {"robust", "robust_complete"} & set(without.judgements["kind"])
