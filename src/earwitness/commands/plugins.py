"""``earwitness plugins``."""

from __future__ import annotations

import json

import typer

from ..errors import EarwitnessError
from ..plugins import GROUPS, find_plugins, load
from .options import JsonOption


def plugins(as_json: JsonOption = False) -> None:
    """What installed packages add: back ends, searches, layouts, tables; exit code 1 if any cannot be imported."""
    rows = []
    for group in GROUPS:
        for each in find_plugins(group):
            why = ""
            try:
                load(each)
            except EarwitnessError as error:
                why = str(error)
            brought = f"{each.dist.name} {each.dist.version}" if each.dist else ""
            rows.append({"group": group, "name": each.name, "of": brought, "object": each.value, "error": why})
    if as_json:
        print(json.dumps(rows, indent=1))
    for row in rows if not as_json else ():
        print(f"{row['group']:22} {row['name']:16} {row['of']:24} {row['error'] or row['object']}")
    if not rows and not as_json:
        print("none is installed; packages add to:")
        for group, what in GROUPS.items():
            print(f"{group:22} {what}")
    raise typer.Exit(1 if any(row["error"] for row in rows) else 0)
