"""Layouts ``ravdess`` and ``ravdess7``: RAVDESS' speech by its file names."""

from __future__ import annotations

import re
from pathlib import Path

from ..recording import Listing, Recording
from ..selection import split_of_folder
from ..source import Source, key_of, mostly_named

EIGHT_EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
#: RAVDESS without ``calm``, the one emotion that seven-emotion speech models have no label for.
#: For another choice of seven read ``ravdess`` with ``labels=``.
SEVEN_EMOTIONS = tuple(emotion for emotion in EIGHT_EMOTIONS if emotion != "calm")

# modality-channel-emotion-intensity-statement-repetition-actor
_RAVDESS = re.compile(
    r"(?P<modality>0[1-3])-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])"
    r"-(?P<statement>0[12])-(?P<repetition>0[12])-(?P<actor>[01][0-9]|2[0-4])"
)


def is_ravdess(source: Source) -> bool:
    return source.path.is_dir() and mostly_named(source, _RAVDESS)


def read_ravdess(source: Source, emotions: tuple[str, ...] = EIGHT_EMOTIONS) -> Listing:
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
            split = split_of_folder(key_of(path, source.root))
            listing.recordings.append(Recording(path, emotion, f"actor{match['actor']}", split, extra=extra))
    return listing


def read_ravdess7(source: Source) -> Listing:
    return read_ravdess(source, SEVEN_EMOTIONS)
