"""``earwitness demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import QuietOption
from .work import run_study

#: the demo's questions a clip and model: enough for small sets, few enough for minutes on two cores
DEMO: dict[str, Any] = {
    "name": "Earwitness demo",
    "models": ["builtin:msd-musicnn", "builtin:msd-vgg", "builtin:mtt-musicnn", "builtin:mtt-vgg"],
    "data": [{"path": "builtin", "limit": 16}],
    "seconds": 3.0,
    "search": {"delta": 0.5, "budget": 400},
}


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the store and the page.")] = Path("demo"),
    limit: Annotated[int, typer.Option(min=1, help="How many of the 23 recordings.")] = 16,
    quiet: QuietOption = False,
) -> None:
    """The built-in models on the built-in recordings: explanations, transfer, report."""
    from ..report.page import write_report
    from ..study.file import parse_study
    from ..study.store import Store

    study = parse_study({**DEMO, "data": [{"path": "builtin", "limit": limit}]}, "demo")
    summary = run_study(study, Path.cwd(), out / "study.db", quiet)
    with Store(out / "study.db") as store:
        page = write_report(store, out / "report", epsilon=study.transfer.epsilon)
    print(page.resolve())
    raise typer.Exit(1 if summary.failed else 0)
