"""What a study is written in and read out as: the template, the schema, the presets, exports, the docs' examples."""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from earwitness import ConfigError, SearchSettings
from earwitness.search.settings import REVISION
from earwitness.study.export import to_csv, write_export
from earwitness.study.file import Study, keys_of, load_study, parse_study
from earwitness.study.status import study_status
from earwitness.study.store import Store
from earwitness.study.template import study_schema, study_template
from test_cli import call, refused, write_study
from test_study import MODELS, Listening, do, make_clips, study_of

ROOT = Path(__file__).parent.parent
PRESETS = {"genre": 5, "emotion": 5, "deepfake": 3}
EXAMPLES = sorted((ROOT / "examples" / "studies").glob("*.toml"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    make_clips(folder / "clips", 2)
    (folder / "clips" / "text.wav").write_text("no sound")
    do(study_of(folder / "clips", "low", "high"), folder / "study.db")
    return folder / "study.db"


def test_a_setting_of_a_section_that_is_given_holds_in_whatever_order() -> None:
    given = {"data.include": "a*", "models": ["builtin:mtt-vgg"], "data": [{"path": "x"}, {"path": "y"}]}
    for order in (given, dict(reversed(given.items()))):
        study, _ = load_study(None, given=order)
        assert [(one.path, one.include) for one in study.data] == [("x", "a*"), ("y", "a*")]


def test_the_template_says_every_setting_and_its_default() -> None:
    study = parse_study(tomllib.loads(study_template()))
    evidence: dict[str, Any] = {"robust": {}, "curves": {}}  # left out of a file, they are not asked for
    assert study == parse_study({"models": list(study.models), "data": [{"path": "builtin"}], **evidence})
    for section in (Study, *(type(part) for part in (study.data[0], study.search, study.transfer, study.run))):
        for name in keys_of(section):
            assert re.search(rf"^(# )?({name} = |\[+{name}\])", study_template(), re.MULTILINE), name


def test_what_the_template_leaves_out_can_be_put_in() -> None:
    text = re.sub(r"^# (\w+ = .*  # )", r"\1", study_template(), flags=re.MULTILINE)
    study = parse_study(tomllib.loads(text))
    assert (study.seconds, study.run.workers, study.data[0].split) == (10.0, 2, "test")


def test_the_schema_names_every_setting() -> None:
    schema = study_schema()
    assert set(schema["properties"]) == set(Study.model_fields)
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["SearchSettings"]["properties"]["delta"]["maximum"] == 1


def test_init_writes_a_study_and_leaves_what_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert call(monkeypatch, "study", "init", tmp_path / "s.toml") == 0
    assert load_study(tmp_path / "s.toml")[0].models
    assert "there already" in refused(monkeypatch, capsys, "study", "init", tmp_path / "s.toml")
    assert call(monkeypatch, "study", "schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Study"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_studies(path: Path) -> None:
    assert load_study(path)[0].models


@pytest.mark.parametrize("name", PRESETS)
def test_there_is_a_preset_for_each_study_of_the_paper(name: str) -> None:
    study, _ = load_study(ROOT / "examples" / "studies" / f"{name}.toml")
    assert study.search.delta == 0.5
    assert len(study.models) == PRESETS[name]


def test_exports_hold_every_table(store: Path, tmp_path: Path) -> None:
    with Store(store) as opened:
        paths = write_export(opened, tmp_path / "parquet")
        also = write_export(opened, tmp_path / "csv", "csv")
        judged = opened.frame("SELECT count(*) AS n FROM transfers")["n"][0]
        mask = opened.mask(1)
    names = [path.stem for path in paths]
    assert names == [path.stem for path in also]
    assert {"models", "clips", "subsets", "judgements", "probabilities", "failures"} < set(names)
    assert {"table-transfer", "table-models", "result-overlap"} < set(names)
    tables = {path.stem: pl.read_parquet(path) for path in paths}
    assert tables["judgements"].height + tables["nulls"].height == tables["probabilities"].height == judged > 0
    shares = tables["probabilities"].select(pl.sum_horizontal("p_yes", "p_no", "p_maybe"))
    assert ((shares.to_series() - 1).abs() < 1e-6).all()
    assert tables["failures"]["stage"].to_list() == ["read"]
    runs = tables["subsets"].filter(pl.col("subset") == 1)["runs"][0]
    assert [i for run in runs.split() for i in range(*map(int, run.split(":")))] == mask.nonzero()[0].tolist()
    assert pl.read_csv(tmp_path / "csv" / "judgements.csv").shape == tables["judgements"].shape
    assert not list(tmp_path.rglob("*.tmp"))


def test_no_cell_of_a_csv_begins_a_formula(tmp_path: Path) -> None:
    """Labels, names and paths are what someone else called them; a spreadsheet would run them."""
    evil = ("=cmd|'/c calc'!A1", "+1+1", "-2+3", "@SUM(1)", "\tx", "\r=1", "ok", "a=b", "")
    table = pl.DataFrame({"label": evil, "gain": [-1.5] * 9, "=HYPERLINK()": evil, "none": [None] * 9})
    rows = list(csv.reader(io.StringIO(to_csv(table), newline="")))
    assert rows[0] == ["label", "gain", "'=HYPERLINK()", "none"]
    for given, row in zip(evil, rows[1:], strict=True):
        assert row[0] == row[2] == (f"'{given}" if given[:1] in {"=", "+", "-", "@", "\t", "\r"} and given else given)
        assert row[1] == "-1.5"
    make_clips(tmp_path / "=clips", 1)
    content = {"models": [f"python:{MODELS}:{name}" for name in ("low", "high")], "search": {"budget": 300},
               "labels": {"yes": "=1+1"}, "name": "@study"}  # fmt: skip
    do(parse_study({**content, "data": [{"path": str(tmp_path / "=clips"), "name": "-set"}]}), tmp_path / "s.db")
    with Store(tmp_path / "s.db") as opened:
        for path in write_export(opened, tmp_path / "csv", "csv"):
            for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")):
                bad = [cell for cell in row if cell[:1] in ("=", "+", "@") or (cell[:1] == "-" and not number(cell))]
                assert not bad, f"{path.name}: {bad}"
    assert "'=1+1" in (tmp_path / "csv" / "originals.csv").read_text()
    assert "'-set" in (tmp_path / "csv" / "clips.csv").read_text()


def number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_the_docs_examples_run(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("duckdb")
    pytest.importorskip("pandas")
    with Store(store) as opened:
        write_export(opened, tmp_path / "tables")
        write_export(opened, tmp_path / "csv", "csv")
    (tmp_path / "study.db").write_bytes(store.read_bytes())
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "studies.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "docs/studies.md", "exec"), {})


def test_the_docs_name_every_table_of_the_store(store: Path) -> None:
    text = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    with Store(store) as opened:
        for (name,) in opened.frame("SELECT name FROM sqlite_master WHERE type = 'table'").rows():
            assert f"`{name}`" in text


def test_export_refuses_what_it_cannot_write(store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Store(store) as opened:
        with pytest.raises(ConfigError, match="did you mean 'parquet'"):
            write_export(opened, tmp_path, "parket")
        with pytest.raises(ConfigError, match="choose another --out"):
            write_export(opened, tmp_path / "file" / "out")


def test_status_counts_what_is_done_and_left(store: Path, tmp_path: Path) -> None:
    with Store(store) as opened:
        status = study_status(opened)
        signals = opened.frame("SELECT count(*) AS n FROM subsets WHERE mask IS NOT NULL")["n"][0]
    assert (status["clips"], status["models"], status["explanations"]) == (2, 2, 4)
    assert status["judgements"] == 2 * signals
    assert (status["to_explain"], status["to_judge"], status["failed"], status["finished"]) == (0, 0, 1, True)


def test_a_removed_model_or_clip_leaves_the_counts_and_comes_back_for_nothing(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 2)
    both, one = study_of(tmp_path / "clips", "low", "high"), study_of(tmp_path / "clips", "low")
    do(both, tmp_path / "s.db")
    assert do(one, tmp_path / "s.db").explained == 0
    with Store(tmp_path / "s.db") as opened:
        status = study_status(opened)
    assert (status["models"], status["explanations"], status["to_judge"]) == (1, 2, 0)
    (tmp_path / "clips" / "clip1.wav").rename(tmp_path / "clip1.wav")
    do(both, tmp_path / "s.db")
    with Store(tmp_path / "s.db") as opened:
        status = study_status(opened)
    assert (status["clips"], status["explanations"], status["finished"]) == (1, 2, True)
    (tmp_path / "clip1.wav").rename(tmp_path / "clips" / "renamed.wav")
    again = do(both, tmp_path / "s.db")
    assert (again.explained, again.judged) == (0, 0)


def test_new_weights_under_an_old_name_are_another_model(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 1)
    source = (ROOT / "tests" / "planted_models.py").read_text()
    (tmp_path / "m.py").write_text(source)
    content = {"models": [f"python:{tmp_path}/m.py:low", f"python:{tmp_path}/m.py:high"],
               "data": [{"path": str(tmp_path / "clips")}]}  # fmt: skip
    do(parse_study(content), tmp_path / "s.db")
    (tmp_path / "m.py").write_text(source.replace("Band(200, 203)", "Band(300, 303)"))
    assert do(parse_study(content), tmp_path / "s.db").explained == 1
    with Store(tmp_path / "s.db") as opened:
        assert study_status(opened)["models"] == 2
        assert opened.frame("SELECT count(*) AS n FROM models")["n"][0] == 3


def test_a_study_says_what_a_changed_setting_makes_new(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    make_clips(tmp_path / "clips", 1)
    path = write_study(tmp_path)
    assert call(monkeypatch, "study", "run", path) == 0
    path.write_text(path.read_text() + "delta = 0.7\n")
    capsys.readouterr()
    assert call(monkeypatch, "study", "run", path) == 0
    assert "changed since the last run: delta 0.5 → 0.7" in capsys.readouterr().err
    assert "delta 0.5 → 0.7" in (tmp_path / "study.db.log").read_text()


def test_what_makes_all_anew_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips, path, heard = tmp_path / "clips", tmp_path / "s.db", Listening()
    make_clips(clips, 1)
    plain, low = study_of(clips, "low"), study_of(clips, "low", search={"budget": 400, "precision": "bfloat16"})
    for study in (plain, plain, study_of(clips, "low", only_correct=True), low, plain):
        do(study, path, reporter=heard)
    for module in ("store.facts", "run", "register"):
        monkeypatch.setattr(f"earwitness.study.{module}.REVISION", 99)
    do(plain, path, reporter=heard)
    begin, end = "changed since the last run: ", ". Explanations and judgements are made anew"
    changed = [line.removeprefix(begin).partition(end)[0] for line in heard.said if line.startswith(begin)]
    assert changed == [
        "only_correct false → true",
        "delta 0.9 → 0.5; budget 600 → 400; precision float32 → bfloat16; only_correct true → false",
        "delta 0.5 → 0.9; budget 400 → 600; precision bfloat16 → float32",
        f"the searches, of revision {REVISION} → 99, which find other sets",
    ]


def test_a_study_without_a_set_is_exported(tmp_path: Path) -> None:
    with Store(tmp_path / "empty.db", write=True) as store:
        key = store.add_settings(SearchSettings(), ("yes", "no"))
        store.set_plan(key, [], [])
        store.set_meta(settings=key, name="empty")
        written = {path.stem: pl.read_csv(path) for path in write_export(store, tmp_path / "csv", "csv")}
    assert written["subsets"].is_empty()
    assert {"subset", "runs"} <= set(written["subsets"].columns)
