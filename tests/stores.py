"""Stores rewritten by a hand that digests what it writes: as if this program had written it wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from earwitness.study.store.digests import seal


@contextmanager
def rewrite(path: Path) -> Iterator[sqlite3.Connection]:
    """A store's database; whatever is changed in it is digested as it then is."""
    with closing(sqlite3.connect(path)) as db, db:
        yield db
        seal(db)
