"""``earwitness export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import EpsilonOption, JsonOption, StoreArgument
from .output import print_written


def export(
    path: StoreArgument,
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    style: Annotated[str, typer.Option("--format", help="parquet or csv.")] = "parquet",
    epsilon: EpsilonOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every table of a study as a file: what was found, and what it was computed from."""
    from ..study.export import write_export
    from ..study.store import Store

    with Store(path) as store:
        print_written(write_export(store, out, style, epsilon), as_json)
