"""What can be saved from the page: sounds, tables, curves; and a file small enough for a mail."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest
import soundfile

from earwitness.report import page as report_page
from earwitness.report import write_report
from earwitness.report.data import load_study
from earwitness.report.sections import Curves, Estimates, Table, make_sections
from earwitness.study.store import Store
from planted_report import HOSTILE
from window import Window

Pages = tuple[Path, Path, Path]
SPACE = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def window(report_pages: Any, browser: Any) -> Iterator[Window]:
    opened = Window(browser, report_pages[1])
    yield opened
    opened.close()


def saved(page: Any, what: Any) -> tuple[str, bytes]:
    """The name and content of what a click saves."""
    with page.expect_download() as waiting:
        what.click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def test_the_sound_that_is_chosen_is_saved(report_pages: Any, browser: Any, tmp_path: Path) -> None:
    with Store(report_pages[0]) as store:
        opened = Window(browser, write_report(store, tmp_path / "one.html", single_file=True))
    page = opened.go("#/clip/1")
    first, content = saved(page, page.locator(".transport .save"))
    samples, rate = soundfile.read(io.BytesIO(content))
    assert samples.size / rate == pytest.approx(page.evaluate("Number(document.querySelector('.transport input').max)"))
    page.keyboard.press("2")
    second, other = saved(page, page.locator(".transport .save"))
    assert first != second
    assert content != other
    assert all(name.endswith((".wav", ".flac")) and "/" not in name and " " not in name for name in (first, second))
    opened.close()


def test_a_folders_sounds_are_files_to_open(report_pages: Any, window: Window) -> None:
    """A page that is opened from a file may not save another: the browser shows it, in a tab of its own."""
    link = window.go("#/clip/1").locator(".transport .save")
    assert (report_pages[1].parent / link.get_attribute("href")).is_file()
    assert link.get_attribute("target") == "_blank"


def test_a_table_is_saved_whole_and_exactly(report_pages: Any, window: Window) -> None:
    with Store(report_pages[0]) as store:
        sections = make_sections(store, load_study(store, 0.5))
    section, table = next((one, block) for one in sections for block in one.blocks if isinstance(block, Table))
    page = window.go(f"#/section/{section.id}")
    block = page.locator("section.block", has=page.locator(f"h2:text-is('{table.title}')"))
    name, content = saved(page, block.locator("button.save").first)
    rows = list(csv.reader(io.StringIO(content.decode())))
    assert rows[0] == list(table.columns)
    assert len(rows) == 1 + len(table.rows)
    numbers = [i for i, value in enumerate(table.rows[0]) if isinstance(value, float)]
    for row, wanted in zip(rows[1:], table.rows, strict=True):
        for i in numbers:
            assert row[i] == "" if wanted[i] is None else float(row[i]) == wanted[i]
    assert name.endswith(".csv")


def test_no_cell_begins_a_formula(report_pages: Any, window: Window) -> None:
    page = window.go("#/clips")
    _, content = saved(page, page.locator("button.save").first)
    assert any(row[0].startswith(HOSTILE) for row in csv.reader(io.StringIO(content.decode())))
    page.evaluate("document.querySelector('#clip-table tbody th, #clip-table tbody td').textContent = '=1+1'")
    _, content = saved(page, page.locator("button.save").first)
    cells = [cell for row in csv.reader(io.StringIO(content.decode())) for cell in row]
    assert "'=1+1" in cells
    assert "=1+1" not in cells


def test_curves_are_saved_as_a_drawing_of_their_own(report_pages: Any, window: Window) -> None:
    with Store(report_pages[0]) as store:
        sections = make_sections(store, load_study(store, 0.5))
    found = [(one, block) for one in sections for block in one.blocks if isinstance(block, Curves)]
    section, curves = next((one, block) for one, block in found if any(y for _, _, y in block.curves))
    page = window.go(f"#/section/{section.id}")
    name, content = saved(page, page.locator("button.save:text-is('Save as SVG')").first)
    root = ElementTree.fromstring(content)
    texts = ["".join(one.itertext()) for one in root.iter(f"{SPACE}text")]
    assert curves.title in texts
    assert curves.x in texts
    drawn = [one for one in root.iter(f"{SPACE}path") if one.get("stroke") != "#dddddd"]
    assert len(drawn) == 2 * len([1 for _, _, y in curves.curves if any(value is not None for value in y)])
    assert name.endswith(".svg")


def drawn(page: Any, within: str = "main") -> tuple[str, ElementTree.Element, list[str]]:
    """The first figure saved from a part of the page: its file's name, its root, the texts in it."""
    name, content = saved(page, page.locator(f"{within} button.save:text-is('Save as SVG')").first)
    root = ElementTree.fromstring(content)
    return name, root, ["".join(one.itertext()) for one in root.iter(f"{SPACE}text")]


