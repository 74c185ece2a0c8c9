"""The deeper analyses on a planted study: resuming, failures as rows, tables, commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
from numpy.typing import NDArray

from earwitness.analyses.settings import CompositionSettings, GreedySettings
from earwitness.analyses.spectral import density, measure_entropy
from earwitness.cli import main
from earwitness.errors import ConfigError
from earwitness.report.plots.spectral import plot_densities, plot_entropies, plot_flips
from earwitness.report.plots.style import write_figure
from earwitness.signal import audio
from earwitness.study.reopen import Reopened, reopen
from earwitness.study.stages.composition import (
    cross,
    degree_table,
    flip_table,
    level_table,
    make_composites,
    read_composites,
)
from earwitness.study.stages.fidelity import fidelity_table, measure_fidelity, read_fidelity, transcript_table
from earwitness.study.stages.spectral import (
    density_table,
    measure_spectra,
    named_spectra,
    read_spectra,
    spectral_tables,
)
from earwitness.study.store import Store
from test_study import RATE, do, study_of

SAMPLES = 3200
#: signs of the tones that the planted model ``low`` listens to (rFFT bins 58 to 62), and 0 where they are absent
SIGNS = {"a": 1, "b": 1, "c": -1, "d": -1, "e": 0, "f": 0}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of six clips: ``low`` says yes to four, whose sufficient sets are bins 58 to 62, and no to two."""
    folder = tmp_path_factory.mktemp("planted")
    rng, times = np.random.default_rng(0), np.arange(SAMPLES)
    (folder / "clips").mkdir()
    for name, sign in SIGNS.items():
        tones = sum(np.cos(2 * np.pi * k * times / SAMPLES) for k in range(58, 63)) * sign * 0.1
        other = np.sin(2 * np.pi * rng.integers(1000, 1100) * times / SAMPLES) * 0.05
        soundfile.write(folder / "clips" / f"{name}.wav", tones + other, RATE, subtype="FLOAT")
    do(study_of(folder / "clips", "low", "high"), folder / "s.db")
    return folder / "s.db"


@pytest.fixture
def store(planted: Path, tmp_path: Path) -> Path:
    """A copy to write to; the clips stay where they were."""
    copy = tmp_path / "s.db"
    copy.write_bytes(planted.read_bytes())
    return copy


def model_id(study: Reopened, name: str) -> int:
    return int(study.models.filter(pl.col("spec").str.ends_with(f":{name}"))["model"][0])


def test_spectra_of_every_clip_and_signal_are_measured_once(store: Path) -> None:
    with Store(store, write=True) as opened:
        study = reopen(opened, "cpu", trust_models=True)
        done = measure_spectra(study)
        assert (done.units, done.failures) == (6 + 12, ())
        assert measure_spectra(study).units == 0
        rows = read_spectra(study)
        low = model_id(study, "low")
        said = study.subsets("sufficient").filter((pl.col("model") == low) & (pl.col("label") == "yes"))
        found = rows.filter((pl.col("kind") == "sufficient") & (pl.col("model") == low) & (pl.col("label") == "yes"))
        # five equal tones and nothing else
        assert found["entropy_bits"].to_list() == pytest.approx([np.log2(5)] * 4, abs=1e-3)
        signal = study.signal(said["subset"][0])
        measured = measure_entropy(signal, RATE)
        assert measured is not None
        assert found["entropy_per_frame"][0] == pytest.approx(measured.per_frame)
        densities = density_table(study)
    mine = densities.filter(
        pl.col("model").str.ends_with(":low") & (pl.col("kind") == "sufficient") & (pl.col("label") == "yes")
    )
    expected = density(signal, RATE)[1]
    assert mine["signals"][0] == 4
    np.testing.assert_allclose(mine["density"], expected / expected.sum(), atol=1e-4)


