"""Every table against a case worked out by hand, see :mod:`planted_answers`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest

from earwitness import ConfigError
from earwitness.transferability.answers import Answers
from earwitness.transferability.options import Options
from earwitness.transferability.tables import TABLES, make_tables
from planted_answers import (
    LABELS,
    MODELS,
    SURE,
    UNSURE,
    Case,
    make_case,
)


@pytest.fixture(scope="module")
def answers() -> Answers:
    return make_case()


@pytest.fixture(scope="module")
def tables(answers: Answers) -> dict[str, pl.DataFrame]:
    return make_tables(answers, Options(draws=300))


def row(table: pl.DataFrame, **keys: Any) -> dict[str, Any]:
    found = table.filter(*(pl.col(name) == value for name, value in keys.items()))
    assert found.height == 1, (keys, found)
    return found.row(0, named=True)


def test_models(tables: dict[str, pl.DataFrame]) -> None:
    a, b, c = tables["models"].to_dicts()
    assert [one["accuracy"] for one in (a, b, c)] == [1.0, 0.75, 0.75]
    # convincing: means of a row of α; convinced: of a column; the diagonal left out
    assert [one["convincing"] for one in (a, b, c)] == pytest.approx([0.7, 0.625, 0.125])
    assert [one["convinced"] for one in (a, b, c)] == pytest.approx([0.375, 0.3, 0.775])
    assert [one["sets"] for one in (a, b, c)] == [5, 4, 4]
    assert [one["vacuous"] for one in (a, b, c)] == [0, 1, 0]
    assert [one["median_size"] for one in (a, b, c)] == [20, 20, 25]  # of 10 10 20 30 40; 10 0 30 40; 10 20 30 40
    # Wilson of 3 of 4: centre (0.75 + 0.48)/1.96, see scipy in test_statistics
    assert (b["accuracy_low"], b["accuracy_high"]) == pytest.approx((0.300642, 0.954413), abs=1e-5)
    for one in (a, b, c):
        assert one["convincing_low"] <= one["convincing"] <= one["convincing_high"]


def test_sets(tables: dict[str, pl.DataFrame]) -> None:
    found = row(tables["sets"], kind="sufficient", source="b")
    assert [found[name] for name in ("sets", "clips", "vacuous", "one_minimal", "none")] == [4, 4, 1, 1, 3]
    assert (found["median_size"], found["median_energy"]) == (20, 0.1)
    assert tables["sets"]["kind"].to_list() == ["sufficient"] * 3 + ["complete"] * 2


def test_matrices_are_the_papers_tables(tables: dict[str, pl.DataFrame]) -> None:
    table = tables["matrix_sufficient"]
    assert table.columns == ["model", "a", "b", "c", "average", "parameters", "accuracy", "backend"]
    expected = [[1, 0.6, 0.8, 0.7], [0.5, 1, 0.75, 0.625], [0.25, 0, 1, 0.125], [0.375, 0.3, 0.775, 2.9 / 6]]
    np.testing.assert_allclose(table.select("a", "b", "c", "average").to_numpy(), expected)
    assert table["model"].to_list() == ["a", "b", "c", "average"]
    assert table["parameters"].to_list() == [100, 300, 200, None]
    complete = tables["matrix_complete"]
    assert row(complete, model="a")["average"] == 1
    assert row(complete, model="b")["average"] is None  # it has no complete signals
    assert row(complete, model="average")["a"] == 0.25  # only c's are there to convince a
    assert tables["matrix_one_complete"]["average"].is_null().all()


def test_agreement(tables: dict[str, pl.DataFrame]) -> None:
    pairs = {(one["source"], one["judge"]): one["agreement"] for one in tables["agreement"].to_dicts()}
    assert pairs == {
        ("a", "a"): 1, ("a", "b"): 0.75, ("a", "c"): 0.75, ("b", "a"): 0.75, ("b", "b"): 1, ("b", "c"): 0.5,
        ("c", "a"): 0.75, ("c", "b"): 0.5, ("c", "c"): 1,
    }  # fmt: skip


def test_transfer(tables: dict[str, pl.DataFrame]) -> None:
    # a→b: X Y X y X to claims x x x y y: accepted 1 0 1 1 0, certain 1 1 1 0 1
    found = row(tables["transfer"], kind="sufficient", source="a", judge="b")
    assert (found["signals"], found["clips"]) == (5, 4)
    assert (found["alpha"], found["beta"], found["joint"]) == pytest.approx((0.6, 0.8, 0.4))
    # b agrees with a on clips 1 1 2 3 but not on 4: 4 of 5 signals, of which 3 accepted, and 0 of the other
    assert (found["agreement"], found["alpha_agreed"], found["alpha_disagreed"]) == pytest.approx((0.8, 0.75, 0))
    none = row(tables["transfer"], kind="sufficient", source="c", judge="b")
    assert (none["alpha"], none["alpha_low"], none["alpha_high"], none["wilson_low"]) == (0, 0, 0, 0)
    assert none["wilson_high"] == pytest.approx(0.489891, abs=1e-5)  # 1.96²/(4 + 1.96²): none of four is not never
    assert row(tables["transfer"], kind="complete", source="a", judge="b")["beta"] == 0
    assert tables["transfer"].filter(source="b", kind="complete").is_empty()


def test_transferable_and_curves(tables: dict[str, pl.DataFrame]) -> None:
    # a's signals by (b, c): accepted 11 01 10 11 01, certain 10 11 11 01 11, both 10 01 10 01 01: none by all
    found = row(tables["transferable"], kind="sufficient", source="a")
    assert (found["alpha"], found["beta"], found["joint"], found["transferable"]) == pytest.approx((0.7, 0.8, 0.5, 0))
    # b's are all answered surely: accepted by both 11 00 11 01, so 2 of 4
    assert row(tables["transferable"], kind="sufficient", source="b")["transferable"] == 0.5
    curve = tables["curves"].filter(kind="sufficient", source="a")
    assert curve["epsilon"].to_list() == [round(0.05 * i, 2) for i in range(1, 21)]
    joint = dict(zip(curve["epsilon"], curve["joint"], strict=True))
    # below 0.1018 nothing is certain; from there the sure answers are; above 0.9912 all are, and joint is α
    assert [joint[0.1], joint[0.15], joint[0.95], joint[1.0]] == pytest.approx([0, 0.5, 0.5, 0.7])
    transferable = dict(zip(curve["epsilon"], curve["transferable"], strict=True))
    assert [transferable[0.95], transferable[1.0]] == pytest.approx([0, 2 / 5])  # clip 1's first, clip 3's


def test_classes_and_data_sets(tables: dict[str, pl.DataFrame]) -> None:
    # a on class x: three signals, accepted 11 01 10 by (b, c): 4 of 6; on y 11 01: 3 of 4
    found = {label: row(tables["classes"], kind="sufficient", source="a", label=label) for label in LABELS}
    assert found["x"]["alpha"] == pytest.approx(4 / 6)
    assert found["y"]["alpha"] == pytest.approx(3 / 4)
    assert (found["z"]["signals"], found["z"]["clips"], found["z"]["alpha"]) == (0, 0, None)  # never said
    # b says y to clip 3 only: one clip has a rate but no interval
    one = row(tables["classes"], kind="sufficient", source="b", label="y")
    assert (one["signals"], one["alpha"], one["alpha_low"], one["alpha_high"]) == (1, 1, None, None)
    assert row(tables["datasets"], kind="sufficient", source="a", dataset="even")["alpha"] == 0.5
    assert row(tables["datasets"], kind="sufficient", source="a", dataset="odd")["alpha"] == pytest.approx(5 / 6)


def test_draws(tables: dict[str, pl.DataFrame]) -> None:
    # only a on clip 1 has two sets. b accepts the first, not the second: p = ½, √(½·½)/1 = ½; c accepts both
    assert tables["draws"].height == 2
    b, c = (row(tables["draws"], source="a", judge=name) for name in "bc")
    names = ("clips", "sets", "alpha", "first", "least", "most", "split", "draw_sd")
    assert [b[name] for name in names] == [1, 2, 0.5, 1, 0, 1, 1, 0.5]
    assert [c[name] for name in names] == [1, 2, 1, 1, 1, 1, 0, 0]


def test_chance(tables: dict[str, pl.DataFrame]) -> None:
    # a→c: null signals of the same size are answered Y Y Y Y X to claims x x x y y: 1 of 5
    found = row(tables["chance"], kind="sufficient", source="a", judge="c", null="null_size")
    assert (found["signals"], found["alpha"], found["chance"]) == pytest.approx((5, 0.8, 0.2))
    assert (found["excess"], found["corrected"]) == pytest.approx((0.6, 0.75))
    # a→b: X Y Y Y X: accepted 1 0 0 1 0, two of five
    other = row(tables["chance"], kind="sufficient", source="a", judge="b", null="null_size")
    assert (other["chance"], other["excess"], other["corrected"]) == pytest.approx((0.4, 0.2, 1 / 3))
    # c says y to silence: it accepts a's two signals of class y for nothing, and all of its own but one
    quiet = row(tables["chance"], kind="sufficient", source="a", judge="c", null="silence")
    assert (quiet["signals"], quiet["chance"]) == pytest.approx((5, 0.4))
    own = row(tables["chance"], kind="sufficient", source="c", judge="c", null="silence")
    assert (own["alpha"], own["chance"]) == (1, 0.75)
    original = row(tables["chance"], kind="sufficient", source="a", judge="b", null="original")
    assert original["chance"] == pytest.approx(0.8)
    assert original["excess"] == pytest.approx(-0.2)  # worse than the clip itself
    assert row(tables["chance"], kind="sufficient", source="a", judge="a", null="original")["corrected"] is None
    assert tables["chance"].filter(null="null_energy").is_empty()  # none were drawn


def test_silence(tables: dict[str, pl.DataFrame]) -> None:
    a, b, c = tables["silence"].to_dicts()
    assert [one["answer"] for one in (a, b, c)] == ["y", "x", "y"]
    assert [one["probability"] for one in (a, b, c)] == pytest.approx([0.98, 0.4, 0.98])
    # others' signals of class y on a: b's of clip 3 yes; c's of clips 2 3 4: no yes no → 2 of 4; of x: 1 of 4
    assert (a["same_label"], a["alpha_same"], a["other_label"], a["alpha_other"]) == (4, 0.5, 4, 0.25)
    assert (a["clips"], a["share"], a["vacuous"], b["vacuous"]) == (4, 1, 0, 1)


def test_vacuous(answers: Answers, tables: dict[str, pl.DataFrame]) -> None:
    # b's empty set of clip 2 is rejected by both: without it b→a 2 of 3, b→c 3 of 3
    found = {name: row(tables["vacuous"], kind="sufficient", source="b", judge=name) for name in "ac"}
    assert [found[name]["alpha"] for name in "ac"] == [0.5, 0.75]
    assert [found[name]["alpha_without"] for name in "ac"] == pytest.approx([2 / 3, 1])
    assert [found[name]["vacuous"] for name in "ac"] == [1, 1]
    without = make_tables(answers, Options(draws=10, vacuous=False), ["matrix_sufficient", "models", "silence"])
    assert without["silence"]["answer"].to_list() == ["y", "x", "y"]
    assert row(without["matrix_sufficient"], model="b")["c"] == 1
    assert row(without["models"], model="b")["vacuous"] == 0


def test_partial_credit(tables: dict[str, pl.DataFrame]) -> None:
    # a→b, claims x x x y y, answers X Y X y X: probabilities .98 .01 .98 .4 .01; ranks 1, 2 (x before z), 1, 1, 2
    found = row(tables["partial_credit"], kind="sufficient", source="a", judge="b")
    assert found["probability"] == pytest.approx((0.98 + 0.01 + 0.98 + 0.4 + 0.01) / 5, abs=1e-6)
    assert (found["rank"], found["top3"]) == pytest.approx((1.4, 1))
    assert found["entropy"] == pytest.approx((4 * SURE + UNSURE) / 5, abs=1e-6)
    assert found["entropy_share"] == pytest.approx((4 * SURE + UNSURE) / 5 / np.log2(3), abs=1e-6)


def test_flat_earthers(tables: dict[str, pl.DataFrame]) -> None:
    found = tables["flat_earthers"].filter(kind="sufficient")
    # peers: of a (¾ + 0)/2, of b (⅘ + ¼)/2, of c (⅗ + ½)/2; score: the smaller shortfall
    assert found["peers"].to_list() == pytest.approx([0.375, 0.525, 0.55])
    assert found["score"].to_list() == pytest.approx([-0.325, -0.1, -0.225])
    assert (found["p"] > 0.05).all()
    complete = tables["flat_earthers"].filter(kind="complete")
    # a: convinces all (1), peers c→b 0: min(0 − 1, 0 − ¼); b has no signals; c: min(1 − ⅛, 1 − 1)
    assert complete["score"].to_list() == [-1, None, 0]


def test_asymmetry(tables: dict[str, pl.DataFrame]) -> None:
    # a→b by clip ½ 1 1 0, b→a 1 0 1 0: differences −½ 1 0 0; over signals 0.6 − 0.5
    found = row(tables["asymmetry"], kind="sufficient", first="a", second="b")
    assert (found["clips"], found["forward"], found["backward"]) == (4, 0.6, 0.5)
    assert found["difference"] == pytest.approx(0.1)
    assert found["t"] == pytest.approx(0.125 / (np.std([-0.5, 1, 0, 0], ddof=1) / 2))
    assert found["p_t"] <= found["p_t_adjusted"] <= 1
    assert found["low"] <= 0.1 <= found["high"]


def test_overlap(tables: dict[str, pl.DataFrame]) -> None:
    # a→b: overlap 0.8 on clip 3, accepted; 0 on clip 4, rejected
    found = row(tables["overlap"], kind="sufficient", source="a", judge="b")
    assert (found["signals"], found["jaccard"], found["weighted"], found["alpha"]) == (2, 0.25, 0.4, 0.5)
    assert (found["accepted"], found["rejected"], found["difference"]) == (0.8, 0, 0.8)
    one = row(tables["overlap"], kind="sufficient", source="c", judge="a")
    assert (one["signals"], one["accepted"], one["rejected"], one["difference"]) == (1, 0.2, None, None)


def test_correlations(tables: dict[str, pl.DataFrame]) -> None:
    # convincing .7 .625 .125 against accuracy 1 .75 .75, a tie: ranks 3 2 1 and 3 1.5 1.5, ρ = 1.5/√3
    found = row(tables["correlations"], **{"kind": "sufficient", "what": "convincing", "with": "accuracy"})
    assert found["rho"] == pytest.approx(np.sqrt(3) / 2)
    assert (found["models"], found["low"], found["high"]) == (3, None, None)  # too few for an interval
    assert found["p"] == pytest.approx(4 / 6)  # |ρ| as large in four of six orders
    assert found["caution"] == "3 models are few: read the interval, not ρ"
    size = row(tables["correlations"], **{"kind": "sufficient", "what": "convinced", "with": "parameters"})
    assert size["rho"] == pytest.approx(-0.5)  # ranks 2 1 3 against 1 3 2
    shared = row(tables["correlations"], **{"kind": "sufficient", "what": "transfer", "with": "shared_backend"})
    # a and b share theirs: α .6 .5 of them, .8 .75 .25 0 of the others; ranks 4 3 and 6 5 2 1: no difference
    assert shared["rho"] == pytest.approx(0)
    same = row(tables["correlations"], **{"kind": "sufficient", "what": "transfer", "with": "shared_architecture"})
    assert same["rho"] is None  # all share it


def test_complete_against_sufficient(tables: dict[str, pl.DataFrame]) -> None:
    # a: mean α of a clip's signals ¾ ½ 1 ½ against 1 1 1 1: differences ¼ ½ 0 ½, mean 0.3125, sd 0.23936
    table = tables["complete_against_sufficient"]
    found = row(table, kind="complete", against="sufficient", source="a", unit="clip")
    assert (found["n"], found["difference"]) == (4, 0.3125)
    assert found["t"] == pytest.approx(0.3125 / (0.2393568 / 2), abs=1e-5)
    assert found["effect"] == pytest.approx(0.3125 / 0.2393568, abs=1e-5)
    assert (found["w"], found["biserial"]) == (0, 1)
    same = row(table, kind="complete", against="sufficient", source="c", unit="clip")
    assert (same["difference"], same["p_t"], same["p_w"]) == (0, None, None)  # nothing differs, nothing to test
    # by cells: a→b 1 against .6, a→c 1 against .8, c→a, c→b the same; b has none
    cells = row(table, kind="complete", against="sufficient", source="all", unit="pair")
    assert (cells["n"], cells["difference"]) == (4, pytest.approx(0.15))
    assert set(table["kind"]) == {"complete"}


# --- the edges ------------------------------------------------------------------------------------------------


def test_one_clip_has_rates_but_no_intervals() -> None:
    case = Case()
    for source in MODELS:
        case.signal(source, 1, "sufficient", dict.fromkeys(MODELS, "X"))
    tables = make_tables(case.finish(), Options(draws=20))
    found = row(tables["transfer"], source="a", judge="b")
    assert (found["alpha"], found["alpha_low"], found["alpha_high"]) == (1, None, None)
    assert 0 < found["wilson_low"] < found["wilson_high"] == 1
    assert row(tables["flat_earthers"], model="a")["p"] == 1


def test_nan_is_no_answer() -> None:
    case = Case()
    case.signal("a", 1, "sufficient", {"a": "X", "b": "?", "c": "X"})
    case.signal("a", 2, "sufficient", {"a": "X", "b": "Y", "c": "?"})
    tables = make_tables(case.finish(), Options(draws=20))
    assert row(tables["transfer"], source="a", judge="b")["signals"] == 1
    assert row(tables["transfer"], source="a", judge="b")["alpha"] == 0
    assert row(tables["transfer"], source="a", judge="c")["alpha"] == 1


def test_ties_go_to_the_first_label() -> None:
    case = Case()
    case.signal("a", 1, "sufficient", {"b": "X"})
    case.answers[0] = [np.log(0.4), np.log(0.4), np.log(0.2)]
    case.signal("a", 3, "sufficient", {"b": "X"})
    case.answers[1] = [np.log(0.4), np.log(0.4), np.log(0.2)]
    table = case.finish().judgements
    assert table["answer"].to_list() == ["x", "x"]
    assert table["accepted"].to_list() == [True, False]  # what is tied but second is not the answer
    assert table["rank"].to_list() == [1, 2]


def test_models_go_by_short_names_that_differ() -> None:
    case = Case()
    case.signal("a", 1, "sufficient", {"a": "X", "b": "X", "c": "Y"})
    specs = {"a": "hf:one/ast", "b": "hf:two/ast", "c": "onnx:far/away/net.onnx"}
    tables = make_tables(case.finish().rename_models(specs), Options(draws=20))
    assert tables["models"]["model"].to_list() == ["hf:one/ast", "hf:two/ast", "net.onnx"]
    assert tables["models"]["spec"].to_list() == list(specs.values())
    assert tables["transfer"].select("source", "judge").rows() == [
        ("hf:one/ast", "hf:two/ast"),
        ("hf:one/ast", "net.onnx"),
    ]


@pytest.mark.parametrize("models", [0, 1])
def test_tables_of_nothing_are_empty(models: int) -> None:
    case = Case()
    if models:
        case.signal("a", 1, "sufficient", {"a": "X"})
    tables = make_tables(case.finish(), Options(draws=20))
    assert list(tables) == list(TABLES)
    assert tables["transfer"].is_empty()
    assert tables["models"]["convincing"].to_list() == [None] * 3


def test_tables_are_seeded_and_every_format_knows_their_values(tables: dict[str, pl.DataFrame]) -> None:
    again = make_tables(make_case(), Options(draws=300))
    for name, table in tables.items():
        assert table.equals(again[name]), name
        text = json.dumps(table.to_dicts(), allow_nan=False)
        assert json.loads(text) == table.to_dicts()
        assert all("List" not in str(dtype) for dtype in table.dtypes)
    other = make_tables(make_case(), Options(draws=300, seed=1))
    assert not other["models"].equals(tables["models"])


def test_clusters_are_clips_or_groups(answers: Answers) -> None:
    table = make_tables(answers, Options(draws=300, cluster="group"), ["transfer"])["transfer"]
    found = row(table, kind="sufficient", source="a", judge="b")
    assert found["alpha"] == 0.6  # the rate is the same, its interval is of two groups
    assert found["alpha_low"] <= 0.6 <= found["alpha_high"]
    nameless = answers.originals.with_columns(group=pl.lit(""))
    with pytest.raises(ConfigError, match="not all recordings belong to one"):
        make_tables(Answers(**{**vars(answers), "originals": nameless}), Options(cluster="group"))


@pytest.mark.parametrize(
    ("options", "words"),
    [({"cluster": "label"}, "use clip or group"), ({"epsilon": 0}, "epsilon"), ({"level": 1}, "level"),
     ({"draws": 0}, "draws")],
)  # fmt: skip
def test_bad_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Options(**options)
