"""The smallest change that flips a label: found, bounded in audibility, verified as written to a file."""

from .changes import ACTIONS, Bounds, Change
from .flips import Flip, Subject, Unflipped, find_flip, make_subject
from .masking import Threshold, masking_threshold

__all__ = [
    "ACTIONS",
    "Bounds",
    "Change",
    "Flip",
    "Subject",
    "Threshold",
    "Unflipped",
    "find_flip",
    "make_subject",
    "masking_threshold",
]
