"""Statistics: equal to scipy and statsmodels where they have them, coverage and power in simulations."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import scipy.stats
import statsmodels.stats.api as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_effectsize

from earwitness import ConfigError
from earwitness.transferability.overlap import jaccard
from earwitness.transferability.statistics.correlations import (
    correlation_interval,
    matrix_correlation,
    pooled_matrix_correlation,
    rank_correlation,
)
from earwitness.transferability.statistics.flat_earthers import find_flat_earthers, flat_earther_scores
from earwitness.transferability.statistics.paired import benjamini_hochberg, compare_pairs
from earwitness.transferability.statistics.rates import (
    chance_corrected,
    cluster_bootstrap,
    cohen_h,
    draw_weights,
    interval,
    ratio,
    resample,
    wilson,
)
from earwitness.transferability.statistics.reliability import split_half

Real = NDArray[np.float64]


# --- equal to the libraries -----------------------------------------------------------------------------------


@given(st.integers(1, 400), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_the_libraries(trials: int, data: st.DataObject, level: float) -> None:
    successes = data.draw(st.integers(0, trials))
    theirs = reference.proportion_confint(successes, trials, 1 - level, method="wilson")
    np.testing.assert_allclose(wilson(successes, trials, level), theirs, atol=1e-12)
    scipys = scipy.stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    np.testing.assert_allclose(wilson(successes, trials, level), tuple(scipys), atol=1e-9)


def test_wilson_of_nothing_and_of_everything() -> None:
    low, high = wilson([0, 0, 5], [0, 5, 5])
    assert np.isnan([low[0], high[0]]).all()
    assert low[1] == 0
    assert high[2] == pytest.approx(1)
    assert 0 < high[1] < 0.5 < low[2] < 1  # five of five do not prove always


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=2, max_size=40))
def test_paired_tests_are_the_libraries(pairs: list[tuple[int, int]]) -> None:
    first, second = (np.array(column) / 8 for column in zip(*pairs, strict=True))
    found, gaps = compare_pairs(first, second), first - second
    assert found.n == len(pairs)
    assert found.difference == pytest.approx(gaps.mean())
    if np.ptp(gaps) > 0:
        theirs = scipy.stats.ttest_rel(first, second)
        assert (found.t, found.p_t) == pytest.approx((theirs.statistic, theirs.pvalue))
        bounds = theirs.confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((bounds.low, bounds.high))
        assert found.effect == pytest.approx(gaps.mean() / gaps.std(ddof=1))
    if gaps.any():
        # Wilcoxon's own way with pairs that do not differ is to leave them out, and so is scipy's. But scipy chooses
        # how to compute p before it does: any zero, like any tie, ends the exact test, and of more than 13 pairs,
        # zeros among them, p is then approximate. Left out first, as here, they decide nothing.
        ranked = scipy.stats.wilcoxon(gaps[gaps != 0])
        assert (found.w, found.p_w) == pytest.approx((ranked.statistic, ranked.pvalue))


@settings(max_examples=30)
@given(st.lists(st.integers(-3, 3).filter(bool), min_size=1, max_size=8), st.integers(0, 12))
def test_signed_ranks_of_few_pairs_that_differ_are_counted_out(gaps: list[int], same: int) -> None:
    """p is the share of all signs of the differences, equally likely, whose rank sums lie as far apart or further."""
    found = compare_pairs([*gaps, *[0] * same], np.zeros(len(gaps) + same))
    ranks = scipy.stats.rankdata(np.abs(gaps))
    signs = np.array(list(product([-1, 1], repeat=len(gaps))))
    apart = np.abs(signs @ ranks)
    assert found.w == (ranks.sum() - abs(np.sign(gaps) @ ranks)) / 2
    assert found.p_w == pytest.approx((apart >= abs(np.sign(gaps) @ ranks)).mean())


def test_pairs_that_do_not_differ_leave_the_signed_ranks_exact() -> None:
    # 9 differences, none alike: the rank sums are 1 and 44, and 4 of 2**9 signs are as extreme
    gaps = np.array([-1.0, 2, 3, 4, 5, 6, 7, 8, 9])
    same = np.zeros(5)
    assert compare_pairs(gaps, np.zeros(9)).p_w == pytest.approx(4 / 2**9)
    assert compare_pairs(np.append(gaps, same), np.zeros(14)).p_w == pytest.approx(4 / 2**9)
    with_zeros = scipy.stats.wilcoxon(np.append(gaps, same))
    assert with_zeros.statistic == 1
    assert with_zeros.pvalue == scipy.stats.wilcoxon(gaps, method="asymptotic").pvalue != pytest.approx(4 / 2**9)


def test_paired_tests_worked_out() -> None:
    # differences 1, 2, 3, −1: mean 1.25, sd √(8.75/3) = 1.7078, t = 1.25 / (1.7078/2) = 1.4639
    # ranks of |d|: 1.5, 3, 4, 1.5; W₊ = 8.5, W₋ = 1.5; biserial = 7/10
    found = compare_pairs([2, 3, 4, 0, np.nan], [1, 1, 1, 1, 1])
    assert (found.n, found.difference) == (4, 1.25)
    assert found.t == pytest.approx(1.4639, abs=1e-4)
    assert found.effect == pytest.approx(0.73193, abs=1e-4)
    assert (found.w, found.biserial) == (1.5, 0.7)


def test_paired_tests_at_the_edges() -> None:
    nothing, one, same = compare_pairs([], []), compare_pairs([0.5], [0.25]), compare_pairs([0.5] * 3, [0.5] * 3)
    assert (nothing.n, one.n, same.n) == (0, 1, 3)
    assert one.difference == 0.25
    for found in (nothing, one, same):
        assert np.isnan([found.t, found.p_t, found.effect]).all()
    assert np.isnan([nothing.p_w, same.p_w]).all()
    constant = compare_pairs([0.3, 0.4, 0.5], [0.1, 0.2, 0.3])
    assert np.isnan([constant.t, constant.p_t, constant.effect]).all()
    assert constant.p_w == 0.25
    assert (constant.low, constant.high) == pytest.approx((0.2, 0.2))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_benjamini_hochberg_is_the_libraries(p: list[float]) -> None:
    theirs = scipy.stats.false_discovery_control(p)
    np.testing.assert_allclose(benjamini_hochberg(p), theirs)
    np.testing.assert_allclose(benjamini_hochberg(p), reference.multipletests(p, method="fdr_bh")[1], atol=1e-12)
    with_gap = benjamini_hochberg([*p, np.nan])
    assert np.isnan(with_gap[-1])
    np.testing.assert_allclose(with_gap[:-1], theirs)


def test_effect_sizes() -> None:
    assert cohen_h(0.7, 0.4) == pytest.approx(proportion_effectsize(0.7, 0.4))
    assert chance_corrected([0.9, 0.5, 0.3, 1.0], [0.5, 0.5, 0.5, 1.0])[:3] == pytest.approx([0.8, 0.0, -0.4])
    assert np.isnan(chance_corrected(1.0, 1.0))


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=5))
def test_rank_correlation_is_the_libraries(pairs: list[tuple[int, int]]) -> None:
    x, y = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    found = rank_correlation(x, y)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert np.isnan([found.rho, found.p]).all()
        return
    assert found.rho == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
    theirs = scipy.stats.permutation_test(
        (x,), lambda order: round(abs(scipy.stats.spearmanr(order, y).statistic), 9),
        permutation_type="pairings", n_resamples=np.inf, alternative="greater",
    )  # fmt: skip
    assert found.p == pytest.approx(theirs.pvalue)


def test_rank_correlation_of_many_and_of_few() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=40)
    y = 2 * x + rng.normal(size=40)
    found = rank_correlation(x, np.where(np.arange(40) == 3, np.nan, y), seed=1)
    theirs = scipy.stats.spearmanr(np.delete(x, 3), np.delete(y, 3))
    assert found.n == 39
    assert found.rho == pytest.approx(theirs.statistic)
    assert found.p < 0.01 > theirs.pvalue
    assert found.low < found.rho < found.high
    five = rank_correlation([1, 2, 3, 4, 5], [2, 3, 5, 7, 11])
    assert (five.rho, five.p) == (1, 2 / 120)  # both perfect orders of 120
    assert five.low < 0.5  # five models do not make it certain
    assert five.high == 1
    assert np.isnan(correlation_interval(0.5, 3)).all()


def test_matrix_correlation_permutes_models() -> None:
    # three models; only the identity and swapping 0 and 1 keep the one large pair: 2 of 6 orders
    x = np.array([[0, 9, 1], [9, 0, 1], [1, 1, 0.0]])
    found = matrix_correlation(x, x)
    assert found.n == 3
    assert found.rho == pytest.approx(1)
    assert found.p == pytest.approx(2 / 6)
    off = ~np.eye(5, dtype=bool)
    a, b = np.random.default_rng(2).normal(size=(2, 5, 5))
    assert matrix_correlation(a, b).rho == pytest.approx(scipy.stats.spearmanr(a[off], b[off]).statistic)
    a[0, 1] = np.nan
    assert matrix_correlation(a, b).n == 5
    assert np.isnan(matrix_correlation(np.ones((3, 3)), a[:3, :3]).rho)


def test_families_are_ranked_each_for_itself_and_permuted_within() -> None:
    rng = np.random.default_rng(3)
    x, y, z = rng.normal(size=(3, 5, 5))
    one = pooled_matrix_correlation([(x, y)])
    assert one.rho == pytest.approx(matrix_correlation(x, y).rho)
    assert one.n == 5
    # a family of much higher values in both makes no correlation, and its own order is all that counts
    pooled = pooled_matrix_correlation([(x, y), (100 + np.exp(x), 50 + 3 * y)])
    assert pooled.rho == pytest.approx(one.rho)
    assert pooled.n == 9
    assert pooled_matrix_correlation([(x, y), (x, -y)]).rho == pytest.approx(0, abs=1e-12)
    same = pooled_matrix_correlation([(x, x), (y, y), (z, z)], draws=499)
    assert same.rho == pytest.approx(1)
    assert same.low > matrix_correlation(x, x).low  # of more models the interval is narrower
    assert same.p == pytest.approx(1 / 500)
    families = ([(a, b) for a, b in rng.normal(size=(3, 2, 4, 4))] for _ in range(200))
    apart = [pooled_matrix_correlation(one, draws=199).p for one in families]
    assert 0.4 < np.mean(apart) < 0.6  # where there is nothing p is as often high as low
    x[0, 1] = np.nan
    assert pooled_matrix_correlation([(x, y), (np.ones((3, 3)), z[:3, :3])]).n == 7
    assert np.isnan(pooled_matrix_correlation([(np.ones((3, 3)), z[:3, :3])]).rho)


def test_jaccard_weighted_by_energy() -> None:
    # {0,1} and {1,2} share one of three; by energy 1, 2, 5 they share 2 of 8; empty sets share nothing with any
    masks = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]], dtype=bool)
    plain, weighted = jaccard(masks), jaccard(masks, np.array([1.0, 2.0, 5.0, 9.0]))
    assert plain[0, 1] == pytest.approx(1 / 3)
    assert weighted[0, 1] == weighted[1, 0] == pytest.approx(2 / 8)
    assert plain[0, 0] == weighted[1, 1] == 1
    assert plain[0, 2] == 0
    assert np.isnan(plain[2, 2])


# --- bootstrap ------------------------------------------------------------------------------------------------


def test_bootstrap_is_seeded_and_knows_its_limits() -> None:
    sums, counts = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 0.0]]), np.array([[2.0, 1.0], [4.0, 0.0], [2.0, 0.0]])
    value, low, high = cluster_bootstrap(sums, counts, seed=3)
    assert value.tolist() == [0.5, 0.0]
    again = cluster_bootstrap(sums, counts, seed=3)
    assert (low[0], high[0]) == (again[1][0], again[2][0])
    assert low[0] <= 0.5 <= high[0]
    assert np.isnan([low[1], high[1]]).all()  # one clip says nothing about others
    assert np.concatenate(list(draw_weights(7, 5))).sum(axis=1).tolist() == [7] * 5
    assert np.isnan(resample(np.empty((0, 2)), np.empty((0, 2)), draws=3)).all()
    with pytest.raises(ConfigError, match="level 95"):
        wilson(1, 2, 95)


def clustered(rng: np.random.Generator, clips: int, signals: int, rate: float) -> Real:
    """How many of each clip's signals are accepted, [clips]: the clip decides much of it."""
    own = rng.beta(2 * rate, 2 * (1 - rate), clips)
    return rng.binomial(signals, own).astype(np.float64)


