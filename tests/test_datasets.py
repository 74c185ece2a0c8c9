"""Each reader on a small tree in the real layout, made here."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile

from earwitness import datasets
from earwitness.datasets import READERS, read_dataset
from earwitness.datasets.recording import Dataset, Recording
from earwitness.errors import AudioError, ConfigError

ROOT = Path(__file__).resolve().parents[1]
SILENCE = np.zeros(8, dtype=np.float32)


def make(root: Path, *names: str) -> Path:
    """A tiny recording for each name below ``root``."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".wav", ".flac", ".au", ".ogg"):
            soundfile.write(path, SILENCE, 16_000)
        else:
            path.write_bytes(b"not decoded")
    return root


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def keys(dataset: Dataset, root: Path) -> dict[str, str | None]:
    return {r.path.relative_to(root).as_posix(): r.label for r in dataset}


def reasons(dataset: Dataset) -> dict[str, str]:
    return {path.name: reason for path, reason in dataset.skipped}


# ---- folder and file ----


def test_one_file(tmp_path: Path) -> None:
    make(tmp_path, "a song.wav", "b.wav")
    dataset = read_dataset(tmp_path / "a song.wav")
    assert dataset.recordings == (Recording(tmp_path / "a song.wav", None, dataset="a song"),)
    assert (dataset.layout, dataset.name, dataset.labels, len(dataset)) == ("file", "a song", (), 1)


def test_flat_folder(tmp_path: Path) -> None:
    root = make(
        tmp_path / "mine", "b.wav", "a.flac", "c.AU", "notes.txt", ".hidden.wav", ".git/x.wav", "__MACOSX/y.wav"
    )
    dataset = read_dataset(root)
    assert keys(dataset, root) == {"a.flac": None, "b.wav": None, "c.AU": None}
    assert (dataset.layout, dataset.name, dataset.skipped) == ("folder", "mine", ())
    assert {r.dataset for r in dataset} == {"mine"}


def test_class_folders(tmp_path: Path) -> None:
    root = make(tmp_path, "dog/1.wav", "dog/deep/er/2.wav", "train/1.wav", "stray.wav", "empty/readme.txt")
    dataset = read_dataset(root)
    # a class of train noises among other classes is a class, not a split
    assert keys(dataset, root) == {"dog/1.wav": "dog", "dog/deep/er/2.wav": "dog", "train/1.wav": "train"}
    assert {r.split for r in dataset} == {""}
    assert "beside the class folders" in reasons(dataset)["stray.wav"]


def test_split_folders(tmp_path: Path) -> None:
    root = make(
        tmp_path, "Train/dog/1.wav", "train/cat/1.wav", "valid/dog/2.wav", "testing/cat/2.wav", "testing/x.wav", "y.wav"
    )
    dataset = read_dataset(root)
    assert {(r.split, r.label) for r in dataset} == {
        ("train", "dog"),
        ("train", "cat"),
        ("validation", "dog"),
        ("test", "cat"),
    }
    assert set(reasons(dataset)) == {"x.wav", "y.wav"}
    assert [r.label for r in read_dataset(root, split="eval")] == ["cat"]
    assert [r.label for r in read_dataset(root, split="dev")] == ["dog"]


def test_split_folders_without_classes(tmp_path: Path) -> None:
    dataset = read_dataset(make(tmp_path, "train/1.wav", "test/2.wav"))
    assert [(r.split, r.label) for r in dataset] == [("test", None), ("train", None)]


