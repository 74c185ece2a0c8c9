"""Each reader on a small tree in the real layout, made here."""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from earwitness import datasets
from earwitness.datasets import READERS, read_dataset
from earwitness.datasets.layouts.gtzan import GENRES
from earwitness.datasets.layouts.ravdess import EIGHT_EMOTIONS, SEVEN_EMOTIONS
from earwitness.datasets.recording import Dataset, Recording
from earwitness.datasets.selection import draw_recordings
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


# ---- RAVDESS ----


def ravdess(root: Path, actors: Iterable[int] = (1, 2)) -> Path:
    for actor in actors:
        for emotion in range(1, 9):
            make(root, f"Actor_{actor:02d}/03-01-{emotion:02d}-01-02-01-{actor:02d}.wav")
    return root


def test_ravdess(tmp_path: Path) -> None:
    root = ravdess(tmp_path / "Audio_Speech_Actors_01-24")
    make(
        root,
        "Actor_01/03-02-05-01-01-01-01.wav",
        "Actor_01/02-01-05-01-01-01-01.mp4",
        "Actor_01/01-01-05-01-01-01-01.wav",
        "Actor_01/03-01-09-01-01-01-01.wav",
        "audio_speech_actors_01-24/Actor_01/03-01-05-01-02-01-01.wav",
    )
    dataset = read_dataset(root)
    assert (dataset.layout, dataset.name) == ("ravdess", "RAVDESS")
    assert Counter(r.label for r in dataset) == dict.fromkeys(EIGHT_EMOTIONS, 2)
    angry = next(r for r in dataset if r.label == "angry")
    assert (angry.path.name, angry.group, angry.dataset) == ("03-01-05-01-02-01-01.wav", "actor01", "RAVDESS")
    assert angry.extra == (("intensity", "normal"), ("statement", "dogs"), ("repetition", "1"))
    found = reasons(dataset)
    assert found["03-02-05-01-01-01-01.wav"] == "song, not speech"
    assert "does not read .mp4" in found["02-01-05-01-01-01-01.mp4"]
    assert "of a video" in found["01-01-05-01-01-01-01.wav"]
    assert "not named as in RAVDESS" in found["03-01-09-01-01-01-01.wav"]
    assert "a copy of" in found["03-01-05-01-02-01-01.wav"]


def test_ravdess_seven_emotions(tmp_path: Path) -> None:
    root = ravdess(tmp_path)
    seven = read_dataset(root, layout="ravdess7")
    assert seven.labels == tuple(sorted(SEVEN_EMOTIONS))
    assert "calm" not in seven.labels
    assert read_dataset(root, labels=SEVEN_EMOTIONS).recordings == seven.recordings
    with pytest.raises(ConfigError, match="label 'calm'"):
        read_dataset(root, layout="ravdess7", labels=["calm"])


def test_ravdess_of_other_names(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="not named as in RAVDESS"):
        read_dataset(make(tmp_path, "a.wav"), layout="ravdess")


# ---- GTZAN ----


@pytest.mark.parametrize(("folder", "suffix"), [("genres", "au"), ("Data/genres_original", "wav"), ("", "flac")])
def test_gtzan(tmp_path: Path, folder: str, suffix: str) -> None:
    for genre in GENRES:
        inside = f"{folder}/{genre}" if folder else "."
        make(tmp_path, *(f"{inside}/{genre}.{number:05d}.{suffix}" for number in (0, 54)))
    write(tmp_path / "Data" / "features_30_sec.csv", "filename,label", "blues.00000.wav,blues")
    make(tmp_path, "Data/images_original/blues/blues00000.png", "intro.wav")
    dataset = read_dataset(tmp_path)
    assert (dataset.layout, dataset.name, dataset.labels) == ("gtzan", "GTZAN", GENRES)
    assert Counter(r.label for r in dataset) == {genre: 1 if genre == "jazz" else 2 for genre in GENRES}
    found = reasons(dataset)
    assert found.pop(f"jazz.00054.{suffix}") == "known to be corrupt"
    assert "not named as in GTZAN" in found["intro.wav"]


# ---- ASVspoof 2019 LA ----

