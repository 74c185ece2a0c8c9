"""Studies: exact transfer of planted models, resuming, failures as rows, the store."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from earwitness import ConfigError, LabelError, ModelError, StoreError
from earwitness.study.answers import load_answers, study_tables
from earwitness.study.file import parse_study
from earwitness.study.plan import plan
from earwitness.study.progress import Lines, Quiet
from earwitness.study.run import Summary, run
from earwitness.study.status import study_status
from earwitness.study.store import Store, pack_mask, unpack_mask
from earwitness.transferability.definitions import agreement_table, model_table, signal_table, transfer_table

RATE = 16_000
MODELS = Path(__file__).parent / "planted_models.py"


FEW = {"delta": 0.9, "budget": 300}  #: questions, where more would show no more


def make_clips(folder: Path, count: int = 3, samples: int = 3200) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        rng = np.random.default_rng(number)
        soundfile.write(folder / f"clip{number}.wav", rng.uniform(-1, 1, samples), RATE, subtype="FLOAT")


def study_of(folder: Path, *models: str, **changes: Any) -> Any:
    content = {
        "models": [f"python:{MODELS}:{name}" for name in models],
        "data": [{"path": str(folder)}],
        "search": {"delta": 0.9, "budget": 600},
    }
    return parse_study({**content, **changes})


class Listening(Quiet):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str) -> None:
        """See :class:`earwitness.study.progress.Reporter`."""
        self.said.append(line)


def do(study: Any, path: Path, **options: Any) -> Summary:
    with Store(path, write=True) as store:
        return run(plan(study, path.parent), store, **options)


def dump(path: Path) -> list[tuple[Any, ...]]:
    """Every result in a store, times left out."""
    with sqlite3.connect(path) as db:
        return db.execute(
            "SELECT c.path, m.spec, s.kind, s.draw, s.mask, s.size, s.certificate, s.queries, s.log_probabilities,"
            " j.spec, t.log_probabilities FROM subsets s JOIN explanations e ON e.id = s.explanation"
            " JOIN clips c ON c.id = e.clip JOIN models m ON m.id = e.model"
            " LEFT JOIN transfers t ON t.subset = s.id LEFT JOIN models j ON j.id = t.model"
            " ORDER BY c.path, m.spec, s.kind, s.draw, j.spec"
        ).fetchall()


def cell(table: pl.DataFrame, source: str, judge: str, column: str = "alpha") -> float:
    row = table.filter(pl.col("source").str.ends_with(f":{source}") & pl.col("judge").str.ends_with(f":{judge}"))
    return float(row[column][0])


def test_planted_transfer_is_exact(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips")
    summary = do(study_of(tmp_path / "clips", "low", "also_low", "high"), tmp_path / "s.db")
    assert summary == Summary(explained=9, judged=9, failed=0)
    with Store(tmp_path / "s.db") as store:
        answers = load_answers(store)
        table = transfer_table(answers, "sufficient")
        signals = signal_table(answers)
        models = model_table(answers)
        agreement = agreement_table(answers)
        masks = {
            (row["source"].rpartition(":")[2]): np.flatnonzero(store.mask(row["subset"])).tolist()
            for row in answers.judgements.filter(pl.col("kind") == "sufficient").to_dicts()
        }
    # bins 58-62 convince also_low (58-61), not the other way round; high (200-202) hears neither
    assert masks == {"low": [58, 59, 60, 61, 62], "also_low": [58, 59, 60, 61], "high": [200, 201, 202]}
    for name in ("low", "also_low", "high"):
        assert cell(table, name, name) == 1.0
    assert cell(table, "low", "also_low") == 1.0
    assert cell(table, "also_low", "low") == 0.0
    assert cell(table, "low", "high") == cell(table, "high", "low") == 0.0
    own = signals.filter((pl.col("kind") == "sufficient") & pl.col("source").str.ends_with(":low"))
    assert own["alpha"].to_list() == [0.5, 0.5, 0.5]
    assert not own["transferable"].any()
    assert dict(zip(models["model"].str.split(":").list.last(), models["median_size"], strict=True)) == {
        "low": 5, "also_low": 4, "high": 3,
    }  # fmt: skip
    assert agreement["agreement"].to_list() == [1.0] * 9


def test_a_finished_study_does_nothing(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 2)
    study = study_of(tmp_path / "clips", "low", "high")
    do(study, tmp_path / "s.db")
    before = dump(tmp_path / "s.db")
    assert do(study, tmp_path / "s.db") == Summary(0, 0, 0)
    assert dump(tmp_path / "s.db") == before


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clips and a study of them, whose maps are made."""
    folder = tmp_path_factory.mktemp("mapped")
    make_clips(folder / "clips", 2)
    do(study_of(folder / "clips", "low", "high", search=FEW), folder / "s.db")
    return folder


