"""An explanation in a notebook: the answer, the spectrum with its parts, a player for each signal. No scripts."""

from __future__ import annotations

from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..explanation import Explanation, Subset
from .data import certificate_words, unit_of
from .plots.clip import plot_spectrum, spectrum_data
from .plots.style import to_png
from .sounds import Inline, Sound, make_sound


@dataclass(frozen=True)
class Row:
    """A signal as the notebook shows it."""

    name: str
    sound: Sound | None
    size: str
    energy: str
    answer: str
    minimal: str
    why: str


def explanation_html(explanation: Explanation) -> str:
    """What a notebook shows of an explanation; every name in it is escaped."""
    environment = Environment(loader=PackageLoader("earwitness.report"), autoescape=True, undefined=StrictUndefined)
    clip = explanation.spectrum.clip
    original = Row(
        "original", make_sound(Inline(), "original", clip.samples, clip.sample_rate), "", "",
        f"{explanation.label} {explanation.confidence:.2f}", "", "",
    )  # fmt: skip
    return environment.get_template("notebook.html").render(
        explanation=explanation,
        rows=[original, *_rows(explanation)],
        picture=to_png(plot_spectrum(spectrum_data(explanation)), 130),
    )


def _rows(explanation: Explanation) -> list[Row]:
    rows = []
    unit = unit_of(explanation.spectrum.domain)
    for kind, draw, part in explanation.parts():
        name = kind.replace("_", "-") + (f" {draw + 1}" if draw else "")
        if not isinstance(part, Subset):
            rows.append(Row(name, None, "none", "", "", "", part.why))
            continue
        sound = make_sound(Inline(), name, explanation.signal(part), explanation.spectrum.clip.sample_rate)
        words = "" if kind == "inverse" else certificate_words(
            part.certificate.kind, part.certificate.groups, part.size, unit, part.why
        )  # fmt: skip
        answer = f"{explanation.labels[part.label]} {part.confidence:.2f}"
        size = f"{part.size:,} of {explanation.spectrum.size:,} {unit}s"
        rows.append(Row(name, sound, size, f"{part.energy:.1%}", answer, words, "" if part.why in words else part.why))
    return rows
