"""What a data set is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

Skip = tuple[Path, str]


@dataclass(frozen=True)
class Recording:
    """A recording of a data set.

    Attributes
    ----------
    path : Path
        Absolute, or relative as the data set's path was given.
    label : str or None
        The ground truth; ``None`` where unknown.
    group : str
        Speaker, actor, ...: recordings of one group are not independent.
    split : str
        The part of the data set, e.g. ``test``.
    dataset : str
        Name of the data set, for tables.
    extra : tuple of (str, str)
        What else the data set says, e.g. ``(("attack", "A07"),)``.
    """

    path: Path
    label: str | None
    group: str = ""
    split: str = ""
    dataset: str = ""
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Dataset:
    """The recordings of a data set, and what was left out.

    Attributes
    ----------
    recordings : tuple of Recording
        Sorted by path, each path once.
    skipped : tuple of (Path, str)
        What cannot be used, with the reason: missing or empty files, copies, GTZAN's corrupt file,
        RAVDESS' songs, ... What the caller's own options (``split``, ``labels``, ...) leave out is not listed.
    name : str
        The data set's name.
    layout : str
        The layout it was read with; with ``layout="auto"``, the one that was recognised.
    """

    recordings: tuple[Recording, ...]
    skipped: tuple[Skip, ...]
    name: str
    layout: str

    def __len__(self) -> int:
        return len(self.recordings)

    def __iter__(self) -> Iterator[Recording]:
        return iter(self.recordings)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that occur, sorted."""
        return tuple(sorted({r.label for r in self.recordings if r.label is not None}))


@dataclass(frozen=True)
class Listing:
    """What a reader returns: every recording the data set speaks of, there or not, in any order."""

    recordings: list[Recording] = field(default_factory=list)
    skipped: list[Skip] = field(default_factory=list)
