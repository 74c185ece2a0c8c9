"""``earwitness report`` and ``earwitness figures``."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from .options import EpsilonOption, JsonOption, QuietOption, StoreArgument
from .output import print_written
from .work import make_reporter

ClipOption = Annotated[list[str] | None, typer.Option(help="And of this clip: id, file name or path; repeatable.")]


def report(
    path: StoreArgument,
    out: Annotated[Path, typer.Option(help="Folder for the page, or, with --single-file, a file.")],
    epsilon: EpsilonOption = None,
    clips: Annotated[
        int | None, typer.Option(help="Pictures and sounds of the first N clips; default: 50, or 10 in a single file.")
    ] = None,
    clip: ClipOption = None,
    beside: Annotated[
        list[Path] | None, typer.Option(help="The store of another study of these recordings, compared; repeatable.")
    ] = None,
    single_file: Annotated[bool, typer.Option("--single-file", help="One file that holds everything.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """The page: tables, players, spectra."""
    from ..report.page import write_report
    from ..study.answers import epsilon_of
    from ..study.store import Store

    with Store(path) as store, ExitStack() as stack:
        reporter = make_reporter(quiet or as_json, stack)
        started: list[int] = []

        def progress(_: int, total: int) -> None:
            if not started:
                reporter.stage("drawing clips", total)
                started.append(total)
            reporter.advance()

        page = write_report(
            store, out, epsilon=epsilon_of(store, epsilon), full=clips, asked=clip or (), single_file=single_file,
            beside=beside or (), progress=progress,
        )  # fmt: skip
    print_written([page.resolve()], as_json)


def open_page(
    path: StoreArgument,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the page; default: beside the store, by its name.")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Show it in the browser.")] = True,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write the page of a study and open it."""
    import webbrowser

    folder = out or path.with_name(f"{path.stem}-page")
    report(path, folder, as_json=as_json, quiet=quiet)
    page = (folder / "index.html").resolve()
    if browser and not webbrowser.open(page.as_uri()):
        print("no browser to open it in; open that file by hand", file=sys.stderr)


def figures(
    path: StoreArgument,
    out: Annotated[Path, typer.Option(help="Folder for the figures.")],
    epsilon: EpsilonOption = None,
    clips: Annotated[int, typer.Option(help="Spectra of the first N clips.")] = 3,
    clip: ClipOption = None,
    as_json: JsonOption = False,
) -> None:
    """The figures of a study as SVG and PNG, in the style of a paper."""
    from ..report.figures import write_figures
    from ..study.answers import epsilon_of
    from ..study.store import Store

    with Store(path) as store:
        paths = write_figures(store, out, epsilon=epsilon_of(store, epsilon), clips=clips, asked=clip or ())
    print_written(paths, as_json)
