"""What a layout's reader is given: a path and what lies below it, looked up once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl
import soundfile

from ..signal.cells import TABLE_SUFFIXES
from .recording import Listing, Skip
from .tables import PATH_COLUMNS, find_column, load_table

_SUFFIXES = {  # of the formats libsndfile may have been built with
    "AIFF": (".aiff", ".aif", ".aifc"),
    "AU": (".au", ".snd"),
    "CAF": (".caf",),
    "FLAC": (".flac",),
    "MP3": (".mp3",),
    "NIST": (".sph", ".nist"),
    "OGG": (".ogg", ".oga", ".opus"),
    "RF64": (".rf64",),
    "VOC": (".voc",),
    "W64": (".w64",),
    "WAV": (".wav", ".wave"),
}
#: what counts as a recording in a folder: the formats this machine's libsndfile reads
AUDIO_SUFFIXES = frozenset(suffix for name in soundfile.available_formats() for suffix in _SUFFIXES.get(name, ()))
FOREIGN_SUFFIXES = frozenset({".aac", ".amr", ".m4a", ".mka", ".mkv", ".mov", ".mp4", ".webm", ".wma"})


@dataclass(frozen=True)
class Source:
    """What a reader is given: the path, and what lies below it (looked up once, when first asked for)."""

    path: Path

    @cached_property
    def root(self) -> Path:
        """The folder that the data set's paths are relative to."""
        return self.path if self.path.is_dir() else self.path.parent

    @cached_property
    def files(self) -> tuple[list[Path], list[Skip]]:
        """Files below the folder that are not hidden, sorted, and the folders that cannot be listed."""
        return _walk(self.root)

    @cached_property
    def audio(self) -> list[Path]:
        """The recordings below the folder, by their suffix."""
        return [path for path in self.files[0] if path.suffix.lower() in AUDIO_SUFFIXES]

    @cached_property
    def unusable(self) -> list[Skip]:
        """Folders that cannot be listed, and media of formats that libsndfile does not read."""
        foreign = [path for path in self.files[0] if path.suffix.lower() in FOREIGN_SUFFIXES]
        return self.files[1] + [(path, say_foreign(path)) for path in foreign]

    @cached_property
    def metadata(self) -> dict[Path, pl.DataFrame]:
        """The tables named ``metadata`` below the folder that have a column ``file_name``."""
        found = (p for p in self.files[0] if p.stem == "metadata" and p.suffix.lower() in TABLE_SUFFIXES)
        tables = {path: load_table(path) for path in found}
        return {path: table for path, table in tables.items() if find_column(table, ("file_name",))}

    @cached_property
    def manifest(self) -> Path | None:
        """The manifest: the path itself, or a ``manifest`` or ``metadata`` table with paths in the folder."""
        if self.path.is_file():
            return self.path if self.path.suffix.lower() in TABLE_SUFFIXES else None
        candidates = (self.path / f"{s}{t}" for s in ("manifest", "metadata") for t in TABLE_SUFFIXES)
        return next((p for p in candidates if p.is_file() and find_column(load_table(p), PATH_COLUMNS)), None)


@dataclass(frozen=True)
class Reader:
    """How to read one layout, how to recognise it, and the data set's usual name (``""``: the folder's)."""

    read: Callable[[Source], Listing]
    recognise: Callable[[Source], bool] = lambda source: False
    name: str = ""


def key_of(path: Path, root: Path) -> str:
    """The path inside the data set, with ``/``; an absolute path elsewhere is its own key."""
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def say_foreign(path: Path) -> str:
    """Why a file in a sound format that is not read is left out."""
    return f"libsndfile does not read {path.suffix.lower()}; convert it to WAV or FLAC"


def _walk(root: Path) -> tuple[list[Path], list[Skip]]:
    """Files below ``root``, sorted, without hidden ones; links are followed, but to no folder twice."""
    files: list[Path] = []
    failed: list[Skip] = []
    seen = {os.path.realpath(root)}

    def fail(error: OSError) -> None:
        failed.append((Path(error.filename), f"cannot be listed: {error.strerror}"))

    for folder, folders, names in os.walk(root, onerror=fail, followlinks=True):
        files.extend(Path(folder, name) for name in names if not name.startswith("."))
        visible = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        folders.clear()
        for name in visible:
            real = os.path.realpath(os.path.join(folder, name))
            if real not in seen:
                seen.add(real)
                folders.append(name)
    return sorted(files, key=Path.as_posix), failed


def mostly_named(source: Source, pattern: re.Pattern[str]) -> bool:
    """Whether more than half of the files are named by the pattern."""
    return 2 * sum(pattern.fullmatch(path.stem) is not None for path in source.audio) > len(source.audio)
