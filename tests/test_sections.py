"""The page's sections: each where the study has it, its numbers those of the analysis, its drawings with tables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile

from earwitness.analyses.settings import CompositionSettings, ManipulationSettings
from earwitness.cli import main
from earwitness.errors import StoreError
from earwitness.report import write_figures, write_report
from earwitness.report.data import load_study
from earwitness.report.figures import draw_figures
from earwitness.report.sections import Curves, Estimates, Section, Signal, Sounds, Table, make_sections, section_json
from earwitness.report.sections.blocks import INLINE
from earwitness.report.sections.composition import flip_curves
from earwitness.report.sounds import PEAK, Folder, Inline
from earwitness.study.answers import load_answers
from earwitness.study.reopen import reopen
from earwitness.study.stages.composition import cross, degree_table, make_composites, read_composites
from earwitness.study.stages.fidelity import measure_fidelity
from earwitness.study.stages.manipulation import flip_answers
from earwitness.study.stages.manipulation_tables import robustness_table
from earwitness.study.stages.spectral import measure_spectra
from earwitness.study.store import Store
from earwitness.transferability.options import Options
from earwitness.transferability.tables import make_tables
from earwitness.transferability.tables.chance import excess, null_rates
from test_study import do, make_clips, study_of
from window import Window

FLIPS = ManipulationSettings(counts=(1,), snrs=(30.0,), budget=100)
COMPOSITES = CompositionSettings(draws=5)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two clips and three models with every analysis done."""
    folder = tmp_path_factory.mktemp("planted")
    make_clips(folder / "clips", 2, 1600)
    do(study_of(folder / "clips", "low", "also_low", "high"), folder / "s.db")
    with Store(folder / "s.db", write=True) as store:
        study = reopen(store, trust_models=True)
        measure_spectra(study)
        make_composites(study, COMPOSITES)
        cross(study, COMPOSITES, (None, -20.0))
        measure_fidelity(study)
        flip_answers(study, FLIPS)
    return folder / "s.db"


def sections_of(path: Path) -> dict[str, Section]:
    with Store(path) as store:
        return {section.id: section for section in make_sections(store, load_study(store, 0.5))}


@pytest.fixture(scope="module")
def sections(planted: Path) -> dict[str, Section]:
    """The sections of the planted study's page."""
    return sections_of(planted)


def block(section: Section, title: str) -> Any:
    return next(block for block in section.blocks if block.title == title)


def test_a_section_for_each_analysis(sections: dict[str, Section]) -> None:
    expected = ["chance", "certainty", "flat-earthers", "composition", "spectral", "fidelity", "manipulation", "tables"]
    assert list(sections) == expected
    for section in sections.values():
        assert section.intro
        assert section.blocks
        titles = [block.title for block in section.blocks]
        assert len(titles) == len(set(titles)), section.id


def test_a_study_without_analyses_has_only_what_it_can_count(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 1, 800)
    do(study_of(tmp_path / "clips", "low", "high"), tmp_path / "s.db")
    assert list(sections_of(tmp_path / "s.db")) == ["chance", "certainty", "tables"]


