"""Layout ``asvspoof2019``: ASVspoof 2019 LA by its protocol files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ...errors import ConfigError
from ..recording import Listing, Recording
from ..source import Source

_PROTOCOL = re.compile(r"ASVspoof2019\.LA\.cm\.(?P<split>train|dev|eval)\.tr[nl]\.txt")


def _asvspoof_root(source: Source) -> Path | None:
    """The folder ``LA``: the one given, or one or two below, as the archive is unpacked."""
    candidates = (source.root, source.root / "LA", source.root / "LA" / "LA")
    return next((path for path in candidates if (path / "ASVspoof2019_LA_cm_protocols").is_dir()), None)


def is_asvspoof(source: Source) -> bool:
    return source.path.is_dir() and _asvspoof_root(source) is not None


def read_asvspoof(source: Source) -> Listing:
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
