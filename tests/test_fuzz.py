"""Hostile input, bounded: sound files mutated at random are read or refused, and found cases stay refused.

``make fuzz`` does the same for as long as one likes, guided by what code was reached.
"""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzzing import TARGETS, TOKENS, Target, attempt

#: mutated files a target; those whose reader takes longest get fewer
EXAMPLES = {"huggingface": 100, "torchscript": 100, "store": 50}

places = st.floats(0, 1, exclude_max=True)
pieces = st.one_of(st.sampled_from(TOKENS), st.binary(min_size=1, max_size=6))


@st.composite
def mutations(draw: Any) -> list[tuple[str, float, bytes]]:
    """What is done to a file, one after the other: what, where (as a share of its length), with what."""
    kinds = st.sampled_from(["flip", "overwrite", "insert", "cut", "repeat", "end"])
    return draw(st.lists(st.tuples(kinds, places, pieces), min_size=1, max_size=6))  # type: ignore[no-any-return]


def mutate(content: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    data = bytearray(content)
    for kind, share, piece in changes:
        at, size = int(share * len(data)), len(piece)
        if kind == "flip" and data:
            data[at] ^= 1 << (piece[0] % 8)
        elif kind == "overwrite":
            data[at : at + size] = piece
        elif kind == "insert":
            data[at:at] = piece
        elif kind == "cut":
            del data[at : at + size * size]
        elif kind == "repeat":
            data[at:at] = data[at : at + 16 * size]
        elif kind == "end":
            del data[at:]
    return bytes(data)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A target's folder and its sound files, made once."""
    made: dict[str, tuple[Path, list[bytes]]] = {}

    def prepare(name: str) -> tuple[Target, Path, list[bytes]]:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            made[name] = folder, TARGETS[name].seeds(folder)
        return TARGETS[name], *made[name]

    return prepare


@pytest.mark.parametrize("name", TARGETS)
def test_sound_files_are_read(prepared: Any, name: str) -> None:
    target, folder, seeds = prepared(name)
    assert seeds
    for content in seeds:
        assert attempt(target, content, folder) is None


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_files_are_read_or_refused(prepared: Any, name: str) -> None:
    target, folder, seeds = prepared(name)
    refused: list[bool] = []

    @settings(max_examples=EXAMPLES.get(name, 400), suppress_health_check=list(HealthCheck), database=None)
    @given(st.integers(0, len(seeds) - 1), mutations())
    def check(seed: int, changes: list[tuple[str, float, bytes]]) -> None:
        refused.append(attempt(target, mutate(seeds[seed], changes), folder) is not None)

    check()
    assert any(refused)  # else the mutations reach nothing


def damaged_archive(kind: int) -> bytes:
    """A ZIP whose record unpacks to nothing."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        archive.writestr("model/data.pkl", bytes(range(256)) * 8)
    content = bytearray(file.getvalue())
    content[60:90] = b"\xff" * 30
    return bytes(content)


def infinite_sound() -> bytes:
    """A recording whose channels have no mean."""
    file = io.BytesIO()
    soundfile.write(file, np.array([[np.inf, -np.inf]] * 9), 16_000, format="WAV", subtype="FLOAT")
    return file.getvalue()


#: the end of a ZIP that says to have begun on another disk
ON_TWO_DISKS = b"PK\x06\x07" + struct.pack("<LQL", 0, 0, 2) + b"PK\x05\x06" + bytes(18)

#: what fuzzing has found, by target: each was once a traceback, a hang or a crash
FOUND: list[tuple[str, bytes]] = [
    ("study", b"a = " + b"[" * 100_000),
    *(("torchscript", damaged_archive(kind)) for kind in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)),
    ("torchscript", ON_TWO_DISKS),
    ("audio", infinite_sound()),
]


@pytest.mark.parametrize(("name", "content"), FOUND)
def test_what_fuzzing_found_is_refused(prepared: Any, name: str, content: bytes) -> None:
    target, folder, _ = prepared(name)
    assert attempt(target, content, folder) is not None