def test_a_section_that_cannot_be_made_says_why(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("not today")

    monkeypatch.setattr(sys.modules["earwitness.report.sections.spectral"], "reopen", refuse)
    section = sections_of(planted)["spectral"]
    assert section.intro == "This section could not be made: not today"
    assert section.blocks == ()


def test_numbers_are_those_of_the_analyses(planted: Path, sections: dict[str, Section]) -> None:
    with Store(planted) as store:
        study = reopen(store, trust_models=True)
        degrees, robust = degree_table(study, COMPOSITES), robustness_table(study, FLIPS)
    drawn = block(sections["composition"], "Degree of compositionality").rows
    assert [row[1] for row in drawn] == degrees["degree"].drop_nulls().to_list()
    within = block(sections["manipulation"], "Flipped within 30 dB").rows
    assert [row[1:] for row in within] == [
        (row["rate"], row["low"], row["high"])
        for row in robust.iter_rows(named=True) if row["bound"] == "30 dB"
    ]  # fmt: skip


def test_two_models_that_hear_the_same_and_one_that_does_not(sections: dict[str, Section]) -> None:
    """``low`` and ``also_low`` believe each other's sets; ``high`` neither convinces nor is convinced."""
    table = block(sections["flat-earthers"], "Beside its peers")
    rows = {row[0].rpartition(":")[2]: row for row in table.rows}
    # ``low`` convinces ``also_low``, which hears a part of its bins, and not the other way round
    assert rows["high"][1:5] == (0.0, 0.0, 0.5, 0.5)
    assert rows["low"][4] < 0
    score = block(sections["flat-earthers"], "Score")
    assert max(score.rows, key=lambda row: row[1])[0].endswith("high")


def test_reliability_is_told_of_four_recordings_or_more(tmp_path: Path) -> None:
    make_clips(tmp_path / "clips", 4)
    study = study_of(tmp_path / "clips", "low", "also_low", "high")
    do(study, tmp_path / "s.db")
    section = sections_of(tmp_path / "s.db")["reliability"]
    assert block(section, "What other recordings would say").rows[0] == ("α, sufficient", 1, 1, 4)
    assert block(section, "Agreement of halves").rows[0] == ("α, sufficient", 1, 1, 1)
    names = [row[0] for row in block(section, "Agreement of halves").rows]
    assert "α beyond random of the same energy, sufficient" in names
    assert "α beyond random of the same energy, complete" not in names, "the table has it"
    with Store(tmp_path / "s.db") as store:
        answers = load_answers(store, store.settings_key())
    tables = make_tables(answers, names=["chance", "reliability"])
    ranked = tables["reliability"].filter(what="excess", kind="complete", null="null_energy")
    assert (ranked["pairs"][0], ranked["clusters"][0]) == (6, 4)
    told = tables["chance"].filter(kind="complete", null="null_energy")["excess"].to_numpy()
    np.testing.assert_allclose(
        excess(answers, "complete", null_rates(answers)["null_energy"], Options()).rates.ravel(), told
    )


def test_every_block_is_drawn_and_accessible(
    planted: Path, browser: Any, tmp_path: Path, sections: dict[str, Section]
) -> None:
    with Store(planted) as store:
        opened = Window(browser, write_report(store, tmp_path))
    for name, section in sections.items():
        page = opened.go(f"#/section/{name}")
        assert page.text_content("h1") == section.title
        assert page.locator("main section.block h2").all_text_contents() == [block.title for block in section.blocks]
        drawn = sum(isinstance(block, Curves | Estimates) for block in section.blocks)
        assert page.locator("details.alternative").count() == drawn
        tables = [block for block in section.blocks if isinstance(block, Table)]
        assert page.locator("section.block > div > .scroll table").count() == len(tables)
        assert opened.faults() == [], name
    opened.close()


def play_all(opened: Window, page: Any, written: set[str], seconds: float) -> int:
    """Play every sound of every model to its end; how many there are. What has no file is silence and says so."""
    audio, at = "document.querySelectorAll('audio')", 0
    for tab in page.locator("main .models button").all():
        tab.click()
        for choice in page.locator(".sound input").all():
            choice.check()
            if choice.get_attribute("value") not in written:
                assert page.locator("#play").is_disabled()
                assert "silence: nothing to play" in page.text_content(".transport")
                continue
            page.click("#play")
            opened.until(f"{audio}.length > {at} && {audio}[{at}].currentTime > 0")
            assert page.evaluate(f"{audio}[{at}].error") is None
            assert page.evaluate(f"{audio}[{at}].duration") == pytest.approx(seconds)
            opened.until(f"{audio}[{at}].paused")  # it has played to its end
            at += 1
    return at


def test_composites_play(planted: Path, browser: Any, tmp_path: Path, sections: dict[str, Section]) -> None:
    """Every composite that is not silence has a sound, which is the composite, as long and of a common loudness."""
    with Store(planted) as store:
        opened = Window(browser, write_report(store, tmp_path))
        study = reopen(store, trust_models=True)
        loud = [composite for composite in read_composites(study, COMPOSITES) if not composite.silent]
        models = study.models["model"].to_list()
        composites = read_composites(study, COMPOSITES)
    assert loud
    (sounds,) = (part for part in sections["composition"].blocks if isinstance(part, Sounds))
    assert [(models[signal.model], signal.name) for signal in sounds.signals] == [
        (c.model, c.label) for c in composites
    ]
    files = sorted((tmp_path / "audio").glob("section-composition-*.wav"))
    assert len(files) == len(loud)
    written = {path.stem.rpartition("-")[2]: soundfile.read(path) for path in files}
    for number, (samples, rate) in written.items():
        composite = composites[int(number)]
        assert (samples.shape, rate) == (composite.signal.shape, study.sample_rate)
        np.testing.assert_allclose(samples, composite.signal / np.abs(composite.signal).max() * PEAK, atol=1e-4)

    page = opened.go("#/section/composition")
    assert page.locator(".transport").count() == 1
    assert all(spec not in page.text_content("main") for spec in study.models["spec"])  # models go by their names here
    assert play_all(opened, page, set(written), len(composites[0].signal) / study.sample_rate) == len(loud)
    page.check("#equal")
    assert "LUFS" in page.text_content(".transport")
    page.locator("h1").click()
    page.evaluate("started = 0; addEventListener('play', () => { started += 1; }, true)")
    page.keyboard.press(" ")  # plays, until one goes elsewhere
    page.evaluate("window.heard = [...document.querySelectorAll('audio')]")
    opened.until("started > 0")
    page.goto(opened.address + "#/clips")
    opened.until("document.querySelector('h1').textContent === 'Clips'")
    assert page.evaluate("heard.every((audio) => audio.paused && !audio.hasAttribute('src'))")
    opened.close()


def test_sounds_of_unequal_length_and_none(tmp_path: Path) -> None:
    times = np.arange(8000) / 8000
    tone = (0.2 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    signals = (
        Signal(0, "long", "", tone, ((440.0, 440.0),)), Signal(0, "short", "", tone[:4000] * 0.1),
        Signal(1, "none", "", tone * 0),
    )  # fmt: skip
    section = Section("s", "S", "", (Sounds("Sounds", signals, 8000),))
    (found,) = section_json(section, Folder(tmp_path))["blocks"]
    assert [sound["seconds"] for sound in found["sounds"].values()] == [1, 0.5]
    assert [sound["level"] for sound in found["sounds"].values()] == pytest.approx([1, 0.1])
    heard = [sound["loudness"] + 20 * np.log10(sound["equal"]) for sound in found["sounds"].values()]
    assert heard[0] == pytest.approx(heard[1])
    assert [signal["intervals"] for signal in found["signals"]] == [1, None, None]
    assert [signal["levels"] is None for signal in found["signals"]] == [False, False, True]
    assert sorted(path.name for path in (tmp_path / "audio").iterdir()) == ["section-s-0.wav", "section-s-1.wav"]


def test_a_page_of_one_file_holds_some_sounds_and_says_so() -> None:
    signals = (Signal(0, "tone", "", np.ones(100, dtype=np.float32)),) * (INLINE + 3)
    (found,) = section_json(Section("s", "S", "", (Sounds("Sounds", signals, 8000),)), Inline())["blocks"]
    assert (len(found["sounds"]), len(found["signals"])) == (INLINE, INLINE + 3)
    assert f"the first {INLINE} sounds" in found["note"]


def test_chance_is_that_of_the_same_kind_of_set(tmp_path: Path) -> None:
    """Random signals of complete sets are told apart from those of sufficient ones: other sizes, other chance."""
    make_clips(tmp_path / "clips", 2, 800)
    study = study_of(tmp_path / "clips", "low", "high")
    do(study.model_copy(update={"transfer": study.transfer.model_copy(update={"nulls": 2})}), tmp_path / "s.db")
    with Store(tmp_path / "s.db") as store:
        signals = load_study(store, 0.5).signals
        query = "SELECT n.id FROM subsets n JOIN subsets p ON p.id = n.parent WHERE n.kind = 'null_size' AND p.kind = ?"
        for kind, name in (("sufficient", "null_size"), ("complete", "null_size_of_complete")):
            ids, parts = store.frame(query, (kind,))["id"].to_list(), (signals[kind], signals[name])
            assert sorted(signals[name].subset.tolist()) == sorted(ids)
            sizes, drawn = (set(zip(part.clip, part.source, part.size, strict=True)) for part in parts)
            assert drawn == sizes
    rows = [row[0] for row in block(sections_of(tmp_path / "s.db")["chance"], "Accepted by another model").rows]
    assert {"random, same size as sufficient", "random, same size as one-complete", "silence"} <= set(rows)


def test_flips_are_pooled_by_way_and_whose_composite_it_is() -> None:
    columns = ("source", "judge", "way", "level", "flips", "clips")
    rows = [("a", "a", "overlay", -20.0, 1, 4), ("a", "a", "overlay", -20.0, 2, 4), ("a", "b", "overlay", -10.0, 1, 2),
            ("a", "a", "overlay", None, 4, 4)]  # fmt: skip
    curves = flip_curves(pl.DataFrame(rows, schema=columns, orient="row")).curves
    assert curves == (
        ("overlay, its own model", (-20.0,), (0.375,)),
        ("overlay, other models", (-10.0,), (0.5,)),
    )


def test_a_figure_for_each_drawing(planted: Path, sections: dict[str, Section]) -> None:
    drawings = [block for section in sections.values() for block in section.blocks]
    with Store(planted) as store:
        names = [name for name, _ in draw_figures(store, load_study(store, 0.5), [0])]
    assert {"headline", "transfer-sufficient", "difference-complete-sufficient", "clip-1-a"} <= set(names)
    assert sum(isinstance(block, Curves | Estimates) for block in drawings) == sum(
        name.startswith(tuple(sections)) for name in names
    )
    assert len(names) == len(set(names))


def test_figures_are_files_and_the_same_each_time(
    planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earwitness.report.figures.make_sections", lambda *_: [])
    with Store(planted) as store:
        first = write_figures(store, tmp_path / "figures", clips=0)
    monkeypatch.setattr("sys.argv", ["earwitness", "figures", str(planted), "--out", str(tmp_path), "--clips", "0"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    again = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name for path in again] == [path.name for path in first]
    assert all(path.read_bytes() == other.read_bytes() for path, other in zip(first, again, strict=True))
