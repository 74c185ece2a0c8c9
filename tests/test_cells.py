"""Recordings inside Parquet files, as Hugging Face's datasets writes them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile

import earwitness
from earwitness import AudioError, ConfigError, Study
from earwitness.datasets import read_dataset
from earwitness.signal.cells import find_table, make_path
from test_cli import call
from test_study import MODELS

RATE = 16_000
NAMES = ("no", "yes")


def encoded(seed: int, kind: str = "WAV") -> bytes:
    memory = io.BytesIO()
    samples = np.random.default_rng(seed).uniform(-1, 1, 3200)
    soundfile.write(memory, samples, RATE, format=kind, subtype="FLOAT" if kind == "WAV" else None)
    return memory.getvalue()


def write_table(path: Path, count: int = 4, first: int = 0, **changes: Any) -> pl.DataFrame:
    """A table as ``Dataset.to_parquet`` writes it: bytes and path of recordings, classes as numbers."""
    audio = [{"bytes": encoded(first + i), "path": f"{first + i}.wav"} for i in range(count)]
    columns = {"audio": audio, "label": [i % 2 for i in range(count)], "speaker": [f"s{i}" for i in range(count)]}
    table = pl.DataFrame({**columns, **changes})
    features = {"label": {"names": list(NAMES), "_type": "ClassLabel"}, "audio": {"_type": "Audio"}}
    path.parent.mkdir(parents=True, exist_ok=True)
    table.write_parquet(path, metadata={"huggingface": json.dumps({"info": {"features": features}})}, row_group_size=2)
    return table


def test_rows_are_recordings_with_their_classes_by_name(tmp_path: Path) -> None:
    write_table(tmp_path / "data" / "train-00000-of-00002.parquet")
    write_table(tmp_path / "data" / "train-00001-of-00002.parquet", first=4)
    write_table(tmp_path / "data" / "test-00000-of-00001.parquet", first=8)
    data = read_dataset(tmp_path / "data")
    assert data.layout == "parquet"
    assert len(data) == 12
    assert data.labels == NAMES
    assert {one.split for one in data} == {"train", "test"}
    assert {one.group for one in data} == {"s0", "s1", "s2", "s3"}
    held = read_dataset(tmp_path / "data", split="test", labels=["yes"])
    assert [one.path.name for one in held] == ["row-1", "row-3"]


def test_a_row_is_read_as_its_file_would_be(tmp_path: Path) -> None:
    table = tmp_path / "a.parquet"
    write_table(table)
    (tmp_path / "2.wav").write_bytes(encoded(2))
    inside, outside = earwitness.read(table / "row-2"), earwitness.read(tmp_path / "2.wav")
    assert inside.sha256 == outside.sha256
    assert inside.path == str(table / "row-2")
    cropped = earwitness.read(make_path(table, 2, "named.wav"), 8000, 0.1)
    assert cropped.sha256 == earwitness.read(tmp_path / "2.wav", 8000, 0.1).sha256
    assert earwitness.as_clip(table / "row-2").sha256 == outside.sha256


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3"])
def test_any_format_that_files_have(kind: str, tmp_path: Path) -> None:
    table = tmp_path / "a.parquet"
    write_table(table, 1, audio=[{"bytes": encoded(0, kind), "path": None}])
    (tmp_path / f"a.{kind}").write_bytes(encoded(0, kind))
    assert earwitness.read(table / "row-0").sha256 == earwitness.read(tmp_path / f"a.{kind}").sha256


def test_names_and_labels_of_text(tmp_path: Path) -> None:
    path = tmp_path / "own.parquet"
    write_table(path, 2, label=["dog", "cat"], file=["a/one.wav", "../../two.wav"], note=["x", None])
    first, second = read_dataset(path)
    assert first.path == path / "row-0" / "one.wav"
    assert second.path == path / "row-1" / "two.wav"  # a name, that leads nowhere
    assert (first.label, second.label) == ("dog", "cat")
    assert dict(first.extra) == {"note": "x"}
    assert earwitness.read(second.path).sha256 == earwitness.read(path / "row-1").sha256


def test_rows_without_anything_else(tmp_path: Path) -> None:
    audio = [{"bytes": encoded(i), "path": ""} for i in range(3)]
    pl.DataFrame({"sound": audio}).write_parquet(tmp_path / "a.parquet")
    data = read_dataset(tmp_path / "a.parquet")
    assert [(one.path.name, one.label) for one in data] == [("row-0", None), ("row-1", None), ("row-2", None)]
    assert earwitness.read(data.recordings[2].path).seconds == 0.2


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    table = tmp_path / "a.parquet"
    write_table(table, 2, audio=[{"bytes": None, "path": "here.wav"}, {"bytes": b"no sound", "path": ""}])
    with pytest.raises(AudioError, match=r"a\.parquet, row 0: no recording in it"):
        earwitness.read(table / "row-0")
    with pytest.raises(AudioError, match="not readable as audio"):
        earwitness.read(table / "row-1")
    with pytest.raises(AudioError, match="no such row"):
        earwitness.read(table / "row-7")
    with pytest.raises(AudioError, match="no such file"):
        earwitness.read(table / "column-7")
    write_table(tmp_path / "good.parquet", 1)
    with pytest.raises(AudioError, match="wanted; use a positive duration"):
        earwitness.read(tmp_path / "good.parquet" / "row-0", seconds=-1)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 broken PAR1")
    with pytest.raises(AudioError, match="not readable"):
        earwitness.read(tmp_path / "broken.parquet" / "row-0")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "plain.parquet")
    with pytest.raises(AudioError, match="no column of recordings"):
        earwitness.read(tmp_path / "plain.parquet" / "row-0")
    with pytest.raises(ConfigError, match="no Parquet file with a column of recordings"):
        read_dataset(tmp_path / "plain.parquet", layout="parquet")
    assert find_table(tmp_path / "none.parquet" / "row-0") is None


def test_tables_of_paths_stay_manifests(tmp_path: Path) -> None:
    (tmp_path / "one.wav").write_bytes(encoded(0))
    pl.DataFrame({"path": ["one.wav"], "label": ["dog"]}).write_parquet(tmp_path / "list.parquet")
    data = read_dataset(tmp_path / "list.parquet")
    assert (data.layout, data.labels) == ("manifest", ("dog",))


@pytest.mark.parametrize("metadata", [{}, {"huggingface": "no json"}, {"huggingface": '{"info": []}'}])
def test_classes_without_names_are_numbers(metadata: dict[str, str], tmp_path: Path) -> None:
    audio = [{"bytes": encoded(0), "path": ""}]
    pl.DataFrame({"audio": audio, "label": [1]}).write_parquet(tmp_path / "a.parquet", metadata=metadata)
    assert read_dataset(tmp_path / "a.parquet").labels == ("1",)


def test_a_study_of_a_table_is_that_of_its_files(tmp_path: Path) -> None:
    """In workers too: a path is all they are told."""
    write_table(tmp_path / "table" / "a.parquet", 2)
    (tmp_path / "files").mkdir()
    for number in range(2):
        (tmp_path / "files" / f"{number}.wav").write_bytes(encoded(number))
    spec = f"python:{MODELS}:low"
    rows = []
    for name, workers in (("table", 2), ("files", 1)):
        given = {"store": str(tmp_path / f"{name}.db"), "search.budget": 200, "run.workers": workers}
        study = Study.of([spec], tmp_path / name, given, quiet=True).run()
        assert study.status["failed"] == 0
        rows.append(study.sets.sort("clip", "kind", "draw").select("kind", "size", "energy", "label", "answer"))
        assert (study.report(tmp_path / f"{name}-page").parent / "audio").is_dir()
    assert rows[0].equals(rows[1])


def test_explain_takes_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_table(tmp_path / "a.parquet", 2)
    words = ("--model", f"python:{MODELS}:low", "--budget", 100, "--json", "-q")
    assert call(monkeypatch, "explain", tmp_path / "a.parquet", *words) == 0
    assert len(json.loads(capsys.readouterr().out)["explanations"]) == 2
    assert call(monkeypatch, "explain", tmp_path / "a.parquet" / "row-1", *words) == 0
    assert json.loads(capsys.readouterr().out)["label"] in ("yes", "no")


def test_a_pattern_in_place_of_a_folder(tmp_path: Path) -> None:
    for name in ("dog/a1.wav", "dog/b1.wav", "cat/a2.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(encoded(0))
    assert [one.path.name for one in read_dataset(tmp_path / "*" / "a*.wav")] == ["a2.wav", "a1.wav"]
    assert [one.label for one in read_dataset(tmp_path / "dog" / "*.wav")] == [None, None]
    with pytest.raises(ConfigError, match="matches nothing"):
        read_dataset(tmp_path / "*" / "c*.wav")
