"""A store with damaged or edited values: one message that names the row and how to mend it, or nothing at all."""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earwitness import EarwitnessError, StoreError
from earwitness.report.data import load_study, read_answers
from earwitness.study.answers import study_tables
from earwitness.study.export import write_export
from earwitness.study.reopen import reopen
from earwitness.study.status import study_status
from earwitness.study.store import Store, pack
from earwitness.study.store.packing import pack_mask, unpack_mask
from earwitness.transferability.options import Options
from stores import rewrite
from test_steps import EVIDENCE, SAMPLES, rows_of
from test_study import do, dump, make_clips, study_of

FLIPS = 40


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A finished study's store, its clips beside it."""
    folder = tmp_path_factory.mktemp("sound")
    make_clips(folder / "clips", 2)
    do(study_of(folder / "clips", "low", "high"), folder / "s.db")
    return (folder / "s.db").read_bytes()


def read_everything(path: Path) -> None:
    """What every command that reads a store reads of it."""
    with Store(path) as store:
        study_status(store)
        study_tables(store, Options(draws=10))
        write_export(store, path.parent / "csv", "csv")
        data = load_study(store, 0.5)
        for clip in data.clips["id"]:
            read_answers(store, data, clip)
            store.responsibilities(data.key, clip)
        for subset in store.list_signals(data.key).drop_nulls("size")["subset"]:
            store.mask(subset)
        study = reopen(store, "cpu")
        study.subsets()
        for clip in study.clips["clip"]:
            study.read(clip)


def edit(path: Path, query: str, *values: Any) -> None:
    with rewrite(path) as db:
        assert db.execute(query, values).rowcount == 1


NAN = pack(np.full(3, np.nan, np.float32))
EDITS = [
    ("UPDATE subsets SET mask = ? WHERE id = 1", b"no zlib", r"subset 1 is damaged \(.*does not decompress"),
    ("UPDATE subsets SET mask = ? WHERE id = 1", pack_mask(np.ones(7, bool)), r"subset 1 .*1 bytes, not 201"),
    ("UPDATE subsets SET mask = ? WHERE id = 1", pack_mask(np.ones(1601, bool)), "a mask of 1601 variables where"),
    ("UPDATE subsets SET size = ? WHERE id = 1", "five", "subset 1, .*size is 'five'"),
    ("UPDATE subsets SET size = ? WHERE id = 1", -5, "subset 1, .*size is -5"),
    ("UPDATE subsets SET energy = ? WHERE id = 1", 7.0, "subset 1, .*energy is 7.0"),
    ("UPDATE subsets SET energy = ? WHERE id = 1", "much", "subset 1, .*energy is 'much'"),
    ("UPDATE subsets SET kind = ? WHERE id = 1", b"\xff\xfe", "subset 1, .*kind is b'"),
    ("UPDATE subsets SET log_probabilities = ? WHERE id = 1", NAN, "subset 1, .*do not add up to 1"),
    ("UPDATE explanations SET queries = ? WHERE id = 1", -1, "clip 2, model 1 .*queries is -1"),
    ("UPDATE explanations SET responsibility = ? WHERE id = 1", b"x", "clip 2, model 1 .*does not decompress"),
    ("UPDATE originals SET log_probabilities = ? WHERE clip = 1 AND model = 1", NAN, "clip 1, model 1 .*add up to 1"),
    ("UPDATE transfers SET log_probabilities = ? WHERE subset = 1 AND model = 2", NAN, "subset 1, model 2 .*add up"),
    ("UPDATE transfers SET log_probabilities = ? WHERE subset = 1 AND model = 2", b"1234", "other than 3 numbers"),
    ("UPDATE transfers SET log_probabilities = ? WHERE subset = 1 AND model = 2", 3, "log_probabilities is 3"),
    ("UPDATE clips SET samples = ? WHERE id = 1", "many", "samples is 'many'"),
    ("UPDATE meta SET value = ? WHERE key = 'study'", '{"models"', "fact 'study' is damaged .*JSONDecodeError"),
    ("UPDATE meta SET value = ? WHERE key = 'epsilon'", '"x"', "fact 'epsilon' is damaged"),
    ("UPDATE meta SET value = ? WHERE key = 'settings'", '"0"', "settings '0' is damaged"),
    ("UPDATE meta SET value = ? WHERE key = 'environments'", '[{"python": 3}]', "'environments' is damaged .*libr"),
    ("UPDATE settings SET labels = ?", "[1, 2, 3]", "labels that are no text"),
    ("UPDATE settings SET search = ?", '{"delta": 2}', "settings .* is damaged .*delta 2: out of range"),
]


