"""Verification: every planted corruption is found, and nothing where there is none."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

import earwitness
from earwitness import Classifier, SearchSettings, explain, open_model, verify
from earwitness.cli import app
from earwitness.errors import ConfigError, ModelError, StoreError
from earwitness.report import write_report
from earwitness.signal import audio
from earwitness.study.export import export_tables
from earwitness.study.reopen import reopen
from earwitness.study.store import Store
from earwitness.study.verify import receipt, verify_study
from planted_files import SIDECAR
from planted_report import piece
from stores import rewrite
from test_study import MODELS, RATE, do, make_clips, study_of

Corrupt = Callable[[Path], object]
SAMPLES = 800


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study and an explanation, with their own copy of the models."""
    folder = tmp_path_factory.mktemp("verify")
    make_clips(folder / "clips", 2, SAMPLES)
    shutil.copy(MODELS, folder / "models.py")
    specs = [f"python:{folder / 'models.py'}:{name}" for name in ("high", "other")]
    do(study_of(folder / "clips", models=specs), folder / "s.db")
    classifier = Classifier(open_model(specs[0]))
    one = explain(audio.read(folder / "clips" / "clip0.wav", RATE), classifier, SearchSettings(delta=0.9, budget=300))
    one.save(folder / "explained")
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """Where it may be corrupted: the store and the explanation say where clips and models lie."""
    shutil.copytree(made, tmp_path / "copy")
    for name in ("s.db",):
        with rewrite(tmp_path / "copy" / name) as db:
            db.execute("UPDATE clips SET path = replace(path, ?, ?)", (str(made), str(tmp_path / "copy")))
            db.execute("UPDATE models SET spec = replace(spec, ?, ?)", (str(made), str(tmp_path / "copy")))
    path = tmp_path / "copy" / "explained" / "explanation.json"
    path.write_text(path.read_text().replace(str(made), str(tmp_path / "copy")))
    return tmp_path / "copy"


def findings_of(folder: Path) -> set[str]:
    with Store(folder / "s.db") as store:
        found = verify_study(store, trust_models=True)
    return {finding.what for finding in found.findings}


def sql(*statements: str) -> Corrupt:
    def corrupt(folder: Path) -> None:
        with rewrite(folder / "s.db") as db:
            for statement in statements:
                assert db.execute(statement).rowcount, statement

    return corrupt


def change_clip(folder: Path) -> None:
    samples, rate = soundfile.read(folder / "clips" / "clip1.wav")
    samples[17] += 1e-6
    soundfile.write(folder / "clips" / "clip1.wav", samples, rate, subtype="FLOAT")


def change_model(folder: Path) -> None:
    text = (folder / "models.py").read_text()
    assert "Band(200, 203)" in text
    (folder / "models.py").write_text(text.replace("Band(200, 203)", "Band(200, 204)"))


def change_labels(folder: Path) -> None:
    text = (folder / "models.py").read_text()
    (folder / "models.py").write_text(text.replace('("yes", "no", "maybe")', '("yes", "no", "perhaps")'))


def flip_mask(folder: Path) -> None:
    """A set of as many variables elsewhere."""
    with Store(folder / "s.db", write=True) as store:
        (number,) = store._db.execute("SELECT min(id) FROM subsets WHERE kind = 'sufficient'").fetchone()
        mask = np.roll(store.mask(number), 50)
        from earwitness.study.store import pack_mask

        store._db.execute("UPDATE subsets SET mask = ? WHERE id = ?", (pack_mask(mask), number))


