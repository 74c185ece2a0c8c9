"""Damaged rows of a store dropped, and all that was made of them, so that the study makes them again."""

from __future__ import annotations

import sqlite3

from .digests import Damage

#: what has lost what it was made from, or a part: the study takes it for done, and it is not
ORPHANS = (
    "DELETE FROM subsets WHERE explanation NOT IN (SELECT id FROM explanations)",
    "DELETE FROM subsets WHERE parent IS NOT NULL AND parent NOT IN (SELECT id FROM subsets)",
    "DELETE FROM transfers WHERE subset NOT IN (SELECT id FROM subsets)",
    "DELETE FROM subsets WHERE options != '' AND NOT EXISTS ("
    " SELECT 1 FROM explanations e JOIN clips c ON c.id = e.clip JOIN models m ON m.id = e.model JOIN results r"
    " ON r.settings = e.settings AND r.analysis = 'survival' AND r.options = subsets.options"
    " AND r.unit = substr(c.sha256, 1, 16) || ':' || substr(m.fingerprint, 1, 16)"
    " WHERE e.id = subsets.explanation)",
)


def mend(db: sqlite3.Connection, damage: Damage) -> None:
    """Drop what is damaged; the caller has begun a transaction."""
    for name, row in damage.strange:
        if name == "subsets":
            db.execute("DELETE FROM explanations WHERE id = ?", (row["explanation"],))
        keys = [column[1] for column in db.execute(f"PRAGMA table_info({name})") if column[5]]
        where = " AND ".join(f"{key} IS ?" for key in keys)
        db.execute(f"DELETE FROM {name} WHERE {where}", [row[key] for key in keys])
    for digest, name, part in damage.lost:
        db.execute("DELETE FROM digests WHERE digest = ?", (digest,))
        if name == "subsets":
            db.execute("DELETE FROM explanations WHERE id = ?", (part,))
    for query in ORPHANS:
        db.execute(query)