@pytest.mark.parametrize(("clips", "rate"), [(20, 0.6), (60, 0.8), (180, 0.3)])
def test_bootstrap_intervals_cover(clips: int, rate: float) -> None:
    """95 % intervals hold the truth in 92 to 97 % of 1000 studies with signals of a clip alike."""
    rng = np.random.default_rng(clips)
    sums = np.stack([clustered(rng, clips, 10, rate) for _ in range(1000)], axis=1)
    counts = np.full_like(sums, 10)
    low, high = interval(resample(sums, counts, draws=1000, seed=clips), clips)
    assert 0.92 <= ((low <= rate) & (rate <= high)).mean() <= 0.97
    # signals taken for independent: the interval would be far too narrow
    low, high = wilson(sums.sum(axis=0), counts.sum(axis=0))
    assert ((low <= rate) & (rate <= high)).mean() < 0.85


def test_intervals_of_differences_cover() -> None:
    rng = np.random.default_rng(5)
    first, second = (
        np.stack([clustered(rng, 40, 5, rate) for _ in range(1000)], axis=1) for rate in (0.7, 0.4)
    )  # fmt: skip
    counts = np.full_like(first, 5)
    replicates = resample(first, counts, draws=1000) - resample(second, counts, draws=1000)
    low, high = interval(replicates, 40)
    assert 0.92 <= ((low <= 0.3) & (high >= 0.3)).mean() <= 0.97


