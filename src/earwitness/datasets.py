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
    ``split`` and ``dataset``; the other columns are kept in :attr:`Recording.extra`. Paths are relative to the
    manifest's folder and may not leave it through ``..``; absolute paths are taken as they are.
``ravdess``, ``ravdess7``
    RAVDESS by its file names (``03-01-05-01-02-01-12.wav``): audio-only speech, all eight emotions or, with
    ``ravdess7``, the seven of :data:`SEVEN_EMOTIONS`.
``gtzan``
    GTZAN by its file names (``jazz.00012.wav``), without the file known to be corrupt.
``asvspoof2019``
    ASVspoof 2019 LA by its protocol files; the attack's id is in :attr:`Recording.extra`.
``inthewild``
    In-the-Wild by its ``meta.csv``; labels as it spells them, ``bona-fide`` and ``spoof``.

A new layout is one function and one line in :data:`READERS`.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

import polars as pl
import soundfile

from .errors import AudioError, ConfigError, nearest

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
_FOREIGN_SUFFIXES = frozenset({".aac", ".amr", ".m4a", ".mka", ".mkv", ".mov", ".mp4", ".webm", ".wma"})
TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")

_PATH_COLUMNS = ("path", "file", "file_name", "filename")
_LABEL_COLUMNS = ("label", "class", "category")
_GROUP_COLUMNS = ("group", "speaker", "speaker_id", "actor")
_SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SPLIT_OF = {synonym: name for name, synonyms in _SPLIT_NAMES.items() for synonym in synonyms}

EIGHT_EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
#: RAVDESS without ``calm``, the one emotion that seven-emotion speech models have no label for.
#: For another choice of seven read ``ravdess`` with ``labels=``.
SEVEN_EMOTIONS = tuple(emotion for emotion in EIGHT_EMOTIONS if emotion != "calm")
GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
_CORRUPT_GTZAN = "jazz.00054"

# modality-channel-emotion-intensity-statement-repetition-actor
_RAVDESS = re.compile(
    r"(?P<modality>0[1-3])-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])"
    r"-(?P<statement>0[12])-(?P<repetition>0[12])-(?P<actor>[01][0-9]|2[0-4])"
)
_GTZAN = re.compile(rf"(?P<genre>{'|'.join(GENRES)})\.\d{{5}}")
_PROTOCOL = re.compile(r"ASVspoof2019\.LA\.cm\.(?P<split>train|dev|eval)\.tr[nl]\.txt")

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
        foreign = [path for path in self.files[0] if path.suffix.lower() in _FOREIGN_SUFFIXES]
        return self.files[1] + [(path, _foreign(path)) for path in foreign]

    @cached_property
    def metadata(self) -> dict[Path, pl.DataFrame]:
        """The tables named ``metadata`` below the folder that have a column ``file_name``."""
        found = (p for p in self.files[0] if p.stem == "metadata" and p.suffix.lower() in TABLE_SUFFIXES)
        tables = {path: _load(path) for path in found}
        return {path: table for path, table in tables.items() if _column(table, ("file_name",))}

    @cached_property
    def manifest(self) -> Path | None:
        """The manifest: the path itself, or a ``manifest`` or ``metadata`` table with paths in the folder."""
        if self.path.is_file():
            return self.path if self.path.suffix.lower() in TABLE_SUFFIXES else None
        candidates = (self.path / f"{s}{t}" for s in ("manifest", "metadata") for t in TABLE_SUFFIXES)
        return next((p for p in candidates if p.is_file() and _column(_load(p), _PATH_COLUMNS)), None)


