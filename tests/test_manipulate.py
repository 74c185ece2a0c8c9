"""``earwitness manipulate`` on a planted study: flips, their transfer, robustness, resuming, files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from earwitness import ConfigError
from earwitness.analyses.settings import FREE, ManipulationSettings
from earwitness.cli import main
from earwitness.report.plots.manipulation import plot_robustness
from earwitness.signal import audio
from earwitness.study.reopen import Reopened, reopen
from earwitness.study.stages.manipulation import flip_answers, read_flips, read_transfers, write_signals
from earwitness.study.stages.manipulation_tables import (
    conjecture_table,
    flip_table,
    rate_table,
    robustness_table,
    transfer_of_flips,
)
from earwitness.study.store import Store
from test_study import do, make_clips, study_of

SETTINGS = ManipulationSettings(counts=(1, 5), snrs=(30.0,), budget=200)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished analysis of two clips by models that listen to bins 58-62, 58-61 and 200-202."""
    folder = tmp_path_factory.mktemp("planted")
    make_clips(folder / "clips", 2, 1600)
    do(study_of(folder / "clips", "low", "also_low", "high"), folder / "s.db")
    with Store(folder / "s.db", write=True) as store:
        assert flip_answers(reopen(store, trust_models=True), SETTINGS).failures == ()
    return folder / "s.db"


@pytest.fixture
def study(planted: Path) -> Reopened:
    return reopen(Store(planted), trust_models=True)


def names(table: pl.DataFrame) -> pl.DataFrame:
    """Models by what follows the last colon."""
    columns = [name for name in ("model", "source", "judge") if name in table.columns]
    return table.with_columns(pl.col(name).str.split(":").list.last() for name in columns)


def test_one_bin_flips_each_answer(study: Reopened) -> None:
    bands = dict(zip(study.models["model"], (range(58, 63), range(58, 62), range(200, 203)), strict=True))
    flips = read_flips(study, SETTINGS).filter(pl.col("flipped") & (pl.col("bound") == FREE))
    for row in flips.iter_rows(named=True):
        (variable,) = json.loads(row["variables"])
        assert variable in bands[row["model"]]
        assert row["size"] == 1
        assert (row["before"], row["after"]) == ("yes", "no")
        assert row["certificate"] == "one_minimal"
        assert row["hertz"] == f"[{variable * 10.0}]"
    # no phase flips a model of powers
    assert set(flips["actions"]) == {"remove", "scale", "remove+scale+shift"}


def test_rates_count_clips(study: Reopened) -> None:
    table = rate_table(study, SETTINGS)
    for row in table.iter_rows(named=True):
        expected = 0 if row["actions"] == "shift" else 2
        assert (row["clips"], row["flipped"], row["rate"]) == (2, expected, expected / 2)
        assert row["low"] <= row["rate"] <= row["high"]
        assert (row["questions"] is None) == (expected == 0)


def test_robustness_follows_from_what_was_found(study: Reopened) -> None:
    table = robustness_table(study, SETTINGS)
    assert table.select("bound", "k").unique().height == 5
    flips = read_flips(study, SETTINGS).filter("flipped")
    for row in table.filter(pl.col("bound") == "30 dB").iter_rows(named=True):
        model = study.models.filter(pl.col("spec") == row["model"])["model"][0]
        those = flips.filter((pl.col("model") == model) & (pl.col("snr") >= 30) & (pl.col("size") <= row["k"]))
        assert row["flipped"] == those["clip"].n_unique()
    for _, part in table.group_by("model", "bound"):
        assert part.sort("k")["rate"].is_sorted()


def test_the_curve_shows_every_bound(study: Reopened) -> None:
    table = robustness_table(study, SETTINGS)
    figure = plot_robustness(table)
    assert len(figure.axes) == 3
    for panel, (_, part) in zip(figure.axes, table.group_by("model", maintain_order=True), strict=True):
        bounded = part.filter(pl.col("bound") == "30 dB").sort("k")
        bars: Any = panel.containers
        drawn = [float(bar.lines[0].get_ydata()[0]) for bar in bars]
        assert drawn == bounded["rate"].to_list()


