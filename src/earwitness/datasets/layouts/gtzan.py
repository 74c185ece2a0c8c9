"""Layout ``gtzan``: GTZAN by its file names."""

from __future__ import annotations

import re

from ..recording import Listing, Recording
from ..selection import split_of_folder
from ..source import Source, key_of, mostly_named

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
_CORRUPT_GTZAN = "jazz.00054"
_GTZAN = re.compile(rf"(?P<genre>{'|'.join(GENRES)})\.\d{{5}}")


def is_gtzan(source: Source) -> bool:
    return source.path.is_dir() and mostly_named(source, _GTZAN)


def read_gtzan(source: Source) -> Listing:
    listing = Listing(skipped=list(source.unusable))
    for path in source.audio:
        match = _GTZAN.fullmatch(path.stem)
        if match is None:
            listing.skipped.append((path, "not named as in GTZAN, e.g. jazz.00012"))
        elif path.stem == _CORRUPT_GTZAN:
            listing.skipped.append((path, "known to be corrupt"))
        else:
            split = split_of_folder(key_of(path, source.root))
            listing.recordings.append(Recording(path, match["genre"], split=split))
    return listing