@dataclass(frozen=True)
class Reader:
    """How to read one layout, how to recognise it, and the data set's usual name (``""``: the folder's)."""

    read: Callable[[Source], Listing]
    recognise: Callable[[Source], bool] = lambda source: False
    name: str = ""


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
        A folder, a manifest, or one audio file.
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
    path = Path(path)
    _check_options(limit, seed, labels)
    _check_path(path)
    source = Source(path)
    layout = _recognise(source) if layout == "auto" else _known(layout)
    reader = READERS[layout]
    if path.is_file() and layout not in ("file", "manifest"):
        raise ConfigError(f"{path}: a file, but layout {layout!r} reads a folder; give the folder")
    listing = _include(reader.read(source), source.root, include, path)
    splits = _splits(listing, split, path)
    usable, unusable = _unique(*_present([r for r in listing.recordings if r.split in splits]))
    if not usable:
        raise _nothing(source, listing.skipped + unusable)
    chosen = _draw(_labelled(usable, labels, path), source.root, limit, seed)
    title = name or reader.name or _name(path)
    named = tuple(r if r.dataset and not name else replace(r, dataset=title) for r in chosen)
    skipped = sorted(listing.skipped + unusable, key=lambda skip: (skip[0].as_posix(), skip[1]))
    return Dataset(named, tuple(skipped), title, layout)


# ---- options ----


def _check_options(limit: int | None, seed: int, labels: Collection[str] | None) -> None:
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ConfigError(f"limit {limit!r}; use a whole number of at least 1, or None for all recordings")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ConfigError(f"seed {seed!r}; use a whole number")
    if isinstance(labels, str):
        raise ConfigError(f"labels {labels!r}; use a list of labels: [{labels!r}]")
    if labels is not None and not labels:
        raise ConfigError("labels is empty; name at least one label, or None for all")


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
    for layout, reader in READERS.items():
        if reader.recognise(source):
            return layout
    if source.path.is_file():
        allowed = ", ".join(sorted(AUDIO_SUFFIXES) + list(TABLE_SUFFIXES))
        raise ConfigError(f"{source.path}: neither audio nor a manifest by its suffix; use one of {allowed}")
    raise _nothing(source, source.unusable)


def _include(listing: Listing, root: Path, pattern: str | None, path: Path) -> Listing:
    if pattern is None:
        return listing
    recordings = [r for r in listing.recordings if fnmatchcase(_key(r.path, root), pattern)]
    skipped = [skip for skip in listing.skipped if fnmatchcase(_key(skip[0], root), pattern)]
    if listing.recordings and not recordings:
        example = min(_key(r.path, root) for r in listing.recordings)
        raise ConfigError(f"include {pattern!r} matches nothing in {path}; a path there is {example!r}")
    return Listing(recordings, skipped)


def _splits(listing: Listing, split: str | None, path: Path) -> set[str]:
    """The split names that are meant by ``split``."""
    present = {r.split for r in listing.recordings}
    if split is None or not present:
        return present
    if split in present:
        return {split}
    wanted = _SPLIT_OF.get(split.casefold(), split)
    same = {name for name in present if _SPLIT_OF.get(name.casefold(), name) == wanted}
    if not same:
        allowed = sorted(present - {""})
        fix = f"{nearest(split, allowed)}use one of {', '.join(allowed)}" if allowed else "it has no splits"
        raise ConfigError(f"split {split!r} of {path}; {fix}")
    return same


def _labelled(recordings: list[Recording], labels: Collection[str] | None, path: Path) -> list[Recording]:
    if labels is None:
        return recordings
    present = sorted({r.label for r in recordings if r.label is not None})
    for label in labels:
        if label not in present:
            allowed = f"use some of {_some(present)}" if present else "its recordings have no labels"
            raise ConfigError(f"label {label!r} of {path}; {nearest(label, present)}{allowed}")
    return [r for r in recordings if r.label in labels]