def test_the_matrix_is_saved_as_a_drawing_and_as_a_table(window: Window) -> None:
    page = window.go("#/transfer?kind=complete")
    shown = page.eval_on_selector_all("[data-cell]", "all => all.map(one => [one.textContent, one.dataset.value])")
    name, root, texts = drawn(page)
    assert name == "Complete.svg"
    assert [text for text, _ in shown] == texts[-len(shown) :]
    assert len(list(root.iter(f"{SPACE}rect"))) == 1 + len(shown)
    _, content = saved(page, page.locator(".saves button:text-is('Save as CSV')"))
    rows = list(csv.reader(io.StringIO(content.decode())))
    assert [float(value) for row in rows[1:] for value in row[1:]] == [float(value) for _, value in shown]


def test_a_spectrum_is_saved_with_what_is_kept(window: Window) -> None:
    page = window.go("#/clip/1")
    legend = page.locator(".spectrum .legend li").all_inner_texts()
    _, root, texts = drawn(page, ".spectrum")
    fills = [one.get("fill") for one in root.iter(f"{SPACE}path")]
    for part, colour in {"sufficient": "#d55e00", "necessary": "#0072b2"}.items():
        assert (part in texts) == (part in legend) == (colour in fills)
    assert "sufficient" in texts


def test_where_the_models_listen_is_saved(window: Window) -> None:
    page = window.go("#/")
    name, root, _ = drawn(page, ".lanes")
    assert name == "Where-the-models-listen.svg"
    lanes = [one.get("d") for one in root.iter(f"{SPACE}path") if one.get("fill")]
    assert len(lanes) == page.locator(".lanes > ul > li").count()


def test_a_spectrogram_is_saved_as_it_is_lit(window: Window) -> None:
    page = window.go("#/clip/1")
    whole, content = saved(page, page.locator("button.save:text-is('Save as PNG')"))
    page.keyboard.press("2")
    lit, other = saved(page, page.locator("button.save:text-is('Save as PNG')"))
    assert content[:8] == other[:8] == b"\x89PNG\r\n\x1a\n"
    assert content != other
    assert (whole.endswith(".png"), lit.endswith("sufficient.png")) == (True, True)


def test_estimates_are_saved_as_a_drawing(report_pages: Any, window: Window) -> None:
    with Store(report_pages[0]) as store:
        sections = make_sections(store, load_study(store, 0.5))
    found = [(one, block) for one in sections for block in one.blocks if isinstance(block, Estimates)]
    section, block = next((one, block) for one, block in found if any(row[1] is not None for row in block.rows))
    page = window.go(f"#/section/{section.id}")
    page.locator("section.block", has=page.locator(f"h2:text-is('{block.title}')")).evaluate("one => one.id = 'found'")
    _, root, texts = drawn(page, "#found")
    assert len(list(root.iter(f"{SPACE}circle"))) == len([1 for row in block.rows if row[1] is not None])
    assert block.title in texts


def test_a_single_file_stays_small(report_pages: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many clips in full as there is room for, one at least; and all where they are asked for."""
    with Store(report_pages[0]) as store:
        whole = write_report(store, tmp_path / "whole.html", single_file=True)
        monkeypatch.setattr(report_page, "MOST_INLINE", 1)
        small = write_report(store, tmp_path / "small.html", single_file=True)
        asked = write_report(store, tmp_path / "asked.html", single_file=True, full=10)
        folder = write_report(store, tmp_path / "folder")
        count = store.list_clips(store.settings_key(), answered=True).select(pl.len()).item()
    assert small.stat().st_size < whole.stat().st_size
    assert small.read_text().count('id="data-clip-') == 1
    assert whole.read_text().count('id="data-clip-') == asked.read_text().count('id="data-clip-') == count
    assert len(list((folder.parent / "data").glob("clip-*.js"))) == count


def test_the_words_on_a_page_are_explained_there(window: Window) -> None:
    """Those that stand on it, and no others; opened by whoever wants them."""
    page = window.go("#/transfer")
    page.click(".words summary")
    told = page.eval_on_selector_all(".words dt", "all => all.map(one => one.textContent)")
    assert {"Sufficient", "Accepts"} <= set(told)
    assert "Spectrogram" not in told
    page = window.go("#/clip/1")
    assert page.locator(".words dt").count() == 0
    page.click(".words summary")
    told = page.eval_on_selector_all(".words dt", "all => all.map(one => one.textContent)")
    assert {"Sound", "Complete", "Inverse"} <= set(told)
    assert window.faults() == []
    assert window.go("#/reading").locator(".words").count() == 0
