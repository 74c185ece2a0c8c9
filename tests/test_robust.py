"""Robust sets: planted truths that only noise tells apart, what is verified, and what survives."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
from numpy.typing import NDArray
from torch import Tensor

from earwitness import ConfigError, explain
from earwitness.analyses.panel import Panel, Survival
from earwitness.analyses.robustness import Robustness, find_robust
from earwitness.explanation import Missing, Subset
from earwitness.models import Classifier, Model
from earwitness.search.driver import Driver
from earwitness.search.questions import TOLERANCE, Sufficient, Target
from earwitness.search.robustness import Robust, robust
from earwitness.search.settings import RobustSettings, SearchSettings
from earwitness.signal.masks import Mask, from_runs
from earwitness.signal.views import Viewed, draw_views, in_view, parse_views
from planted import SIZE, drive, kept, make_clip

TRUE, WEAK = range(58, 63), 120
#: without shifts, after which a tone sounds in neighbouring bins too
STILL = ("noise:30", "gain:6")
SETTINGS = SearchSettings(budget=400, delta=0.5)


class Heard(Model):
    """Says ``yes`` to energy in a band, as a share of the clip's own there, beyond a floor.

    Parameters
    ----------
    accident : bool
        Also to a single tone, bin 120, where nothing sounds beside it: as soon as noise does, no more.
    silent : bool
        Also to silence.
    hiss : bool
        Also to a little of anything, where nothing else sounds: noise alone will do.
    """

    spec = fingerprint = "heard"
    labels = ("yes", "no", "maybe")
    sample_rate = 16_000

    def __init__(self, *, accident: bool = False, silent: bool = False, hiss: bool = False) -> None:
        self.accident, self.silent, self.hiss = accident, silent, hiss
        self._own = np.abs(np.fft.rfft(make_clip(SIZE).samples.astype(np.float64))) ** 2

    def logits(self, waveforms: Tensor) -> Tensor:
        """Smooth in the share."""
        power = torch.fft.rfft(waveforms.double()).abs().numpy() ** 2
        share = power[:, 58:63].sum(axis=1) / self._own[58:63].sum()
        yes = share > 0.1
        if self.accident:
            elsewhere = np.delete(power, WEAK, axis=1).sum(axis=1)
            yes |= (power[:, WEAK] > 0.1) & (elsewhere < 1e-9)
        if self.silent:
            yes |= power.sum(axis=1) < 1e-9
        if self.hiss:
            total = power.sum(axis=1)
            yes |= (total > 1e-9) & (total < 0.01 * self._own.sum())
        scores = np.where(yes, 3.0, -3.0)
        return torch.from_numpy(np.stack([scores, np.zeros_like(scores), np.full_like(scores, -3.0)], 1)).float()


def find(model: Model, **settings: object) -> Robustness:
    classifier = Classifier(model)
    explanation = explain(make_clip(SIZE), classifier, SETTINGS)
    return find_robust(explanation, classifier, RobustSettings(questions=600, **settings))  # type: ignore[arg-type]


def bins(part: Subset | Missing) -> set[int]:
    assert isinstance(part, Subset), part
    return kept(from_runs(part.runs, SIZE))


def test_an_accident_without_noise_is_no_robust_set() -> None:
    """The plain search may take the lone tone; the robust one must not, and finds the band."""
    clip, classifier = make_clip(SIZE), Classifier(Heard(accident=True))
    lone = np.zeros((1, SIZE), dtype=bool)
    lone[0, WEAK] = True
    explanation = explain(clip, classifier, SETTINGS)
    assert int(Driver(classifier).evaluate(explanation.spectrum, lone)[0].argmax()) == 0
    found = find_robust(explanation, classifier, RobustSettings(views=STILL, questions=600))
    assert WEAK not in bins(found.robust)
    assert bins(found.robust) <= set(TRUE)
    assert found.survival["robust", 0].share == 1


def test_a_known_set_that_holds_is_taken_and_one_that_does_not_is_grown() -> None:
    """The band whole is asked once in each view, and each of its bins dropped; half of it is grown."""
    clip, classifier = make_clip(SIZE), Classifier(Heard())
    explanation = explain(clip, classifier, SETTINGS)
    spectrum = explanation.spectrum
    viewed = Viewed(spectrum, draw_views(parse_views(STILL), spectrum, 8, "test"))
    panel = Panel(Driver(classifier), viewed, 0, SETTINGS.delta)
    whole, weak = np.zeros((2, SIZE), dtype=bool)
    whole[58:63] = True
    weak[int(np.argmin(np.where(whole, Heard()._own, np.inf)))] = True
    taken, asked = panel.seek(Sufficient, [whole], 400, 0)
    assert asked < 60
    assert kept(taken.mask) <= set(TRUE)
    grown, more = panel.seek(Sufficient, [weak], 400, 0)
    assert grown.mask is not None
    assert kept(grown.mask) <= set(TRUE)
    assert panel.count(weak, Sufficient).held < 8
    assert panel.count(grown.mask, Sufficient).held == 8
    assert more < 400


def test_survival_tells_the_accident_from_the_evidence() -> None:
    classifier = Classifier(Heard(accident=True))
    explanation = explain(make_clip(SIZE), classifier, SETTINGS)
    views = parse_views(("noise:30",))
    spectrum = explanation.spectrum
    viewed = Viewed(spectrum, draw_views(views, spectrum, 16, "test"))
    masks = np.zeros((2, SIZE), dtype=bool)
    masks[0, WEAK], masks[1, 58:63] = True, True
    answers = [Driver(classifier).evaluate(viewed, in_view(masks, view, 16)).argmax(axis=1) for view in range(16)]
    assert np.mean(answers, axis=0).tolist() == [1, 0]  # never yes; always yes


def test_what_counts_only_above_a_floor_is_found_whole_enough() -> None:
    """A tenth of the band's energy gets the label; in noise and at -6 dB four times as much is needed."""
    found = find(Heard(), views=STILL)
    own = Heard()._own
    share = own[sorted(bins(found.robust))].sum() / own[58:63].sum()
    assert bins(found.robust) <= set(TRUE)
    assert share > 0.1 * 10**0.6 * 0.8


