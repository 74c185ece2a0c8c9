"""Figures: what they show is what the explanation and the study say; axes are taken and returned."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from earwitness import Classifier, ConfigError, Explanation, SearchSettings, Subset, explain
from earwitness.report import (
    plot_curves,
    plot_estimates,
    plot_explanation,
    plot_matrix,
    plot_spectrogram,
    plot_spectrum,
    save_figure,
    spectrogram_data,
    spectrum_data,
)
from earwitness.report.columns import COLUMNS, ROWS
from earwitness.report.plots.study import MatrixData
from earwitness.report.sections import Curves, Estimates
from earwitness.signal.spectrum import mel
from planted import LOW, PlantedModel, has, make_clip
from window import Window


@pytest.fixture(scope="module", params=["rfft", "stft:64:16"])
def explanation(request: pytest.FixtureRequest) -> Explanation:
    settings = SearchSettings(domain=request.param, budget=600)
    return explain(make_clip(257), Classifier(PlantedModel(has(LOW))), settings)


def legend_of(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_a_panel_a_subset_with_its_bins_in_colour(explanation: Explanation) -> None:
    panels = plot_explanation(explanation)
    assert [panel.get_title(loc="left").partition(":")[0] for panel in panels] == [
        "sufficient",
        "complete",
        "one_complete",
        "inverse",
    ]
    if explanation.settings.domain == "rfft":
        lit = panels[0].collections[1].get_segments()  # type: ignore[attr-defined]
        hertz = explanation.spectrum.hertz[slice(*LOW)]
        assert [segment[0][0] for segment in lit] == pytest.approx(hertz.tolist())


def test_figures_are_written_or_refused(explanation: Explanation, tmp_path: Path) -> None:
    assert [path.read_bytes()[:5] for path in save_figure(explanation, tmp_path)] == [b"<?xml", b"\x89PNG\r"]
    with pytest.raises(ConfigError, match="cannot be written"):
        save_figure(explanation, tmp_path / "nowhere")


def test_parts_of_the_spectrum_are_where_the_bins_are(explanation: Explanation) -> None:
    data = spectrum_data(explanation)
    assert list(data.parts) == [kind for kind in ("sufficient", "complete", "one_complete") if kind in data.parts]
    nyquist, part = explanation.spectrum.clip.sample_rate / 2, explanation.sufficient[0]
    assert isinstance(part, Subset)
    kept = np.concatenate([explanation.spectrum.hertz[a:b] for a, b in part.runs])
    place = np.minimum(COLUMNS - 1, (mel(kept) / mel(nyquist) * COLUMNS).astype(int))
    lit = ~np.isnan(data.parts["sufficient"])
    assert lit[place].all()
    assert (data.level[lit] >= data.parts["sufficient"][lit]).all()
    axes = Figure().subplots()
    assert plot_spectrum(data, axes) is axes
    names = legend_of(axes)
    assert names[0] == "the rest"
    assert "sufficient" in names


def test_spectrogram_is_lit_where_it_is_kept(explanation: Explanation) -> None:
    everything, part = spectrogram_data(explanation), explanation.sufficient[0]
    assert isinstance(part, Subset)
    some = spectrogram_data(explanation, part)
    assert everything.lit.all()
    assert some.lit.any()
    assert not some.lit.all()
    assert some.level.shape == some.lit.shape
    assert some.level.shape[0] == ROWS
    axes = Figure().subplots()
    assert plot_spectrogram(some, axes) is axes
    assert axes.get_images()[0].get_array().shape == (*some.level.shape, 4)  # type: ignore[union-attr]


def test_matrix_shows_its_numbers_and_means() -> None:
    values = np.array([[1.0, 0.25], [0.5, 1.0]])
    axes = plot_matrix(MatrixData(("a $x$", "_b"), values, "sufficient"))
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["1.00", "0.25", "0.50", "1.00", "0.25", "0.50", "0.50", "0.25"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a $x$", "_b"]
    difference = plot_matrix(MatrixData(("a", "b"), values - 0.75, "sufficient minus complete", True))
    assert [text.get_text() for text in difference.texts][:2] == ["+0.25", "-0.50"]


def test_curves_and_estimates() -> None:
    axes = plot_curves(Curves("t", "ε", "share", (("_one", (0.0, 1.0), (0.5, 1.0)), ("$two", (0.0,), (1.0,)))))
    assert [line.get_ydata().tolist() for line in axes.lines] == [[0.5, 1.0], [1.0]]  # type: ignore[union-attr]
    assert legend_of(axes) == ["\u200b_one", "$two"]
    axes = plot_estimates(Estimates("t", (("a", 0.5, 0.25, 0.75), ("b", 0.1, None, None)), "share", reference=0.0))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]


def test_an_explanation_shows_itself(explanation: Explanation, browser: Any, tmp_path: Path) -> None:
    hostile = replace(explanation, spec='python:"><script>alert(1)</script>')
    html = hostile._repr_html_()
    assert "<script" not in html
    page = tmp_path / "notebook.html"
    page.write_text(f'<!doctype html><html lang="en"><title>n</title><body><main><h1>n</h1>{html}</main>')
    opened = Window(browser, page)
    opened.page.goto(page.as_uri())
    assert opened.page.text_content("p strong") == hostile.spec
    sources = opened.page.eval_on_selector_all("audio", "all => all.map(audio => audio.src)")
    opened.until("document.querySelector('img').complete && document.querySelector('img').naturalWidth > 500")
    assert opened.faults() == []
    opened.close()
    names = [kind for kind, _, part in explanation.parts() if isinstance(part, Subset) and part.size]
    assert len(sources) == 1 + len(names)
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(sources[0].partition(",")[2])))
    assert (len(samples), rate) == (len(explanation.spectrum.clip), explanation.spectrum.clip.sample_rate)
