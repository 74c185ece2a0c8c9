"""Two studies beside each other: planted differences are found, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from earwitness import ConfigError
from earwitness.study.comparison import Comparison, compare_studies
from earwitness.study.store import Store
from earwitness.transferability.comparison import MEASURES
from earwitness.transferability.options import Options
from test_cli import call
from test_study import do, make_clips, study_of
from window import Window

ROBUST = {"questions": 20, "verified": 36, "searched": 4}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Studies of the same clips, each run once."""
    folder = tmp_path_factory.mktemp("comparison")
    make_clips(folder / "clips", 4)
    make_clips(folder / "others", 1, samples=1600)
    search = {"delta": 0.9, "budget": 600}
    studies = {
        "plain": study_of(folder / "clips", "low", "also_low", "high", robust=ROBUST),
        "coarse": study_of(folder / "clips", "low", "also_low", "high", search={**search, "domain": "mel:12"}),
        "fewer": study_of(folder / "clips", "high", "low", robust=ROBUST),
        "version": study_of(folder / "clips", "other", "low", "also_low"),
        "elsewhere": study_of(folder / "others", "low", "high"),
    }
    for name, study in studies.items():
        do(study, folder / f"{name}.db")
    return {name: folder / f"{name}.db" for name in studies}


def compared(stores: dict[str, Path], first: str, second: str, **options: Any) -> Comparison:
    with Store(stores[first]) as one, Store(stores[second]) as two:
        return compare_studies(one, two, Options(**options))


def row(found: Comparison, kind: str, measure: str, source: str = "all") -> dict[str, Any]:
    return found.tables["rates"].filter(kind=kind, measure=measure, source=source).row(0, named=True)


def test_a_study_does_not_differ_from_itself(stores: dict[str, Path]) -> None:
    found = compared(stores, "plain", "plain")
    rates = found.tables["rates"]
    assert (found.clips, len(found.models), found.versions) == (4, 3, ())
    assert found.tables["settings"].is_empty()
    of_ratio = rates["measure"].is_in(["size", "questions"])
    assert rates["difference"].to_list() == pytest.approx([float(ratio) for ratio in of_ratio], abs=1e-12)
    assert set(rates["measure"]) == set(MEASURES)
    assert rates["p"].drop_nulls().is_empty()  # differences that do not vary have none


def test_what_was_asked_otherwise_is_named_and_found(stores: dict[str, Path]) -> None:
    """Twelve bands in place of 1,601 bins: a set of one band, where it took five bins."""
    found = compared(stores, "plain", "coarse")
    settings = {key: (one, two) for key, one, two in found.tables["settings"].iter_rows()}
    assert settings["search.domain"] == ("rfft", "mel:12")
    assert settings["robust"] == ("–", "not asked")
    size = row(found, "sufficient", "size")
    assert row(found, "sufficient", "size", "planted_models.py:low")["first"] == pytest.approx(5)
    assert size["second"] == pytest.approx(1)
    assert size["difference"] == pytest.approx(2 / (1 + size["first"]))  # the ratio of sizes + 1
    assert size["low"] <= size["difference"] <= size["high"] < 1
    assert row(found, "sufficient", "energy")["difference"] > 0
    accepted = row(found, "sufficient", "accepted")
    assert accepted["difference"] == pytest.approx(accepted["second"] - accepted["first"])
    assert found.tables["rates"].filter(measure="survives").is_empty()  # the second was not asked


def test_a_page_has_another_study_beside_it(stores: dict[str, Path], browser: Any, tmp_path: Path) -> None:
    words = (
        "report",
        stores["plain"],
        "--out",
        tmp_path,
        "-q",
        "--beside",
        stores["coarse"],
        "--beside",
        stores["plain"],
    )
    with pytest.MonkeyPatch.context() as patch:
        assert call(patch, *words) == 0
        assert call(patch, *words[:-1], stores["elsewhere"]) == 2
    window = Window(browser, tmp_path / "index.html")
    page = window.go("#/section/beside-1")
    assert "search.domain" in page.inner_text("main")
    table = page.locator("section.block", has=page.locator("h2:text-is('All rates beside each other')"))
    wanted = row(compared(stores, "plain", "coarse"), "sufficient", "size")["second"]
    sizes = table.locator("tr", has_text="sufficient").filter(has_text="size").filter(has_text="all")
    assert (
        f"{wanted:.3f}" in sizes.first.inner_text().replace("\u202f", "") or f"{wanted:g}" in sizes.first.inner_text()
    )
    assert window.faults() == []
    # beside itself nothing differs, and the line is where nothing differs
    assert "Nothing." in window.go("#/section/beside-2").inner_text("main")
    window.close()


def test_only_what_both_have_counts(stores: dict[str, Path]) -> None:
    found = compared(stores, "plain", "fewer")
    assert sorted(name.rpartition(":")[2] for name, _ in found.models) == ["high", "low"]
    assert set(found.tables["rates"]["source"]) == {"all", *(one.rpartition("/")[2] for one, _ in found.models)}
    # low and high do not convince each other; with also_low there was a third judge, which is left out
    assert row(found, "sufficient", "accepted")["first"] == row(found, "sufficient", "accepted")["second"] == 0
    assert row(found, "robust", "survives")["difference"] == 0


def test_models_of_other_weights_are_versions(stores: dict[str, Path]) -> None:
    found = compared(stores, "plain", "version")
    pairs = {one.rpartition(":")[2]: two.rpartition(":")[2] for one, two in found.models}
    assert pairs == {"low": "low", "also_low": "also_low", "high": "other"}
    assert [name.rpartition(":")[2] for name in found.versions] == ["high"]


def test_order_turns_the_sign(stores: dict[str, Path]) -> None:
    one, two = (compared(stores, *names) for names in (("plain", "coarse"), ("coarse", "plain")))
    assert row(one, "complete", "energy")["difference"] == pytest.approx(-row(two, "complete", "energy")["difference"])
    assert row(one, "complete", "size")["difference"] == pytest.approx(1 / row(two, "complete", "size")["difference"])


def test_intervals_widen_with_the_level(stores: dict[str, Path]) -> None:
    narrow, wide = (
        row(compared(stores, "plain", "coarse", level=level), "sufficient", "energy") for level in (0.5, 0.99)
    )
    assert wide["low"] < narrow["low"] < narrow["difference"] < narrow["high"] < wide["high"]


def test_nothing_in_common_is_refused(stores: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="no recording in common"):
        compared(stores, "plain", "elsewhere")


def test_the_command(
    stores: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert call(monkeypatch, "study", "compare", stores["plain"], stores["version"]) == 0
    printed = capsys.readouterr().out
    assert "4 recordings and 3 models in common" in printed
    assert "another version of" in printed
    assert call(monkeypatch, "study", "compare", stores["plain"], stores["coarse"], "--format", "json") == 0
    rates = json.loads(capsys.readouterr().out)["rates"]
    assert {one["measure"] for one in rates} >= {"found", "size", "accepted", "beyond"}
    assert all(np.isfinite(one["difference"]) for one in rates)
    assert call(monkeypatch, "study", "compare", stores["plain"], stores["coarse"], "--out", tmp_path / "out") == 0
    assert pl.read_csv(tmp_path / "out" / "rates.csv").height == len(rates)
