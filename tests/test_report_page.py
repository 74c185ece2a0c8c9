"""The page in a browser: what it shows, plays and refuses to run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from earwitness.report import write_report
from earwitness.report.data import load_study
from earwitness.study.answers import load_answers
from earwitness.study.store import Store
from earwitness.transferability.definitions import transfer_table
from planted_report import FAILED, HOSTILE, LABELS, RATE, SAMPLES, Pages, all_sounds, piece
from window import Window


@pytest.fixture
def study(report_pages: Pages) -> Pages:
    return report_pages


@pytest.fixture
def window(study: Pages, browser: Any) -> Iterator[Window]:
    opened = Window(browser, study[1])
    yield opened
    opened.close()


def test_matrix_shows_the_table_and_its_clips(study: Pages, window: Window) -> None:
    with Store(study[0]) as store:
        data, answers = load_study(store, 0.5), load_answers(store)
    page = window.go("#/transfer")
    for kind in ("sufficient", "complete", "one_complete"):
        page.select_option("#kind", kind)
        table = transfer_table(answers, kind).sort("source", "judge")
        title = kind.replace("_", "-").capitalize()
        window.until(f"document.querySelector('caption strong').textContent === '{title}'")
        shown = page.eval_on_selector_all("[data-cell]", "cells => cells.map(cell => Number(cell.dataset.value))")
        assert shown == table["alpha"].to_list()
    judged = answers.judgements.filter((pl.col("kind") == "one_complete") & (pl.col("source").str.ends_with("110")))
    judged = judged.filter(pl.col("judge").str.ends_with("300"))
    page.click('[data-cell="0-1"]')
    page.wait_for_selector("#behind-table")
    listed = "rows => rows.map(row => Number(row.dataset.clip))"
    assert sorted(page.eval_on_selector_all("#behind-table tbody tr", listed)) == sorted(judged["clip"].to_list())
    page.click("text=/^Accepted/")
    accepted = judged.filter(pl.col("accepted"))["clip"].to_list()
    assert 0 < len(accepted) < len(judged)
    window.until(f"document.querySelectorAll('#behind-table tbody tr').length === {len(accepted)}")
    assert sorted(page.eval_on_selector_all("#behind-table tbody tr", listed)) == sorted(accepted)
    # the address leads back to the same list
    address = page.evaluate("location.hash")
    page = window.go(address)
    assert sorted(page.eval_on_selector_all("#behind-table tbody tr", listed)) == sorted(accepted)
    page.click("#behind-table tbody a")
    page.wait_for_selector(".transport")
    assert page.evaluate("location.hash").startswith("#/clip/")
    assert data.labels == LABELS


def test_epsilon_class_and_difference(study: Pages, window: Window) -> None:
    with Store(study[0]) as store:
        answers = load_answers(store)
    page = window.go("#/transfer?kind=sufficient&measure=joint&eps=0.9")

    def shown() -> list[float]:
        found = page.eval_on_selector_all("[data-cell]", "cells => cells.map(cell => Number(cell.dataset.value))")
        return [float(value) for value in found]

    assert shown() == transfer_table(answers, "sufficient", 0.9).sort("source", "judge")["joint"].to_list()
    page.evaluate("const e = document.getElementById('epsilon'); e.value = 0.2; e.dispatchEvent(new Event('input'))")
    window.until("location.hash.includes('eps=0.2')")
    page.wait_for_timeout(50)
    assert shown() == transfer_table(answers, "sufficient", 0.2).sort("source", "judge")["joint"].to_list()
    page = window.go("#/transfer?kind=sufficient&minus=complete")
    difference = np.subtract(*(
        transfer_table(answers, kind).sort("source", "judge")["alpha"].to_numpy() for kind in ("sufficient", "complete")
    ))  # fmt: skip
    assert shown() == pytest.approx(difference.tolist())
    page = window.go("#/transfer")
    page.select_option("#class", "0")
    window.until("location.hash.includes('class=')")
    page.wait_for_timeout(50)
    of_class = answers.judgements.filter((pl.col("kind") == "sufficient") & (pl.col("label") == LABELS[0]))
    expected = of_class.group_by("source", "judge").agg(pl.col("accepted").mean()).sort("source", "judge")
    assert shown() == expected["accepted"].to_list()


def test_players_switch_without_losing_the_position(study: Pages, window: Window) -> None:
    page = window.go("#/clip/1")
    page.evaluate("const at = document.querySelector('.transport [type=range]'); at.value = 0.15;"
                  "at.dispatchEvent(new Event('input'))")  # fmt: skip
    page.click("#play")
    window.until("document.querySelector('audio').readyState >= 2")
    page.evaluate("document.querySelector('audio').pause(); document.querySelector('audio').currentTime = 0.2")
    page.keyboard.press("5")
    window.until("document.querySelectorAll('audio').length === 2")
    window.until("document.querySelectorAll('audio')[1].readyState >= 2")
    second = "document.querySelectorAll('audio')[1]"
    assert page.evaluate(f"{second}.currentTime") == pytest.approx(0.2, abs=1e-3)
    assert page.evaluate(f"{second}.error") is None
    source = page.evaluate(f"{second}.getAttribute('src')")
    sound = next(sound for sound in piece(study[1], "clip-1")["sounds"].values() if sound["source"] == source)
    assert page.evaluate(f"{second}.volume") == pytest.approx(sound["level"], abs=1e-6)
    page.check("#equal")
    assert page.evaluate(f"{second}.volume") == pytest.approx(sound["equal"], abs=1e-6)
    page.click("#play")
    window.until(f"{second}.ended || {second}.currentTime < 0.1")  # it played to its end and went back


def test_every_sound_plays(study: Pages, window: Window) -> None:
    page = window.go("#/clips")
    sources = sorted({sound["source"] for sound in all_sounds(study)})
    ready = page.evaluate("""async (sources) => Promise.all(sources.map((source) => new Promise((done) => {
        const audio = new Audio(source);
        audio.oncanplaythrough = () => done(audio.duration);
        audio.onerror = () => done(source + ": " + audio.error.message);
    })))""", sources)  # fmt: skip
    assert ready == [pytest.approx(SAMPLES / RATE)] * len(sources)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_and_narrow(study: Pages, browser: Any, scheme: str) -> None:
    opened = Window(browser, study[1], color_scheme=scheme, viewport={"width": 390, "height": 800})
    views = ["", "transfer?cell=0-1", "clips", "clip/1", "clip/2?model=B&signal=complete", "failures", "reading"]
    for view in ("#/" + view for view in views):
        page = opened.go(view)
        assert opened.faults() == [], view
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, view
    opened.close()


def test_hostile_text_stays_text(study: Pages, window: Window) -> None:
    page = window.go("#/clips")
    assert HOSTILE in page.eval_on_selector_all("#clip-table a", "links => links.map(link => link.textContent)")
    page.click("#clip-table tbody tr:nth-child(1) a")
    page.wait_for_selector("h1.clip-name")
    assert page.text_content("h1.clip-name") == HOSTILE
    assert page.locator("main script, main img, main b, [onerror]").count() == 0
    page = window.go("#/failures")
    assert FAILED in page.text_content("main")
    assert page.locator("main img, main b").count() == 0
    page = window.go("#/")
    assert page.text_content("h1") == "Planted <tones>"


def test_keys_and_links(study: Pages, window: Window) -> None:
    page = window.go("#/clip/1?model=B&signal=complete")
    assert page.locator(".models [aria-pressed=true]").text_content().startswith("B")
    assert page.evaluate("document.querySelector('.signals input:checked').dataset.kind") == "complete"
    page.keyboard.press("1")
    assert page.evaluate("document.querySelector('.signals input:checked').dataset.kind") == "original"
    name = page.text_content("h1")
    page.keyboard.press("j" if page.locator("[data-key=j][href]").count() else "k")
    window.until(f"document.querySelector('h1').textContent !== {json.dumps(name)}")
    assert page.locator(".models [aria-pressed=true]").text_content().startswith("B")
    page = window.go("#/clip/4711")
    assert page.text_content("h1") == "No such clip"


def test_clip_without_pictures_says_how_to_make_them(study: Pages, browser: Any, tmp_path: Path) -> None:
    with Store(study[0]) as store:
        written = write_report(store, tmp_path, full=0)
    opened = Window(browser, written)
    page = opened.go("#/clip/2")
    assert page.text_content("pre code").endswith("--clips 0 --clip 2")
    assert page.locator(".verdict-table tbody tr").count() >= 4
    assert page.locator("audio, canvas").count() == 0
    opened.close()


def test_single_file_stands_alone(study: Pages, browser: Any, tmp_path: Path) -> None:
    with Store(study[0]) as store:
        written = write_report(store, tmp_path / "one.html", single_file=True)
    assert [path.name for path in tmp_path.iterdir()] == ["one.html"]
    opened = Window(browser, written)
    page = opened.go("#/clip/1")
    page.click("#play")
    opened.until("document.querySelector('audio').readyState >= 2")
    assert page.locator("canvas").count() == 1
    page = opened.go("#/transfer?cell=0-1")
    assert page.locator("#behind-table tbody tr").count() > 0
    opened.close()
