"""Two models on one clip, side by side on the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from earwitness.report import write_report
from earwitness.study.answers import load_answers
from earwitness.study.store import Store
from planted_report import LABELS, RATE, SAMPLES, Pages
from window import Window

LIST_MODELS = Store.list_models
HERTZ = RATE / SAMPLES


@pytest.fixture
def window(report_pages: Pages, browser: Any) -> Iterator[Window]:
    opened = Window(browser, report_pages[1])
    yield opened
    opened.close()


def cells(page: Any, row: str) -> list[str]:
    """What the two columns say in a row of the comparison."""
    found = page.locator(".verdict-table tr", has=page.locator(f"th:text-is('{row}')"))
    return [str(cell.inner_text()) for cell in found.locator("td").all()]


def test_each_model_has_its_own_bin_and_both_share_none(window: Window) -> None:
    page = window.go("#/clip/1?model=A&beside=B&signal=sufficient")
    kept = [cell.replace(" Hz", "") for cell in cells(page, "kept frequencies")]
    assert [float(kept[0]), float(kept[1].replace(" kHz", ""))] == [110 * HERTZ, 300 * HERTZ / 1000]
    assert page.locator(".pair figure.spectrum").count() == 2
    assert page.locator(".strip.both path").count() == 0
    assert window.faults() == []


def test_verdicts_are_those_of_the_study(report_pages: Pages, window: Window) -> None:
    with Store(report_pages[0]) as store:
        judged = load_answers(store).judgements.filter((pl.col("clip") == 1) & (pl.col("kind") == "sufficient"))
    page = window.go("#/clip/1?model=A&beside=B&signal=sufficient")
    models = sorted(judged["source"].unique())
    rows = page.locator(".verdict-table tbody tr")
    for place, judge in enumerate(models, 1):  # the first row is what they hear
        for source, shown in zip(models, rows.nth(place).locator("td").all_inner_texts(), strict=True):
            row = judged.row(by_predicate=(pl.col("source") == source) & (pl.col("judge") == judge), named=True)
            assert ("gives another answer" in shown) != row["accepted"]
            assert any(label in shown for label in LABELS)


def test_the_pair_is_chosen_heard_and_kept_in_the_address(window: Window) -> None:
    page = window.go("#/clip/1")
    assert page.locator(".pair").count() == 0
    page.select_option("#beside", label=page.locator("#beside option").nth(1).inner_text())
    page.wait_for_selector(".pair")
    page.click("[data-kind=complete]")
    page.keyboard.press("3")
    assert "kept for" in page.get_attribute(".play", "aria-label")
    page = window.go(page.evaluate("location.hash"))
    assert page.get_attribute("[data-kind=complete]", "aria-pressed") == "true"
    assert page.evaluate("document.querySelector('#beside').value") == "1"
    page.select_option("#beside", "-1")
    page.wait_for_selector(".spectrogram")
    assert "beside" not in page.evaluate("location.hash")


def test_the_model_beside_cannot_be_the_same(window: Window) -> None:
    page = window.go("#/clip/1?model=A&beside=B")
    page.click(".models button >> nth=1")
    page.wait_for_selector(".spectrogram")
    assert page.evaluate("document.querySelector('#beside').value") == "-1"
    assert page.locator("#beside option").count() == 2


def test_a_narrow_screen_has_no_sideways_scroll(report_pages: Pages, browser: Any) -> None:
    opened = Window(browser, report_pages[1], viewport={"width": 380, "height": 800})
    page = opened.go("#/clip/1?model=A&beside=B")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    opened.close()


def test_a_link_shows_the_same_whatever_the_order_of_the_models(
    report_pages: Pages, window: Window, browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = window.go("#/transfer?cell=0-1&kind=complete")
    page.click("#behind-table a >> nth=0")
    window.until("location.hash.startsWith('#/clip')")
    link = page.evaluate("location.hash")
    shown = page.locator(".models [aria-pressed=true]").inner_text().splitlines()[0]
    monkeypatch.setattr(Store, "list_models", lambda store, key: LIST_MODELS(store, key)[::-1])
    with Store(report_pages[0]) as store:
        opened = Window(browser, write_report(store, tmp_path / "other"))
    again = opened.go(link).locator(".models [aria-pressed=true]").inner_text().splitlines()[0]
    assert (shown[0], again[0]) == ("A", "B")
    assert shown[1:] == again[1:]
    pair = opened.go("#/transfer?cell=0-1").evaluate("location.hash")
    assert pair == "#/transfer?cell=0-1"
    opened.page.click('[data-cell="0-1"]')
    opened.until("location.hash.includes('%7E')")
    cell = opened.page.evaluate("location.hash")
    opened.close()
    assert window.go(cell).locator('[data-cell="1-0"]').get_attribute("aria-pressed") == "true"
