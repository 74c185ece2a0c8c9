"""Layout ``file``: one recording."""

from __future__ import annotations

from ...errors import ConfigError
from ..recording import Listing, Recording
from ..source import AUDIO_SUFFIXES, Source


def is_file(source: Source) -> bool:
    return source.path.is_file() and source.path.suffix.lower() in AUDIO_SUFFIXES


def read_file(source: Source) -> Listing:
    if not source.path.is_file():
        raise ConfigError(f"{source.path}: a folder, but layout 'file' reads one recording; use 'folder'")
    return Listing([Recording(source.path, None)])
