"""The built-in recordings: complete, in the promised form, audible, and freely licensed."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

FOLDER = Path(__file__).resolve().parents[1] / "src" / "earwitness" / "data" / "recordings"
COLUMNS = ["file", "title", "author", "licence", "licence_url", "source", "start_seconds", "genre", "sha256"]
LICENCE_URLS = {
    "CC-BY-3.0": "https://creativecommons.org/licenses/by/3.0/",
    "CC-BY-SA-3.0": "https://creativecommons.org/licenses/by-sa/3.0/",
    "MIT": "https://opensource.org/license/mit",
}


def _rows() -> list[dict[str, str]]:
    with (FOLDER / "recordings.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


ROWS = _rows()
EACH = pytest.mark.parametrize("row", ROWS, ids=[row["file"] for row in ROWS])


def test_the_table_lists_every_file_once() -> None:
    names = [row["file"] for row in ROWS]
    assert list(ROWS[0]) == COLUMNS
    assert names == sorted(file.name for file in FOLDER.glob("*.flac"))
    assert {file.name for file in FOLDER.iterdir()} == {*names, "recordings.csv", "LICENCES.md"}


def test_there_are_enough_of_them_and_they_differ() -> None:
    assert len(ROWS) >= 16
    assert len({row["author"] for row in ROWS}) >= 6
    assert len({row["genre"] for row in ROWS}) >= 8
    assert len({row["sha256"] for row in ROWS}) == len(ROWS)


def test_they_are_small() -> None:
    assert sum((FOLDER / row["file"]).stat().st_size for row in ROWS) < 4_000_000


@EACH
def test_form(row: dict[str, str]) -> None:
    file = FOLDER / row["file"]
    info = soundfile.info(file)
    assert (info.format, info.subtype, info.samplerate, info.channels) == ("FLAC", "PCM_16", 16_000, 1)
    assert info.frames == 64_000
    assert hashlib.sha256(file.read_bytes()).hexdigest() == row["sha256"]


@EACH
def test_sound(row: dict[str, str]) -> None:
    samples, _ = soundfile.read(FOLDER / row["file"], dtype="float64")
    assert np.sqrt(np.mean(samples**2)) > 10 ** (-40 / 20)
    assert np.abs(samples).max() <= 10 ** (-1 / 20) + 1e-4
    quarters = samples.reshape(4, -1)
    assert np.sqrt(np.mean(quarters**2, axis=1)).min() > 10 ** (-50 / 20), "a second of silence"


@EACH
def test_licence(row: dict[str, str]) -> None:
    assert LICENCE_URLS[row["licence"]] == row["licence_url"]
    assert all(row[column].strip() for column in COLUMNS)
    assert float(row["start_seconds"]) >= 0
    notice = (FOLDER / "LICENCES.md").read_text(encoding="utf-8")
    (line,) = [line for line in notice.splitlines() if line.startswith(f"| {row['file']} |")]
    for column in ("title", "author", "licence", "licence_url", "source", "start_seconds"):
        assert row[column] in line


def test_notices_that_the_licences_ask_for() -> None:
    notice = (FOLDER / "LICENCES.md").read_text(encoding="utf-8")
    for words in (
        "Changes made",
        "Viola Iborra <karuritosu@gmail.com>",
        "The above copyright notice and this permission notice shall be included",
        "as long as you give credit to",
        "Attribution-ShareAlike 3.0 Unported",
    ):
        assert words in notice