@pytest.mark.parametrize(("changes", "questions"), [
    ({"delta": 0.5}, 58), ({"count": 2}, 58), ({"seed": 1}, 0), ({"budget": 350}, 0), ({"effort": "quick"}, 0),
    ({"delta": 0.5, "search": "freqrex"}, 0), ({"delta": 0.5, "precision": "bfloat16"}, 0),
])  # fmt: skip
def test_a_map_is_made_once_for_all_deltas(
    mapped: Path, tmp_path: Path, changes: dict[str, Any], questions: int
) -> None:
    study = study_of(mapped / "clips", "low", "high", search={**FEW, **changes})
    do(study, tmp_path / "alone.db")
    shutil.copy(mapped / "s.db", tmp_path / "both.db")
    do(study, tmp_path / "both.db")
    with Store(tmp_path / "alone.db") as alone, Store(tmp_path / "both.db") as both:
        key = alone.settings_key()
        assert both.settings_key() == key
        for clip, model in sorted(alone.explained(key)):
            same = "SELECT responsibility, why, size FROM explanations WHERE settings = ? AND clip = ? AND model = ?"
            asked = same.replace("responsibility, why, size", "queries")
            one, two = ([store._read(query, (key, clip, model)).fetchone() for query in (same, asked)]
                        for store in (alone, both))  # fmt: skip
            assert one[0] == two[0]
            # a later stage may ask what the map would have asked
            assert questions / 3 <= one[1][0] - two[1][0] <= questions
        assert set(dump(tmp_path / "both.db")) >= set(dump(tmp_path / "alone.db"))


def test_extending_does_only_what_is_missing(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 2)
    do(study_of(tmp_path / "clips", "low", "high", search=FEW), tmp_path / "s.db")
    make_clips(tmp_path / "clips", 3)
    assert do(study_of(tmp_path / "clips", "low", "high", search=FEW), tmp_path / "s.db") == Summary(2, 2, 0)
    # a new model explains every clip; all judge its signals, and it judges theirs
    assert do(study_of(tmp_path / "clips", "low", "high", "also_low", search=FEW), tmp_path / "s.db") == Summary(
        3, 9, 0
    )
    do(study_of(tmp_path / "clips", "low", "high", "also_low", search=FEW), tmp_path / "whole.db")
    assert dump(tmp_path / "s.db") == dump(tmp_path / "whole.db")


def test_batch_size_never_changes_a_result(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 2)
    for batch in (1, 7, 64):
        do(study_of(tmp_path / "clips", "low", "high", search=FEW, run={"batch": batch}), tmp_path / f"{batch}.db")
    assert dump(tmp_path / "1.db") == dump(tmp_path / "7.db") == dump(tmp_path / "64.db")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("raises", "the model broke"),
        ("nan", "NaN"),
        ("shape", "shape"),
        ("exits", "tried to end the process (exit code 7)"),
    ],
)
def test_a_faulty_unit_becomes_a_failed_row(tmp_path: Path, fault: str, reason: str) -> None:
    make_clips(tmp_path / "clips", 2)
    rng = np.random.default_rng(9)
    loud = rng.uniform(-0.5, 0.5, 1600)
    loud[0] = 5  # beyond what masks make of other clips by chance
    soundfile.write(tmp_path / "clips" / "loud.wav", loud, RATE, subtype="FLOAT")
    (tmp_path / "clips" / "text.wav").write_text("not a sound")
    soundfile.write(tmp_path / "clips" / "silent.wav", np.zeros(1600), RATE)
    summary = do(study_of(tmp_path / "clips", "low", fault), tmp_path / "s.db")
    assert summary.explained == 5  # low on three clips, the faulty one on two
    with Store(tmp_path / "s.db") as store:
        status = study_status(store)
    reasons = {(row["stage"], Path(row["clip"]).name): row["reason"] for row in status["failures"]}
    assert reason in reasons["explain", "loud.wav"]
    assert "silence" in reasons["read", "silent.wav"]
    assert "not readable" in reasons["read", "text.wav"]
    assert status["failed"] == len(status["failures"]) == summary.failed
    assert do(study_of(tmp_path / "clips", "low", fault), tmp_path / "s.db").explained == 0


