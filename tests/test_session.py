"""A study in Python: what the commands do, by one object."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from earwitness import ConfigError, ModelError, StoreError, Study
from earwitness.analyses.settings import ManipulationSettings
from earwitness.study.answers import study_tables
from earwitness.study.store import Store
from earwitness.transferability.tables import TABLES
from test_study import MODELS, dump, make_clips
from window import Window

SPECS = tuple(f"python:{MODELS}:{name}" for name in ("low", "also_low", "high"))
GIVEN = {"search.budget": 300, "search.delta": 0.9, "name": "<b>planted</b>"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study that has been run."""
    folder = tmp_path_factory.mktemp("session")
    make_clips(folder / "clips", 3)
    given = {**GIVEN, "store": str(folder / "study.db")}
    return Study.of(SPECS, folder / "clips", given, quiet=True).run()


def test_it_says_what_the_commands_say(study: Study) -> None:
    assert study.status["explanations"] == 9
    assert study.status["finished"]
    with Store(study.path) as store:
        wanted = study_tables(store)
    assert list(study.tables) == list(TABLES) == list(wanted)
    for name in ("chance", "transfer", "matrix_sufficient"):
        assert study.tables[name].equals(wanted[name])
    with pytest.raises(KeyError, match="there are models"):
        study.tables["chances"]
    assert "chances" not in study.tables


def test_tables_computed_otherwise(study: Study) -> None:
    narrow, wide = (study.tables_with(level=level)["transfer"] for level in (0.5, 0.99))
    column = next(name for name in narrow.columns if name.endswith("_low"))
    assert (narrow[column].fill_null(0) >= wide[column].fill_null(0)).all()
    assert study.tables_with(epsilon=0.01)["transferable"].shape == study.tables["transferable"].shape


def test_running_again_adds_nothing(study: Study) -> None:
    before = dump(study.path)
    tables = study.tables
    assert study.run() is study
    assert dump(study.path) == before
    assert study.tables is not tables  # they may have grown


def test_from_a_file_and_from_a_store(study: Study, tmp_path: Path) -> None:
    clips = study.path.parent / "clips"
    file = tmp_path / "mine.toml"
    file.write_text(f"models = [{', '.join(map(repr, SPECS))}]\n[[data]]\npath = '{clips}'\n[search]\nbudget = 50\n")
    mine = Study.from_toml(file, GIVEN, quiet=True).run()
    assert mine.path == tmp_path / "study.db"
    assert dump(mine.path) == dump(study.path)
    opened = Study.open(mine.path)
    assert opened.tables["transfer"].equals(study.tables["transfer"])
    with pytest.raises(ConfigError, match=r"Study\.from_toml"):
        opened.run()
    with pytest.raises(ConfigError, match="no such study file"):
        Study.from_toml(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"unknown key 'search\.bugdet'"):
        Study.of(SPECS, clips, {"search.bugdet": 3})


def test_no_store_is_no_study(tmp_path: Path) -> None:
    with pytest.raises((ConfigError, StoreError)):
        Study.open(tmp_path / "none.db")


def test_the_plan_says_what_will_be_asked(study: Study) -> None:
    found = study.plan()
    assert found.recordings == 3
    assert found.questions["explain"] == 9 * 300
    assert set(found.seconds) == set(SPECS)


def test_sets_and_their_signals(study: Study) -> None:
    row = study.sets.filter(pl.col("kind") == "sufficient").row(0, named=True)
    signal = study.signal(row["subset"])
    power = np.abs(np.fft.rfft(signal.astype(np.float64))) > 1e-3
    assert power.sum() == row["size"]
    assert row["spec"] in SPECS
    assert row["path"].endswith(".wav")
    assert re.fullmatch(r'<audio controls src="data:audio/(wav|flac);base64,[\w+/=]+"></audio>',
                        study.play(row["subset"])._repr_html_())  # fmt: skip


def test_what_is_written(study: Study, tmp_path: Path) -> None:
    assert study.report(tmp_path / "page").name == "index.html"
    assert {path.suffix for path in study.figures(tmp_path / "figures", clips=1)} == {".svg", ".png"}
    assert {path.suffix for path in study.export(tmp_path / "csv", "csv")} == {".csv"}


def test_analyses(study: Study) -> None:
    assert "power spectral density" in study.spectral()
    assert not study.compose()["composition"].is_empty()
    assert not study.fidelity()["fidelity"].is_empty()
    settings = ManipulationSettings(actions=("remove",), snrs=(), budget=50)
    assert not study.manipulate(settings)["flips"].is_empty()
    assert study.verify(3).findings == ()


def test_code_that_only_a_store_names_does_not_run(study: Study) -> None:
    opened = Study.open(study.path, quiet=True)
    for ask in (opened.compose, opened.manipulate, opened.verify):
        with pytest.raises(ModelError, match="names code to run"):
            ask()
    assert opened.verify(3, trust_models=True).findings == ()


def test_how_a_notebook_shows_it(study: Study, tmp_path: Path) -> None:
    shown = study._repr_html_()
    assert "&lt;b&gt;planted&lt;/b&gt;" in shown
    assert "<b>" not in shown
    assert "3 recordings × 3 models, 9 explanations" in shown
    assert "chance" in study.tables._repr_html_()
    assert "not been run" in Study.of(SPECS, tmp_path, {"store": str(tmp_path / "none.db")})._repr_html_()


def test_the_page_in_a_frame(study: Study, tmp_path: Path, browser: Any) -> None:
    """The page draws itself inside the frame, and cannot reach out of it."""
    (tmp_path / "index.html").write_text(f"<!doctype html><body>{study.page(600, clips=1)._repr_html_()}</body>")
    window = Window(browser, tmp_path / "index.html")
    window.page.goto(window.address)
    frame = window.page.frame_locator("iframe")
    assert html.unescape(frame.locator("h1").first.inner_text()) == "<b>planted</b>"
    window.close()


def test_the_builtin_recordings_can_be_chosen_from(tmp_path: Path) -> None:
    def planned(**data: Any) -> Any:
        given = {**GIVEN, "store": str(tmp_path / "s.db"), **{f"data.{key}": value for key, value in data.items()}}
        return Study.of(SPECS[:1], "builtin", given, quiet=True).plan()

    assert planned(include="crystan*").recordings == 2
    assert planned(include="crystan*", limit=1).recordings == 1
    with pytest.raises(ConfigError, match="matches no built-in recording"):
        planned(include="none*")
    with pytest.raises(ConfigError, match="no labels and no splits"):
        planned(labels=["rock"])
