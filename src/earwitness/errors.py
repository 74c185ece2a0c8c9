"""The one exception tree. Every message says what was got, what is allowed and how to mend it.

::

    EarwitnessError
    ├── ConfigError     a setting, a command line or a study file is wrong
    ├── AudioError      a recording cannot be read or used
    ├── ModelError      a model cannot be loaded, or answered with something unusable
    │   └── LabelError  label sets cannot be aligned
    └── StoreError      the store of a study cannot be opened, read or written
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EarwitnessError(Exception):
    """The root: everything Earwitness raises on purpose."""


class ConfigError(EarwitnessError):
    """A setting, a command line or a study file is wrong."""


class AudioError(EarwitnessError):
    """A recording cannot be read or used."""


class ModelError(EarwitnessError):
    """A model cannot be loaded, or answered with something unusable."""


class LabelError(ModelError):
    """Label sets cannot be aligned."""


class StoreError(EarwitnessError):
    """The store of a study cannot be opened, read or written."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """``did you mean 'x'? `` for the allowed name closest to ``name``, or ``""`` where none is close."""
    close = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}? " if close else ""


def brief(error: BaseException) -> str:
    """An error of another library in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
