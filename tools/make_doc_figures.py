"""The figures of docs/definitions.md: one built-in recording, one built-in model, drawn by the package's own plots.

python tools/make_doc_figures.py [FOLDER]        # by default docs/images
"""

from __future__ import annotations

import sys
from pathlib import Path

import earwitness
from earwitness.datasets.builtin import FOLDER
from earwitness.report import plot_explanation, plot_spectrum, spectrum_data

RECORDING, MODEL = "bundesliga.flac", "builtin:mtt-vgg"
SETTINGS = earwitness.SearchSettings(delta=0.5, budget=1000)


def main(folder: Path) -> None:
    model = earwitness.open_model(MODEL, "cpu")
    clip = earwitness.read(FOLDER / RECORDING, model.sample_rate, 3.0)
    explanation = earwitness.explain(clip, earwitness.Classifier(model), SETTINGS)
    spectrum = plot_spectrum(spectrum_data(explanation))
    parts = plot_explanation(explanation)[0]
    for name, axes in {"spectrum": spectrum, "parts": parts}.items():
        path = folder / f"definition-{name}.png"
        axes.get_figure(root=True).savefig(path, dpi=110, metadata={"Software": None})  # type: ignore[union-attr]
        print(path)
    print(explanation.label, explanation.confidence, explanation.queries)
    for kind, _, part in explanation.parts():
        print(kind, f"{part.size} bins, {part.energy:.2%}" if isinstance(part, earwitness.Subset) else part.why)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "docs" / "images")