def test_flips_transfer_to_models_that_hear_the_same(study: Reopened) -> None:
    table = names(transfer_of_flips(study, SETTINGS)).filter(pl.col("bound") == FREE)
    cells = {(row["source"], row["judge"]): row for row in table.iter_rows(named=True)}
    assert len(cells) == 6
    assert cells["also_low", "low"]["changed"] == cells["also_low", "low"]["agrees"] == 1
    assert cells["low", "high"]["changed"] == cells["high", "low"]["changed"] == 0
    # low's sufficient signal convinces also_low; the other way round it does not
    assert cells["low", "also_low"]["alpha"] == 1
    assert cells["also_low", "low"]["alpha"] == 0
    rows = read_transfers(study, SETTINGS)
    assert rows["shared"].all()
    found = conjecture_table(study, SETTINGS)
    assert set(found["bound"]) >= {FREE, "all"}
    assert (found["accepted"] + found["rejected"] > 0).all()


def test_every_flip_is_verified_from_its_file(study: Reopened, tmp_path: Path) -> None:
    verified = write_signals(study, SETTINGS, tmp_path)
    flips = flip_table(study, SETTINGS)
    assert verified["verified"].all()
    assert verified["file"].to_list() == flips["file"].to_list()
    for name in verified["file"]:
        assert audio.read(tmp_path / f"{name}.wav").sample_rate == audio.read(tmp_path / f"{name}.flac").sample_rate
    # what is in the file is what is told of it
    row = flips.row(0, named=True)
    original = audio.read(row["path"])
    difference = audio.read(tmp_path / f"{row['file']}.wav").samples.astype(float) - original.samples
    snr = 10 * pl.Series([(original.samples.astype(float) ** 2).sum() / (difference**2).sum()]).log10()[0]
    assert snr == pytest.approx(row["snr"], abs=0.01)


def test_it_resumes_and_grows(planted: Path, tmp_path: Path) -> None:
    copy = tmp_path / "s.db"
    copy.write_bytes(planted.read_bytes())
    with Store(copy, write=True) as store:
        assert flip_answers(reopen(store, trust_models=True), SETTINGS).units == 0
        before = read_flips(reopen(store, trust_models=True), SETTINGS)
    clips = planted.parent / "clips"
    do(study_of(clips, "low", "also_low", "high", "other"), copy)
    with Store(copy, write=True) as store:
        grown = reopen(store, trust_models=True)
        done = flip_answers(grown, SETTINGS)
        after = read_flips(grown, SETTINGS)
        transfers = read_transfers(grown, SETTINGS)
    # the new model's flips of two clips, its judgements of the others' and theirs of its own
    assert done.units == 2 + 2 * 3 + 2 * 3
    assert (
        after.filter(pl.col("unit").is_in(before["unit"].to_list()))["history"].to_list() == before["history"].to_list()
    )
    assert transfers["judge"].n_unique() == 4


@pytest.fixture
def call(planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command on a copy of the planted study; its exit code."""
    copy = tmp_path / "s.db"
    copy.write_bytes(planted.read_bytes())

    def run(*words: str) -> int:
        monkeypatch.setattr("sys.argv", ["earwitness", "manipulate", str(copy), "--trust-models", "--quiet", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0)

    return run


OPTIONS = ("--counts", "1,5", "--snr", "30", "--budget", "200")


def test_the_command_prints_and_writes(
    call: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*OPTIONS, "--out", str(tmp_path / "out")) == 0
    printed = capsys.readouterr().out
    for words in ("flip rates", "robustness", "transfer of flips", "flips and sufficiency"):
        assert f"## {words}" in printed
    assert "nothing to do" in printed
    assert pl.read_csv(tmp_path / "out" / "verified.csv")["verified"].all()
    assert (tmp_path / "out" / "robustness.svg").is_file()


def test_where_nothing_flips_the_tables_say_so(call: Callable[..., int], tmp_path: Path) -> None:
    words = ("--target", "maybe", "--base", "sufficient", "--actions", "remove", "--json")
    assert call(*OPTIONS, *words, "--out", str(tmp_path / "none")) == 0
    assert pl.read_csv(tmp_path / "none" / "flips.csv").is_empty()


def test_bad_options_are_refused(call: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--target", "mayby") == 2
    assert "did you mean 'maybe'" in capsys.readouterr().err
    for bad in (("--snr", "loud"), ("--counts", "few"), ("--counts", "0"), ("--actions", ""), ("--base", "x")):
        assert call(*bad) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"actions": ("remov",)}, "did you mean 'remove'"),
        ({"budget": 3}, "use 50 to"),
        ({"gain": 0.0}, "gain"),
        ({"domain": "melt:3"}, "did you mean 'mel'"),
    ],
)
def test_bad_settings_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ManipulationSettings(**change)  # type: ignore[arg-type]