def test_sets_that_a_study_grows_by_are_measured_and_none_twice(planted: Path, store: Path) -> None:
    with Store(store, write=True) as opened:
        measure_spectra(reopen(opened, "cpu", trust_models=True))
        measure_fidelity(reopen(opened, "cpu", trust_models=True), kinds=("sufficient", "robust"))
    do(
        study_of(
            planted.parent / "clips", "low", "high", robust={"views": ["gain:6"], "verified": 36, "questions": 60}
        ),
        store,
    )
    with Store(store, write=True) as opened:
        study = reopen(opened, "cpu", trust_models=True)
        robust = study.subsets("robust")
        grown = robust.unique(["clip", "model"]).height
        assert grown > 0
        assert measure_spectra(study).units == measure_fidelity(study, kinds=("sufficient", "robust")).units == grown
        for rows in (read_spectra(study), read_fidelity(study, kinds=("sufficient", "robust"))):
            assert rows.filter(kind="robust").height == robust.height
            assert rows.filter(kind="sufficient").height == study.subsets("sufficient").height
        assert measure_spectra(study).units == 0


def test_a_class_without_signals_in_it_is_silent_and_not_compared(store: Path) -> None:
    with Store(store, write=True) as opened:
        study = reopen(opened, "cpu", trust_models=True)
        measure_spectra(study)
        tables = spectral_tables(study)
    entropy = tables["spectral entropy"].filter(pl.col("model").str.ends_with(":low"))
    silent = entropy.filter((pl.col("kind") == "sufficient") & (pl.col("label") == "no"))
    assert silent.select("signals", "silent", "entropy").row(0) == (2, 2, None)
    tests = tables["spectral differences"].filter(pl.col("model").str.ends_with(":low"))
    assert tests.filter((pl.col("kind") == "sufficient") & (pl.col("measure") == "entropy")).is_empty()
    own = tests.filter((pl.col("kind") == "original") & (pl.col("measure") == "entropy")).row(0, named=True)
    # each of the 2 clips of one tone has less entropy than each of the 4 of six
    assert (own["first"], own["n_first"], own["n_second"]) == ("no", 2, 4)
    assert (own["u"], own["effect"], own["higher"]) == (0, -1, "yes")
    assert own["p"] <= own["p_adjusted"] <= 1


def test_a_clip_that_is_gone_is_a_failed_row_and_tried_again(store: Path) -> None:
    with Store(store, write=True) as opened:
        path = Path(reopen(opened, trust_models=True).clips["path"][0])
        hidden = path.with_suffix(".hidden")
        path.rename(hidden)
        try:
            done = measure_spectra(reopen(opened, "cpu", trust_models=True))
        finally:
            hidden.rename(path)
        assert done.units == 15
        assert len(done.failures) == 3
        assert path.name in done.failures[0]
        failures = opened.frame("SELECT stage, clip AS path, reason FROM failures")
        assert failures["stage"].to_list() == ["spectral"] * len(failures)
        assert set(failures["path"]) == {str(path)}
        again = measure_spectra(reopen(opened, "cpu", trust_models=True))
        assert (again.units, again.failures) == (3, ())
        assert opened.frame("SELECT * FROM failures").is_empty()


def row_of(table: pl.DataFrame, **values: object) -> dict[str, Any]:
    for column, value in values.items():
        if column in ("model", "source", "judge"):
            table = table.filter(pl.col(column).str.ends_with(f":{value}"))
        else:
            table = table.filter(pl.col(column).eq_missing(pl.lit(value)))
    assert table.height == 1
    return table.row(0, named=True)