def test_others_explain_what_silence_gets_anyway() -> None:
    """To silence it says yes: nothing suffices, until what is removed becomes another recording."""
    model = Heard(silent=True)
    classifier = Classifier(model)
    explanation = explain(make_clip(SIZE), classifier, SETTINGS)
    assert isinstance(explanation.sufficient[0], Subset)
    assert explanation.sufficient[0].size == 0
    values = np.fft.rfft(make_clip(SIZE, seed=3).samples.astype(np.float64))
    values[58:63] = 0  # another label
    other = make_clip(SIZE)
    other = type(other)(np.fft.irfft(values).astype(np.float32), 16_000)
    assert classifier.log_probabilities(torch.tensor(other.samples[None])).argmax() == 1
    settings = RobustSettings(views=("others", "gain:3"), questions=600)
    found = find_robust(explanation, classifier, settings, others=[other])
    assert bins(found.robust) <= set(TRUE)
    assert bins(found.robust)
    assert found.survival["sufficient", 0].held == 0
    with pytest.raises(ConfigError, match="no recording with another label"):
        find_robust(explanation, classifier, settings)


def test_a_complete_set_leaves_another_label_in_every_view() -> None:
    found = find(Heard(), views=STILL, searched=64)
    assert isinstance(found.robust_complete, Subset)
    mask = from_runs(found.robust_complete.runs, SIZE)
    share = Heard()._own[58:63][~mask[58:63]].sum() / Heard()._own[58:63].sum()
    assert share < 0.1  # what is left without it is below the floor
    assert found.survival["robust_complete", 0].low >= 0.9


def test_every_set_has_its_survival_and_no_inverse() -> None:
    found = find(Heard())
    sets = {
        (kind, draw) for kind, draw, part in found.explanation.parts()
        if kind != "inverse" and isinstance(part, Subset)
    }  # fmt: skip
    assert set(found.survival) == sets | {("robust", 0), ("robust_complete", 0)}
    assert all(one.views == 64 for one in found.survival.values())


def test_the_same_whatever_the_batch() -> None:
    classifier = Classifier(Heard())
    explanation = explain(make_clip(SIZE), classifier, SETTINGS)
    results = [
        find_robust(explanation, classifier, driver=Driver(classifier, batch=batch)) for batch in (1, 7, 64)
    ]  # fmt: skip
    for one in results[1:]:
        assert bins(one.robust) == bins(results[0].robust)
        assert one.survival == results[0].survival
        assert one.queries == results[0].queries


