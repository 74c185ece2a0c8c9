"""Data sets: folders, manifests and standard corpora as lists of recordings, found without decoding audio.

Layouts
-------
``file``
    One audio file: one recording without a label.
``folder``
    A flat folder: recordings without labels. Or class folders: the label is the name of the first folder.
    ``train``/``test``/``validation`` folders above the classes (and their usual synonyms) are splits when
    every top folder has such a name, so a class of train noises among other classes stays a class.
``audiofolder``
    The Hugging Face layout: ``metadata.csv``, ``.jsonl`` or ``.parquet`` with a ``file_name`` column, one for
    the whole set or one in each folder.
``manifest``
    A CSV, TSV, JSONL or Parquet file with a column ``path``, ``file``, ``file_name`` or ``filename``, and
    optionally ``label`` (``class``, ``category``), ``group`` (``speaker``, ``speaker_id``, ``actor``),
    ``split`` and ``dataset``; the other columns are kept in :attr:`earwitness.datasets.recording.Recording.extra`.
    Paths are relative to the manifest's folder and may not leave it through ``..``; absolute paths are taken as
    they are.
``parquet``
    One Parquet file or more with the recordings in a column of ``{bytes, path}``, as Hugging Face's ``datasets`` writes
    and the hub holds them; labels, groups and splits as in a manifest, classes by their names, splits by the files'
    names too (``train-00000-of-00003.parquet``). A recording's path is the table's, then its row.
``ravdess``, ``ravdess7``
    RAVDESS by its file names (``03-01-05-01-02-01-12.wav``): audio-only speech, all eight emotions or, with
    ``ravdess7``, the seven of :data:`earwitness.datasets.layouts.ravdess.SEVEN_EMOTIONS`.
``gtzan``
    GTZAN by its file names (``jazz.00012.wav``), without the file known to be corrupt.
``asvspoof2019``
    ASVspoof 2019 LA by its protocol files; the attack's id is in :attr:`earwitness.datasets.recording.Recording.extra`.
``inthewild``
    In-the-Wild by its ``meta.csv``; labels as it spells them, ``bona-fide`` and ``spoof``.

A new layout is one file of ``layouts/`` and one line in :data:`READERS`.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from ..errors import AudioError, ConfigError, nearest
from ..plugins import Registry
from ..signal.cells import TABLE_SUFFIXES
from .layouts.asvspoof2019 import is_asvspoof, read_asvspoof
from .layouts.audiofolder import is_audiofolder, read_audiofolder
from .layouts.file import is_file, read_file
from .layouts.folder import is_folder, read_folder
from .layouts.gtzan import is_gtzan, read_gtzan
from .layouts.inthewild import is_inthewild, read_inthewild
from .layouts.manifest import read_manifest
from .layouts.parquet import is_parquet, read_parquet
from .layouts.ravdess import is_ravdess, read_ravdess, read_ravdess7
from .recording import Dataset, Skip
from .selection import check_options, draw_recordings, drop_copies, find_present, find_splits, include_only, with_labels
from .source import AUDIO_SUFFIXES, Reader, Source
from .tables import list_tables, name_some


def read_dataset(
    path: str | Path,
    *,
    layout: str = "auto",
    name: str | None = None,
    split: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    labels: Collection[str] | None = None,
    include: str | None = None,
) -> Dataset:
    """List the recordings of a data set; no audio is decoded.

    Parameters
    ----------
    path : str or Path
        A folder, a manifest, one audio file, or a pattern of them: ``clips/*.wav``.
    layout : str
        One of :data:`READERS`, or ``auto``: recognised by content.
    name : str, optional
        The data set's name in tables; by default the corpus' or the folder's.
    split : str, optional
        Only this split. Where the data set has no split of that name, a synonym counts
        (``test`` finds ``eval``, ``validation`` finds ``dev``).
    limit : int, optional
        At most so many recordings of each label (and of those without one). The draw depends on ``seed`` and
        on the paths inside the data set only, not on their order nor on where the data set lies, and a
        smaller limit draws a subset of what a larger one draws.
    seed : int
        Of the draw.
    labels : collection of str, optional
        Only these labels.
    include : str, optional
        Only paths, relative to the data set's folder, that match this pattern, e.g. ``fsdd/*``; ``*`` also
        matches ``/``.

    Raises
    ------
    ConfigError
        There is no such path, layout, split or label; a manifest is unreadable or contradicts itself.
    AudioError
        No recording can be used: an empty folder, or a manifest of missing files.

    Examples
    --------
    >>> data = read_dataset("corpora/gtzan", limit=5)        # doctest: +SKIP
    >>> [(path.name, reason) for path, reason in data.skipped]  # doctest: +SKIP
    [('jazz.00054.wav', 'known to be corrupt')]
    """
    path, include = _without_pattern(Path(path), include)
    check_options(limit, seed, labels)
    _check_path(path)
    source = Source(path)
    layout = _recognise(source) if layout == "auto" else _known(layout)
    reader = READERS[layout]
    if path.is_file() and layout not in ("file", "manifest", "parquet"):
        raise ConfigError(f"{path}: a file, but layout {layout!r} reads a folder; give the folder")
    listing = include_only(reader.read(source), source.root, include, path)
    splits = find_splits(listing, split, path)
    usable, unusable = drop_copies(*find_present([r for r in listing.recordings if r.split in splits]))
    if not usable:
        raise _nothing(source, listing.skipped + unusable)
    chosen = draw_recordings(with_labels(usable, labels, path), source.root, limit, seed)
    title = name or reader.name or _name(path)
    named = tuple(r if r.dataset and not name else replace(r, dataset=title) for r in chosen)
    skipped = sorted(listing.skipped + unusable, key=lambda skip: (skip[0].as_posix(), skip[1]))
    return Dataset(named, tuple(skipped), title, layout)


def _without_pattern(path: Path, include: str | None) -> tuple[Path, str | None]:
    """A path with a pattern in it as the folder and what is included: ``clips/*/a*.wav``."""
    if include is not None or path.exists() or not any(sign in str(path) for sign in "*?["):
        return path, include
    first = next(i for i, part in enumerate(path.parts) if any(sign in part for sign in "*?["))
    return Path(*path.parts[:first]), "/".join(path.parts[first:])


def _check_path(path: Path) -> None:
    if os.path.isfile(path) or os.path.isdir(path):
        return
    if os.path.exists(path):
        raise ConfigError(f"{path}: neither a file nor a folder; give a folder, manifest or recording")
    beside = os.listdir(path.parent) if os.path.isdir(path.parent) else []
    hint = nearest(path.name, sorted(beside)) or "give an existing folder, manifest or recording"
    raise ConfigError(f"{path}: no such file or folder; {hint.strip()}")


def _known(layout: str) -> str:
    if layout not in READERS:
        allowed = ("auto", *READERS)
        raise ConfigError(f"layout {layout!r}; {nearest(layout, allowed)}use one of {', '.join(allowed)}")
    return layout


def _recognise(source: Source) -> str:
    for layout in sorted(READERS, key=lambda name: name == "folder"):  # what any folder is comes last
        if READERS[layout].recognise(source):
            return layout
    if source.path.is_file():
        allowed = ", ".join(sorted(AUDIO_SUFFIXES) + list(TABLE_SUFFIXES))
        raise ConfigError(f"{source.path}: neither audio nor a manifest by its suffix; use one of {allowed}")
    raise _nothing(source, source.unusable)


def _name(path: Path) -> str:
    generic = path.is_file() and path.stem in ("manifest", "metadata", "meta")
    resolved = path.resolve()
    return (resolved.parent.name if generic else resolved.stem if path.is_file() else resolved.name) or "data"


def _nothing(source: Source, skipped: list[Skip]) -> AudioError:
    if skipped:
        path, reason = min(skipped, key=lambda skip: skip[0].as_posix())
        count = f"none of {len(skipped)} recordings" if len(skipped) > 1 else "its one recording not"
        where = f"paths are relative to {source.root}" if source.manifest else "mend the files"
        return AudioError(f"{source.path}: {count} usable; the first is {path}: {reason}; {where}")
    if source.path.is_file():
        return AudioError(f"{source.path}: no rows; give a manifest with at least one")
    allowed = ", ".join(sorted(AUDIO_SUFFIXES))
    tables = name_some([table.name for table in list_tables(source.root)])
    hint = f", or the path of a manifest ({tables} there?)" if tables else ""
    return AudioError(f"{source.path}: no recordings; give a folder with audio files ({allowed}){hint}")


#: every layout; ``auto`` takes the first that recognises itself
READERS: Registry[Reader] = Registry(
    "earwitness.layouts",
    {
        "file": Reader(read_file, is_file),
        "asvspoof2019": Reader(read_asvspoof, is_asvspoof, "ASVspoof2019-LA"),
        "inthewild": Reader(read_inthewild, is_inthewild, "In-the-Wild"),
        "parquet": Reader(read_parquet, is_parquet),
        "audiofolder": Reader(read_audiofolder, is_audiofolder),
        "manifest": Reader(read_manifest, lambda source: source.manifest is not None),
        "ravdess": Reader(read_ravdess, is_ravdess, "RAVDESS"),
        "ravdess7": Reader(read_ravdess7, name="RAVDESS"),
        "gtzan": Reader(read_gtzan, is_gtzan, "GTZAN"),
        "folder": Reader(read_folder, is_folder),
    },
)