# --- flat-earthers --------------------------------------------------------------------------------------------


def family(rng: np.random.Generator, models: int, clips: int, apart: float, spread: float) -> tuple[Real, Real]:
    """Accepted signals and signals [clips, n, n] of models that differ by ``spread``; the last stands ``apart``."""
    convincing, convinced = rng.normal(0, spread, (2, models))
    convincing[-1] -= apart
    convinced[-1] -= apart
    ease = rng.normal(0.8, 1, clips)
    logits = ease[:, None, None] + convincing[None, :, None] + convinced[None, None]
    counts = np.full((clips, models, models), 2.0)
    return rng.binomial(2, 1 / (1 + np.exp(-logits))).astype(np.float64), counts


def found_in(
    apart: float, models: int = 6, clips: int = 60, spread: float = 0.3, margin: float = 0.1
) -> list[set[int]]:
    """The models called flat-earthers at p < 0.01 in each of 100 families."""
    verdicts = []
    for seed in range(100):
        sums, counts = family(np.random.default_rng([seed, models]), models, 60, apart, spread)
        p = find_flat_earthers(sums, counts, margin=margin, draws=400, seed=seed).p
        verdicts.append(set(np.flatnonzero(p < 0.01).tolist()))
    return verdicts


def test_a_planted_flat_earther_is_found() -> None:
    # two logits apart: some 0.7 among peers, some 0.25 with the flat-earther
    assert sum(found == {5} for found in found_in(2.0)) >= 95
    assert sum(found == {2} for found in found_in(2.0, models=3)) >= 95