def _draw(recordings: Iterable[Recording], root: Path, limit: int | None, seed: int) -> list[Recording]:
    """At most ``limit`` recordings of each label, sorted by path."""
    classes: dict[str | None, list[Recording]] = defaultdict(list)
    for recording in recordings:
        classes[recording.label].append(recording)

    def rank(recording: Recording) -> bytes:
        # a hash of seed and path, not a shuffle: other files, their order and the limit do not move it
        key = f"{seed}:{_key(recording.path, root)}".encode("utf-8", "surrogateescape")
        return hashlib.blake2b(key, digest_size=16).digest()

    chosen = (r for members in classes.values() for r in sorted(members, key=rank)[:limit])
    return sorted(chosen, key=lambda r: r.path.as_posix())


# ---- recordings ----


def _key(path: Path, root: Path) -> str:
    """The path inside the data set, with ``/``; an absolute path elsewhere is its own key."""
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def _name(path: Path) -> str:
    generic = path.is_file() and path.stem in ("manifest", "metadata", "meta")
    resolved = path.resolve()
    return (resolved.parent.name if generic else resolved.stem if path.is_file() else resolved.name) or "data"


def _some(names: list[str]) -> str:
    return ", ".join(names[:20]) + (f", ... ({len(names)} in all)" if len(names) > 20 else "")


def _foreign(path: Path) -> str:
    return f"libsndfile does not read {path.suffix.lower()}; convert it to WAV or FLAC"


