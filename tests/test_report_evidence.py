"""The page's evidence: survival, transfer beyond chance, shared evidence; changes and nested sets to be heard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile

from earwitness.report import write_report
from earwitness.report.changes import draw_changes
from earwitness.report.data import StudyData, load_study
from earwitness.report.headline import Number, headline
from earwitness.report.rates import clip_sums, difference_with_interval, mean_with_interval
from earwitness.report.sections import Curves, Estimates, make_sections
from earwitness.report.sounds import PEAK
from earwitness.signal import audio
from earwitness.signal.spectrum import Spectrum
from earwitness.study.answers import load_answers, study_tables
from earwitness.study.store import Store
from earwitness.transferability.options import Options
from planted_report import piece
from test_steps import EVIDENCE, SAMPLES
from test_study import do, make_clips, study_of
from window import Window


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("evidence")
    make_clips(folder / "clips", 5, SAMPLES)
    # the band of a last recording is silent: to it both say no
    samples, rate = soundfile.read(folder / "clips" / "clip4.wav")
    bins = np.fft.rfft(samples)
    bins[100:220] = 0
    soundfile.write(folder / "clips" / "clip4.wav", np.fft.irfft(bins, len(samples)), rate, subtype="FLOAT")
    do(study_of(folder / "clips", "high", "other", **EVIDENCE), folder / "s.db")
    with Store(folder / "s.db") as store:
        page = write_report(store, folder / "page")
    return folder / "s.db", page


@pytest.fixture(scope="module")
def data(pages: tuple[Path, Path]) -> StudyData:
    with Store(pages[0]) as store:
        return load_study(store, 0.5)


def numbers_of(pages: tuple[Path, Path], data: StudyData) -> dict[str, Number]:
    with Store(pages[0]) as store:
        return {number.id: number for number in headline(data, store)}


def test_the_headline_leads_with_evidence(pages: tuple[Path, Path], data: StudyData) -> None:
    numbers = numbers_of(pages, data)
    assert list(numbers)[:4] == ["robust", "shared", "survival", "sufficient"]
    robust, chance = (clip_sums(data.signals[kind], 5) for kind in ("robust", "null_profile_of_robust"))
    assert numbers["robust"].value == pytest.approx(mean_with_interval(*robust)[0] - mean_with_interval(*chance)[0])
    assert dict(numbers["robust"].beside) == {
        "robust": mean_with_interval(*robust)[0], "random": mean_with_interval(*chance)[0]
    }  # fmt: skip
    with Store(pages[0]) as store:
        tables = study_tables(store)
    shared = tables["shared_evidence"]["shared"].drop_nulls()
    assert numbers["shared"].value == pytest.approx(shared.mean())
    survival = tables["survival"].filter(kind="sufficient")
    mean = np.average(survival["survival"], weights=survival["signals"])
    assert numbers["survival"].value == pytest.approx(mean)
    assert [name for name, _ in numbers["sufficient"].beside] == [
        "random, same size and energy", "random, same energy",
    ]  # fmt: skip


def test_a_ratio_of_too_few_recordings_is_not_told(
    pages: tuple[Path, Path], data: StudyData, browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = numbers_of(pages, data)["shared"]
    assert told.told == (told.high is not None and told.low is not None and told.high - told.low < 1)
    real = mean_with_interval

    def wide(sums: Any, counts: Any) -> tuple[float, float | None, float | None]:
        value, low, high = real(sums, counts)
        return value, low, None if high is None or low is None else low + 1.5

    monkeypatch.setattr("earwitness.report.headline.mean_with_interval", wide)
    *_, number = numbers_of(pages, data).values()
    assert number.id == "shared"
    assert not number.told
    with Store(pages[0]) as store:
        window = Window(browser, write_report(store, tmp_path / "page"))
    tile = window.go("#/").locator(".headline .shared").inner_text()
    assert "too few recordings to tell" in tile
    assert "%" not in tile.partition("of the evidence")[0]
    window.close()


def test_a_difference_of_rates_is_on_the_pairs_that_have_both() -> None:
    """Two models, clips all alike: 0.8 and 0.4 one way; the other way only the first kind has signals."""
    sums, counts = np.zeros((5, 2, 2)), np.zeros((5, 2, 2))
    sums[:, 0, 1], counts[:, 0, 1], sums[:, 1, 0], counts[:, 1, 0] = 4, 5, 5, 5
    others, of = np.zeros((5, 2, 2)), np.zeros((5, 2, 2))
    others[:, 0, 1], of[:, 0, 1] = 2, 5
    assert difference_with_interval((sums, counts), (others, of)) == pytest.approx((0.4, 0.4, 0.4))


def test_survival_on_the_page_is_the_stores(pages: tuple[Path, Path], data: StudyData) -> None:
    with Store(pages[0]) as store:
        answers = load_answers(store)
    for kind in ("robust", "sufficient", "complete"):
        rows = answers.survival.filter(kind=kind).group_by("clip").agg(pl.col("held").sum()).sort("clip")
        signals = data.signals[kind]
        ids = data.clips["id"].to_numpy()[signals.clip]
        there = signals.held >= 0
        assert {int(i): int(signals.held[there & (ids == i)].sum()) for i in set(ids[there])} == dict(rows.iter_rows())
    assert data.drawn == 64
    assert (data.signals["null_size"].held == -1).all()


def test_the_section_says_what_the_tables_say(pages: tuple[Path, Path], data: StudyData) -> None:
    with Store(pages[0]) as store:
        section = next(one for one in make_sections(store, data) if one.id == "evidence")
        tables = study_tables(store)
    blocks = {block.title: block for block in section.blocks}
    survives = blocks["What survives"]
    assert isinstance(survives, Estimates)
    shown = {name: value for name, value, *_ in survives.rows}
    for row in tables["survival"].iter_rows(named=True):
        assert (
            shown[f"{row['source']}, {row['kind'].replace('one_complete', 'one-complete').replace('_', ' ')}"]
            == (row["survival"])
        )
    curves = blocks["How the answer returns"]
    assert isinstance(curves, Curves)
    assert [name for name, *_ in curves.curves] == [
        "own map", "another model’s map", "other variables, as many and as loud", "the loudest first", "at random",
    ]  # fmt: skip
    assert {"Shared evidence", "Convincing beyond chance", "Robust sets found"} <= set(blocks)


def test_changed_sounds_are_the_signals_in_their_views(pages: tuple[Path, Path], data: StudyData) -> None:
    robust = data.signals["robust"]
    row, source, subset = (int(part[0]) for part in (robust.clip, robust.source, robust.subset))
    with Store(pages[0]) as store:
        mask = store.mask(subset)
    spectrum = Spectrum(audio.read(data.clips["path"][row]))
    changes = dict(draw_changes(data, row, source, spectrum))
    assert list(changes) == ["noise", "changed", "other"]
    sounds = piece(pages[1], f"clip-{data.clips['id'][row]}")["sounds"]
    for name, view in changes.items():
        wave = view.apply(spectrum.invert(mask[None], fill=view.fill))[0].numpy()
        written, _ = soundfile.read(pages[1].parent / sounds[f"{subset}-{name}"]["source"])
        np.testing.assert_allclose(written, wave / np.abs(wave).max() * PEAK, atol=1 / 32000)
    plain = spectrum.invert(mask[None])[0].numpy()
    noise = spectrum.invert(mask[None])[0].numpy() - changes["noise"].apply(spectrum.invert(mask[None]))[0].numpy()
    level = 10 * np.log10((noise**2).mean() / (spectrum.clip.samples**2).mean())
    assert level == pytest.approx(-30, abs=0.1)
    # laid into another recording it holds what that holds elsewhere
    other = changes["other"].apply(spectrum.invert(mask[None], fill=changes["other"].fill))[0].numpy()
    bins, own = np.fft.rfft(other), np.fft.rfft(plain)
    np.testing.assert_allclose(bins[mask], own[mask], atol=1e-3)
    assert np.abs(bins[~mask]).max() > 1


def test_nested_sets_are_heard_lit_and_told(pages: tuple[Path, Path], data: StudyData, browser: Any) -> None:
    clip = piece(pages[1], f"clip-{data.clips['id'][0]}")
    levels = EVIDENCE["curves"]["levels"]
    found = clip["nested"]["curves"]["0"]
    assert found["levels"] == levels
    assert found["size"] == sorted(found["size"])
    assert found["size"][-1] == 401
    assert set(found["judges"]) == {"0", "1"}
    assert {f"nested-0-{k}" for k in range(len(levels) - 1)} <= set(clip["sets"])
    window = Window(browser, pages[1])
    page = window.go(f"#/clip/{data.clips['id'][0]}?model=A&signal=robust")
    assert window.faults() == []
    told = page.locator(".nested p.text")
    page.locator("#kept").fill("0")
    before = told.inner_text()
    page.locator("#kept").fill("2")
    assert told.inner_text() != before
    assert told.inner_text().startswith("50\u202f% of the energy, ")
    # these sounds last 50 ms: what was started is noted, since it may have ended before one looks
    page.evaluate("started = []; addEventListener('play', (event) => started.push(event.target.src), true)")
    page.locator("#play").click()
    window.until("started.at(-1)?.includes('nested-0-2')")
    window.until("[...document.querySelectorAll('audio')].every((audio) => audio.paused)")
    page.locator(".changes button", has_text="in noise").click()
    page.locator("#play").click()
    window.until("started.at(-1).includes('-noise')")
    assert page.locator("text=64 of 64 harmless changes").count() >= 1
    page = window.go("#/section/evidence")
    assert window.faults() == []
    page = window.go("#/")
    first = page.locator(".headline div").first
    assert (
        first.locator(".figure-number").inner_text() == "0\u202f%"
    )  # neither hears the other’s band; to one clip of five both say no anyway
    assert "robust 20\u202f%; random 20\u202f%" in first.inner_text()
    window.close()


def test_a_page_of_one_file_tells_nested_sets_without_sounds(
    pages: tuple[Path, Path], browser: Any, tmp_path: Path
) -> None:
    with Store(pages[0]) as store:
        page = write_report(store, tmp_path / "page.html", single_file=True)
    window = Window(browser, page)
    opened = window.go("#/clip/1")
    opened.locator("#kept").fill("0")
    assert "of the energy" in opened.locator(".nested p.text").inner_text()
    assert "Moving the slider" not in opened.locator(".nested").inner_text()
    window.close()


def test_a_study_without_evidence_has_none_of_it(tmp_path: Path, browser: Any) -> None:
    make_clips(tmp_path / "clips", 2, SAMPLES)
    do(study_of(tmp_path / "clips", "high", "other"), tmp_path / "s.db")
    with Store(tmp_path / "s.db") as store:
        data = load_study(store, 0.5)
        assert not [one for one in make_sections(store, data) if one.id == "evidence"]
        assert next(number.id for number in headline(data, store)) == "sufficient"
        page = write_report(store, tmp_path / "page")
    window = Window(browser, page)
    opened = window.go("#/clip/1")
    assert opened.locator(".nested, .changes button").count() == 0
    assert "harmless changes" not in opened.locator("main").inner_text()
    window.close()


def test_a_model_that_answers_differently_is_noticed_and_said(tmp_path: Path, browser: Any) -> None:
    make_clips(tmp_path / "clips", 2)
    do(study_of(tmp_path / "clips", "noisy", "low"), tmp_path / "s.db")
    with Store(tmp_path / "s.db") as store:
        models = study_tables(store, Options(draws=10))["models"]
        assert models["unsteady"][0] > 0.05
        assert models["unsteady"][1] < 1e-4
        page = write_report(store, tmp_path / "page")
    window = Window(browser, page)
    notices = window.go("").locator(".notice").all_inner_texts()
    assert len(notices) == 1
    assert "noisy answers the same signal differently" in notices[0]
    window.close()
