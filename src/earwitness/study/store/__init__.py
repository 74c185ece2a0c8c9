"""The running store of a study: one SQLite file, one writer.

Rows are keyed by content (clip hash, model fingerprint, settings), so that a run resumes, extends and never
mixes. Masks are stored as compressed bitmaps; signals are not: clip and mask make them again, bit for bit.
A unit of work is one transaction.

What there is to ask about a kind of row, to write and to read, stands in one file; :class:`Store` is all of them.
"""

from __future__ import annotations

from .clips import Clips, Stamp
from .explanations import Explanations, Record
from .facts import Facts
from .failures import Failures
from .judgements import Judgements
from .models import Models
from .packing import pack, pack_mask, unpack, unpack_all, unpack_mask, unsqueeze
from .results import CURVES, Results, options_key
from .robust import SURVIVAL, Explained, RobustRecord, RobustSets, robust_options

__all__ = [
    "CURVES", "SURVIVAL", "Explained", "Record", "RobustRecord", "Stamp", "Store", "options_key", "pack", "pack_mask",
    "robust_options", "unpack", "unpack_all", "unpack_mask", "unsqueeze",
]  # fmt: skip


class Store(Facts, Models, Clips, Judgements, RobustSets, Explanations, Failures, Results):
    """One study's file.

    Parameters
    ----------
    path : str or Path
    write : bool
        Open for writing: makes the file if it is missing, and locks it against other writers.

    Raises
    ------
    StoreError
        The file is missing, no store, damaged, of a newer version, not writable, or in use by another process.
    """

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
