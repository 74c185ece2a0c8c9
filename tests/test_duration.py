"""``seconds = "model"``: recordings are cropped to what models hear, and shorter ones left to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import earwitness
from earwitness import ConfigError, SearchSettings, Study
from planted_models import Band
from test_cli import call

MODEL = '''
from planted_models import Band

class Heard(Band):
    """Hears the first 0.1 s, and repeats what is shorter."""

    samples = 1600

    def __init__(self, low, high, samples=1600):
        super().__init__(low, high)
        self.samples = samples
        self.fingerprint += f" {samples}"

    def __call__(self, waveforms):
        times = -(-self.samples // waveforms.shape[1])
        return super().__call__(waveforms.repeat(1, times)[:, : self.samples])

def one(): return Heard(58, 63)
def two(): return Heard(20, 25)
def longer(): return Heard(20, 25, 2000)
'''


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    (tmp_path / "heard.py").write_text(MODEL)
    rng = np.random.default_rng(0)
    (tmp_path / "clips").mkdir()
    for name, samples in (("long", 3200), ("short", 800), ("exact", 1600)):
        soundfile.write(tmp_path / "clips" / f"{name}.wav", rng.uniform(-1, 1, samples), 16_000, subtype="FLOAT")
    return tmp_path


def study_of(folder: Path, *names: str, **given: Any) -> Study:
    settings = {"search.budget": 100, "seconds": "model", "store": str(folder / "s.db"), **given}
    return Study.of([f"python:{folder / 'heard.py'}:{name}" for name in names], folder / "clips", settings, quiet=True)


def test_longer_ones_are_cropped_and_shorter_ones_are_not_padded(models: Path) -> None:
    study = study_of(models, "one", "two").run()
    assert study.status["failed"] == 0
    rows = study.sets.select("path", "subset").iter_rows()
    lengths = {Path(path).stem: study.signal(subset).size for path, subset in rows}
    assert lengths == {"long": 1600, "short": 800, "exact": 1600}
    before = study.status["explanations"]
    assert study.run().status["explanations"] == before  # the same clips, known again by their files
    padded = study_of(models, "one", seconds=0.1, store=str(models / "p.db")).run()
    assert {padded.signal(subset).size for subset in padded.sets["subset"]} == {1600}
    cropped = study_of(models, "one", seconds=0.1, pad=False, store=str(models / "c.db")).run()
    assert {cropped.signal(subset).size for subset in cropped.sets["subset"]} == {1600, 800}


def test_models_that_hear_differently_are_refused(models: Path) -> None:
    with pytest.raises(ConfigError, match=r"one: 0\.1 s, .*longer: 0\.125 s; give one number"):
        study_of(models, "one", "longer").run()
    spec = f"python:{Path(__file__).with_name('planted_models.py')}:low"
    given = {"seconds": "model", "store": str(models / "s.db")}
    with pytest.raises(ConfigError, match="no model has a length of its own"):
        Study.of([spec], models / "clips", given, quiet=True).run()
    with pytest.raises(ConfigError, match="seconds"):
        study_of(models, "one", seconds="models")


def test_explain_takes_what_the_model_hears(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, settings = f"python:{models / 'heard.py'}:one", SearchSettings(budget=50)
    for name, samples in (("long", 1600), ("short", 800)):
        path = models / "clips" / f"{name}.wav"
        assert len(earwitness.explain(path, spec, settings, seconds="model").spectrum.clip) == samples
        assert call(monkeypatch, "explain", path, "--model", spec, "--seconds", "model", "--budget", 50, "--json") == 0
        assert f'"samples": {samples}' in capsys.readouterr().out
    whole = earwitness.explain(models / "clips" / "long.wav", as_low(), settings, seconds="model")
    assert len(whole.spectrum.clip) == 3200  # a model that hears all
    assert call(monkeypatch, "explain", models / "clips" / "long.wav", "--model", spec, "--seconds", "some") == 2
    assert "give seconds, or model" in capsys.readouterr().err


def as_low() -> Any:
    return earwitness.as_classifier(Band(58, 63))
