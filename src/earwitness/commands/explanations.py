"""``earwitness explain`` of several recordings or a folder: a study of one model behind it, and one table."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from .output import console
from .work import make_writable, run_study

if TYPE_CHECKING:
    from ..search.settings import SearchSettings
    from ..signal.limits import Limits
    from ..study.store import Store
    from .options import Access

#: the columns of the table, by what they are called in JSON
COLUMNS = ("recording", "label", "confidence", "size", "energy", "certificate", "complete", "questions")


def explain_many(
    recordings: list[Path], model: str, settings: SearchSettings, access: Access, limits: Limits,
    seconds: float | Literal["model"] | None, out: Path | None, as_json: bool, quiet: bool,
) -> int:  # fmt: skip
    """Explain every recording and print a row of each; the number of those that failed.

    Raises
    ------
    EarwitnessError
        The model cannot be loaded, there is no recording, or ``out`` cannot be written.
    """
    from ..study.file import parse_study
    from ..study.store import Store

    data = [{"path": str(path.absolute())} for path in recordings]
    content = {
        "name": "explain", "models": [model], "data": data, "search": asdict(settings), "limits": asdict(limits),
        "seconds": seconds, "transfer": {"nulls": 0}, "run": {"device": access.device, **access.trust},
    }  # fmt: skip
    with ExitStack() as stack:
        if out is not None:
            make_writable(out)
        folder = out or Path(stack.enter_context(TemporaryDirectory(prefix="earwitness-")))
        summary = run_study(parse_study(content, "explain"), Path.cwd(), folder / "study.db", quiet or as_json)
        with Store(folder / "study.db") as store:
            rows, failures = _rows(store), store.list_failures(store.settings_key())
    if as_json:
        print(json.dumps({"explanations": rows, "failures": failures}, indent=1))
        return summary.failed
    _print(rows)
    for failure in failures:
        print(f"failed: {failure['clip']}: {failure['reason']}")
    if out is not None:
        print(f"kept in {folder / 'study.db'}; the page: earwitness open {folder / 'study.db'}")
    return summary.failed


def _rows(store: Store) -> list[dict[str, Any]]:
    """What is known of each recording, in the order of their paths: the smallest sufficient set's size, share of the
    energy and certificate; the complete set's size, where there is one."""
    import numpy as np

    from ..study.reopen import reopen

    study = reopen(store)
    paths = dict(study.clips.select("clip", "path").iter_rows())
    originals = store.list_originals(study.key)
    said = dict(zip(originals["clip"], store.logs(originals, len(study.labels)), strict=True))
    asked = dict(store.list_explanations(study.key).select("clip", "queries").iter_rows())
    sets = study.subsets().drop_nulls("size").sort("size", descending=True)
    least_of = {(row["clip"], row["kind"]): row for row in sets.iter_rows(named=True)}  # of several the smallest stays
    rows = []
    for clip in sorted(asked, key=lambda clip: paths[clip]):
        least, whole = least_of.get((clip, "sufficient"), {}), least_of.get((clip, "complete"), {})
        logs = said[clip]
        values = (
            paths[clip], study.labels[int(logs.argmax())], float(np.exp(logs.max())), least.get("size"),
            least.get("energy"), least.get("certificate"), whole.get("size"), asked[clip],
        )  # fmt: skip
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(*(column if column != "size" else "sufficient" for column in COLUMNS), box=None)
    for row in rows:
        cells = {**row, "recording": Path(row["recording"]).name, "confidence": f"{row['confidence']:.3f}"}
        cells["energy"] = "" if row["energy"] is None else f"{row['energy']:.2%}"
        table.add_row(*("–" if cell is None else str(cell) for cell in cells.values()))
    console().print(table)