def test_the_composite_leaves_out_what_cancels(store: Path) -> None:
    # two signals of either sign: the mean of all four is silence, and of any three a third of one
    with Store(store, write=True) as opened:
        study = reopen(opened, "cpu", trust_models=True)
        assert make_composites(study).units == 3
        assert make_composites(study).units == 0
        table = degree_table(study)
        composites = {(c.model, c.label): c for c in read_composites(study)}
        low = model_id(study, "low")
        yes, no = composites[low, "yes"], composites[low, "no"]
        signals = np.stack([study.signal(subset) for subset in yes.subsets])
    found = row_of(table, model="low", label="yes")
    assert (found["signals"], found["size"], found["degree"], found["certificate"]) == (4, 3, 0.75, "exact")
    assert 0.3 < found["low"] < 0.75 < found["high"] < 0.96
    # the other class's signals are silence; noise has energy in every bin
    assert (found["other_signals"], found["other_degree"], found["other_rate"]) == (2, 0, 0)
    assert (found["noise_degree"], found["silence"]) == (1, False)
    np.testing.assert_allclose(yes.signal, signals.astype(np.float64).mean(axis=0), atol=1e-7)
    assert yes.bins is not None
    assert np.flatnonzero(yes.bins).tolist() == [58, 59, 60, 61, 62]
    assert no.silent
    empty = row_of(table, model="low", label="no")
    assert (empty["empty"], empty["degree"], empty["certificate"], empty["silence"]) == (2, 1, "all", True)
    alone = row_of(table, model="high", label="no")
    assert (alone["other_signals"], alone["other_degree"], alone["other_rate"]) == (0, None, None)


def test_a_composite_flips_the_model_it_is_of_and_not_one_that_listens_elsewhere(store: Path) -> None:
    with Store(store, write=True) as opened:
        study = reopen(opened, "cpu", trust_models=True)
        make_composites(study)
        # yes of low, put into clips that low (2) or high (6) says no to; no of low, into 4 and 0; no of high likewise
        assert cross(study).units == 6
        assert cross(study).units == 0
        table = flip_table(study)
    for way in ("overlay", "replace"):
        for level, flips in ((None, 2), (-40.0, 0), (-20.0, 2), (0.0, 2)):
            found = row_of(table, source="low", judge="low", label="yes", way=way, level=level)
            assert (found["was"], found["clips"], found["flips"]) == ("no", 2, flips)
            if level is not None:
                assert found["snr"] == pytest.approx(-level, abs=0.01)
            found = row_of(table, source="low", judge="high", label="yes", way=way, level=level)
            assert (found["clips"], found["flips"]) == (6, 0)
    unchanged = row_of(table, source="low", judge="low", label="no", way="overlay")
    assert (unchanged["clips"], unchanged["flips"], unchanged["snr"], unchanged["level"]) == (4, 0, None, None)
    wide = row_of(level_table(table), source="low", judge="low", label="yes", way="overlay")
    assert (wide["as is"], wide["-40 dB"], wide["-20 dB"]) == (1, 0, 1)


def test_settings_of_compositions_are_checked() -> None:
    with pytest.raises(ConfigError, match="sufficient, complete"):
        CompositionSettings(kind="enough")
    with pytest.raises(ConfigError, match="draws 0: out of range; use 1 to"):
        CompositionSettings(draws=0)
    with pytest.raises(ConfigError, match="use 0 to 20"):
        CompositionSettings(greedy=GreedySettings(exact=40))


def hear(signal: NDArray[np.float32], sample_rate: int) -> str:
    """Words for what is in a signal, as the planted clips are made."""
    power = np.abs(np.fft.rfft(signal)) ** 2
    words = [("Low", power[58:63].min()), ("tones", power[58:63].min()), ("high.", power[1000:1100].max())]
    return " ".join(word for word, value in words if value > 1)


