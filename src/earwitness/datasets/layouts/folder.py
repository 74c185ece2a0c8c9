"""Layout ``folder``: a flat folder, or class folders."""

from __future__ import annotations

from ..recording import Listing, Recording
from ..selection import SPLIT_OF
from ..source import Source


def is_folder(source: Source) -> bool:
    return source.path.is_dir() and bool(source.audio)


def read_folder(source: Source) -> Listing:
    parts = {path: path.relative_to(source.root).parts for path in source.audio}
    tops = {inside[0] for inside in parts.values() if len(inside) > 1}
    split_folders = bool(tops) and all(top.casefold() in SPLIT_OF for top in tops)
    depth = 1 if split_folders else 0
    labelled = {inside[:depth] for inside in parts.values() if len(inside) > depth + 1}
    listing = Listing(skipped=list(source.unusable))
    for path, inside in parts.items():
        if len(inside) <= depth:
            listing.skipped.append((path, "lies beside the split folders; move it into one"))
        elif len(inside) == depth + 1 and inside[:depth] in labelled:
            listing.skipped.append((path, "lies beside the class folders; move it into one"))
        else:
            split = SPLIT_OF[inside[0].casefold()] if split_folders else ""
            label = inside[depth] if len(inside) > depth + 1 else None
            listing.recordings.append(Recording(path, label, split=split))
    return listing
