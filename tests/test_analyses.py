"""The deeper analyses on a planted study: resuming, failures as rows, tables, commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile

from earwitness.cli import main
from earwitness.spectral import density, measure_entropy
from earwitness.study.analyses.spectral import density_table, measure_spectra, read_spectra, spectral_tables
from earwitness.study.reopen import Reopened, reopen
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
        other = np.sin(2 * np.pi * (1000 + rng.integers(100)) * times / SAMPLES) * 0.05
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
        study = reopen(opened, "cpu")
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


def test_a_class_without_signals_in_it_is_silent_and_not_compared(store: Path) -> None:
    with Store(store, write=True) as opened:
        study = reopen(opened, "cpu")
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
        path = Path(reopen(opened).clips["path"][0])
        hidden = path.with_suffix(".hidden")
        path.rename(hidden)
        try:
            done = measure_spectra(reopen(opened, "cpu"))
        finally:
            hidden.rename(path)
        assert done.units == 15
        assert len(done.failures) == 3
        assert path.name in done.failures[0]
        failures = opened.frame("SELECT stage, clip, reason FROM failures")
        assert failures["stage"].to_list() == ["spectral"] * len(failures)
        assert set(failures["clip"]) == {str(path)}
        again = measure_spectra(reopen(opened, "cpu"))
        assert (again.units, again.failures) == (3, ())
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
