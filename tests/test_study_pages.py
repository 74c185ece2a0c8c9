"""The pages of docs/studies: their numbers are those of their tables, made with today's searches."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from tools import studies

from earwitness.search.settings import REVISION, ROBUST_REVISION
from earwitness.study.file import load_study

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "studies"


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_numbers_are_those_of_the_tables(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("<!-- end -->") == len(studies.BLOCK.findall(text)) > 0
    assert studies.fill(text, PAGES) == text, "run: python tools/studies.py --fill"


@pytest.mark.parametrize("folder", sorted(path for path in PAGES.iterdir() if path.is_dir()), ids=lambda one: one.name)
def test_tables_were_made_with_todays_searches(folder: Path) -> None:
    made = json.loads((folder / "made.json").read_text())
    assert made["revision"] == [REVISION, ROBUST_REVISION], f"run: python tools/studies.py {folder.name}"
    assert (PAGES / f"{folder.name}.toml").is_file()


@pytest.mark.parametrize("file", sorted(PAGES.glob("*.toml")), ids=lambda file: file.stem)
def test_studies_can_be_run(file: Path) -> None:
    study, _ = load_study(file)
    assert study.models
    assert (PAGES / file.stem).is_dir(), "a study without its tables"


def test_a_block_is_filled(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    table = pl.DataFrame({"kind": ["x", "y"], "n": [1200, 3], "alpha": [0.123, None], "low": [-0.1, None]})
    table.with_columns(high=pl.lit(0.4)).write_csv(tmp_path / "a" / "t.csv")
    head = "<!-- a/t.csv kind=x: kind n alpha[low,high] -->\n"
    filled = studies.fill(f"before\n{head}stale 0.99\n<!-- end -->\nafter\n", tmp_path)
    rows = "| kind | n | alpha |\n| --- | --- | --- |\n| x | 1200 | 0.12 [−0.10, 0.40] |\n"
    assert filled == f"before\n{head}{rows}<!-- end -->\nafter\n"
    assert studies.fill(filled, tmp_path) == filled


def test_no_table_says_where_models_lie(tmp_path: Path) -> None:
    specs = [
        "hf:/home/me/models/ast",
        "builtin:mtt-vgg",
        "python:../../examples/aasist.py:aasist_l",
        "python:mine:model",
    ]
    table = pl.DataFrame({"model": specs, "path": ["/home/me/a.wav"] * 4, "rate": [1 / 3] * 4})
    studies.write(table, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text().splitlines() == [
        "model,rate", "ast,0.333333", "mtt-vgg,0.333333", "aasist_l,0.333333", "mine:model,0.333333",
    ]  # fmt: skip
    for path in PAGES.glob("*/*.csv"):
        assert "hf:" not in path.read_text(encoding="utf-8"), path


def test_the_claims_are_told_with_todays_searches() -> None:
    """Their numbers are those of the pages; which searches made them is said."""
    text = " ".join((ROOT / "docs" / "claims.md").read_text(encoding="utf-8").split())
    assert f"Searches of revision {REVISION}, robust sets of revision {ROBUST_REVISION};" in text