PROTOCOLS = {
    "train": ("trn", ["LA_0079 LA_T_1138215 - - bonafide", "LA_0079 LA_T_1004644 - A01 spoof"]),
    "dev": ("trl", ["LA_0069 LA_D_1047731 - - bonafide", "LA_0069 LA_D_1105538 - A06 spoof"]),
    "eval": ("trl", ["LA_0039 LA_E_2834763 - A11 spoof", "LA_0014 LA_E_8877452 - - bonafide", ""]),
}


def asvspoof(root: Path) -> Path:
    for split, (kind, lines) in PROTOCOLS.items():
        write(root / "ASVspoof2019_LA_cm_protocols" / f"ASVspoof2019.LA.cm.{split}.{kind}.txt", *lines)
        make(root / f"ASVspoof2019_LA_{split}", *(f"flac/{line.split()[1]}.flac" for line in lines if line))
    make(root, "ASVspoof2019_LA_asv_protocols/ASVspoof2019.LA.asv.dev.gi.trl.txt")
    return root


@pytest.mark.parametrize("below", [".", "LA", "LA/LA"])
def test_asvspoof2019(tmp_path: Path, below: str) -> None:
    root = asvspoof(tmp_path / below)
    dataset = read_dataset(tmp_path)
    assert (dataset.layout, dataset.name, dataset.skipped) == ("asvspoof2019", "ASVspoof2019-LA", ())
    assert Counter((r.split, r.label) for r in dataset) == {(s, k): 1 for s in PROTOCOLS for k in ("bonafide", "spoof")}
    path = root / "ASVspoof2019_LA_eval/flac/LA_E_2834763.flac"
    spoof = Recording(path, "spoof", "LA_0039", "eval", "ASVspoof2019-LA", (("attack", "A11"),))
    assert spoof in dataset.recordings
    assert all(bool(r.extra) == (r.label == "spoof") for r in dataset)
    assert {r.split for r in read_dataset(tmp_path, split="test")} == {"eval"}


def test_asvspoof2019_in_part(tmp_path: Path) -> None:
    root = asvspoof(tmp_path)
    for path in sorted((root / "ASVspoof2019_LA_train/flac").iterdir()):
        path.unlink()
    (root / "ASVspoof2019_LA_train/flac").rmdir()
    (root / "ASVspoof2019_LA_dev/flac/LA_D_1105538.flac").unlink()
    dataset = read_dataset(root)
    assert Counter(r.split for r in dataset) == {"dev": 1, "eval": 2}
    assert reasons(dataset) == {
        "flac": "no such folder, so the split train is left out",
        "LA_D_1105538.flac": "no such file",
    }


@pytest.mark.parametrize(
    "line", ["LA_1 LA_T_1 - -", "LA_1 LA_T_1 - A01 genuine", "LA_1 ../../x - - bonafide", "LA_1 /x - - spoof"]
)
def test_asvspoof2019_with_a_bad_protocol(tmp_path: Path, line: str) -> None:
    root = asvspoof(tmp_path)
    path = root / "ASVspoof2019_LA_cm_protocols" / "ASVspoof2019.LA.cm.train.trn.txt"
    write(path, PROTOCOLS["train"][1][0], line)
    with pytest.raises(ConfigError, match=r"line 2.*get the file anew"):
        read_dataset(root)


