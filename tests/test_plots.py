"""Figures as files: what they show is what the explanation says."""

from __future__ import annotations

from pathlib import Path

import pytest

from earwitness import Classifier, ConfigError, SearchSettings, explain
from earwitness.report import plot_explanation, save_figure
from planted import LOW, PlantedModel, has, make_clip


@pytest.mark.parametrize("domain", ["rfft", "stft:64:16"])
def test_a_panel_a_subset_with_its_bins_in_colour(domain: str) -> None:
    explanation = explain(make_clip(257), Classifier(PlantedModel(has(LOW))), SearchSettings(domain=domain, budget=600))
    panels = plot_explanation(explanation).axes
    assert [panel.get_title(loc="left").partition(":")[0] for panel in panels] == [
        "sufficient",
        "complete",
        "one_complete",
        "inverse",
    ]
    if domain == "rfft":
        lit = panels[0].collections[1].get_segments()  # type: ignore[attr-defined]
        hertz = explanation.spectrum.hertz[slice(*LOW)]
        assert [segment[0][0] for segment in lit] == pytest.approx(hertz.tolist())


def test_figures_are_written_or_refused(tmp_path: Path) -> None:
    explanation = explain(make_clip(257), Classifier(PlantedModel(has(LOW))), SearchSettings(budget=300))
    assert [path.read_bytes()[:5] for path in save_figure(explanation, tmp_path)] == [b"<?xml", b"\x89PNG\r"]
    with pytest.raises(ConfigError, match="cannot be written"):
        save_figure(explanation, tmp_path / "nowhere")