def test_failed_units_are_tried_again_when_asked(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 2)
    (tmp_path / "clips" / "late.wav").write_text("still downloading")
    study = study_of(tmp_path / "clips", "low", "high")
    assert do(study, tmp_path / "s.db").failed == 1
    make_clips(tmp_path / "clips", 3)
    (tmp_path / "clips" / "clip2.wav").rename(tmp_path / "clips" / "late.wav")
    assert do(study, tmp_path / "s.db", retry_failed=True) == Summary(2, 2, 0)


def test_labels_that_do_not_align_are_refused_or_mapped(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 1)
    study = study_of(tmp_path / "clips", "low", "other_labels")
    with pytest.raises(LabelError, match="share 1 labels"):
        plan(study, tmp_path)
    mapped = study_of(tmp_path / "clips", "low", "other_labels", labels={"nein": "no", "vielleicht": "no"})
    assert plan(mapped, tmp_path).alignment.labels == ("yes", "no")


def test_the_same_model_twice_is_refused(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 1)
    (tmp_path / "copy.py").write_text(MODELS.read_text())
    study = study_of(tmp_path / "clips", "low")
    twice = study.model_copy(update={"models": (*study.models, f"python:{tmp_path / 'copy.py'}:low")})
    with pytest.raises(ModelError, match="the same weights"):
        plan(twice, tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"serch": {}}, "did you mean 'search'"),
        ({"search": {"delt": 0.5}}, "did you mean 'delta'"),
        ({"data": [{"path": "x", "limt": 3}]}, "did you mean 'limit'"),
        ({"run": {"executor": "rey"}}, "run.executor"),
        ({"search": {"delta": 1.5}}, "search.delta"),
        ({"transfer": {"epsilon": 0}}, "transfer.epsilon"),
        ({"transfer": {"epsilon": 1.01}}, "transfer.epsilon"),
        ({"search": {"search": "minimul"}}, "did you mean 'minimal'"),
        ({"search": {"domain": "melt:3"}}, "did you mean 'mel'"),
        ({"models": []}, "models"),
        ({"models": ["a:b", "a:b"]}, "twice"),
    ],
)
def test_bad_settings_are_refused_with_the_nearest_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_study({"models": ["builtin:mtt-vgg"], "data": [{"path": "builtin"}], **change})


def test_a_store_in_use_is_refused_with_the_others_id(tmp_path: Path) -> None:
    import os

    with Store(tmp_path / "s.db", write=True), pytest.raises(StoreError, match=f"process {os.getpid()} is writing"):
        Store(tmp_path / "s.db", write=True)


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such store"):
        Store(tmp_path / "none.db")
    (tmp_path / "text.db").write_text("hello, this is not a database at all" * 100)
    with pytest.raises(StoreError, match="not usable"):
        Store(tmp_path / "text.db")
    with sqlite3.connect(tmp_path / "newer.db") as db:
        db.execute("CREATE TABLE t (x)")
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="update earwitness"):
        Store(tmp_path / "newer.db")


def test_tables_have_every_pair(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 1)
    do(study_of(tmp_path / "clips", "low", "high"), tmp_path / "s.db")
    with Store(tmp_path / "s.db") as store:
        tables = study_tables(store)
    assert tables["agreement"].height == 4
    assert {"alpha", "beta", "joint"} <= set(tables["transfer"].columns)


@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_masks_round_trip(bits: list[bool]) -> None:
    mask = np.array(bits)
    np.testing.assert_array_equal(unpack_mask(pack_mask(mask), mask.size), mask)


def test_recordings_left_out_are_told_by_reason_not_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_clips(tmp_path / "clips")
    for number in range(20):
        (tmp_path / "clips" / f"empty{number}.wav").touch()
        (tmp_path / "clips" / f"film{number}.mp4").touch()
    plan(study_of(tmp_path / "clips", "low"), tmp_path, Lines())
    lines = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert len(lines) == 2
    assert all(line.strip().startswith("left out 20: ") and line.endswith(", …)") for line in lines)
