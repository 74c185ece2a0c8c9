"""Draw a search on a built-in recording: what was drawn, what was foretold of it, what was asked and answered.

python tools/make_search_figure.py [FOLDER]        # by default docs/images

The search runs as it always does; what its stages say to each other is only listened to.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import earwitness
from earwitness.datasets.builtin import FOLDER
from earwitness.report.plots.style import CYCLE, paper_style
from earwitness.search import singles, sufficiency, surrogate
from earwitness.search.driver import Driver, Job
from earwitness.search.questions import Target
from earwitness.signal.spectrum import Spectrum

RECORDING, MODEL, DELTA, BUDGET = "jungle.flac", "builtin:mtt-vgg", 0.9, 900
ROUNDS = 14  #: shown
Values = NDArray[np.float64]


@dataclass
class Round:
    """Candidates of a round, in nats from just sufficient: foretold of all, and answered by those that were asked."""

    mean: Values
    deviation: Values
    asked: NDArray[np.intp]
    answers: Values = field(default_factory=lambda: np.empty(0))


@dataclass
class Heard:
    """What was heard of a search: single bins with their slack (the first is silence's), then rounds."""

    bins: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    slack: Values = field(default_factory=lambda: np.empty(0))
    rounds: list[Round] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Heard]:
    """Listen to the searches meanwhile."""
    heard = Heard()
    choose, learn, ask = surrogate.Surrogate.choose, surrogate._Learnt.slack, singles.ask_singles

    def heard_choose(self: Any, masks: Any, count: int, worth: Any) -> Any:
        chosen, first = choose(self, masks, count, worth)
        process = self.parts[0].process
        if process.known and len(masks) > count:
            foretold = process.predict(self._describe(masks))
            places = {row.tobytes(): place for place, row in enumerate(masks)}
            asked = np.array([places[row.tobytes()] for row in chosen])
            heard.rounds.append(Round(foretold.mean, foretold.deviation, asked))
        return chosen, first

    def heard_learn(self: Any, log_probabilities: Any) -> Values:
        slack: Values = learn(self, log_probabilities)
        last = heard.rounds[-1] if heard.rounds else None
        if last and not last.answers.size and slack.size == last.asked.size:
            last.answers = slack
        return slack

    def heard_singles(*given: Any) -> Any:
        heard.bins, heard.slack = yield from ask(*given)
        return heard.bins, heard.slack

    with (
        patch.object(surrogate.Surrogate, "choose", heard_choose),
        patch.object(surrogate._Learnt, "slack", heard_learn),
        patch.object(sufficiency, "ask_singles", heard_singles),
    ):
        yield heard


def draw_singles(axes: Axes, heard: Heard, spectrum: Spectrum) -> None:
    """Single bins: where they lie, and how far each alone is from sufficient."""
    hertz = spectrum.hertz[heard.bins]
    points = axes.scatter(hertz / 1000, heard.slack[1:], c=np.arange(hertz.size), cmap="viridis", s=14, zorder=2)
    axes.axhline(float(heard.slack[0]), color=CYCLE[-1], linestyle=":", linewidth=0.8, label="silence")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(xlabel="kHz", ylabel="nats from just sufficient")
    axes.set_title("1  single bins, in the order asked", loc="left")
    axes.figure.colorbar(points, ax=axes, pad=0.01).set_label("question")
    axes.legend(loc="lower right")


def draw_rounds(axes: Axes, rounds: list[Round]) -> None:
    """Rounds: what was foretold of all that was drawn and of those that were asked, and what they were answered."""
    for number, one in enumerate(rounds):
        inside = number + np.linspace(-0.38, 0.38, one.mean.size)
        axes.scatter(inside, one.mean, s=1, color="#c4cbc7", zorder=1, label="foretold of all drawn" * (number == 0))
        place = number + np.linspace(-0.36, 0.36, one.asked.size)
        axes.errorbar(
            place, one.mean[one.asked], yerr=one.deviation[one.asked], fmt="none", ecolor=CYCLE[1], elinewidth=0.7,
            label="of those asked, with its standard deviation" if number == 0 else None,
        )  # fmt: skip
        if one.answers.size:
            axes.scatter(place, one.answers, s=7, color=CYCLE[0], zorder=3, label="answered" * (number == 0))
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(xlabel="round", ylabel="nats from just sufficient", xlim=(-0.6, len(rounds) - 0.4))
    axes.set_title("2  candidates, round by round", loc="left")
    axes.legend(loc="lower right")


def main(folder: Path) -> None:
    """Search, listen, draw."""
    model = earwitness.open_model(MODEL, "cpu")
    clip = earwitness.read(FOLDER / RECORDING, model.sample_rate, 3.0)
    spectrum, driver = Spectrum(clip), Driver(earwitness.Classifier(model))
    target = Target.of(driver.original(spectrum), DELTA)
    with listening() as heard:
        job = next(driver.run([Job(spectrum, sufficiency.sufficient(spectrum.energy, target, budget=BUDGET), BUDGET)]))
    found = job.result
    assert found is not None
    assert found.mask is not None
    with paper_style():
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.7), sharey=True)
        draw_singles(left, heard, spectrum)
        draw_rounds(right, heard.rounds[:ROUNDS])
        path = folder / "search.png"
        figure.savefig(path, dpi=130, metadata={"Software": None})
    print(path)
    print(f"{int(found.mask.sum())} of {spectrum.size} bins, {found.certificate.kind}, {job.asked} questions,"
          f" {len(heard.rounds)} rounds")  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "docs" / "images")
