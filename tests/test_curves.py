"""Transfer curves and shared evidence: planted models whose shared evidence is known, and what sets nest."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import earwitness
from earwitness import ConfigError
from earwitness.analyses.nested import (
    ask_curves,
    draw_curves,
    energy_order,
    prefix_sizes,
    profile_order,
)
from earwitness.analyses.settings import CurveSettings
from earwitness.search.candidates import prefixes
from earwitness.search.driver import Driver
from earwitness.search.responsibility import rank_by
from earwitness.signal.draws import make_rng
from earwitness.transferability.answers import Answers
from earwitness.transferability.options import Options
from earwitness.transferability.tables import make_tables
from earwitness.transferability.tables.evidence import FEW_CLIPS, NO_MAP, NOT_BEYOND_PROFILE, Areas, shared_by_clip
from planted_curves import FIRST_HALF, SIZE, A, B, Reader, ask_readers, make_energies
from test_transfer import ALSO, HIGH, LOW, explained

TABLES = (
    "transfer_curves", "shared_evidence", "matrix_shared_evidence", "shared_flat_earthers", "shared_correlations",
    "reliability",
)  # fmt: skip
READERS = {"a": Reader(A), "same": Reader(A), "half": Reader(FIRST_HALF), "other": Reader(B), "sure": Reader(B, 0.98)}


@pytest.fixture(scope="module")
def answers() -> Answers:
    return ask_readers(READERS, range(30))


@pytest.fixture(scope="module")
def tables(answers: Answers) -> dict[str, pl.DataFrame]:
    return make_tables(answers, Options(draws=500), TABLES)


def pair(tables: dict[str, pl.DataFrame], source: str, judge: str) -> dict[str, Any]:
    return tables["shared_evidence"].filter(source=source, judge=judge).row(0, named=True)


@pytest.mark.parametrize(("source", "judge", "truth"), [
    ("a", "same", 1), ("same", "a", 1), ("other", "a", 0), ("a", "other", 0), ("half", "other", 0), ("half", "a", 0.5),
])  # fmt: skip
def test_shared_evidence_is_the_planted(tables: dict[str, pl.DataFrame], source: str, judge: str, truth: float) -> None:
    found = pair(tables, source, judge)
    assert found["shared_low"] - 1e-9 <= truth <= found["shared_high"] + 1e-9  # sums of zeros are rounded
    assert found["shared_high"] - found["shared_low"] < 0.2
    assert (found["clips"], found["agreement"], found["why"]) == (30, 1, "")
    assert found["shared"] == pytest.approx(found["gain"] / (found["own"] - found["own_profile"]))
    assert found["gain"] == pytest.approx(found["other"] - found["profile"])
    # random sets and the order by energy bring as much of any band as of the clip
    for name in ("random", "energy"):
        assert found[name] == pytest.approx(0.02 + 0.96 * np.mean(CurveSettings().levels[:-1]), abs=0.05)
    assert found["own"] == pytest.approx(0.98)


def test_more_evidence_than_the_judge_needs_is_shared_whole(tables: dict[str, pl.DataFrame]) -> None:
    """What a reads holds all that half reads."""
    assert pair(tables, "a", "half")["shared"] == pytest.approx(1, abs=0.02)  # their profiles are drawn apart


def test_the_profile_of_another_map_is_as_random_sets(tables: dict[str, pl.DataFrame]) -> None:
    found = pair(tables, "a", "same")
    assert found["profile"] == pytest.approx(found["random"], abs=0.05)


def test_a_judge_that_says_its_label_to_anything_has_none(tables: dict[str, pl.DataFrame]) -> None:
    for source in ("a", "same", "half", "other"):
        found = pair(tables, source, "sure")
        assert found["why"] == NOT_BEYOND_PROFILE
        assert (found["shared"], found["shared_low"], found["shared_high"]) == (None, None, None)
        assert found["own"] == pytest.approx(found["own_profile"])
    assert pair(tables, "sure", "other")["shared"] == pytest.approx(1, abs=0.02)  # its map is one all the same
    matrix = tables["matrix_shared_evidence"]
    assert matrix["model"].to_list() == [*READERS, "average"]
    assert matrix["sure"].to_list() == [None] * 6
    assert matrix.filter(model="a")["a"].item() == 1
    assert matrix.filter(model="half")["a"].item() == pair(tables, "half", "a")["shared"]


def test_curves_of_all_orders(tables: dict[str, pl.DataFrame]) -> None:
    curves, levels = tables["transfer_curves"], CurveSettings().levels
    assert curves["order"].unique(maintain_order=True).to_list() == ["map", "profile", "energy", "random"]
    own = curves.filter(order="map", source="a", judge="a")
    assert own["level"].to_list() == list(levels)
    np.testing.assert_allclose(own["probability"], 0.98)
    assert own["alpha"].to_list() == own["alpha_low"].to_list() == [1] * len(levels)
    assert own["size"][-1] == SIZE
    other = curves.filter(order="map", source="a", judge="other")
    assert other["alpha"][0] == 0
    np.testing.assert_allclose(other["probability"], 0.02 + 0.96 * np.array(levels), atol=0.06)
    assert curves.filter(order="random")["source"].unique().to_list() == [""]
    assert set(curves["clips"]) == {30}


def test_halves_of_the_clips_rank_planted_pairs_alike(tables: dict[str, pl.DataFrame]) -> None:
    rows = {row["what"]: row for row in tables["reliability"].iter_rows(named=True)}
    assert list(rows) == ["alpha", "gain", "shared"]
    # a band is accepted always or never; what is sure of itself anyway has no shared evidence of its own
    assert (rows["alpha"]["whole"], rows["alpha"]["wanted"]) == (1, 4)
    assert [row["pairs"] for row in rows.values()] == [20, 20, 16]
    assert all(row["clusters"] == 30 and row["halves"] > 0.7 and not row["why"] for row in rows.values())


def test_who_shares_no_evidence_is_found() -> None:
    crowd = {"a": Reader(A), "b": Reader(A), "c": Reader(A), "lonely": Reader(B)}
    found = make_tables(ask_readers(crowd, range(12)), Options(draws=500), TABLES)
    scores = found["shared_flat_earthers"]
    assert scores["model"][scores["score"].arg_max() or 0] == "lonely"
    lonely = scores.filter(model="lonely").row(0, named=True)
    assert lonely["score"] == pytest.approx(1, abs=0.1)
    assert lonely["low"] > 0.8
    assert lonely["p"] < 0.01
    assert (scores.filter(pl.col("model") != "lonely")["p"] > 0.5).all()
    # who accepts whose band is who shares whose evidence
    (row,) = found["shared_correlations"].rows(named=True)
    assert (row["kind"], row["models"]) == ("sufficient", 4)
    assert row["rho"] > 0.8


def test_only_clips_that_both_give_the_same_label_count() -> None:
    readers = {"a": Reader(A), "b": Reader(A, denies=frozenset(range(8))), "c": Reader(A, denies=frozenset(range(9)))}
    answers = ask_readers(readers, range(10))
    found = make_tables(answers, Options(draws=100), TABLES)
    assert (pair(found, "a", "b")["clips"], pair(found, "a", "b")["agreement"]) == (2, 0.2)
    assert pair(found, "a", "b")["shared"] == 1
    alone = pair(found, "a", "c")
    assert (alone["clips"], alone["shared"], alone["why"]) == (1, None, FEW_CLIPS)
    curves = found["transfer_curves"]
    assert set(curves.filter(source="a", judge="b")["clips"]) == {2}
    assert set(curves.filter(order="random", judge="b")["clips"]) == {10}
    by_clip = shared_by_clip(answers)
    assert by_clip.filter(source="a", judge="b")["clip"].to_list() == [8, 9]
    assert by_clip.filter(source="a", judge="b")["shared"].to_list() == [1, 1]


def test_models_without_maps_have_none(answers: Answers) -> None:
    bare = replace(answers, nested=answers.nested.filter(pl.col("source") != "a"))
    found = make_tables(bare, Options(draws=100), TABLES)
    assert pair(found, "a", "same")["why"] == pair(found, "same", "a")["why"] == NO_MAP
    assert pair(found, "other", "same")["why"] == ""


def test_groups_are_resampled_where_asked(answers: Answers, tables: dict[str, pl.DataFrame]) -> None:
    by_group = make_tables(answers, Options(draws=500, cluster="group"), TABLES)
    assert pair(by_group, "half", "a")["shared"] == pytest.approx(pair(tables, "half", "a")["shared"])
    assert pair(by_group, "half", "a")["shared_low"] != pair(tables, "half", "a")["shared_low"]


def test_the_order_of_clips_changes_nothing(answers: Answers, tables: dict[str, pl.DataFrame]) -> None:
    mixed = replace(
        answers, nested=answers.nested.sample(fraction=1, shuffle=True, seed=1),
        originals=answers.originals.reverse(),
    )  # fmt: skip
    found = make_tables(mixed, Options(draws=500), TABLES)
    for name in TABLES:
        assert_frame_equal(found[name], tables[name])


def test_tables_of_no_curves_are_empty(answers: Answers) -> None:
    found = make_tables(replace(answers, nested=answers.nested.clear()), names=TABLES)
    assert found.pop("reliability")["what"].to_list() == ["alpha"]
    for table in found.values():
        assert table.is_empty()
        assert table.columns


def test_acceptance_is_a_measure_too(answers: Answers) -> None:
    areas = Areas.of(answers, "accepted")
    assert areas.map[:, 0, 0].tolist() == [1.0] * 30
    assert np.isin(areas.map * 8, range(9)).all()


energies_of = st.lists(st.floats(0, 1), min_size=1, max_size=60).filter(lambda values: sum(values) > 0.01)
levels_of = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=6, unique=True).map(
    lambda values: (*sorted(values), 1.0)
)


@given(energies_of, levels_of, st.integers(0, 99))
def test_sets_nest_and_reach_their_levels_with_the_fewest(
    values: list[float], levels: tuple[float, ...], seed: int
) -> None:
    energies, rng = np.array(values) / sum(values), make_rng(seed)
    maps = {"m": rng.integers(0, 3, len(values)), "n": rng.random(len(values))}
    curves = dict(draw_curves(maps, energies, CurveSettings(levels=levels, draws=2), "clip"))
    assert len(curves) == 2 + 2 * 2 + 1 + 2
    for (kind, source, _), masks in curves.items():
        assert (masks[:-1] <= masks[1:]).all()
        assert masks[-1].all()
        if kind == "profile":
            np.testing.assert_array_equal(masks.sum(axis=1), curves["map", source, 0].sum(axis=1))
            continue
        reached = masks @ energies
        assert (reached >= np.array(levels) - 1e-9).all()
    for name, scores in maps.items():
        order, masks = rank_by(np.asarray(scores, dtype=np.float64), energies), curves["map", name, 0]
        assert (np.diff(scores[order].astype(float)) <= 0).all()
        tied = np.diff(scores[order]) == 0
        assert (np.diff(energies[order])[tied] <= 0).all()
        for level, mask in zip(levels[:-1], masks, strict=False):
            assert energies[order[: mask.sum() - 1]].sum() < level + 1e-9  # one fewer does not reach it


def test_levels_by_hand() -> None:
    energies = np.array([0.1, 0.4, 0.0, 0.3, 0.2])
    order = energy_order(energies)
    assert order.tolist() == [1, 3, 4, 0, 2]
    sizes = prefix_sizes(order, energies, (0.3, 0.41, 0.65, 1.0))
    assert sizes.tolist() == [1, 2, 2, 5]
    assert prefixes(order, sizes, order.size).astype(int).tolist() == [
        [0, 1, 0, 0, 0], [0, 1, 0, 1, 0], [0, 1, 0, 1, 0], [1, 1, 1, 1, 1],
    ]  # fmt: skip


@given(st.integers(1, 300), st.integers(0, 99))
def test_a_profile_is_made_of_neighbours_by_energy(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    energies, order = rng.exponential(size=size), rng.permutation(size)
    other = profile_order(order, energies, rng)
    assert sorted(other) == list(range(size))
    rank = np.argsort(energy_order(energies))
    assert np.abs(rank[order] - rank[other]).max() < 8
    assert (order == other).sum() <= 2  # a ring of one, at either end


def test_profiles_are_as_loud_and_elsewhere() -> None:
    energies = np.random.default_rng(0).exponential(size=4001)
    scores = (np.random.default_rng(1).random(4001) < 0.1).astype(float)
    curves = dict(draw_curves({"m": scores}, energies / energies.sum(), CurveSettings(), "clip"))
    mine, its = curves["map", "m", 0][4], curves["profile", "m", 0][4]  # a fifth of the energy
    assert abs(energies[its].sum() / energies[mine].sum() - 1) < 0.05
    assert (mine & its).sum() / mine.sum() < 0.5


def test_draws_depend_on_their_facts_alone() -> None:
    energies, maps = make_energies(0), {"a": Reader(A).map, "b": Reader(B).map}
    few = dict(draw_curves({"a": maps["a"]}, energies, CurveSettings(draws=2), "clip"))
    more = dict(draw_curves(maps, energies, CurveSettings(draws=5, profiles=2), "clip"))
    assert few.keys() < more.keys()
    for curve, masks in few.items():
        np.testing.assert_array_equal(masks, more[curve])
    added = dict(draw_curves(maps, energies, CurveSettings(draws=5, profiles=2), "clip", known=few.keys()))
    assert added.keys() == more.keys() - few.keys()
    for other in (dict(draw_curves(maps, energies, CurveSettings(seed=1), "clip")),
                  dict(draw_curves(maps, energies, CurveSettings(), "another clip"))):  # fmt: skip
        for curve in few:
            assert (other[curve] == few[curve]).all() == (curve[0] in ("map", "energy"))
    drawn = [more["random", "", draw][3] for draw in range(5)]
    assert all((one != other).any() for one, other in pairwise(drawn))


def test_distinct_sets_are_asked_once() -> None:
    asked: list[int] = []

    def ask(masks: Any) -> Any:
        asked.append(len(masks))
        assert len({mask.tobytes() for mask in masks}) == len(masks)
        return Reader(A).answer(masks, 0)

    maps = {"a": Reader(A).map, "same": Reader(A).map}
    settings = CurveSettings(levels=(0.1, 0.5, 1.0), draws=2, profiles=1)
    rows = ask_curves(maps, make_energies(0), ask, settings, "clip")
    assert len(rows) == (2 + 2 + 1 + 2) * 3
    assert asked == [6 * 2 + 1]  # both maps are the same, and all end with the whole clip
    assert ask_curves(maps, make_energies(0), ask, settings, "clip",
                      known={(row.order, row.source, row.draw) for row in rows}) == []  # fmt: skip
    assert len(asked) == 1
    whole = [row for row in rows if row.level == 1]
    assert {(row.size, row.accepted) for row in whole} == {(SIZE, True)}


def test_batches_change_nothing(tmp_path: Path) -> None:
    (explanation,) = explained(tmp_path, LOW)
    spectrum = explanation.spectrum
    assert explanation.responsibility is not None
    maps = {"low": explanation.responsibility}
    found = [
        ask_curves(
            maps, spectrum.energy, partial(Driver(HIGH, batch=batch).evaluate, spectrum), CurveSettings(), "clip"
        )
        for batch in (1, 64)
    ]
    assert found[0] == found[1]


def test_transfer_asks_about_curves(tmp_path: Path) -> None:
    explanations = explained(tmp_path, LOW, HIGH, clips=2)
    answers = earwitness.transfer(explanations, [LOW, ALSO, HIGH], curves=CurveSettings(draws=2))
    assert answers.nested.height == 2 * 3 * (2 + 2 * 2 + 1 + 2) * 9
    assert set(answers.nested["source"]) == {"low", "high", ""}
    assert earwitness.transfer(explanations, [LOW]).nested.is_empty()
    renamed = answers.rename_models({"low": "1", "also_low": "2", "high": "3"})
    assert set(renamed.nested["source"]) == {"1", "3", ""}
    assert set(renamed.nested["judge"]) == {"1", "2", "3"}
    assert answers.nested["clip"].value_counts().sort("clip").rows() == [(1, 3 * 9 * 9), (2, 3 * 9 * 9)]
    rows = make_tables(answers, Options(draws=100), ["shared_evidence"])["shared_evidence"]
    assert rows.filter(source="also_low")["why"].to_list() == [NO_MAP] * 2
    # a table gives what the judge says to the signal of the set
    one = answers.nested.filter(order="energy", level=0.5, judge="low", clip=1).row(0, named=True)
    spectrum = explanations[0].spectrum
    mask = prefixes(energy_order(spectrum.energy), np.array([one["size"]]), spectrum.size)
    assert one["energy"] == pytest.approx(spectrum.energy[mask[0]].sum())
    answer = Driver(LOW).evaluate(spectrum, mask)[0]
    assert one["probability"] == pytest.approx(np.exp(answer[LOW.labels.index(explanations[0].label)]), rel=1e-6)


@pytest.mark.parametrize("levels", [(), (1.0,), (0.5, 0.2), (0.0, 0.5), (0.5, 0.5, 1.0), (0.5, 1.5)])
def test_levels_that_make_no_curve_are_refused(levels: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match=r"use rising shares of the energy, the first below 1, e\.g\. 0\.05,0\.2,1"):
        CurveSettings(levels=levels)
