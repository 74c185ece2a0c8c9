"""The draw of a few recordings: balanced, and dependent on seed and names only."""

from __future__ import annotations

import os
import random
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earwitness.datasets import read_dataset
from earwitness.datasets.recording import Recording
from earwitness.datasets.selection import draw_recordings
from earwitness.errors import AudioError
from test_datasets import keys, make, write


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
