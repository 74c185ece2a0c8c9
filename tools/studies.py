"""Make a page of docs/studies: run its study, write its tables as CSV, put their numbers into the page.

    python tools/studies.py emotion            # docs/studies/emotion.toml, emotion/*.csv, emotion.md
    python tools/studies.py --fill             # the pages from the CSV files that are there

A page holds blocks ``<!-- emotion/chance.csv kind=sufficient null=null_profile: source judge alpha chance -->`` to
``<!-- end -->``: rows of a table with these values, these columns; ``alpha[alpha_low,alpha_high]`` shows an interval.
What stands between is made here, so that no number is copied by hand, and a test holds the pages against the CSV files
and these against the revision of the searches.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
from pathlib import Path

import numpy as np
import polars as pl

import earwitness
from earwitness.analyses.settings import CompositionSettings, FidelitySettings, ManipulationSettings
from earwitness.report.sections import Estimates
from earwitness.search.settings import REVISION, ROBUST_REVISION
from earwitness.study.comparison import compare_studies
from earwitness.study.export import to_csv
from earwitness.study.stages.manipulation_tables import transfer_matrices
from earwitness.study.store import Store
from earwitness.transferability.statistics.correlations import pooled_matrix_correlation

PAGES = Path(__file__).resolve().parents[1] / "docs" / "studies"
TABLES = (
    "models", "sets", "agreement", "matrix_sufficient", "matrix_complete", "matrix_robust", "transfer", "chance",
    "silence", "vacuous", "survival", "flat_earthers", "complete_against_sufficient", "shared_evidence",
    "shared_flat_earthers", "correlations",
)  # fmt: skip
BLOCK = re.compile(
    r"(<!-- (?P<file>[\w-]+/[\w-]+\.csv)(?P<where>[^:>]*): (?P<columns>[^>]+?) -->\n)(?P<rows>.*?)(<!-- end -->)", re.S
)
#: what a spec says before the model's name: its back end and where it lies
SPEC = re.compile(r"^(?:\w+:)?(?:.*[/\\])?(?:[^:/]*\.py:)?")
#: analyses beside the tables, by study
ANALYSES = {
    "deepfake": ("compose", "spectral", "fidelity", "manipulate"),
    "detectors": ("remove",),
    "emotion": ("manipulate",),
    "music": ("manipulate",),
}


#: what a study is laid beside: its file with these settings in place of its own
BESIDE: dict[str, tuple[str, dict[str, object]]] = {
    "emotion": ("freqrex", {
        "store": "../../emotion-freqrex.db", "data.limit": 2, "search.search": "freqrex", "search.budget": 1500,
        "robust.questions": 10,
    }),
    "deepfake": ("freqrex", {
        "store": "../../deepfake-freqrex.db", "data.limit": 8, "search.search": "freqrex", "search.budget": 1500,
        "robust.questions": 10,
    }),
}  # fmt: skip
#: a folder with Whisper in CTranslate2's format, for transcripts (docs/deepfake-analyses.md)
WHISPER = os.environ.get("EARWITNESS_WHISPER", "")


def make(name: str) -> None:
    """Run a study and write its tables; what the store holds already is not asked again."""
    study = earwitness.Study.from_toml(PAGES / f"{name}.toml").run()
    folder = PAGES / name
    folder.mkdir(exist_ok=True)
    for table_name in TABLES:
        write(study.tables[table_name], folder / f"{table_name}.csv")
    if isinstance(beyond := study.blocks.get("Convincing beyond chance"), Estimates):
        columns = ["signals", "difference", "low", "high"]
        write(pl.DataFrame(beyond.rows, schema=columns, orient="row"), folder / "beyond-chance.csv")
    for analysis in ANALYSES.get(name, ()):
        write_all(analyse(study, analysis), folder / analysis)
    if name in BESIDE:
        title, given = BESIDE[name]
        other = earwitness.Study.from_toml(PAGES / f"{name}.toml", given).run()
        with Store(study.path) as first, Store(other.path) as second:
            write(compare_studies(first, second).tables["rates"], folder / f"against-{title}.csv")
        if "fidelity" in ANALYSES[name]:
            write_all(analyse(other, "fidelity"), folder / f"{title}-fidelity")
    if (PAGES / "music").is_dir():
        write(pool_flips(), PAGES / "music" / "flips-over-all-tasks.csv")
    made = {"revision": [REVISION, ROBUST_REVISION], "recordings": study.status["clips"]}
    (folder / "made.json").write_text(json.dumps(made) + "\n", encoding="utf-8")


def pool_flips() -> pl.DataFrame:
    """Where sufficient signals transfer, do flips? Over the pairs of models of all tasks, ranked within each."""
    parts = [pl.read_csv(path) for path in sorted(PAGES.glob("*/manipulate-transfer-of-flips.csv"))]
    rows = []
    for bound in parts[0]["bound"].unique(maintain_order=True):
        tables = [part.filter(pl.col("bound") == bound) for part in parts]
        families = [transfer_matrices(one, sorted({*one["source"], *one["judge"]})) for one in tables]
        found = pooled_matrix_correlation(families)
        pairs = sum(int(np.isfinite(x * y).sum()) for x, y in families)
        rows.append((bound, len(families), pairs, found.rho, found.low, found.high, found.p))
    return pl.DataFrame(rows, schema=["bound", "tasks", "pairs", "rho", "rho_low", "rho_high", "p"], orient="row")


def analyse(study: earwitness.Study, analysis: str) -> dict[str, pl.DataFrame]:
    """The tables of an analysis."""
    if analysis == "compose":
        return study.compose(CompositionSettings(draws=50))
    if analysis == "spectral":
        return study.spectral()
    if analysis == "fidelity":
        return study.fidelity(FidelitySettings(recogniser=f"faster-whisper:{WHISPER}" if WHISPER else ""))
    if analysis == "remove":  # of models that are slow to ask
        return study.manipulate(ManipulationSettings(actions=("remove",), counts=(1, 5), snrs=(), budget=150))
    return study.manipulate(ManipulationSettings(counts=(1, 5), snrs=(20.0, 30.0)))


def write_all(tables: dict[str, pl.DataFrame], start: Path) -> None:
    """An analysis' tables as CSV, named by a beginning and their titles; what is told by clip stays in the store."""
    for title, table in tables.items():
        if table.height <= 200:
            write(table, start.with_name(f"{start.name}-{title.replace(' ', '-').replace(',', '')}.csv"))


