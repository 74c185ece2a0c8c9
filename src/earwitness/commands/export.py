"""``earwitness export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..study.export import EXPORTS, write_export
from ..study.store import Store
from .common import EpsilonOption, StoreArgument


def export(
    path: StoreArgument,
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    style: Annotated[str, typer.Option("--format", help=" or ".join(EXPORTS) + ".")] = "parquet",
    epsilon: EpsilonOption = None,
) -> None:
    """Every table of a study as a file: what was found, and what it was computed from."""
    with Store(path) as store:
        for written in write_export(store, out, style, epsilon):
            print(written)