def test_fidelity_against_a_recogniser_that_hears_what_is_planted(store: Path) -> None:
    with Store(store, write=True) as opened:
        study = reopen(opened, "cpu", trust_models=True)
        assert measure_fidelity(study, hear, "stub").units == 6 + 12
        assert measure_fidelity(study, hear, "stub").units == 0
        rows, table = read_fidelity(study, "stub"), fidelity_table(study, "stub")
        texts = transcript_table(study, "stub")
        low = model_id(study, "low")
    mine = rows.filter((pl.col("model") == low) & (pl.col("kind") == "sufficient"))
    yes = mine.filter(pl.col("label") == "yes")
    assert yes["text"].to_list() == ["Low tones"] * 4
    assert yes["word"].to_list() == pytest.approx([2 / 3] * 4)
    assert yes["character"].to_list() == pytest.approx([9 / 14] * 4)
    # the signal is a part of the clip orthogonal to the rest: SI-SDR is their ratio, 5 · 0.1² over 0.05²
    assert yes["si_sdr"].to_list() == pytest.approx([10 * np.log10(20)] * 4, abs=0.01)
    assert all("too short" in why for why in yes["why_stoi"])
    no = mine.filter(pl.col("label") == "no")
    assert no.select("text", "word", "silent", "why_si_sdr").row(0) == ("", 0, True, "the signal is silence")
    found = row_of(table, model="low", kind="sufficient", label="all", measure="word")
    assert (found["signals"], found["missing"], found["mean"]) == (6, 0, pytest.approx(4 / 9))
    assert found["low"] < 4 / 9 < found["high"]
    found = row_of(table, model="low", kind="sufficient", label="no", measure="si_sdr")
    assert (found["missing"], found["why"], found["mean"]) == (2, "the signal is silence (2)", None)
    assert texts.height == 12
    assert texts.filter(pl.col("path").str.ends_with("a.wav") & pl.col("model").str.ends_with(":low")).row(0)[2:] == (
        "yes", "Low tones high.", "Low tones", "Low tones", "high.",
    )  # fmt: skip


def test_fidelity_of_some_clips_is_part_of_the_fidelity_of_all(store: Path) -> None:
    with Store(store, write=True) as opened:
        study = reopen(opened, "cpu", trust_models=True)
        assert measure_fidelity(study, limit=2).units == 2 + 4  # the planted clips have one label: none
        some = set(read_fidelity(study)["clip"])
        assert measure_fidelity(study, limit=2).units == 0
        assert measure_fidelity(study).units == 4 + 8
        assert some < set(read_fidelity(study)["clip"])


def test_without_a_recogniser_there_are_measures_and_no_transcripts(store: Path) -> None:
    with Store(store, write=True) as opened:
        study = reopen(opened, "cpu", trust_models=True)
        measure_fidelity(study)
        table = fidelity_table(study)
        assert set(table["measure"]) == {"stoi", "estoi", "si_sdr"}
        assert transcript_table(study, "").is_empty()
        with pytest.raises(ConfigError, match="needs a name"):
            measure_fidelity(study, hear)
        with pytest.raises(ConfigError, match="use one of"):
            measure_fidelity(study, kinds=("enough",))


