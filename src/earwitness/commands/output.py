"""How commands print and write tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .work import make_writable

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

    from ..study.analyse import Analysed
    from .options import Analysis


def show(found: Analysed, output: Analysis) -> None:
    """Print an analysis' tables, write all where asked, say what failed; exits with 1 if anything did."""
    done = found.done
    print_tables(found.summary, output.form)
    if output.out is not None:
        write_tables(found.tables, output.out)
    if output.form == "md":
        print("nothing to do: all of it is in the store" if not done.units else f"{done.units} units added")
        for line in done.failures:
            print(f"failed: {line}", file=sys.stderr)
    raise typer.Exit(1 if done.failures else 0)


def print_tables(tables: Mapping[str, pl.DataFrame], style: str) -> None:
    """Print tables by name as Markdown, CSV or one JSON object."""
    if style == "json":
        from polars import selectors as cs

        # JSON has no NaN
        rows = {name: table.with_columns(cs.float().fill_nan(None)).to_dicts() for name, table in tables.items()}
        print(json.dumps(rows, indent=1))
        return
    from ..study.export import to_csv

    for name, table in tables.items():
        print(f"# {name}\n" if style == "csv" else f"\n## {name}\n")
        print(to_csv(table) if style == "csv" else to_markdown(table))


def write_tables(tables: Mapping[str, pl.DataFrame], out: Path) -> list[Path]:
    """Write tables as CSV files named after them; their paths."""
    from ..study.export import to_csv

    make_writable(out)
    paths = [out / f"{name.replace(',', '').replace(' ', '-')}.csv" for name in tables]
    for path, table in zip(paths, tables.values(), strict=True):
        path.write_text(to_csv(table), encoding="utf-8", newline="")
    return paths


def print_written(paths: Iterable[Path], as_json: bool, **facts: object) -> None:
    """The files that were written, one a line, or as ``{"written": [...]}`` with other facts."""
    if as_json:
        print(json.dumps({"written": [str(path) for path in paths], **facts}, indent=1))
        return
    for path in paths:
        print(path)


def to_markdown(table: pl.DataFrame) -> str:
    """A frame as a Markdown table, numbers to three decimals."""

    def cell(value: Any) -> str:
        text = "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
        return text.replace("|", "\\|").replace("\n", " ")

    rows = [[cell(value) for value in row] for row in table.rows()]
    lines = [table.columns, ["---"] * len(table.columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def console() -> Console:
    """Where text in columns is printed: as wide as the terminal, else wide enough to be cut nowhere."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False)