def write(table: pl.DataFrame, path: Path) -> None:
    """A table as CSV, models by their names and paths left out, numbers to six digits."""
    gone = [name for name in ("path", "spec", "file") if name in table.columns]
    table = table.drop(gone).rename(lambda name: SPEC.sub("", name))
    reals = [name for name, kind in table.schema.items() if kind.is_float()]
    models = [name for name in ("model", "source", "judge") if name in table.columns]
    rounded = table.with_columns(
        pl.col(reals).round_sig_figs(6), pl.col(models).str.replace(SPEC.pattern, "")
    )  # fmt: skip
    path.write_text(to_csv(rounded), encoding="utf-8")


def fill(text: str, folder: Path) -> str:
    """A page with the numbers of the CSV files."""
    return BLOCK.sub(lambda found: found[1] + rows_of(found, folder) + found[6], text)


def rows_of(found: re.Match[str], folder: Path) -> str:
    """The rows of a block as Markdown."""
    table = pl.read_csv(folder / found["file"], infer_schema_length=None)
    for condition in found["where"].split():
        column, _, values = condition.partition("=")
        table = table.filter(pl.col(column).cast(pl.String).is_in(values.split(",")))
    columns = [re.fullmatch(r"([\w-]+)(?:\[(\w+),(\w+)\])?", one) for one in found["columns"].split()]
    assert all(columns), found["columns"]
    names = [one[1] for one in columns if one]
    lines = [" | ".join(name.replace("_", " ") for name in names), " | ".join(["---"] * len(names))]
    for row in table.iter_rows(named=True):
        cells = [
            tell(row[one[1]]) + (f" [{tell(row[one[2]])}, {tell(row[one[3]])}]" if one[2] else "")
            for one in columns
            if one
        ]
        lines.append(" | ".join(cells))
    return "".join(f"| {line} |\n" for line in lines)


def tell(value: object) -> str:
    """A cell."""
    if isinstance(value, float) and math.isnan(value):
        value = None
    if isinstance(value, float):
        value = 0.0 if abs(value) < 1e-12 else value
        small = 0 < abs(value) < 0.005
        text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1g}" if small else f"{value:.2f}"
        return text.replace("-", "−")
    return "–" if value is None else str(value).replace("_", "-")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="STUDY")
    parser.add_argument("--fill", action="store_true", help="only put the numbers that are there into the pages")
    given = parser.parse_args()
    for name in given.names if not given.fill else ():
        make(name)
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        filled = fill(text, PAGES)
        if filled != text:
            temporary = page.with_name(f"{page.name}.tmp")
            temporary.write_text(filled, encoding="utf-8")
            os.replace(temporary, page)
            print(page, file=sys.stderr)


if __name__ == "__main__":
    main()