def test_a_recogniser_that_breaks_is_a_failed_row(store: Path) -> None:
    def broken(signal: NDArray[np.float32], sample_rate: int) -> str:
        if len(asked) < 2:
            asked.append(sample_rate)
            raise RuntimeError("no more memory")
        return hear(signal, sample_rate)

    asked: list[int] = []
    with Store(store, write=True) as opened:
        done = measure_fidelity(reopen(opened, "cpu", trust_models=True), broken, "stub")
        # two clips have no transcript, so that their signals have nothing to be compared with
        assert done.units == 4 + 8
        assert ["no more memory" in failure for failure in done.failures] == [True, True]
        assert opened.frame("SELECT stage FROM failures")["stage"].to_list() == ["fidelity"] * 2
        assert measure_fidelity(reopen(opened, "cpu", trust_models=True), broken, "stub").units == 2 + 4
        assert opened.frame("SELECT * FROM failures").is_empty()


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["earwitness", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_the_spectral_command(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "spectral", str(store), "--format", "json", "--out", str(tmp_path / "out"), "-q") == 0
    tables = json.loads(capsys.readouterr().out)
    assert set(tables) == {"spectral entropy", "spectral differences"}
    assert {"spectral-entropy.csv", "spectral-differences.csv", "power-spectral-density.csv"} <= {
        path.name for path in (tmp_path / "out").iterdir()
    }
    assert run(monkeypatch, "spectral", str(store), "-q") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert run(monkeypatch, "spectral", str(tmp_path / "none.db")) == 2
    assert run(monkeypatch, "spectral", str(store), "--format", "xml") == 2


def test_the_compose_command_writes_what_can_be_played(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert (
        run(
            monkeypatch,
            "compose",
            str(store),
            "--format",
            "json",
            "--out",
            str(out),
            "--level",
            "-20",
            "-q",
            "--trust-models",
        )
        == 0
    )
    tables = json.loads(capsys.readouterr().out)
    assert set(tables) == {"composition", "flips by level"}
    assert set(tables["flips by level"][0]) >= {"as is", "-20 dB"}
    listed = json.loads((out / "composites.json").read_text())
    loud = next(one for one in listed if one["model"].endswith(":low") and one["label"] == "yes")
    assert loud["runs"] == [[58, 63]]
    assert len(loud["subsets"]) == 3
    clip = audio.read(out / loud["file"])
    assert (len(clip), clip.sample_rate) == (SAMPLES, RATE)
    assert np.abs(clip.samples).max() == pytest.approx(0.5 / 3, rel=0.01)
    assert run(monkeypatch, "compose", str(store), "--kind", "enough") == 2


def test_the_fidelity_command(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, out = f"python:{__file__}:hear", tmp_path / "out"
    options = ("--recogniser", spec, "--kind", "sufficient", "--out", str(out), "-q")
    assert run(monkeypatch, "fidelity", str(store), *options) == 0
    printed = capsys.readouterr().out
    assert "18 units added" in printed
    assert (out / "fidelity.csv").is_file()
    assert "Low tones" in (out / "transcripts.csv").read_text()
    assert run(monkeypatch, "fidelity", str(store), "--recogniser", "nothing") == 2


def test_figures_hold_what_the_tables_hold(store: Path, tmp_path: Path) -> None:
    with Store(store, write=True) as opened:
        study = reopen(opened, "cpu", trust_models=True)
        make_composites(study)
        cross(study)
        measure_spectra(study)
        densities, measures, flips = density_table(study), named_spectra(study), flip_table(study)
    composite = densities.filter((pl.col("kind") == "composite") & pl.col("model").str.ends_with(":low"))
    assert composite.group_by("label", maintain_order=True).agg(pl.col("density").sum()).rows() == [
        ("no", 0.0), ("yes", pytest.approx(1)),
    ]  # fmt: skip
    figure = plot_densities(densities, ("original", "sufficient", "composite", "none such"))
    assert len(figure.axes) == 2 * 3
    low = figure.axes[4]  # sufficient sets of low: those of "no" are silence, which has no line
    assert [line.get_label() for line in low.get_lines()] == ["yes (4)"]
    hertz, level = (np.asarray(values) for values in low.get_lines()[0].get_data())
    peak = hertz[int(np.argmax(level))]
    assert peak == pytest.approx(0.3, abs=0.02)  # kHz: bins 58 to 62 of 5 Hz
    figure = plot_entropies(measures, ("original", "sufficient"))
    assert len(figure.axes) == 2 * 2
    dots = figure.axes[2].collections[1].get_offsets()
    np.testing.assert_allclose(
        sorted(np.asarray(dots)[:, 1]),
        sorted(
            measures.filter(
                pl.col("model").str.ends_with(":low") & (pl.col("kind") == "original") & (pl.col("label") == "yes")
            )["entropy"]
        ),
    )
    figure = plot_flips(flips)
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in figure.axes[1].get_lines()}  # low of low
    assert {"yes, overlay", "yes, replace", "yes, noise"} <= set(lines)
    assert lines["yes, overlay"][0] == 0
    assert lines["yes, overlay"][-1] == 1
    first = [path.read_bytes() for path in write_figure(figure, tmp_path, "flips")]
    assert first == [path.read_bytes() for path in write_figure(plot_flips(flips), tmp_path, "flips")]
    with pytest.raises(ConfigError, match="cannot be written"):
        write_figure(figure, tmp_path / "none", "flips")