def _fault(path: Path) -> str | None:
    """Why the file cannot be a recording, as far as can be told without opening it."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        return "no such file" if isinstance(error, FileNotFoundError | NotADirectoryError) else str(error)
    if not stat.S_ISREG(status.st_mode):
        return "not a file"
    if status.st_size == 0:
        return "the file is empty"
    return _foreign(path) if path.suffix.lower() in _FOREIGN_SUFFIXES else None


def _present(recordings: list[Recording]) -> tuple[list[Recording], list[Skip]]:
    usable, skipped = [], []
    for recording in recordings:
        fault = _fault(recording.path)
        if fault is None:
            usable.append(recording)
        else:
            skipped.append((recording.path, fault))
    return usable, skipped


def _unique(recordings: list[Recording], skipped: list[Skip]) -> tuple[list[Recording], list[Skip]]:
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


def _nothing(source: Source, skipped: list[Skip]) -> AudioError:
    if skipped:
        path, reason = min(skipped, key=lambda skip: skip[0].as_posix())
        count = f"none of {len(skipped)} recordings" if len(skipped) > 1 else "its one recording not"
        where = f"paths are relative to {source.root}" if source.manifest else "mend the files"
        return AudioError(f"{source.path}: {count} usable; the first is {path}: {reason}; {where}")
    if source.path.is_file():
        return AudioError(f"{source.path}: no rows; give a manifest with at least one")
    allowed = ", ".join(sorted(AUDIO_SUFFIXES))
    tables = _some([table.name for table in _tables(source.root)])
    hint = f", or the path of a manifest ({tables} there?)" if tables else ""
    return AudioError(f"{source.path}: no recordings; give a folder with audio files ({allowed}){hint}")


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


# ---- tables ----


def _tables(folder: Path) -> list[Path]:
    visible = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in visible if path.suffix.lower() in TABLE_SUFFIXES)


def _load(path: Path) -> pl.DataFrame:
    """A table; CSV and TSV as text."""
    suffix = path.suffix.lower()
    try:
        data = io.BytesIO(path.read_bytes())  # not the path: polars would expand * and [ in it
        if suffix == ".parquet":
            return pl.read_parquet(data)
        if suffix in (".jsonl", ".ndjson"):
            return pl.read_ndjson(data, infer_schema_length=None)
        if suffix in (".csv", ".tsv"):
            return pl.read_csv(data, separator="\t" if suffix == ".tsv" else ",", infer_schema=False)
    except (pl.exceptions.PolarsError, OSError, UnicodeError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        message = f"{path}: not readable as a table ({reason}); use UTF-8 and one separator throughout"
        raise ConfigError(message) from error
    raise ConfigError(f"{path}: not a table by its suffix; use one of {', '.join(TABLE_SUFFIXES)}")


def _column(table: pl.DataFrame, wanted: tuple[str, ...]) -> str | None:
    """The first wanted column that the table has, whatever its case; nested columns do not count."""
    names = {name.strip().casefold(): name for name in _text(table.head(0)).columns}
    return next((names[name] for name in wanted if name in names), None)


def _read_table(path: Path, table: pl.DataFrame, paths: tuple[str, ...] = _PATH_COLUMNS) -> Listing:
    """The rows of a manifest."""
    columns = table.columns
    at = _column(table, paths)
    if at is None:
        likely = next(filter(None, (nearest(name, paths) for name in columns)), "")
        raise ConfigError(f"{path}: no column with paths among {_some(columns)}; {likely}use one of {', '.join(paths)}")
    label, group = _column(table, _LABEL_COLUMNS), _column(table, _GROUP_COLUMNS)
    split, dataset = _column(table, ("split",)), _column(table, ("dataset",))
    rest = [name for name in columns if name.strip() and name not in (at, label, group, split, dataset)]
    listing = Listing()
    for number, row in enumerate(_text(table).iter_rows(named=True), start=1):
        where, fault = _locate(path, row[at], number)
        if fault:
            listing.skipped.append((where, fault))
            continue
        extra = tuple((name, _cell(row, name)) for name in rest if _cell(row, name))
        truth = _cell(row, label) or None
        listing.recordings.append(
            Recording(where, truth, _cell(row, group), _cell(row, split), _cell(row, dataset), extra)
        )
    return listing


def _text(table: pl.DataFrame) -> pl.DataFrame:
    """The columns that are not nested or binary, as text."""
    flat = [name for name, dtype in table.schema.items() if not dtype.is_nested() and dtype != pl.Binary]
    return table.select(pl.col(flat).cast(pl.String, strict=False))


def _cell(row: dict[str, str | None], name: str | None) -> str:
    return (row.get(name) or "").strip() if name is not None else ""


def _locate(table: Path, given: str | None, number: int) -> Skip:
    """The path that a row means and, where it may not be used, the reason."""
    if not given:
        return table, f"row {number} has no path"
    if Path(given).is_absolute():
        return Path(given), ""
    inside = os.path.normpath(given)
    if inside == os.pardir or inside.startswith(os.pardir + os.sep) or Path(inside).drive:
        return table.parent / given, "leaves the folder of the manifest; move the file or use an absolute path"
    return table.parent / inside, ""


# ---- readers ----


def _is_file(source: Source) -> bool:
    return source.path.is_file() and source.path.suffix.lower() in AUDIO_SUFFIXES


def _read_file(source: Source) -> Listing:
    if not source.path.is_file():
        raise ConfigError(f"{source.path}: a folder, but layout 'file' reads one recording; use 'folder'")
    return Listing([Recording(source.path, None)])


def _read_manifest(source: Source) -> Listing:
    path = source.path if source.path.is_file() else source.manifest
    if path is None:
        tables = _tables(source.root)
        if len(tables) != 1:
            names = _some([table.name for table in tables]) or "none"
            raise ConfigError(f"{source.path}: no manifest.csv, tables found: {names}; give the manifest's own path")
        path = tables[0]
    return _read_table(path, _load(path))


def _is_audiofolder(source: Source) -> bool:
    return source.path.is_dir() and bool(source.metadata)


def _read_audiofolder(source: Source) -> Listing:
    if not source.metadata:
        raise ConfigError(
            f"{source.path}: no metadata.csv, .jsonl or .parquet with a column file_name;"
            " add one, or use layout 'folder' or 'manifest'"
        )
    listing = Listing(skipped=list(source.unusable))
    for path, table in source.metadata.items():
        rows = _read_table(path, table, ("file_name",))
        listing.recordings.extend(
            replace(r, split=r.split or _split_folder(_key(r.path, source.root))) for r in rows.recordings
        )
        listing.skipped.extend(rows.skipped)
    named = {r.path for r in listing.recordings}
    listing.skipped.extend((path, "no metadata names it") for path in source.audio if path not in named)
    return listing


def _split_folder(key: str) -> str:
    """The split that the first folder of a path stands for, or ``""``."""
    top, slash, _ = key.partition("/")
    return _SPLIT_OF.get(top.casefold(), "") if slash else ""


def _is_folder(source: Source) -> bool:
    return source.path.is_dir() and bool(source.audio)


def _read_folder(source: Source) -> Listing:
    parts = {path: path.relative_to(source.root).parts for path in source.audio}
    tops = {inside[0] for inside in parts.values() if len(inside) > 1}
    split_folders = bool(tops) and all(top.casefold() in _SPLIT_OF for top in tops)
    depth = 1 if split_folders else 0
    labelled = {inside[:depth] for inside in parts.values() if len(inside) > depth + 1}
    listing = Listing(skipped=list(source.unusable))
    for path, inside in parts.items():
        if len(inside) <= depth:
            listing.skipped.append((path, "lies beside the split folders; move it into one"))
        elif len(inside) == depth + 1 and inside[:depth] in labelled:
            listing.skipped.append((path, "lies beside the class folders; move it into one"))
        else:
            split = _SPLIT_OF[inside[0].casefold()] if split_folders else ""
            label = inside[depth] if len(inside) > depth + 1 else None
            listing.recordings.append(Recording(path, label, split=split))
    return listing


def _mostly(source: Source, pattern: re.Pattern[str]) -> bool:
    return 2 * sum(pattern.fullmatch(path.stem) is not None for path in source.audio) > len(source.audio)


def _is_ravdess(source: Source) -> bool:
    return source.path.is_dir() and _mostly(source, _RAVDESS)


def _read_ravdess(source: Source, emotions: tuple[str, ...] = EIGHT_EMOTIONS) -> Listing:
    listing = Listing(skipped=list(source.unusable))
    first: dict[str, Path] = {}
    for path in source.audio:
        match = _RAVDESS.fullmatch(path.stem)
        if match is None or match["actor"] == "00":
            listing.skipped.append((path, "not named as in RAVDESS, e.g. 03-01-05-01-02-01-12"))
        elif match["channel"] == "02":
            listing.skipped.append((path, "song, not speech"))
        elif match["modality"] != "03":
            listing.skipped.append((path, "of a video; the audio-only recordings start with 03"))
        elif first.setdefault(path.stem, path) is not path:  # one download holds the whole set twice
            listing.skipped.append((path, f"a copy of {first[path.stem]}"))
        elif (emotion := EIGHT_EMOTIONS[int(match["emotion"]) - 1]) in emotions:
            extra = (
                ("intensity", {"01": "normal", "02": "strong"}[match["intensity"]]),
                ("statement", {"01": "kids", "02": "dogs"}[match["statement"]]),
                ("repetition", str(int(match["repetition"]))),
            )
            split = _split_folder(_key(path, source.root))
            listing.recordings.append(Recording(path, emotion, f"actor{match['actor']}", split, extra=extra))
    return listing


def _read_ravdess7(source: Source) -> Listing:
    return _read_ravdess(source, SEVEN_EMOTIONS)


def _is_gtzan(source: Source) -> bool:
    return source.path.is_dir() and _mostly(source, _GTZAN)


def _read_gtzan(source: Source) -> Listing:
    listing = Listing(skipped=list(source.unusable))
    for path in source.audio:
        match = _GTZAN.fullmatch(path.stem)
        if match is None:
            listing.skipped.append((path, "not named as in GTZAN, e.g. jazz.00012"))
        elif path.stem == _CORRUPT_GTZAN:
            listing.skipped.append((path, "known to be corrupt"))
        else:
            split = _split_folder(_key(path, source.root))
            listing.recordings.append(Recording(path, match["genre"], split=split))
    return listing


def _asvspoof_root(source: Source) -> Path | None:
    """The folder ``LA``: the one given, or one or two below, as the archive is unpacked."""
    candidates = (source.root, source.root / "LA", source.root / "LA" / "LA")
    return next((path for path in candidates if (path / "ASVspoof2019_LA_cm_protocols").is_dir()), None)


def _is_asvspoof(source: Source) -> bool:
    return source.path.is_dir() and _asvspoof_root(source) is not None


def _read_asvspoof(source: Source) -> Listing:
    root = _asvspoof_root(source)
    folder = (root or source.root) / "ASVspoof2019_LA_cm_protocols"
    protocols = sorted(folder.iterdir()) if root else []
    listing = Listing()
    matches = [(path, match) for path in protocols if (match := _PROTOCOL.fullmatch(path.name))]
    if not matches:
        wanted = "ASVspoof2019.LA.cm.train.trn.txt, .dev.trl.txt or .eval.trl.txt"
        raise ConfigError(f"{folder}: no protocol file; give the folder LA, with {wanted}")
    for path, match in matches:
        audio = path.parents[1] / f"ASVspoof2019_LA_{match['split']}" / "flac"
        if audio.is_dir():
            listing.recordings.extend(_read_protocol(path, audio, match["split"]))
        else:
            listing.skipped.append((audio, f"no such folder, so the split {match['split']} is left out"))
    return listing


def _read_protocol(path: Path, audio: Path, split: str) -> Iterator[Recording]:
    """The lines of a protocol: SPEAKER FILE - ATTACK KEY."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 5 or fields[4] not in ("bonafide", "spoof") or not re.fullmatch(r"\w+", fields[1]):
            form = "SPEAKER FILE - ATTACK bonafide|spoof"
            raise ConfigError(f"{path}, line {number}: {line[:80]!r}; a line is {form!r}: get the file anew")
        speaker, file, _, attack, key = fields
        extra = () if attack == "-" else (("attack", attack),)
        yield Recording(audio / f"{file}.flac", key, speaker, split, extra=extra)


