"""Which of the listed recordings are there, and which are wanted."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from ..errors import ConfigError, nearest
from ..signal.cells import find_table
from .recording import Listing, Recording, Skip
from .source import FOREIGN_SUFFIXES, key_of, say_foreign
from .tables import name_some

_SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
SPLIT_OF = {synonym: name for name, synonyms in _SPLIT_NAMES.items() for synonym in synonyms}


def check_options(limit: int | None, seed: int, labels: Collection[str] | None) -> None:
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ConfigError(f"limit {limit!r}; use a whole number of at least 1, or None for all recordings")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ConfigError(f"seed {seed!r}; use a whole number")
    if isinstance(labels, str):
        raise ConfigError(f"labels {labels!r}; use a list of labels: [{labels!r}]")
    if labels is not None and not labels:
        raise ConfigError("labels is empty; name at least one label, or None for all")


def include_only(listing: Listing, root: Path, pattern: str | None, path: Path) -> Listing:
    if pattern is None:
        return listing
    recordings = [r for r in listing.recordings if fnmatchcase(key_of(r.path, root), pattern)]
    skipped = [skip for skip in listing.skipped if fnmatchcase(key_of(skip[0], root), pattern)]
    if listing.recordings and not recordings:
        example = min(key_of(r.path, root) for r in listing.recordings)
        raise ConfigError(f"include {pattern!r} matches nothing in {path}; a path there is {example!r}")
    return Listing(recordings, skipped)


def find_splits(listing: Listing, split: str | None, path: Path) -> set[str]:
    """The split names that are meant by ``split``."""
    present = {r.split for r in listing.recordings}
    if split is None or not present:
        return present
    if split in present:
        return {split}
    wanted = SPLIT_OF.get(split.casefold(), split)
    same = {name for name in present if SPLIT_OF.get(name.casefold(), name) == wanted}
    if not same:
        allowed = sorted(present - {""})
        fix = f"{nearest(split, allowed)}use one of {', '.join(allowed)}" if allowed else "it has no splits"
        raise ConfigError(f"split {split!r} of {path}; {fix}")
    return same


def with_labels(recordings: list[Recording], labels: Collection[str] | None, path: Path) -> list[Recording]:
    if labels is None:
        return recordings
    present = sorted({r.label for r in recordings if r.label is not None})
    for label in labels:
        if label not in present:
            allowed = f"use some of {name_some(present)}" if present else "its recordings have no labels"
            raise ConfigError(f"label {label!r} of {path}; {nearest(label, present)}{allowed}")
    return [r for r in recordings if r.label in labels]


def draw_recordings(recordings: Iterable[Recording], root: Path, limit: int | None, seed: int) -> list[Recording]:
    """At most ``limit`` recordings of each label, sorted by path."""
    classes: dict[str | None, list[Recording]] = defaultdict(list)
    for recording in recordings:
        classes[recording.label].append(recording)

    def rank(recording: Recording) -> bytes:
        # a hash of seed and path, not a shuffle: other files, their order and the limit do not move it
        key = f"{seed}:{key_of(recording.path, root)}".encode("utf-8", "surrogateescape")
        return hashlib.blake2b(key, digest_size=16).digest()

    chosen = (r for members in classes.values() for r in sorted(members, key=rank)[:limit])
    return sorted(chosen, key=lambda r: r.path.as_posix())


def fault_of(path: Path) -> str | None:
    """Why the file cannot be a recording, as far as can be told without opening it."""
    if find_table(path) is not None:
        return None
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        return "no such file" if isinstance(error, FileNotFoundError | NotADirectoryError) else str(error)
    if not stat.S_ISREG(status.st_mode):
        return "not a file"
    if status.st_size == 0:
        return "the file is empty"
    return say_foreign(path) if path.suffix.lower() in FOREIGN_SUFFIXES else None


def find_present(recordings: list[Recording]) -> tuple[list[Recording], list[Skip]]:
    usable, skipped = [], []
    for recording in recordings:
        fault = fault_of(recording.path)
        if fault is None:
            usable.append(recording)
        else:
            skipped.append((recording.path, fault))
    return usable, skipped


def drop_copies(recordings: list[Recording], skipped: list[Skip]) -> tuple[list[Recording], list[Skip]]:
    """Each path once; of several rows that agree on the label, the first in the order of their values."""
    kept: dict[Path, Recording] = {}
    for recording in sorted(recordings, key=lambda r: (r.path.as_posix(), r.split, r.group, r.extra)):
        first = kept.setdefault(recording.path, recording)
        if first.label != recording.label:
            pair = " and ".join(sorted((repr(first.label), repr(recording.label))))
            raise ConfigError(f"{recording.path}: listed with labels {pair}; a recording has one, keep one row")
        if first is not recording:
            skipped.append((recording.path, "listed more than once"))
    return list(kept.values()), skipped


def split_of_folder(key: str) -> str:
    """The split that the first folder of a path stands for, or ``""``."""
    top, slash, _ = key.partition("/")
    return SPLIT_OF.get(top.casefold(), "") if slash else ""