@pytest.mark.parametrize(("query", "value", "words"), EDITS, ids=[query[7:40] for query, *_ in EDITS])
def test_an_edited_value_is_refused_with_its_row(
    content: bytes, tmp_path: Path, query: str, value: Any, words: str
) -> None:
    (tmp_path / "s.db").write_bytes(content)
    edit(tmp_path / "s.db", query, value)
    with pytest.raises(StoreError, match=words) as refused:
        read_everything(tmp_path / "s.db")
    assert "restore a copy" in str(refused.value)


def test_results_that_are_no_json_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "s.db").write_bytes(content)
    unit = "(SELECT min(unit) FROM results)"
    edit(tmp_path / "s.db", f"UPDATE results SET rows = '[{{' WHERE unit = {unit}")
    with pytest.raises(StoreError, match=r"overlap \d.* is damaged"):
        read_everything(tmp_path / "s.db")


def test_a_sound_store_is_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "s.db").write_bytes(content)
    read_everything(tmp_path / "s.db")


@pytest.mark.parametrize("table", ["subsets", "transfers", "originals"])
def test_what_a_message_says_mends_the_store(tmp_path: Path, table: str) -> None:
    make_clips(tmp_path / "clips", 2)
    study = study_of(tmp_path / "clips", "low", "high")
    do(study, tmp_path / "s.db")
    before = dump(tmp_path / "s.db")
    row = {"subsets": "id = 1", "transfers": "subset = 1 AND model = 2", "originals": "clip = 1 AND model = 1"}[table]
    edit(tmp_path / "s.db", f"UPDATE {table} SET log_probabilities = x'00' WHERE {row}")
    with pytest.raises(StoreError) as refused:
        read_everything(tmp_path / "s.db")
    said = re.search(r'sqlite3 (\S+) "(.*)" and study run', str(refused.value))
    assert said is not None
    with sqlite3.connect(said[1]) as db:
        db.executescript(said[2])
    db.close()
    do(study, tmp_path / "s.db")
    read_everything(tmp_path / "s.db")
    assert sorted(map(repr, dump(tmp_path / "s.db"))) == sorted(map(repr, before))


CHANGES = [
    "UPDATE subsets SET energy = energy * 0.99 WHERE id = 1",
    "UPDATE subsets SET explanation = 2, draw = 9 WHERE id = 1",
    "DELETE FROM subsets WHERE id = 2",
    "DELETE FROM subsets WHERE parent IS NOT NULL AND id % 3 = 0",
    "UPDATE subsets SET id = 1000 WHERE id = (SELECT max(id) FROM subsets)",
    "INSERT INTO subsets (explanation, kind, draw, why) VALUES (1, 'sufficient', 7, 'by hand')",
    "UPDATE explanations SET queries = queries + 1 WHERE id = 1",
    "DELETE FROM explanations WHERE id = 1",
    "UPDATE originals SET log_probabilities = zeroblob(12) WHERE clip = 1 AND model = 1",
    "DELETE FROM originals WHERE clip = 1",
    "UPDATE transfers SET model = 1 - model WHERE subset = 1 AND model = 1",
    "DELETE FROM transfers WHERE subset % 2 = 0",
    "UPDATE results SET rows = '[]' WHERE unit = (SELECT min(unit) FROM results)",
    "DELETE FROM results WHERE analysis = 'survival'",
    "UPDATE files SET clip = 3 - clip",
    "UPDATE digests SET digest = digest + 1 WHERE digest = (SELECT min(digest) FROM digests WHERE name = 'transfers')",
    "DELETE FROM digests WHERE name = 'transfers'",
]