def test_a_set_that_fails_fresh_views_is_missing_and_says_why() -> None:
    """One view searched says little of 64 others where the floor is close."""
    found = find(Heard(), searched=1, views=("gain:20",), level=0.95)
    assert isinstance(found.robust, Missing)
    assert "fresh views" in found.robust.why


def test_a_set_that_fails_fresh_views_is_sought_again_in_those(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first attempt knows two views and falls short; a later one learns from those, and is verified in others."""
    settings: dict[str, object] = {"searched": 2, "views": ("gain:6",), "level": 0.9}
    found = find(Heard(), **settings)
    assert bins(found.robust) <= set(TRUE)
    spectrum = found.explanation.spectrum
    panels = [
        Panel(
            Driver(Classifier(Heard())),
            Viewed(spectrum, draw_views(parse_views(("gain:6",)), spectrum, 64, SETTINGS.seed, "verify", *number)), 0,
            SETTINGS.delta,
        )
        for number in [(), (1,), (2,)]
    ]  # fmt: skip
    assert isinstance(found.robust, Subset)
    counts = [panel.count(from_runs(found.robust.runs, SIZE), Sufficient) for panel in panels]
    assert found.survival["robust", 0] in counts[1:]
    monkeypatch.setattr("earwitness.analyses.robustness.ATTEMPTS", 1)
    once = find(Heard(), **settings)
    assert isinstance(once.robust, Missing)
    assert once.survival["robust", 0].held < found.survival["robust", 0].held


def test_a_level_that_so_few_views_cannot_show_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"for level 0\.92 use 36 or more"):
        RobustSettings(verified=35)
    assert RobustSettings(verified=36).verified == 36


@pytest.mark.parametrize(("held", "views"), [(64, 64), (62, 64), (1, 2), (0, 8)])
def test_bounds_are_those_of_clopper_and_pearson(held: int, views: int) -> None:
    expected = scipy.stats.binomtest(held, views, alternative="greater").proportion_ci(0.95, "exact").low
    assert Survival(held, views).low == pytest.approx(expected, abs=1e-12)


def view_oracle(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Of 20 variables and 4 views: each view needs one of two variables, another pair each; nothing is said plainly."""
    kept, wanted = masks[:, :20], masks[:, 20:]
    view = wanted.argmax(axis=1)
    rows = np.arange(len(masks))
    yes = kept[rows, view] | kept[rows, 10 + view]
    logits = np.stack([np.where(yes, 3.0, -3.0), np.zeros(len(masks))], axis=1)
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), dtype=np.float32)


def test_a_set_holds_in_every_view_and_loses_one_with_each_variable() -> None:
    targets = [Target(0, 0.9, 0.5)] * 4
    energy = np.full(20, 0.05)
    found, _ = drive(robust(Sufficient, targets, energy, budget=500), view_oracle, 500)
    assert found.mask is not None
    property_ = Robust(Sufficient, tuple(targets), (0, 1, 2, 3))

    def ask(mask: Mask) -> float:
        return float(min(part.slack(view_oracle(part.masks(mask[None])))[0] for part in property_.parts))

    assert ask(found.mask) >= TOLERANCE
    assert found.mask.sum() == 4
    assert found.certificate.kind == "one_minimal"
    for variable in np.flatnonzero(found.mask):
        less = found.mask.copy()
        less[variable] = False
        assert ask(less) < -TOLERANCE


def test_a_spent_budget_is_said_and_never_overdrawn() -> None:
    targets = [Target(0, 0.9, 0.5)] * 4
    for budget in (10, 12, 20, 40):
        found, asked = drive(robust(Sufficient, targets, np.full(20, 0.05), budget=budget), view_oracle, budget)
        assert asked <= budget
        assert found.mask is not None or "budget" in found.why


def test_noise_that_is_evidence_itself_makes_nothing_robust() -> None:
    """Nothing at all survives every view of a model that hears its label in their noise; as it is, it does not hold."""
    classifier = Classifier(Heard(hiss=True))
    settings = RobustSettings(views=("noise:30",), questions=300)
    found = find_robust(explain(make_clip(SIZE), classifier, SETTINGS), classifier, settings)
    assert isinstance(found.robust, Subset)
    assert found.robust.size > 0
    assert found.robust.label == 0
    signal = torch.from_numpy(found.explanation.signal(found.robust))
    assert int(classifier(signal[None])[0].argmax()) == 0
