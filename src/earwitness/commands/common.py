"""What several commands use: their options, progress, and how tables are printed and written."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from ..errors import ConfigError
from ..study.progress import Bars, Lines, Quiet, Reporter
from ..study.reopen import Reopened, reopen
from ..study.stages.units import Done
from ..study.store import Store

FORMATS = ("md", "csv", "json")


def check_style(style: str) -> str:
    """A format's name.

    Raises
    ------
    ConfigError
        There is no such format.
    """
    if style not in FORMATS:
        raise ConfigError(f"format {style!r}: use one of {', '.join(FORMATS)}")
    return style


StoreArgument = Annotated[Path, typer.Argument(metavar="STORE", help="The study's store.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
PickleOption = Annotated[bool, typer.Option("--allow-pickle", help="Read models from pickles, which can run code.")]
RemoteOption = Annotated[bool, typer.Option("--trust-remote-code", help="Run code that comes with a model.")]
FormatOption = Annotated[str, typer.Option("--format", help="md, csv or json.", callback=check_style)]
EpsilonOption = Annotated[float | None, typer.Option(help="Definition 4's ε; default: the study's.")]
SeedOption = Annotated[int, typer.Option(help="Of everything drawn at random.")]
OutOption = Annotated[Path | None, typer.Option(help="Folder for the tables as CSV, the figures and the signals.")]


@contextmanager
def open_analysis(path: Path, out: Path | None, device: str, quiet: bool) -> Iterator[tuple[Reopened, Reporter]]:
    """A study's store, open for an analysis that adds to it, and the progress it is told.

    Raises
    ------
    ConfigError
        There is no such store, or ``out`` cannot be written.
    """
    with ExitStack() as stack:
        if not path.is_file():
            raise ConfigError(f"{path}: no such store; make one with: earwitness study run STUDY.toml")
        if out is not None:
            make_writable(out)
        reporter = make_reporter(quiet, stack)
        store = stack.enter_context(Store(path, write=True))
        yield reopen(store, device), reporter


def show(done: Done, tables: Mapping[str, pl.DataFrame], style: str, out: Path | None) -> None:
    """Print an analysis' tables, write them where asked, say what failed; exits with 1 if anything did."""
    print_tables(tables, style)
    if out is not None:
        write_tables(tables, out)
    if style == "md":
        print("nothing to do: all of it is in the store" if not done.units else f"{done.units} units added")
        for line in done.failures:
            print(f"failed: {line}", file=sys.stderr)
    raise typer.Exit(1 if done.failures else 0)


def print_tables(tables: Mapping[str, pl.DataFrame], style: str) -> None:
    """Print tables by name as Markdown, CSV or one JSON object."""
    if style == "json":
        print(json.dumps({name: table.to_dicts() for name, table in tables.items()}, indent=1))
        return
    for name, table in tables.items():
        print(f"# {name}\n" if style == "csv" else f"\n## {name}\n")
        print(table.write_csv() if style == "csv" else to_markdown(table))


def write_tables(tables: Mapping[str, pl.DataFrame], out: Path) -> None:
    """Write tables as CSV files named after them."""
    make_writable(out)
    for name, table in tables.items():
        table.write_csv(out / f"{name.replace(',', '').replace(' ', '-')}.csv")


def to_markdown(table: pl.DataFrame) -> str:
    """A frame as a Markdown table, numbers to three decimals."""

    def cell(value: Any) -> str:
        text = "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
        return text.replace("|", "\\|").replace("\n", " ")

    rows = [[cell(value) for value in row] for row in table.rows()]
    lines = [table.columns, ["---"] * len(table.columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def make_reporter(quiet: bool, stack: ExitStack) -> Reporter:
    """Bars on a terminal, lines elsewhere, nothing when quiet."""
    if quiet:
        return Quiet()
    return stack.enter_context(Bars()) if sys.stderr.isatty() else Lines()


def make_writable(folder: Path) -> None:
    """Make a folder, and refuse one that cannot be written before any work is spent.

    Raises
    ------
    ConfigError
        It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".earwitness.tmp"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error}); choose another --out") from None