@pytest.mark.parametrize("models", [3, 6])
@pytest.mark.parametrize(("spread", "margin"), [(0.0, 0.0), (0.3, 0.1)])
def test_ordinary_models_are_not_called_flat_earthers(models: int, spread: float, margin: float) -> None:
    """Not where models are alike, nor, with the margin, where they differ as models do."""
    assert sum(bool(found) for found in found_in(0.0, models, spread=spread, margin=margin)) <= 7


def test_who_only_believes_or_only_convinces_is_no_flat_earther() -> None:
    rng = np.random.default_rng(0)
    rates = np.full((4, 4), 0.9)
    rates[3] = 0.1  # convinces nobody, but believes all
    sums = rng.binomial(1, rates, (100, 4, 4)).astype(np.float64)
    found = find_flat_earthers(sums, np.ones_like(sums), draws=300)
    assert found.score[3] < 0.1
    assert found.p[3] > 0.5


def test_flat_earther_scores_worked_out() -> None:
    # α: a→b 1, a→c ½, b→a 1, b→c ½, c→a 0, c→b ½; the diagonal does not count
    rates = np.array([[9, 1, 0.5], [1, 9, 0.5], [0, 0.5, 9]])
    convincing, convinced, peers, score = flat_earther_scores(rates)
    assert convincing.tolist() == [0.75, 0.75, 0.25]
    assert convinced.tolist() == [0.5, 0.75, 0.5]
    assert peers.tolist() == [0.5, 0.25, 1.0]
    assert score.tolist() == [-0.25, -0.5, 0.5]  # c: min(1 − ¼, 1 − ½)
    rates[2, 0] = np.nan  # c has no signal that a judged
    assert flat_earther_scores(rates)[0].tolist() == [0.75, 0.75, 0.5]
    assert np.isnan(flat_earther_scores(rates[:2, :2])[3]).all()
    two = find_flat_earthers(np.ones((5, 2, 2)), np.ones((5, 2, 2)), draws=10)
    assert np.isnan(np.concatenate([two.score, two.p, two.low])).all()


