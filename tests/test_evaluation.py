"""Maps of other tools: planted maps of planted models, whose worth is known by construction."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from earwitness import Classifier, Clip, ConfigError, Evaluation, EvaluationSettings, cli, compare_maps, evaluate
from earwitness.errors import AudioError
from earwitness.evaluation.maps import MOST, as_numbers, make_variables, place_map, read_map
from earwitness.evaluation.measures import follow
from earwitness.explanation import Missing, Subset
from earwitness.report import evaluation_html, write_evaluation
from earwitness.search.questions import Complete, Sufficient
from earwitness.search.responsibility import rank_by
from earwitness.signal.masks import from_runs
from earwitness.signal.spectrum import Spectrum
from planted import HIGH, LOW, SIZE, Oracle, PlantedModel, both, drive, either, has, make_clip, target_of
from window import Window

MODEL = Path(__file__).with_name("planted_models.py")
QUICK = EvaluationSettings(draws=2, profiles=2, verified=8, nulls=2)


def marks(*bands: tuple[int, int]) -> np.ndarray:
    """A map that marks some bins: float64 [SIZE]."""
    values = np.zeros(SIZE)
    for band in bands:
        values[slice(*band)] = 1
    return values


class Instant:
    """Says yes as surely as the samples 100 to 109 are there, all of them."""

    labels, sample_rate = ("yes", "no"), 16_000

    def __call__(self, waveforms: torch.Tensor) -> torch.Tensor:
        score = torch.where((waveforms[:, 100:110].abs() > 1e-9).all(dim=1), 3.0, -3.0)
        return torch.stack([score, -score], dim=1)


def sets_of(found: Evaluation, name: str) -> dict[str, Any]:
    return {one.kind: one.part for one in found.sets if one.map == name}


def areas(found: Evaluation) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["map"], row["way"]): row for row in compare_maps(found)["maps"].iter_rows(named=True)}


def test_sets_follow_from_a_map() -> None:
    """The prefix of a right map is the band and what the grid adds; nothing else can be dropped than that."""
    found = evaluate(
        {"right": marks(LOW), "late": marks((0, 40))}, make_clip(SIZE), Classifier(PlantedModel(has(LOW))), QUICK
    )
    right, late = sets_of(found, "right"), sets_of(found, "late")
    assert right["prefix"].size == 6  # five bins, on a grid that has 4 and 6
    assert late["prefix"].size > 45
    for name in ("right", "late"):
        for kind in ("sufficient", "complete"):
            part = sets_of(found, name)[kind]
            assert part.runs == (LOW,), (name, kind)
            assert part.certificate.kind == "one_minimal"
    assert found.signal(right["sufficient"]).shape == (len(make_clip(SIZE)),)


def test_areas_tell_a_right_map_from_a_wrong_one() -> None:
    found = areas(
        evaluate({"right": marks(LOW), "wrong": marks((0, 40), HIGH)}, make_clip(SIZE), PlantedModel(has(LOW)), QUICK)
    )
    yes = 1 / (1 + np.exp(-3) + np.exp(-6))
    assert found["right", "deletion"]["area"] < 0.2
    assert found["right", "insertion"]["area"] == pytest.approx(yes, abs=0.2)  # 1 % of the energy is less than the band
    assert found["right", "insertion"]["gain"] > 0.2
    assert found["right", "deletion"]["gain"] > 0.1
    assert found["wrong", "insertion"]["area"] < found["right", "insertion"]["area"]


def test_a_map_that_says_nothing_is_the_order_by_energy() -> None:
    row = areas(evaluate(np.zeros(SIZE), make_clip(SIZE), PlantedModel(has(LOW)), QUICK))["map", "insertion"]
    assert row["area"] == row["energy"]


def test_every_set_that_follows_is_confirmed() -> None:
    rule = either(LOW, HIGH)
    clip, model = make_clip(SIZE), Classifier(PlantedModel(rule))
    found = evaluate({"a": marks(HIGH, (0, 3)), "b": marks(LOW)}, clip, model, QUICK)
    for one in found.sets:
        assert isinstance(one.part, Subset)
        mask = from_runs(one.part.runs, SIZE)[None]
        assert bool(rule(mask)[0])
        if one.kind == "complete":
            assert not bool(rule(~mask)[0])
    assert sets_of(found, "a")["sufficient"].runs == (HIGH,)
    assert sets_of(found, "a")["complete"].size == 6  # one band, and one bin of the other: it takes all five


def test_what_is_nowhere_in_the_order_is_said() -> None:
    """Of a model that says yes to anything there is no complete set, whatever the map."""
    found = evaluate(marks(LOW), make_clip(SIZE), PlantedModel(lambda masks: np.ones(len(masks), dtype=bool)), QUICK)
    assert isinstance(sets_of(found, "map")["complete"], Missing)
    assert sets_of(found, "map")["sufficient"].size == 0
    assert compare_maps(found)["followed"].filter(kind="complete")["found"].to_list() == [0]


@given(st.integers(0, 2**32 - 1), st.integers(60, 400), st.booleans())
def test_what_follows_keeps_the_property_at_any_budget(seed: int, budget: int, whole: bool) -> None:
    rule = both(LOW, HIGH)
    target = target_of(rule)
    order = rank_by(np.random.default_rng(seed).random(SIZE), np.ones(SIZE))
    (prefix, least), asked = drive(
        follow((Complete if whole else Sufficient)(target), order, SIZE), Oracle(rule), budget
    )
    assert asked <= budget
    assert prefix.mask is not None
    assert least.mask is not None
    for mask in (prefix.mask, least.mask):
        assert bool(rule(mask[None])[0])
        assert not whole or not bool(rule(~mask[None])[0])
    assert not (least.mask & ~prefix.mask).any()


def test_judges_accept_what_they_hear_themselves() -> None:
    clip = make_clip(SIZE)
    same, other = PlantedModel(has(LOW)), PlantedModel(has(HIGH))
    same.spec, other.spec = "same", "other"
    found = evaluate(marks(LOW), clip, PlantedModel(has(LOW)), QUICK, judges=[same, other])
    table = compare_maps(found)["judged"]
    rates = {(row["kind"], row["judge"]): (row["accepted"], row["chance"]) for row in table.iter_rows(named=True)}
    assert rates["sufficient", "same"] == (1, 0)
    assert rates["sufficient", "other"] == (0, 0)


def test_judges_are_asked_at_their_own_rate_over_shared_labels() -> None:
    class Slow:
        labels, sample_rate = ("no", "yes"), 8000

        def __call__(self, waveforms: torch.Tensor) -> torch.Tensor:
            assert waveforms.shape[1] == 256
            return torch.tensor([[0.0, 1.0]]).repeat(len(waveforms), 1)

    found = evaluate(marks(LOW), make_clip(SIZE), PlantedModel(has(LOW)), QUICK, judges=[Slow()])
    assert found.labels == ("yes", "no")
    assert all(row.accepted for row in found.transfer)


def test_samples_are_variables_too() -> None:
    clip = Clip(np.random.default_rng(0).standard_normal(600).astype(np.float32), 16_000)
    saliency = np.zeros(600)
    saliency[90:120] = 1
    found = evaluate({"time": saliency}, clip, Instant(), QUICK)
    assert found.domain == "samples"
    part = sets_of(found, "time")["sufficient"]
    assert part.runs == ((100, 110),)
    signal = found.signal(part)
    assert np.array_equal(signal[100:110], clip.samples[100:110])
    assert not signal[:100].any()
    assert not signal[110:].any()


def test_survival_tells_a_steadfast_set() -> None:
    """Gains and shifts leave which bins are there as they are; noise as loud as the bins does not."""
    one = evaluate(
        marks(LOW), make_clip(SIZE), PlantedModel(has(LOW)), EvaluationSettings(views=("gain:1",), verified=16)
    )
    assert [found.survival.share for found in one.sets if found.survival] == [1, 1, 1]
    none = evaluate(marks(LOW), make_clip(SIZE), PlantedModel(has(LOW)), EvaluationSettings(verified=0))
    assert [found.survival for found in none.sets] == [None] * 3


def test_maps_of_several_clips_are_pooled() -> None:
    model = Classifier(PlantedModel(has(LOW)))
    maps = {"right": marks(LOW), "wrong": marks((0, 40))}
    found = [evaluate(maps, make_clip(SIZE, seed), model, QUICK) for seed in range(4)]
    tables = compare_maps(found)
    row = next(tables["maps"].filter(map="right", way="insertion").iter_rows(named=True))
    assert row["clips"] == 4
    assert row["low"] <= row["gain"] <= row["high"]
    single = next(compare_maps(found[0])["maps"].iter_rows(named=True))
    assert (single["low"], single["high"]) == (None, None)
    gap = next(tables["differences"].filter(way="insertion").iter_rows(named=True))
    assert (gap["first"], gap["second"], gap["clips"]) == ("right", "wrong", 4)
    assert gap["difference"] > 0
    assert compare_maps(found[0])["differences"].is_empty()
    assert tables["followed"].filter(map="right", kind="sufficient")["size"].to_list() == [5]


def test_maps_by_other_names_are_not_pooled() -> None:
    model = Classifier(PlantedModel(has(LOW)))
    one, other = (evaluate({name: marks(LOW)}, make_clip(SIZE), model, QUICK) for name in "ab")
    with pytest.raises(ConfigError, match="name them alike"):
        compare_maps([one, other])
    with pytest.raises(ConfigError, match="give one at least"):
        compare_maps([])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros(7), "say what it ranges over"),
        (np.full(SIZE, np.nan), "not finite"),
        (np.zeros((2, 3, 4)), "of shape"),
        (["a", "b"], "not numbers"),
        (np.zeros(()), "of shape"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(values: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        evaluate(values, make_clip(SIZE), PlantedModel(has(LOW)), QUICK)


def test_no_map_and_silence_are_refused() -> None:
    with pytest.raises(ConfigError, match="give one at least"):
        evaluate({}, make_clip(SIZE), PlantedModel(has(LOW)), QUICK)
    with pytest.raises(AudioError, match="silence"):
        evaluate(marks(LOW), Clip(np.zeros(512, dtype=np.float32), 16_000), PlantedModel(has(LOW)), QUICK)
    with pytest.raises(ConfigError, match="removed samples become zero"):
        EvaluationSettings(domain="samples", occlusion="noise")
    with pytest.raises(ConfigError, match="7 values"):
        evaluate({"a": marks(LOW), "b": np.zeros(7)}, make_clip(SIZE), PlantedModel(has(LOW)), QUICK)


def test_tensors_and_explanations_are_maps() -> None:
    tensor = torch.tensor(marks(LOW), requires_grad=True)
    assert np.array_equal(as_numbers("a", tensor[None]), marks(LOW))

    class Explained:
        responsibility = marks(HIGH)

    assert np.array_equal(as_numbers("a", Explained()), marks(HIGH))
    assert MOST > 240_000_000 / 2


def stft_of(clip: Clip, domain: str = "stft:64:16") -> Spectrum:
    variables = make_variables(clip, domain, EvaluationSettings(domain=domain))
    assert isinstance(variables, Spectrum)
    return variables


def test_a_map_of_the_domains_shape_is_taken_as_it_is() -> None:
    variables = stft_of(make_clip(SIZE))
    cells = np.random.default_rng(0).random((33, variables.size // 33))
    assert np.array_equal(place_map("a", cells, variables, "linear"), cells.reshape(-1))


@pytest.mark.parametrize("rows", ["linear", "mel"])
def test_a_spectrogram_is_stretched_over_cells(rows: str) -> None:
    """A row that lies at a frequency marks the cells there, a column the cells of its time."""
    variables = stft_of(Clip(make_clip(2049).samples, 16_000), "stft:256:64")
    hertz, frames = variables.hertz.reshape(129, -1)[:, 0], variables.centres
    row = 10 if rows == "linear" else round(40 * np.log10(1 + 2000 / 700) / np.log10(1 + 8000 / 700))
    values = np.zeros((41, 10))
    values[row] = 1
    marked = place_map("a", values, variables, rows).reshape(129, -1)
    assert marked[np.argmin(abs(hertz - 2000))].all()
    assert abs(hertz[marked.any(axis=1)] - 2000).max() < 400
    values[:] = 0
    values[:, 3] = 1
    times = frames[place_map("a", values, variables, rows).reshape(129, -1).all(axis=0)] / len(variables.clip)
    assert times.size
    assert times.min() >= 0.3
    assert times.max() < 0.4


def test_rows_and_columns_need_cells() -> None:
    with pytest.raises(ConfigError, match="use domain stft"):
        evaluate(np.zeros((4, 4)), make_clip(SIZE), PlantedModel(has(LOW)), EvaluationSettings(domain="rfft"))


def test_maps_are_read_from_files(tmp_path: Path) -> None:
    values = np.arange(6.0).reshape(2, 3)
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "a.npz", values)
    np.savetxt(tmp_path / "a.csv", values, delimiter=",")
    np.savetxt(tmp_path / "a.txt", values)
    for kind in ("npy", "npz", "csv", "txt"):
        assert np.array_equal(read_map(tmp_path / f"a.{kind}"), values), kind


def test_files_that_are_no_maps_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "pickle.npy", np.array([print], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "two.npz", np.zeros(2), np.zeros(2))
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY broken")
    (tmp_path / "words.csv").write_text("one,two\n")
    (tmp_path / "map.pt").write_bytes(b"")
    (tmp_path / "broken.npz").write_bytes(b"PK broken")
    for name, words in (
        ("pickle.npy", "cannot be read"), ("two.npz", "holds 2 arrays"), ("broken.npy", "cannot be read"),
        ("broken.npz", "cannot be read"),
        ("words.csv", "cannot be read"), ("map.pt", "of no known kind"), ("none.npy", "no such file"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=words):
            read_map(tmp_path / name)


def test_a_map_that_unpacks_to_more_than_any_clip_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", np.zeros(100_000))
    np.save(tmp_path / "large.npy", np.zeros(100_000))
    monkeypatch.setattr("earwitness.evaluation.maps.MOST", 1000)
    for name in ("bomb.npz", "large.npy"):
        with pytest.raises(ConfigError, match="no clip has so many variables"):
            read_map(tmp_path / name)


def test_names_are_escaped() -> None:
    found = evaluate({"<script>alert(1)</script>": marks(LOW)}, make_clip(SIZE), PlantedModel(has(LOW)), QUICK)
    page = evaluation_html(found)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert found._repr_html_() == page


def test_the_page_in_a_browser(tmp_path: Path, browser: Any) -> None:
    maps = {"right": marks(LOW), "wrong": marks((0, 40))}
    model, judge = Classifier(PlantedModel(has(LOW))), PlantedModel(has(HIGH))
    found = [evaluate(maps, make_clip(SIZE, seed), model, QUICK, judges=[judge]) for seed in range(2)]
    window = Window(browser, write_evaluation(found, tmp_path))
    page = window.page
    page.goto(window.address)
    assert not window.faults()
    assert page.inner_text("h1") == "What 2 maps are worth"
    assert page.locator("audio").count() == 2 * (1 + 2 * 3)
    rows = page.locator("table").first.locator("tbody tr")
    assert [rows.nth(i).locator("th").inner_text() for i in range(2)] == ["right", "wrong"]
    right, wrong = (float(rows.nth(i).locator("td").nth(2).inner_text().split()[0]) for i in range(2))
    assert right > wrong
    assert page.evaluate("document.querySelector('img').naturalWidth") > 500
    seconds = page.evaluate("new Promise(done => { const a = document.querySelector('audio'); a.preload = 'metadata'; "
                            "a.onloadedmetadata = () => done(a.duration); a.load(); })")  # fmt: skip
    assert seconds == pytest.approx(512 / 16_000, abs=1e-3)
    window.close()


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["earwitness", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return int(stop.value.code or 0), *capsys.readouterr()

    for number in range(2):
        clip = make_clip(SIZE, number)
        soundfile.write(tmp_path / f"{number}.wav", clip.samples * 10, 16_000, subtype="FLOAT")
        for name, band in (("right", LOW), ("wrong", (0, 40))):
            (tmp_path / name).mkdir(exist_ok=True)
            np.save(tmp_path / name / f"{number}.npy", marks(band))
    words = [
        "evaluate", tmp_path / "0.wav", tmp_path / "1.wav", "--model", f"python:{MODEL}:low",
        "--map", f"right={tmp_path / 'right'}", "--map", str(tmp_path / "wrong"), "--own", "--verified", "4",
        "--out", tmp_path / "page", "--judge", f"python:{MODEL}:low", "--quiet",
    ]  # fmt: skip
    code, out, _ = run(*words)
    assert code == 0
    assert re.search(r"\| right \| sufficient \| 2 \| 2 \| 5\.000 ", out)
    assert re.search(r"\| earwitness \| insertion \| 2 ", out)
    assert (tmp_path / "page" / "index.html").is_file()
    assert {path.stem for path in (tmp_path / "page").glob("*.csv")} >= {"maps", "differences", "sets", "points"}
    code, _, errors = run(*words[:5], "--map", tmp_path / "right" / "0.npy")
    assert code == 2
    assert "one file for 2 recordings" in errors