def test_media_libsndfile_does_not_read_and_empty_files_are_skipped(tmp_path: Path) -> None:
    root = make(tmp_path, "dog/1.wav", "dog/2.m4a")
    (root / "dog" / "3.wav").touch()
    (root / "dog" / "4.wav").symlink_to(root / "gone.wav")
    dataset = read_dataset(root)
    assert keys(dataset, root) == {"dog/1.wav": "dog"}
    found = reasons(dataset)
    assert "does not read .m4a; convert" in found["2.m4a"]
    assert found["3.wav"] == "the file is empty"
    assert found["4.wav"] == "no such file"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    make(tmp_path, "a.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    assert reasons(read_dataset(tmp_path)) == {"pipe.wav": "not a file"}
    with pytest.raises(ConfigError, match="neither a file nor a folder"):
        read_dataset(tmp_path / "pipe.wav")


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    root = make(tmp_path / "set", "dog/1.wav")
    (root / "dog" / "loop").symlink_to(root)
    (root / "cat").symlink_to(make(tmp_path / "elsewhere", "2.wav"))
    assert keys(read_dataset(root), root) == {"dog/1.wav": "dog", "cat/2.wav": "cat"}


@pytest.mark.parametrize(
    "name", ["a b", "naïve, ünï", "鳥", "100%", "[x]*?", "-n", 'it\'s "q"', "tab\there", "line\nbreak"]
)
def test_unusual_names(tmp_path: Path, name: str) -> None:
    root = make(tmp_path / name, f"{name}/{name}.wav", "other/1.wav")
    assert keys(read_dataset(root, limit=3), root) == {f"{name}/{name}.wav": name, "other/1.wav": "other"}
    pl.DataFrame({"file": [f"{name}/{name}.wav"], "label": ["x"]}).write_csv(root / "manifest.csv")
    assert keys(read_dataset(root), root) == {f"{name}/{name}.wav": "x"}


def test_undecodable_names(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.wav")
    try:
        (tmp_path / name).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    assert [r.path.name for r in read_dataset(tmp_path, limit=1)] == [name]


# ---- manifests ----

ROWS = [
    {"file": "x/2.wav", "label": "dog", "speaker": "s1", "split": "test", "licence": "CC0"},
    {"file": "x/1.wav", "label": "cat", "speaker": "s2", "split": "train", "licence": ""},
    {"file": "y/1.wav", "label": "", "speaker": "", "split": "train", "licence": ""},
]


def save(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pl.DataFrame(rows)
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    elif path.suffix in (".jsonl", ".ndjson"):
        write(path, *(json.dumps(row) for row in rows))
    else:
        frame.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",", include_bom=True)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".CSV"])
def test_manifest(tmp_path: Path, suffix: str) -> None:
    root = make(tmp_path / "set", *(row["file"] for row in ROWS), "unlisted.wav")
    path = save(root / f"list{suffix}", ROWS)
    dataset = read_dataset(path, name="mine")
    assert (dataset.layout, dataset.skipped) == ("manifest", ())
    assert dataset.recordings == (
        Recording(root / "x/1.wav", "cat", "s2", "train", "mine"),
        Recording(root / "x/2.wav", "dog", "s1", "test", "mine", (("licence", "CC0"),)),
        Recording(root / "y/1.wav", None, "", "train", "mine"),
    )
    assert read_dataset(path).name == "list"


@pytest.mark.parametrize("name", ["manifest.csv", "metadata.tsv"])
def test_manifest_in_a_folder_is_recognised(tmp_path: Path, name: str) -> None:
    root = make(tmp_path / "set", *(row["file"] for row in ROWS))
    save(root / name, ROWS)
    dataset = read_dataset(root)
    assert (dataset.layout, dataset.name, len(dataset)) == ("manifest", "set", 3)
    assert read_dataset(root / name) == dataset


def test_a_table_without_paths_is_no_manifest_unless_named(tmp_path: Path) -> None:
    root = make(tmp_path, "dog/1.wav")
    write(root / "features.csv", "filename,label", "dog/1.wav,x")
    write(root / "metadata.csv", "actor,age", "1,30")
    assert read_dataset(root).layout == "folder"
    (root / "metadata.csv").unlink()
    assert keys(read_dataset(root, layout="manifest"), root) == {"dog/1.wav": "x"}


def test_column_synonyms_case_and_typed_columns(tmp_path: Path) -> None:
    make(tmp_path, "1.wav", "2.wav")
    frame = {"File_Name": ["1.wav", "2.wav"], "Category": [3, None], "ACTOR": [7, 8], "dataset": ["A", None]}
    pl.DataFrame(frame | {"embedding": [[1.0], [2.0]]}).write_parquet(tmp_path / "m.parquet")
    found = read_dataset(tmp_path / "m.parquet").recordings
    assert [(r.label, r.group, r.dataset) for r in found] == [("3", "7", "A"), (None, "8", "m")]
    assert {r.dataset for r in read_dataset(tmp_path / "m.parquet", name="B")} == {"B"}


def test_rows_that_leave_the_folder_are_refused(tmp_path: Path) -> None:
    make(tmp_path, "secret.wav", "set/1.wav", "set/a/2.wav", "other/3.wav")
    write(
        tmp_path / "set" / "m.csv",
        "path",
        "../secret.wav",
        "a/../../secret.wav",
        "a/../1.wav",
        "..",
        "",
        str(tmp_path / "other" / "3.wav"),
        "a\0b.wav",
        "gone.wav",
        "a",
        "1.wav/x.wav",
    )
    dataset = read_dataset(tmp_path / "set" / "m.csv")
    # what stays inside is allowed, and an absolute path is the user's own choice
    assert [r.path for r in dataset] == [tmp_path / "other/3.wav", tmp_path / "set/1.wav"]
    found = [reason for _, reason in dataset.skipped]
    assert sum("leaves the folder of the manifest" in reason for reason in found) == 3
    assert sum(reason == "no such file" for reason in found) == 2
    assert "not a file" in found
    assert any("null" in reason for reason in found)