def test_models_without_signals_have_no_rate() -> None:
    sums, counts = np.ones((6, 3, 3)), np.ones((6, 3, 3))
    sums[:, 2], counts[:, 2] = 0, 0  # the third was never explained
    found = find_flat_earthers(sums, counts, draws=50)
    assert np.isnan(found.convincing[2])
    assert np.isnan(found.score[2])
    assert found.convinced[2] == 1
    assert found.p[0] <= 1
    assert np.isnan(ratio(np.zeros(1), np.zeros(1))).all()


# --- reliability ----------------------------------------------------------------------------------------------


def sample(rates: Real, clips: int, rng: np.random.Generator) -> tuple[Real, Real]:
    """Clips that models accept or not, each pair at its own rate: sums and counts."""
    accepted = rng.random((clips, *rates.shape)) < rates
    return accepted.astype(np.float64), np.ones(accepted.shape)


def test_what_halves_foretell_is_what_other_recordings_say() -> None:
    rng = np.random.default_rng(0)
    whole, between, wanted, found = [], [], [], []
    for _ in range(60):
        rates = rng.uniform(0.3, 0.7, (6, 6))
        one, two = (sample(rates, 40, rng) for _ in range(2))
        told = split_half(*one, splits=40)
        whole.append(told.whole)
        wanted.append(told.wanted(0.9))
        off = ~np.eye(6, dtype=bool)
        between.append(scipy.stats.spearmanr(one[0].mean(0)[off], two[0].mean(0)[off]).statistic)
    enough = round(float(np.median(wanted)))
    for _ in range(20):
        rates = rng.uniform(0.3, 0.7, (6, 6))
        means = (sample(rates, enough, rng)[0].mean(0)[~np.eye(6, dtype=bool)] for _ in range(2))
        found.append(scipy.stats.spearmanr(*means).statistic)
    assert np.mean(whole) == pytest.approx(np.mean(between), abs=0.05)
    assert 0.5 < np.mean(between) < 0.75, "halves alone would foretell it"
    assert np.mean(found) == pytest.approx(0.9, abs=0.03)


def test_reliability_of_certain_and_of_equal_rates() -> None:
    rng = np.random.default_rng(1)
    certain = split_half(*sample((np.arange(9) > 4).reshape(3, 3).astype(float), 8, rng))
    assert (certain.pairs, certain.clusters, certain.halves, certain.whole) == (6, 8, 1, 1)
    assert certain.wanted(0.9) == 4
    chance = np.array([split_half(*sample(np.full((5, 5), 0.5), 30, rng), splits=40).halves for _ in range(40)])
    assert abs(chance.mean()) < 0.1
    assert np.isnan(split_half(*sample(np.ones((3, 3)), 8, rng)).halves)
    assert split_half(*sample(np.ones((3, 3)), 8, rng)).why == "the pairs do not differ"


@pytest.mark.parametrize(("clips", "models", "why"), [(3, 4, "fewer than 4 clusters"), (9, 2, "fewer than 3 pairs")])
def test_few_recordings_or_pairs_have_no_reliability(clips: int, models: int, why: str) -> None:
    sums, counts = sample(np.full((models, models), 0.5), clips, np.random.default_rng(2))
    found = split_half(np.concatenate([sums, 0 * sums]), np.concatenate([counts, 0 * counts]))
    assert why in found.why
    assert found.clusters == clips, "what has no signal does not count"
    assert np.isnan([found.halves, found.whole, found.wanted(0.9)]).all()
