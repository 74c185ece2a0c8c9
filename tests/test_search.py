"""Search ``minimal`` against planted truths: which bins are right is known by construction."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from earwitness import Classifier, SearchSettings, Subset, explain
from earwitness.explanation import finish, make_job
from earwitness.search.driver import Driver, Job
from earwitness.search.minimal import minimal
from earwitness.search.multiplicity import overlap
from earwitness.search.problem import Outcome, Problem, limited
from earwitness.search.questions import Answer, BudgetSpent, Certificate, Search, Target
from earwitness.search.sufficiency import sufficient
from earwitness.signal.masks import Mask, from_runs
from earwitness.signal.spectrum import Spectrum
from planted import (
    HIGH,
    LOW,
    SIZE,
    TOP,
    Oracle,
    PlantedModel,
    Rule,
    bins_of,
    both,
    drive,
    either,
    has,
    is_yes,
    kept,
    make_clip,
    make_problem,
    odd,
    or_exactly,
    or_silence,
    target_of,
)

BUDGET = 3000


def seek(rule: Rule, budget: int = BUDGET, **changes: Any) -> tuple[Outcome, int]:
    return drive(minimal(make_problem(delta=0.9, **changes)), Oracle(rule), budget)


def test_one_band_is_found_exactly_and_certified() -> None:
    outcome, asked = seek(has(LOW))
    found, _ = outcome.sufficient[0]
    assert kept(found.mask) == bins_of(LOW)
    assert found.certificate == Certificate("one_minimal", 5)
    assert kept(outcome.complete[0].mask) == bins_of(LOW)
    assert outcome.complete[0].certificate.kind == "one_minimal"
    assert kept(outcome.one_complete[0].mask) == bins_of(LOW)
    assert asked <= 800


def test_the_map_of_responsibility_is_highest_on_the_band_that_is_the_cause() -> None:
    scores = seek(has(LOW))[0].responsibility
    assert scores is not None
    inside = np.zeros(scores.size, dtype=bool)
    inside[sorted(bins_of(LOW))] = True
    assert scores[inside].mean() > 3 * scores[~inside].mean()


def test_two_redundant_bands_are_two_sufficient_sets_and_one_complete_set() -> None:
    outcome, _ = seek(either(LOW, HIGH), count=2)
    assert {frozenset(kept(found.mask)) for found, _ in outcome.sufficient} == {
        frozenset(bins_of(LOW)),
        frozenset(bins_of(HIGH)),
    }
    whole = kept(outcome.complete[0].mask)
    # one band whole, so that the label holds, and a bin of the other, so that without it the label goes
    assert bins_of(LOW) <= whole or bins_of(HIGH) <= whole
    assert len(whole) == 6


def test_a_third_set_of_two_redundant_bands_is_refused_with_a_reason() -> None:
    outcome, _ = seek(either(LOW, HIGH), count=3)
    assert len(outcome.sufficient) == 2
    assert outcome.why.startswith("2 of 3 sets")


def test_a_conjunction_is_found_whole() -> None:
    outcome, _ = seek(both(LOW, HIGH))
    assert kept(outcome.sufficient[0][0].mask) == bins_of(LOW, HIGH)
    assert kept(outcome.complete[0].mask) == bins_of(LOW, HIGH)


def test_of_an_exclusive_or_one_band_suffices() -> None:
    outcome, _ = seek(odd(LOW, HIGH, TOP))
    found = outcome.sufficient[0][0]
    assert kept(found.mask) in [bins_of(band) for band in (LOW, HIGH, TOP)]
    assert found.certificate.kind == "one_minimal"


def test_a_model_that_answers_to_silence_has_the_empty_set() -> None:
    outcome, _ = seek(or_silence(has(LOW)), count=3)
    assert [found.mask is not None and found.mask.sum() for found, _ in outcome.sufficient] == [0]
    assert "silence" in outcome.why
    assert outcome.sufficient[0][0].certificate == Certificate("one_minimal", 0)


def test_a_label_that_nothing_takes_away_has_no_inverse() -> None:
    outcome, asked = seek(lambda masks: np.ones(len(masks), bool))
    whole, _ = outcome.complete
    assert whole.mask is not None
    assert whole.mask.all()
    assert "no smaller complete set was found" in whole.why
    assert asked < BUDGET


def test_a_noisy_model_is_solved_at_eight_repetitions() -> None:
    """Noise of 1.5 in a logit of ±3: a single answer errs in some 2 % of questions, the mean of 8 hardly ever."""

    class Noisy(PlantedModel):
        deterministic = False

        def __init__(self) -> None:
            self._oracle = Oracle(has(LOW), noise=1.5, seed=7)

    chosen = SearchSettings(delta=0.5, budget=20_000, repeats=8)
    explanation = explain(make_clip(SIZE), Classifier(Noisy()), chosen)
    part = explanation.sufficient[0]
    assert isinstance(part, Subset)
    assert kept(from_runs(part.runs, SIZE)) == bins_of(LOW)
    assert re.fullmatch(
        r"Subset\(size=5, energy=0\.\d+, certificate=Certificate\(.*\), queries=\d+, why=''\)", repr(part)
    )


def test_a_spurious_pass_is_a_set_like_any_other_and_certified() -> None:
    """Of a model that says yes to exactly three bins, any three are sufficient: the truth is not ours to judge."""
    outcome, _ = seek(or_exactly(has(LOW), 3))
    assert len(kept(outcome.sufficient[0][0].mask)) == 3


@given(st.integers(0, 10_000), st.integers(1, 6), st.sampled_from(["all", "any", "odd"]))
@settings(deadline=None, max_examples=12)
def test_every_certificate_survives_an_independent_check(seed: int, count: int, how: str) -> None:
    rng = np.random.default_rng(seed)
    bands = [(int(a), int(a) + int(rng.integers(1, 4))) for a in rng.choice(40, count, replace=False) * 6]
    rule = {"all": both(*bands), "any": either(*bands), "odd": odd(*bands)}[how]
    oracle, target = Oracle(rule), target_of(rule, 0.9)
    outcome, _ = seek(rule, seed=seed)
    for found, _ in outcome.sufficient:
        if found.mask is None:
            continue
        assert target.slack(oracle(found.mask[None]))[0] >= 0
        if found.certificate.kind == "one_minimal":
            for number in np.flatnonzero(found.mask):
                fewer = found.mask.copy()
                fewer[number] = False
                assert target.slack(oracle(fewer[None]))[0] < 0
    whole = outcome.complete[0].mask
    assert whole is not None
    if not whole.all():
        assert target.slack(oracle(whole[None]))[0] >= 0
        assert target.margin(oracle(~whole[None]))[0] < 0


@given(st.integers(10, 400))
@settings(deadline=None, max_examples=25)
def test_any_budget_is_kept_and_ends_with_a_verified_set(budget: int) -> None:
    outcome, asked = seek(both(LOW, HIGH), budget=budget)
    assert asked <= budget
    mask = outcome.sufficient[0][0].mask
    if mask is not None:
        assert is_yes(both(LOW, HIGH), mask)
        whole = outcome.complete[0].mask
        assert whole is not None
        assert mask.sum() <= whole.sum()  # what is complete is sufficient
    if budget >= 150:  # the prefixes have been asked by then
        assert mask is not None


FEW = SearchSettings(budget=700)  #: questions, where their number does not matter


@pytest.fixture(scope="module")
def alone() -> list[Any]:
    """What is found of four clips, each by itself."""
    model = Classifier(PlantedModel(both(LOW, HIGH)))
    found = [explain(make_clip(SIZE, seed), model, FEW).to_json() for seed in range(4)]
    return [{**one, "seconds": 0} for one in found]


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batch_size_and_company_never_change_a_result(batch: int, alone: list[Any]) -> None:
    driver = Driver(Classifier(PlantedModel(both(LOW, HIGH))), batch=batch)
    clips = [make_clip(SIZE, seed) for seed in range(4)]
    together = {
        job.spectrum.clip.sha256: finish(job, driver, FEW) for job in driver.run(make_job(clip, FEW) for clip in clips)
    }
    assert [{**together[clip.sha256].to_json(), "seconds": 0} for clip in clips] == alone


def test_the_driver_asks_nothing_twice_and_counts_what_it_asks() -> None:
    model = PlantedModel(has(LOW))
    spectrum = Spectrum(make_clip(SIZE))

    def twice() -> Search[int]:
        masks = np.zeros((3, SIZE), bool)
        masks[1, 3] = True  # rows 0 and 2 are the same
        first = yield masks
        second = yield masks[[2, 1]]
        np.testing.assert_array_equal(first.log_probabilities[[0, 1]], second.log_probabilities)
        return second.left

    job = next(Driver(Classifier(model), batch=2).run([Job(spectrum, twice(), 10)]))
    assert (job.asked, job.result, model._oracle.answered) == (2, 8, 2)


def test_clips_of_unequal_length_never_share_a_batch() -> None:
    model = PlantedModel(has(LOW))
    seen: list[int] = []
    original = model.logits

    def watched(waveforms: Tensor) -> Tensor:
        seen.append(waveforms.shape[1])
        return original(waveforms)

    model.logits = watched  # type: ignore[method-assign]
    driver = Driver(Classifier(model), batch=16)
    jobs = [make_job(make_clip(size), SearchSettings(budget=100)) for size in (SIZE, 301, SIZE)]
    assert len(list(driver.run(jobs))) == 3
    assert set(seen) == {512, 600}


def test_a_model_that_breaks_on_one_clip_leaves_the_others_alone() -> None:
    class Breaks(PlantedModel):
        def logits(self, waveforms: Any) -> Any:
            if bool((waveforms.abs().max(dim=1).values > 1e3).any()):
                raise RuntimeError("too loud")
            return super().logits(waveforms)

    clips = [make_clip(SIZE, seed) for seed in range(3)]
    loud = type(clips[1])(clips[1].samples * 1e6, 16_000)
    driver = Driver(Classifier(Breaks(has(LOW))), batch=64)
    done = list(driver.run(make_job(clip, SearchSettings(budget=300)) for clip in (clips[0], loud, clips[2])))
    assert sorted(str(job.error) for job in done) == ["None", "None", "too loud"]


def test_questions_grow_no_faster_than_the_logarithm_of_the_bins() -> None:
    """One strong band planted in ever longer clips; the rest is a thousand times weaker."""
    asked = {}
    for size in (1001, 8001, 64_001):
        energy = np.full(size, 1e-6)
        energy[58:63] = 1.0
        target = Target(0, 0.9, 0.9)
        found, asked[size] = drive(sufficient(energy / energy.sum(), target), Oracle(has(LOW)), BUDGET)
        assert kept(found.mask) == bins_of(LOW)
    growth = (asked[64_001] - asked[1001]) / max(1, asked[1001])
    assert growth <= np.log(64_001) / np.log(1001) - 1 + 0.15


def test_limited_spends_no_more_than_its_share() -> None:
    def greedy() -> Search[int]:
        count = 0
        try:
            while True:
                masks = np.zeros((3, 8), bool)
                masks[:, :3] = np.eye(3, dtype=bool)
                masks[:, 3:] = [bool(int(c)) for c in f"{count:05b}"]
                yield masks
                count += 1
        except BudgetSpent:
            return count

    def search() -> Search[tuple[int, int]]:
        return (yield from limited(greedy(), 10))

    def answer(masks: Mask) -> np.ndarray[Any, Any]:
        return np.zeros((len(masks), 2), np.float32)

    (rounds, spent), asked = drive(search(), answer, 100)
    assert (rounds, spent, asked) == (3, 9, 9)


@given(st.lists(st.tuples(st.floats(-8, 0), st.floats(-8, 0)), min_size=1, max_size=20), st.floats(0, 1))
def test_slack_says_sufficient(rows: list[tuple[float, float]], delta: float) -> None:
    """Against the definition, written out: top-1 is the label and σ ≥ δ·σ(f(s))."""
    logs = np.array([np.array(row) - np.logaddexp(*row) for row in rows], dtype=np.float32)
    target = Target(0, 0.8, delta)
    slack = target.slack(logs)
    for (yes, no), value in zip(np.exp(logs.astype(np.float64)), slack, strict=True):
        if abs(value) > 1e-4:
            assert (value > 0) == (yes > no and yes >= delta * 0.8)


def test_overlap_is_of_the_smaller_set() -> None:
    a, b = np.array([1, 1, 1, 1, 0], bool), np.array([0, 0, 0, 1, 1], bool)
    assert overlap(a, b) == overlap(b, a) == 0.5


def test_a_missing_subset_is_null_with_its_reason() -> None:
    always = Classifier(PlantedModel(lambda masks: np.ones(len(masks), bool)))
    written = explain(make_clip(SIZE), always, SearchSettings(budget=300, count=2)).to_json()
    assert written["subsets"]["inverse"] is None
    assert written["subsets"]["complete"]["size"] == SIZE
    assert written["why"]["inverse"] == "the complete set is the whole clip"
    assert "silence" in written["why"]["sufficient"]


@pytest.mark.parametrize("bound", [0.0, 0.5])
def test_several_sets_keep_to_the_overlap(bound: float) -> None:
    bands = [(10 * i, 10 * i + 2) for i in range(1, 8)]
    outcome, _ = seek(either(*bands), count=5, overlap=bound)
    masks = [found.mask for found, _ in outcome.sufficient if found.mask is not None]
    assert len(masks) == 5
    assert max(overlap(a, b) for a, b in combinations(masks, 2)) <= bound


@pytest.mark.parametrize("domain", ["mel:24", "octave:3", "stft:64:16"])
def test_the_search_runs_on_every_domain(domain: str) -> None:
    chosen = SearchSettings(domain=domain, budget=1500)
    explanation = explain(make_clip(SIZE), Classifier(PlantedModel(has(LOW))), chosen)
    part = explanation.sufficient[0]
    assert isinstance(part, Subset)
    if domain != "stft:64:16":
        bins = Spectrum(make_clip(SIZE), chosen.variables).to_bins(from_runs(part.runs, explanation.spectrum.size))
        assert bins_of(LOW) <= kept(bins)
    assert part.size < explanation.spectrum.size


def test_answer_is_a_record() -> None:
    answer = Answer(np.zeros((1, 2), np.float32), 3)
    with pytest.raises(AttributeError):
        answer.left = 4  # type: ignore[misc]
    assert isinstance(make_problem(), Problem)