def _inthewild_table(source: Source) -> Path | None:
    candidates = (source.root / "meta.csv", source.root / "release_in_the_wild" / "meta.csv")
    return next((path for path in candidates if path.is_file()), None)


def _is_inthewild(source: Source) -> bool:
    path = _inthewild_table(source) if source.path.is_dir() else None
    return path is not None and {"file", "speaker", "label"} <= set(_load(path).columns)


def _read_inthewild(source: Source) -> Listing:
    path = _inthewild_table(source)
    if path is None:
        raise ConfigError(f"{source.path}: no meta.csv; give the folder release_in_the_wild, with its meta.csv")
    table = _load(path)
    lacking = [name for name in ("file", "speaker", "label") if name not in table.columns]
    if lacking:
        raise ConfigError(
            f"{path}: no column {lacking[0]!r} among {_some(table.columns)}; use In-the-Wild's own meta.csv"
        )
    return _read_table(path, table.select("file", "speaker", "label"))


#: every layout; ``auto`` takes the first that recognises itself
READERS: dict[str, Reader] = {
    "file": Reader(_read_file, _is_file),
    "asvspoof2019": Reader(_read_asvspoof, _is_asvspoof, "ASVspoof2019-LA"),
    "inthewild": Reader(_read_inthewild, _is_inthewild, "In-the-Wild"),
    "audiofolder": Reader(_read_audiofolder, _is_audiofolder),
    "manifest": Reader(_read_manifest, lambda source: source.manifest is not None),
    "ravdess": Reader(_read_ravdess, _is_ravdess, "RAVDESS"),
    "ravdess7": Reader(_read_ravdess7, name="RAVDESS"),
    "gtzan": Reader(_read_gtzan, _is_gtzan, "GTZAN"),
    "folder": Reader(_read_folder, _is_folder),
}