def test_rows_named_twice(tmp_path: Path) -> None:
    make(tmp_path, "1.wav")
    path = write(tmp_path / "m.csv", "path,label,split", "1.wav,a,train", "./1.wav,a,test")
    dataset = read_dataset(path)
    assert [r.split for r in dataset] == ["test"]
    assert reasons(dataset) == {"1.wav": "listed more than once"}
    assert [r.split for r in read_dataset(path, split="train")] == ["train"]
    write(path, "path,label", "1.wav,a", "1.wav,b")
    with pytest.raises(ConfigError, match=r"labels 'a' and 'b'.*keep one row"):
        read_dataset(path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["pth,label", "1.wav,a"], "no column with paths among pth, label; did you mean 'path'. use one of path"),
        (["path;label", "1.wav;a"], "among path;label"),
        (["path,label", "1.wav,a,b,c"], "not readable as a table"),
        ([""], "not readable as a table"),
    ],
)
def test_bad_manifests(tmp_path: Path, lines: list[str], message: str) -> None:
    make(tmp_path, "1.wav")
    with pytest.raises(ConfigError, match=message):
        read_dataset(write(tmp_path / "m.csv", *lines))


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_a_manifest_of_rubbish(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    path.write_bytes(bytes(range(256)) * 4)
    with pytest.raises(ConfigError, match="not readable as a table"):
        read_dataset(path)


def test_a_panic_of_the_reader_of_parquet_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(data: object) -> None:  # as it does on some damaged files
        raise pl.exceptions.PanicException("assertion `left == right` failed")

    monkeypatch.setattr(pl, "read_parquet", panic)
    (tmp_path / "m.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConfigError, match="not readable as a table"):
        read_dataset(tmp_path / "m.parquet")


def test_manifests_without_usable_rows(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no rows; give a manifest"):
        read_dataset(write(tmp_path / "m.csv", "path,label"))
    with pytest.raises(AudioError, match=r"none of 2 recordings usable.*no such file; paths are relative to"):
        read_dataset(write(tmp_path / "m.csv", "path,label", "x.wav,a", "y.wav,a"))


def test_which_manifest(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "path", "1.wav")
    write(tmp_path / "b.csv", "path", "1.wav")
    with pytest.raises(ConfigError, match=r"tables found: a\.csv, b\.csv; give the manifest's own path"):
        read_dataset(tmp_path, layout="manifest")
    with pytest.raises(AudioError, match=r"no recordings; .*or the path of a manifest \(a\.csv, b\.csv there\?\)"):
        read_dataset(tmp_path)
    with pytest.raises(ConfigError, match="not a table by its suffix"):
        read_dataset(make(tmp_path, "x.wav") / "x.wav", layout="manifest")


# ---- audiofolder ----


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_audiofolder(tmp_path: Path, suffix: str) -> None:
    root = make(tmp_path, "train/1.wav", "train/2.wav", "test/1.wav", "test/extra.wav")
    rows = [("train/1.wav", "dog"), ("train/2.wav", "cat"), ("test/1.wav", "dog")]
    save(root / f"metadata{suffix}", [{"file_name": name, "label": label} for name, label in rows])
    dataset = read_dataset(root)
    assert dataset.layout == "audiofolder"
    assert keys(dataset, root) == dict(rows)
    assert [r.split for r in dataset] == ["test", "train", "train"]
    assert reasons(dataset) == {"extra.wav": "no metadata names it"}


@pytest.mark.parametrize("name", ["^.*$", "^($"])
def test_names_of_columns_are_no_patterns(tmp_path: Path, name: str) -> None:
    root = make(tmp_path, "1.wav")
    write(root / "list.csv", f"path,{name}", "1.wav,loud")
    assert read_dataset(root / "list.csv").recordings[0].extra == ((name, "loud"),)


def test_audiofolder_with_metadata_in_each_folder(tmp_path: Path) -> None:
    root = make(tmp_path, "data/train/1.wav", "data/test/1.wav") / "data"
    for split in ("train", "test"):
        write(root / split / "metadata.csv", "file_name,label,text", f'1.wav,{split}ing,"hello, you"')
    dataset = read_dataset(root, split="test")
    assert keys(dataset, root) == {"test/1.wav": "testing"}
    assert dataset.recordings[0].extra == (("text", "hello, you"),)
    assert dataset.recordings[0].split == "test"


def test_audiofolder_without_metadata(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no metadata.csv"):
        read_dataset(make(tmp_path, "1.wav"), layout="audiofolder")


# ---- options ----


def test_options_that_are_wrong(tmp_path: Path) -> None:
    root = make(tmp_path / "set", "train/dog/1.wav", "test/cat/1.wav")
    with pytest.raises(ConfigError, match="no such file or folder; did you mean 'set'"):
        read_dataset(tmp_path / "sett")
    with pytest.raises(ConfigError, match=r"layout 'gtsan'; did you mean 'gtzan'. use one of auto, file"):
        read_dataset(root, layout="gtsan")
    with pytest.raises(ConfigError, match=r"split 'tset'.*did you mean 'test'. use one of test, train"):
        read_dataset(root, split="tset")
    with pytest.raises(ConfigError, match=r"split 'test'.*it has no splits"):
        read_dataset(root / "test", split="test")
    with pytest.raises(ConfigError, match=r"label 'cats'.*did you mean 'cat'. use some of cat, dog"):
        read_dataset(root, labels=["dog", "cats"])
    with pytest.raises(ConfigError, match="its recordings have no labels"):
        read_dataset(root / "test" / "cat", labels=["cat"])
    with pytest.raises(ConfigError, match=r"use a list of labels: \['dog'\]"):
        read_dataset(root, labels="dog")
    with pytest.raises(ConfigError, match="labels is empty"):
        read_dataset(root, labels=())
    with pytest.raises(ConfigError, match=r"include 'dgo/.' matches nothing.*a path there is 'test/cat/1.wav'"):
        read_dataset(root, include="dgo/*")
    with pytest.raises(ConfigError, match="a file, but layout 'gtzan' reads a folder"):
        read_dataset(root / "test/cat/1.wav", layout="gtzan")
    with pytest.raises(ConfigError, match="a folder, but layout 'file'"):
        read_dataset(root, layout="file")
    with pytest.raises(ConfigError, match=r"seed 1.5"):
        read_dataset(root, seed=1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [0, -1, True, 2.0, "3"])
def test_limits_that_are_wrong(tmp_path: Path, limit: int) -> None:
    with pytest.raises(ConfigError, match="whole number of at least 1"):
        read_dataset(make(tmp_path, "1.wav"), limit=limit)


def test_folders_and_files_without_audio(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"no recordings; give a folder with audio files \(.*\.flac"):
        read_dataset(tmp_path)
    make(tmp_path, "song.m4a")
    with pytest.raises(AudioError, match=r"its one recording not usable.*does not read .m4a"):
        read_dataset(tmp_path)
    with pytest.raises(ConfigError, match="neither audio nor a manifest by its suffix"):
        read_dataset(tmp_path / "song.m4a")
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioError, match="the file is empty"):
        read_dataset(tmp_path / "empty.wav")


def test_include_and_labels(tmp_path: Path) -> None:
    make(tmp_path, "a/1.wav", "a/b/2.wav", "c/3.wav")
    write(tmp_path / "manifest.csv", "path,label", "a/1.wav,x", "a/b/2.wav,y", "c/3.wav,x", "c/gone.wav,x")
    dataset = read_dataset(tmp_path, include="a/*")
    assert keys(dataset, tmp_path) == {"a/1.wav": "x", "a/b/2.wav": "y"}
    assert dataset.skipped == ()  # what include leaves out is not reported as missing
    assert keys(read_dataset(tmp_path, labels={"x"}), tmp_path) == {"a/1.wav": "x", "c/3.wav": "x"}


def test_relative_paths_stay_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "set", "dog/1.wav", "cat/2.wav")
    monkeypatch.chdir(tmp_path)
    assert [r.path for r in read_dataset("set")] == [Path("set/cat/2.wav"), Path("set/dog/1.wav")]
    monkeypatch.chdir(tmp_path / "set" / "dog")
    dataset = read_dataset("..", include="dog/*")
    assert [(r.path, r.dataset) for r in dataset] == [(Path("../dog/1.wav"), "set")]


def test_every_reader_is_documented() -> None:
    assert all(f"``{layout}``" in (datasets.__doc__ or "") for layout in READERS)


# ---- the real folder ----


def test_shared_data() -> None:
    root = Path(os.environ.get("EARWITNESS_SHARED", ROOT.parent / "shared")) / "data"
    if not root.is_dir():
        pytest.skip(f"the shared recordings are not here: no {root}; set EARWITNESS_SHARED")
    digits = read_dataset(root, include="fsdd/*", limit=6, name="fsdd")
    assert (digits.layout, len(digits), digits.skipped) == ("manifest", 60, ())
    assert Counter(r.label for r in digits) == {str(digit): 6 for digit in range(10)}
    assert all(r.group and r.split == "test" and r.dataset == "fsdd" for r in digits)
    assert read_dataset(root / "spoof").labels == ("bonafide", "fake")
    assert read_dataset(root / "gtzan").layout == "gtzan"