@pytest.mark.parametrize("change", CHANGES)
def test_rows_changed_by_another_hand_are_refused_and_made_again(tmp_path: Path, evidence: Path, change: str) -> None:
    shutil.copytree(evidence, tmp_path / "copy")
    path = tmp_path / "copy" / "s.db"
    before = rows_of(path), numbers(path)
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute(change).rowcount > 0
    with pytest.raises(StoreError, match=r"not as written.* have it made again: earwitness study run"):
        Store(path)
    do(study_of(evidence / "clips", "high", "other", **EVIDENCE), path)
    read_everything(path)
    assert (rows_of(path), numbers(path)) == before
    with Store(path, write=True) as store:
        assert not store.mended


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study with every kind of evidence."""
    folder = tmp_path_factory.mktemp("evidence")
    make_clips(folder / "clips", 2, SAMPLES)
    do(study_of(folder / "clips", "high", "other", **EVIDENCE), folder / "s.db")
    return folder


@pytest.mark.parametrize("change", [
    "UPDATE clips SET label = 'other' WHERE id = 1", "DELETE FROM models WHERE id = 2",
    "UPDATE settings SET search = replace(search, 'delta', 'Delta')", "DELETE FROM planned_clips WHERE clip = 1",
    "INSERT INTO meta VALUES ('other', '1')", "CREATE TABLE other (x)",
    "CREATE TRIGGER other AFTER INSERT ON transfers BEGIN DELETE FROM transfers; END",
])  # fmt: skip
def test_what_is_not_made_again_is_refused_to_writers_too(content: bytes, tmp_path: Path, change: str) -> None:
    (tmp_path / "s.db").write_bytes(content)
    with closing(sqlite3.connect(tmp_path / "s.db")) as db, db:
        db.execute(change)
    for write in (False, True):
        with pytest.raises(StoreError, match=r"not as written.*restore a copy"):
            Store(tmp_path / "s.db", write=write)


def numbers(path: Path) -> list[str]:
    """What a study says, as text."""
    with Store(path) as store:
        tables = study_tables(store, Options(draws=10))
        return [repr(table.to_dict(as_series=False)) for table in tables.values()] + [repr(study_status(store))]


def test_flipped_bits_are_refused_or_change_no_number(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "s.db").write_bytes(content)
    sound, rng, refused = numbers(tmp_path / "s.db"), random.Random(0), 0
    for _ in range(FLIPS):
        damaged = bytearray(content)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        (tmp_path / "s.db").write_bytes(damaged)
        try:
            assert numbers(tmp_path / "s.db") == sound
        except EarwitnessError:
            refused += 1
    assert 0 < refused < FLIPS


def test_a_mask_is_unpacked_to_its_size_and_no_further() -> None:
    bomb = pack_mask(np.zeros(10**8, bool))
    assert len(bomb) < 20_000
    with pytest.raises(ValueError, match="longer than it may be"):
        unpack_mask(bomb, 1000)
    mask = np.random.default_rng(0).random(1001) < 0.5
    np.testing.assert_array_equal(unpack_mask(pack_mask(mask), 1001), mask)
    with pytest.raises(ValueError, match="cut off"):
        unpack_mask(pack_mask(mask)[:-6], 1001)


@pytest.mark.parametrize(("number", "said"), [
    (errno.ENOLCK, "keeps no locks"), (errno.EOPNOTSUPP, "keeps no locks"), (errno.EWOULDBLOCK, "is writing to it"),
])  # fmt: skip
def test_a_drive_without_locks_is_refused_and_not_taken_for_another_writer(
    number: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("earwitness.study.store.lock._take", refuse)
    with pytest.raises(StoreError, match=said):
        Store(tmp_path / "s.db", write=True)
