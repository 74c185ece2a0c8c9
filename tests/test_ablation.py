"""The search taken apart: what is switched off, what is tried, and what is made of the answers."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from benchmarks.search import ablation, heldout, worth
from benchmarks.search.bench import Store, Task
from benchmarks.search.variants import COMPLETE, CONSTANTS, MAP, STAGES, SUFFICIENT, Variant, list_variants
from numpy.typing import NDArray

from earwitness.search.attribution import Survey
from earwitness.search.sufficiency import sufficient
from earwitness.signal.masks import Mask
from planted import LOW, Oracle, drive, has, make_problem, target_of

VARIANTS = {variant.name: variant for kind in (SUFFICIENT, COMPLETE) for variant in list_variants(kind)}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_every_variant_changes_the_code_and_puts_it_back(variant: Variant) -> None:
    before = [getattr(owner, name) for owner, name, _ in variant.patches]
    with variant.applied():
        for (owner, name, value), usual in zip(variant.patches, before, strict=True):
            assert getattr(owner, name) is value
            assert value != usual, f"{name} is {usual} already"
    assert [getattr(owner, name) for owner, name, _ in variant.patches] == before


def test_no_tuned_constant_of_the_searches_is_left_out() -> None:
    listed = {(constant.module, constant.name) for constant in CONSTANTS}
    for module in {constant.module for constant in CONSTANTS}:
        own = Path(str(module.__file__)).read_text(encoding="utf-8")
        for name in vars(module):
            if name.isupper() and f"\n{name} = " in own:
                assert (module, name) in listed, f"{module.__name__}.{name} has no line in CONSTANTS"


def test_answers_are_counted_once_and_within_the_budget_as_by_the_driver() -> None:
    problem, target, oracle = make_problem(delta=0.9), target_of(has(LOW), 0.9), Oracle(has(LOW))
    for budget in (40, 900):
        found, asked = ablation.answer(sufficient(problem.energy, target, budget=budget), oracle, budget)
        usual, asked_usually = drive(sufficient(problem.energy, target, budget=budget), oracle, budget)
        assert asked == asked_usually <= budget
        assert (found.mask is None) == (usual.mask is None)
        assert found.mask is None or usual.mask is None or (found.mask == usual.mask).all()


class Panel:
    """One planted band in one clip instead of models."""

    oracle = Oracle(has(LOW))

    def subjects(self, kind: str) -> list[Any]:
        spectrum = make_problem().spectrum
        return [SimpleNamespace(name="planted", spectra=[spectrum], targets=lambda d: [target_of(has(LOW), d)])]

    def ask(self, subject: Any, spectrum: Any, masks: Mask) -> NDArray[np.float32]:
        return self.oracle(masks)


def test_a_stage_that_matters_is_missed() -> None:
    panel: Any = Panel()
    stages = {stage.name: stage for stage in STAGES}
    usual, blunt = (
        ablation._seek(panel, SUFFICIENT, variant, 900)["rows"][0]
        for variant in (Variant(""), stages["no thinning: large sets are only shrunk by chunks"])
    )
    assert usual[:2] == ["planted", 5]
    assert usual[3] == "one_minimal"
    assert blunt[1:3] != usual[1:3]


def test_the_page_gives_ratios_of_the_same_pairs(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def put(name: str, rows: list[list[Any]]) -> None:
        store.put("ablation", Task(f"{SUFFICIENT}/900/{name}", "code", dict), {"rows": rows})

    put("", [["a", 2, 100, "one_minimal"], ["b", 8, 50, "one_minimal"]])
    put("no climbing", [["a", 4, 100, "one_minimal"], ["b", 16, 50, "none"]])
    put("climbs add no runs of neighbours", [["a", 2, 100, "one_minimal"], ["b", 8, 50, "one_minimal"]])
    worth.write_ablation(store, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "| no climbing | sufficient | 900 | 2.00 (2.00–2.00) | 1.00 (1.00–1.00) | 2/2 | 2 → 1 |  |" in page
    assert "| climbs add no runs of neighbours | sufficient | 900 | 1.00 (1.00–1.00) |" in page
    assert page.count("| flat |") == 1
    assert all(f"| `{constant.place}` |" in page for constant in CONSTANTS)


def test_the_page_sets_other_clips_beside_the_same(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for part, bins in (("ablation", 8), ("heldout", 2)):
        for name, found in (("", 2), ("no climbing", bins)):
            rows = [["a", found, 100, "one_minimal"]] * 3
            store.put(part, Task(f"{SUFFICIENT}/900/{name}", "code", dict), {"rows": rows})
    worth.write_ablation(store, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "| no climbing | 4.00 (4.00–4.00) | 1.00 (1.00–1.00) | 1.00 (1.00–1.00) | 1.00 (1.00–1.00) |" in page


def test_what_is_tried_on_other_clips_is_in_the_ablation() -> None:
    assert set(heldout.NAMES) <= {variant.name for variant in list_variants(SUFFICIENT)}


def test_the_page_gives_differences_of_the_map(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name, insertion in (("", 0.5), ("Survey.cells = 128", 0.25), ("Survey.noise = 0.006", 0.5)):
        store.put("ablation", Task(f"{MAP}/300/{name}", "code", dict), {"rows": [["a", insertion, 0.1, 300]] * 4})
    worth.write_ablation(store, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "| 128 | -0.250 (-0.250 to -0.250) | +0.000 (+0.000 to +0.000) |" in page
    assert "| 0.006 | +0.000 (+0.000 to +0.000) |" in page


def test_every_setting_of_the_map_is_described() -> None:
    assert {field.name for field in fields(Survey)} - {"questions"} == set(worth.SURVEY)


def test_an_interval_holds_the_mean_and_widens_with_the_spread() -> None:
    usual = np.full(30, 4.0)
    even = worth.Ratio.of(np.full(30, 8.0), usual)
    uneven = worth.Ratio.of(np.tile([4.0, 16.0], 15), usual)
    assert even.mean == pytest.approx(2)
    assert uneven.mean == pytest.approx(2)
    assert even.low == pytest.approx(even.high)
    assert uneven.low < 1.7 < 2.3 < uneven.high


def test_a_set_of_nothing_counts_as_one_variable() -> None:
    assert worth.Ratio.of(np.zeros(3), np.ones(3)).mean == 1