STORES: dict[str, tuple[Corrupt, str]] = {
    "a sample": (change_clip, "recording"),
    "a weight": (change_model, "model"),
    "a model's label": (change_labels, "model"),
    "a missing recording": (lambda folder: (folder / "clips" / "clip0.wav").unlink(), "recording"),
    "a missing model": (lambda folder: (folder / "models.py").unlink(), "model"),
    "a recording for another": (
        lambda folder: (folder / "clips" / "clip0.wav").write_bytes((folder / "clips" / "clip1.wav").read_bytes()),
        "recording",
    ),
    "a set": (flip_mask, "judgement"),
    "a set's energy": (sql("UPDATE subsets SET energy = energy * 1.01 WHERE id = 1"), "set"),
    "an inverse called sufficient": (
        sql("UPDATE subsets SET kind = 'sufficient', draw = 9 WHERE kind = 'inverse' AND explanation = 1"), "set",
    ),
    "a setting": (sql("""UPDATE settings SET search = replace(search, '"delta": 0.9', '"delta": 0.5')"""), "settings"),
    "the shared labels": (sql("""UPDATE settings SET labels = '["yes", "no", "other"]'"""), "settings"),
    "a seed": (sql("""UPDATE settings SET search = replace(search, '"seed": 0', '"seed": 1')"""), "settings"),
    "models' places": (sql("UPDATE models SET spec = 'x' || spec"), "model"),
    "clips' places": (
        sql("UPDATE clips SET path = (SELECT path FROM clips c WHERE c.id = 3 - clips.id)"), "recording",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STORES)
def test_a_corrupted_study_is_found(copy: Path, name: str) -> None:
    corrupt, what = STORES[name]
    with Store(copy / "s.db") as store:
        before = receipt(store)
    corrupt(copy)
    assert what in findings_of(copy)
    if what in ("judgement", "set", "settings"):
        with Store(copy / "s.db") as store:
            assert receipt(store) != before


def test_every_stored_answer_that_is_changed_is_found(copy: Path) -> None:
    """Of each clip, source, kind and judge one answer, and what each model says to each clip."""
    with sqlite3.connect(copy / "s.db") as db:
        transfers = db.execute(
            "SELECT t.subset, t.model, t.log_probabilities FROM transfers t JOIN subsets s ON s.id = t.subset"
            " GROUP BY s.explanation, s.kind, t.model ORDER BY t.subset"
        ).fetchall()
        originals = db.execute("SELECT clip, model, log_probabilities FROM originals").fetchall()
    assert len(transfers) + len(originals) >= 60
    for number, (table, columns, rows) in enumerate(
        (("transfers", "subset", transfers), ("originals", "clip", originals))
    ):
        for one, model, packed in rows:
            logs = np.frombuffer(packed, dtype="<f4").astype(np.float64)
            other = np.log(0.99 * np.exp(logs) + 0.01 * np.exp(np.roll(logs, 1)))  # one per cent of it elsewhere
            where = f"WHERE {columns} = ? AND model = ?"
            with rewrite(copy / "s.db") as db:
                db.execute(
                    f"UPDATE {table} SET log_probabilities = ? {where}", (other.astype("<f4").tobytes(), one, model)
                )
            if np.abs(np.exp(other) - np.exp(logs)).max() > 2e-3:
                with Store(copy / "s.db") as store:
                    found = verify_study(store, trust_models=True)
                assert len(found.findings) == 1, (number, one, model)
                assert found.findings[0].what == ("judgement", "answer")[number]
            with rewrite(copy / "s.db") as db:
                db.execute(f"UPDATE {table} SET log_probabilities = ? {where}", (packed, one, model))
    assert findings_of(copy) == set()


def test_a_sound_study_has_no_findings_and_says_what_a_sample_shows(made: Path, copy: Path) -> None:
    for folder in (made, copy):
        with Store(folder / "s.db") as store:
            found = verify_study(store, trust_models=True)
        assert (found.findings, found.asked, found.bound) == ((), found.of, 0)
    with Store(made / "s.db") as store:
        some = verify_study(store, trust_models=True, sample=20)
        assert (some.findings, some.asked, some.of) == ((), 20, found.of)
        assert some.bound == pytest.approx(1 - 0.05 ** (1 / 20))
        assert some.receipt == found.receipt  # a copy elsewhere says the same
        assert verify_study(store, trust_models=True, sample=20, seed=1).asked == 20
    with Store(copy / "s.db", write=True) as store:
        store._db.execute("UPDATE subsets SET size = size + 1 WHERE id = 1")
    with pytest.raises(StoreError, match="subset 1"):
        findings_of(copy)


def test_the_receipt_does_not_hang_on_the_order_of_work(made: Path, tmp_path: Path) -> None:
    specs = [f"python:{made / 'models.py'}:{name}" for name in ("other", "high")]
    clips = made / "clips"
    do(study_of(clips, models=specs[:1], data=[{"path": str(clips), "include": "*1.wav"}]), tmp_path / "s.db")
    do(study_of(clips, models=specs), tmp_path / "s.db")
    with Store(tmp_path / "s.db") as store, Store(made / "s.db") as other:
        assert receipt(store) == receipt(other)


def test_page_and_exports_carry_the_receipt(made: Path, tmp_path: Path) -> None:
    with Store(made / "s.db") as store:
        mark = receipt(store)
        page = write_report(store, tmp_path / "page")
        exported = dict(export_tables(store))["receipt"]
    assert exported.row(0) == (mark, earwitness.__version__)
    assert piece(page, "study")["receipt"] == mark


def edit(*path: Any, to: Any) -> Corrupt:
    def corrupt(folder: Path) -> None:
        file = folder / "explained" / "explanation.json"
        content = json.loads(file.read_text())
        place = content
        for key in path[:-1]:
            place = place[key]
        assert place[path[-1]] != to
        place[path[-1]] = to
        file.write_text(json.dumps(content))

    return corrupt


def scale_signal(name: str) -> Corrupt:
    def corrupt(folder: Path) -> None:
        samples, rate = soundfile.read(folder / "explained" / name, dtype="float32")
        soundfile.write(folder / "explained" / name, samples * np.float32(1.01), rate, subtype="FLOAT")

    return corrupt


FOLDERS: dict[str, tuple[Corrupt, str]] = {
    "a sample": (
        lambda folder: (folder / "clips" / "clip0.wav").write_bytes((folder / "clips" / "clip1.wav").read_bytes()),
        "recording",
    ),
    "a missing recording": (lambda folder: (folder / "clips" / "clip0.wav").unlink(), "recording"),
    "a weight": (change_model, "model"),
    "a model's label": (change_labels, "model"),
    "a missing model": (lambda folder: (folder / "models.py").unlink(), "model"),
    "the label": (edit("label", to="no"), "answer"),
    "the confidence": (edit("confidence", to=0.123), "answer"),
    "δ": (edit("delta", to=0.95), "record"),
    "the seed": (edit("seed", to=5), "record"),
    "the domain": (edit("domain", to="mel:64"), "record"),
    "the search": (edit("search", to="freqrex"), "record"),
    "the questions": (edit("queries", to=1), "record"),
    "the version": (edit("version", to="9"), "record"),
    "the labels": (edit("model", "labels", to=["no", "yes", "maybe"]), "labels"),
    "the fingerprint": (edit("model", "fingerprint", to="x"), "model"),
    "the hash": (edit("clip", "sha256", to="0"), "recording"),
    "a digest": (edit("digest", to="0"), "record"),
    "no digest": (lambda folder: edit("digest", to=None)(folder), "record"),
    "a signal": (scale_signal("sufficient.wav"), "signal"),
    "another signal": (scale_signal("inverse.wav"), "signal"),
    "a missing signal": (lambda folder: (folder / "explained" / "complete.wav").unlink(), "signal"),
    "a signal that is none": (
        lambda folder: (folder / "explained" / "complete.wav").write_text("no sound"), "signal",
    ),
    "no subsets": (edit("subsets", to=7), "record"),
    "an absurd number of repeats": (edit("repeats", to=10**30), "record"),
    "runs that are none": (edit("subsets", "complete", "runs", to="x"), "record"),
    "an absurd run": (edit("subsets", "complete", "runs", to=[[0, 10**9]]), "set"),
    **{
        f"{kind} {what}": (
            edit("subsets", kind, *((0,) if kind == "sufficient" else ()), *path, to=to), "set",
        )
        for kind in ("sufficient", "complete", "one_complete", "inverse")
        for what, path, to in (
            ("run", ("runs", 0), [10, 11]), ("size", ("size",), 77), ("energy", ("energy",), 0.5),
            ("label", ("label",), "maybe"), ("confidence", ("confidence",), 0.111),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
def test_a_corrupted_explanation_is_found(copy: Path, name: str) -> None:
    corrupt, what = FOLDERS[name]
    before = verify(copy / "explained", trust_models=True)
    assert before.findings == ()
    assert before.asked == before.of == 5
    corrupt(copy)
    found = verify(copy / "explained", trust_models=True)
    assert what in {finding.what for finding in found.findings}, found
    if name in ("a sample", "a weight", "the label"):
        run = CliRunner().invoke(app, ["verify", str(copy / "explained"), "--trust-models"], catch_exceptions=False)
        assert run.exit_code == 1
        assert "findings" in run.output


def test_a_sound_explanation_has_none_wherever_it_lies(made: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere.wav"
    shutil.copy(made / "clips" / "clip0.wav", moved)
    content = json.loads((made / "explained" / "explanation.json").read_text())
    found = verify(made / "explained", recording=moved, model=content["model"]["spec"])
    assert found.findings == ()
    assert found.receipt == content["digest"]


def test_commands_say_what_they_found(made: Path, tmp_path: Path) -> None:
    def call(*arguments: str) -> tuple[int, str]:
        run = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        return run.exit_code, run.output

    code, said = call("verify", str(made / "explained"), "--trust-models")
    assert (code, said.splitlines()[0]) == (0, "5 of 5 stored answers asked again: no findings")
    code, said = call("study", "verify", str(made / "s.db"), "--trust-models", "--sample", "10", "--quiet")
    assert code == 0
    assert "no more than 25.89% are otherwise" in said
    code, said = call("verify", str(made / "s.db"), "--json", "--trust-models")
    told = json.loads(said)
    assert (code, told["findings"], told["asked"]) == (0, [], told["of"])
    for wrong in (["verify", str(made / "explained"), "--sample", "3"], ["verify", str(made / "s.db"), "--model", "x"]):
        with pytest.raises(ConfigError):
            call(*wrong)
    (tmp_path / "explanation.json").write_text("[]")
    with pytest.raises(ConfigError, match="no explanation"):
        verify(tmp_path)
    with pytest.raises(ConfigError, match="explain --out"):
        verify(tmp_path / "nowhere")


def test_code_that_a_stranger_names_does_not_run(copy: Path) -> None:
    mark = copy / "ran"
    with (copy / "models.py").open("a") as file:
        file.write(f"\nopen({str(mark)!r}, 'w').close()\n")
    for path in ("explained", "s.db"):
        with pytest.raises(ModelError, match=r"names code to run \(python:.*add --trust-models"):
            CliRunner().invoke(app, ["verify", str(copy / path)], catch_exceptions=False)
    for analysis in ("manipulate", "compose"):
        with pytest.raises(ModelError, match=r"s\.db: names code to run"):
            CliRunner().invoke(app, [analysis, str(copy / "s.db"), "--quiet"], catch_exceptions=False)
    with Store(copy / "s.db") as store:
        with pytest.raises(ModelError, match="names code"):
            verify_study(store)
        write_report(store, copy / "page")
    assert not mark.exists()
    verify(copy / "explained", trust_models=True)
    assert mark.exists()


def test_what_a_stranger_allowed_is_not_allowed(copy: Path) -> None:
    with rewrite(copy / "s.db") as db:
        text = db.execute("SELECT value FROM meta WHERE key = 'study'").fetchone()[0]
        content = json.loads(text)
        content["run"] |= {"allow_pickle": True, "trust_remote_code": True}
        db.execute("UPDATE meta SET value = ? WHERE key = 'study'", (json.dumps(content),))
        db.execute("UPDATE models SET spec = 'torch:' || id || '.pt'")
    torch.save([1, 2], copy / "1.pt")
    (copy / "1.pt.toml").write_text(SIDECAR)
    with Store(copy / "s.db") as store:
        reopened = reopen(store, "cpu")
        with pytest.raises(ModelError, match="allow-pickle"):
            reopened.open_model(f"torch:{copy / '1.pt'}")
