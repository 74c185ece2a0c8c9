"""The corpora that are known by their layout: what stands in their names, protocols and tables is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from earwitness.datasets import read_dataset
from earwitness.datasets.layouts.gtzan import GENRES
from earwitness.datasets.layouts.ravdess import EIGHT_EMOTIONS, SEVEN_EMOTIONS
from earwitness.datasets.recording import Recording
from earwitness.errors import AudioError, ConfigError
from test_datasets import make, reasons, write

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
