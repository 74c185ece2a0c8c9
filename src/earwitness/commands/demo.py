"""``earwitness demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import JsonOption, QuietOption
from .output import print_written
from .work import run_study

#: the whole demo: every kind of evidence, with the effort that a study has by default, but for the questions
FULL: dict[str, Any] = {
    "name": "Earwitness demo",
    "models": ["builtin:msd-musicnn", "builtin:msd-vgg", "builtin:mtt-musicnn", "builtin:mtt-vgg"],
    "seconds": 3.0,
    "search": {"delta": 0.5, "budget": 400},
    "robust": {"questions": 400},
    "curves": {},
}
#: a first look: fewer questions and views, which the page says
QUICK: dict[str, Any] = {
    **FULL,
    "name": "Earwitness demo, a first look",
    "search": {"delta": 0.5, "budget": 200},
    "robust": {"level": 0.9, "searched": 8, "verified": 29, "questions": 120},
    "curves": {"levels": [0.02, 0.1, 0.25, 0.5, 1.0], "draws": 1, "profiles": 1},
}
#: recordings of each
MANY, FEW = 16, 3


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the store and the page.")] = Path("demo"),
    full: Annotated[bool, typer.Option("--full", help=f"{MANY} recordings and more questions (minutes).")] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help=f"How many of the 23 recordings; default {FEW}, full {MANY}.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """The built-in models on the built-in recordings: explanations, what survives, transfer, report."""
    from ..report.page import write_report
    from ..study.file import parse_study
    from ..study.store import Store

    data = {"path": "builtin", "limit": limit or (MANY if full else FEW)}
    study = parse_study({**(FULL if full else QUICK), "data": [data]}, "demo")
    summary = run_study(study, Path.cwd(), out / "study.db", quiet or as_json)
    with Store(out / "study.db") as store:
        page = write_report(store, out / "report", epsilon=study.transfer.epsilon)
    facts = {"store": str((out / "study.db").resolve()), "failed": summary.failed}
    print_written([page.resolve()], as_json, **facts)
    if not full and not as_json:
        print("a first look, of few recordings and questions; more: earwitness demo --full")
    raise typer.Exit(1 if summary.failed else 0)