def test_asvspoof2019_without_protocols(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no protocol file; give the folder LA"):
        read_dataset(make(tmp_path, "flac/x.flac"), layout="asvspoof2019")


# ---- In-the-Wild ----


@pytest.mark.parametrize("below", ["", "release_in_the_wild/"])
def test_inthewild(tmp_path: Path, below: str) -> None:
    make(tmp_path, f"{below}0.wav", f"{below}1.wav", f"{below}10.wav")
    rows = ["0.wav,Alec Guinness,spoof", '1.wav,"Obama, Barack",bona-fide', "10.wav,Alec Guinness,spoof"]
    write(tmp_path / f"{below}meta.csv", "file,speaker,label", *rows, "2.wav,Alec Guinness,spoof")
    dataset = read_dataset(tmp_path)
    assert (dataset.layout, dataset.name) == ("inthewild", "In-the-Wild")
    assert [(r.path.name, r.label, r.group) for r in dataset] == [
        ("0.wav", "spoof", "Alec Guinness"),
        ("1.wav", "bona-fide", "Obama, Barack"),
        ("10.wav", "spoof", "Alec Guinness"),
    ]
    assert reasons(dataset) == {"2.wav": "no such file"}


def test_inthewild_wants_its_own_table(tmp_path: Path) -> None:
    make(tmp_path, "1.wav")
    with pytest.raises(ConfigError, match=r"no meta\.csv"):
        read_dataset(tmp_path, layout="inthewild")
    write(tmp_path / "meta.csv", "file,label", "1.wav,spoof")
    with pytest.raises(ConfigError, match="no column 'speaker' among file, label"):
        read_dataset(tmp_path, layout="inthewild")
    assert read_dataset(tmp_path).layout == "folder"


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


# ---- the draw ----


def test_limit_is_a_balanced_draw_that_depends_on_seed_and_names_only(tmp_path: Path) -> None:
    names = [f"{label}/{number}.wav" for label in ("a", "b", "c") for number in range(12)] + ["d/0.wav"]
    one, other = make(tmp_path / "one", *names), make(tmp_path / "far" / "other", *reversed(names))
    drawn = read_dataset(one, limit=5, seed=3)
    assert Counter(r.label for r in drawn) == {"a": 5, "b": 5, "c": 5, "d": 1}
    assert keys(drawn, one) == keys(read_dataset(other, limit=5, seed=3), other)
    assert keys(drawn, one) != keys(read_dataset(one, limit=5, seed=4), one)
    assert set(read_dataset(one, limit=2, seed=3)) < set(drawn)
    assert read_dataset(one, limit=100) == read_dataset(one)


def test_the_order_of_rows_and_folders_is_irrelevant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{label}/{number}.wav" for label in "abc" for number in range(6)]
    root = make(tmp_path, *names)
    folder = read_dataset(root, limit=2)
    rng = random.Random(0)
    walk = os.walk

    def shuffled(*args: Any, **kwargs: Any) -> Iterable[tuple[str, list[str], list[str]]]:
        for where, folders, files in walk(*args, **kwargs):
            rng.shuffle(folders)
            rng.shuffle(files)
            yield where, folders, files

    monkeypatch.setattr(os, "walk", shuffled)
    manifests = []
    for _ in range(4):
        assert read_dataset(root, limit=2) == folder
        rng.shuffle(names)
        write(root / "m.csv", "file,label", *(f"{name},{name[0]}" for name in names))
        manifests.append(read_dataset(root / "m.csv", limit=2, name=folder.name).recordings)
    assert manifests == [folder.recordings] * 4


names = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/\\"), min_size=1, max_size=12)
labels = st.sampled_from([None, "a", "b", "c"])


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(names, labels), st.integers(1, 6), st.integers(0, 2**40), st.randoms())
def test_draw_property(rows: dict[str, str | None], limit: int, seed: int, rng: random.Random) -> None:
    root = Path("root")
    recordings = [Recording(root / f"{name}.wav", label) for name, label in rows.items()]
    drawn = draw_recordings(recordings, root, limit, seed)
    sizes = Counter(rows.values())
    assert Counter(r.label for r in drawn) == {label: min(limit, size) for label, size in sizes.items()}
    assert drawn == sorted(set(drawn), key=lambda r: r.path.as_posix())
    rng.shuffle(recordings)
    assert draw_recordings(recordings, root, limit, seed) == drawn
    assert set(drawn) <= set(draw_recordings(recordings, root, limit + 1, seed))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["", "./", "x/../"])), min_size=1, max_size=30),
    st.integers(1, 4),
    st.integers(0, 9),
)
def test_read_property(rows: list[tuple[int, str]], limit: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number in range(9):  # the file 9.wav is missing
            (root / f"{number}.wav").write_bytes(b"x")
        lines = [f"{prefix}{number}.wav,{'abc'[number % 3]}" for number, prefix in rows]
        path = write(root / "m.csv", "path,label", *lines)
        if {number for number, _ in rows} == {9}:
            with pytest.raises(AudioError):
                read_dataset(path, limit=limit, seed=seed)
            return
        dataset = read_dataset(path, limit=limit, seed=seed)
        paths = [r.path.as_posix() for r in dataset]
        assert paths == sorted(set(paths))
        assert max(Counter(r.label for r in dataset).values()) <= limit
        present = {number for number, _ in rows if number != 9}
        assert len(dataset.skipped) == len(rows) - len(present)


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
