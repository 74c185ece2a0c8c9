"""The page: its numbers are the tables', its sounds play, and nothing from outside becomes anything but text."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
import torch

from earwitness import audio
from earwitness.datasets import Recording
from earwitness.errors import ConfigError, StoreError
from earwitness.explain import SearchSettings, explain
from earwitness.models import Classifier
from earwitness.models.callables import CallableModel
from earwitness.report import write_report
from earwitness.report.data import FLOOR, ClipSpectrum, Columns, letter, load_report, short_names
from earwitness.report.figures import heat_step, outline, percent, strip, ticks
from earwitness.report.sounds import PEAK, UNAVAILABLE
from earwitness.spectrum import Domain, Spectrum
from earwitness.study.store import Store
from earwitness.transfer import agreement_table, load_answers, transfer_table

RATE, SAMPLES = 8000, 2000  # bins 4 Hz apart
LABELS = ('low & "slow"', "</script><script>alert(2)</script>")
HOSTILE = '"><script>alert(1)<!--.wav'
FAILED = "<img src=x onerror=alert(3)>.wav"
Pages = tuple[Path, Path, Path]  # store, page, folder of recordings


class Planted:
    """Says its first label where bin ``bin`` is loud enough, its second where it is not."""

    labels, sample_rate = LABELS, RATE

    def __init__(self, planted: int) -> None:
        self.planted = planted

    def __call__(self, waves: torch.Tensor) -> torch.Tensor:
        height = torch.fft.rfft(waves, dim=1).abs()[:, self.planted] / SAMPLES
        return torch.stack([height * 20, torch.ones_like(height)], dim=1)


def planted(number: int) -> Classifier:
    call = Planted(number)
    return Classifier(CallableModel(call, LABELS, RATE, spec=f"python:planted:<b>{number}", fingerprint=str(number)))


def make_clip(path: Path, loud: tuple[int, ...], seed: int) -> None:
    times = np.arange(SAMPLES) / SAMPLES
    noise = 0.003 * np.random.default_rng(seed).standard_normal(SAMPLES)
    tones = sum(0.3 * np.sin(2 * np.pi * bin_number * times) for bin_number in loud)
    soundfile.write(path, (noise + tones).astype(np.float32), RATE, subtype="FLOAT")


def fill(store: Store, folder: Path, settings: SearchSettings) -> None:
    """A study as the runner makes it: two models, three clips, one failure."""
    classifiers = [planted(110), planted(300)]
    key = store.add_settings(settings, LABELS)
    store.set_meta(settings=key, name="Planted <tones>")
    models = [store.add_model(classifier.model) for classifier in classifiers]
    store.set_plan(key, models, [])
    rows: list[int] = []
    for seed, (name, loud) in enumerate([("both.wav", (110, 300)), (HOSTILE, (110,)), ("neither.wav", ())]):
        make_clip(folder / name, loud, seed)
        clip = audio.read(folder / name)
        row = store.add_clip(clip, Recording(folder / name, label=LABELS[1]))
        for classifier, model in zip(classifiers, models, strict=True):
            store.add_explanation(row, model, key, explain(clip, classifier, settings))
        spectrum = Spectrum(clip, settings.variables)
        for classifier, model in zip(classifiers, models, strict=True):
            _, subsets = store.unanswered(row, model, key)
            masks = np.stack([np.ones(spectrum.size, dtype=bool), *(store.mask(subset) for subset, _ in subsets)])
            answers = classifier.log_probabilities(spectrum.invert(masks)).numpy()
            judged = {subset: answer for (subset, _), answer in zip(subsets, answers[1:], strict=True)}
            store.add_answers(row, model, key, answers[0], judged)
        rows.append(row)
    store.set_plan(key, models, rows)
    store.add_failure(key, "read", FAILED, "", "truncated <b>badly</b>")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    folder = tmp_path_factory.mktemp("study")
    with Store(folder / "study.db", write=True) as store:
        fill(store, folder, SearchSettings(budget=400))
        page = write_report(store, folder / "report")
    return folder / "study.db", page, folder


class Reader(HTMLParser):
    """Elements with attributes, the text of the page, and the matrices."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.cells: dict[str, list[float]] = {}
        self.texts: list[str] = []
        self._matrix = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        if tag == "table":
            self._matrix = found.get("id", "")
        if tag == "td" and "data-value" in found:
            self.cells.setdefault(self._matrix, []).append(float(found["data-value"]))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read(page: Path) -> Reader:
    return Reader(page.read_text(encoding="utf-8"))


# --- the page -------------------------------------------------------------------------------------------------


def test_heat_maps_hold_the_tables(study: Pages) -> None:
    with Store(study[0]) as store:
        answers = load_answers(store)
    found = read(study[1]).cells
    for kind in ("sufficient", "complete"):
        table = transfer_table(answers, kind).sort("source", "judge")
        assert found[f"matrix-{kind}"] == table["alpha"].to_list()
    assert found["matrix-agreement"] == agreement_table(answers).sort("source", "judge")["agreement"].to_list()


def test_means_leave_the_diagonal_out(study: Pages) -> None:
    with Store(study[0]) as store:
        data, table = load_report(store, 0.5), transfer_table(load_answers(store))
    others = table.filter(pl.col("source") != pl.col("judge"))["alpha"].to_list()
    assert data.matrices[0].mean == pytest.approx(sum(others) / len(others))
    assert all(data.matrices[0].values[i][i] == 1 for i in range(2))


def test_planted_bin_is_the_only_one_lit(study: Pages) -> None:
    with Store(study[0]) as store:
        data = load_report(store, 0.5)
    clip = next(clip for clip in data.clips if clip.name == "both.wav")
    first = clip.readings[0].signals[0]
    assert (first.kind, first.size, first.certificate) == ("sufficient", 1, "no single bin can be dropped")
    lit = r'the sufficient bins of [^"]* lit, 1 of 1\u202f001">.*?class="lit" d="([^"]*)"'
    figures = re.findall(lit, study[1].read_text(encoding="utf-8"))
    assert figures
    assert all(path.count("M") == 1 for path in figures)


def test_every_sound_is_there_and_whole(study: Pages) -> None:
    sounds = read(study[1]).all("audio")
    assert len(sounds) > 6
    for sound in sounds:
        assert re.fullmatch(r"audio/(clip|set)-\d+\.wav", sound["src"])
        samples, rate = soundfile.read(study[1].parent / sound["src"])
        assert (len(samples), rate) == (SAMPLES, RATE)
        assert np.abs(samples).max() == pytest.approx(PEAK, abs=1e-4)
        assert 0 < float(sound["data-gain"]) <= 1
        assert sound["preload"] == "none"
    assert soundfile.info(study[1].parent / sounds[0]["src"]).subtype == "PCM_16"
    assert len({sound["src"] for sound in sounds}) == len(sounds)


def test_sound_is_the_signal(study: Pages) -> None:
    """Its gain undoes the scaling, up to the clip's common factor and 16 bits."""
    with Store(study[0]) as store:
        data = load_report(store, 0.5)
        clip = data.clips[0]
        signal = next(part for part in clip.readings[0].signals if part.kind == "inverse")
        wave = Spectrum(audio.read(clip.path)).invert(store.mask(signal.id)[None])[0].numpy()
    written, _ = soundfile.read(study[1].parent / f"audio/set-{signal.id}.wav")
    np.testing.assert_allclose(written, wave / np.abs(wave).max() * PEAK, atol=1 / 32000)


def test_silence_that_suffices_is_a_finding(study: Pages) -> None:
    assert "Silence suffices" in study[1].read_text(encoding="utf-8")


def test_nothing_is_fetched(study: Pages) -> None:
    text = study[1].read_text(encoding="utf-8")
    assert "http://" not in text
    assert "https://" not in text
    assert "default-src 'none'" in text
    reader = read(study[1])
    assert not reader.all("img") + reader.all("iframe") + [script for script in reader.all("script") if script]
    assert [link["href"] for link in reader.all("link")] == ["data:,"]


def test_hostile_text_stays_text(study: Pages) -> None:
    text, reader = study[1].read_text(encoding="utf-8"), read(study[1])
    assert len(reader.all("script")) == 1
    for hostile in ("<script>alert", "<img src=x", "<b>110", "<b>badly", 'onerror=alert(3)>.wav"'):
        assert hostile not in text
    assert HOSTILE in reader.texts
    assert "Planted <tones>" in reader.texts
    handlers = [name for _, attributes in reader.elements for name in attributes if name.startswith("on")]
    assert handlers == []


def test_failed_rows_are_shown(study: Pages) -> None:
    texts = read(study[1]).texts
    assert FAILED in texts
    assert "truncated <b>badly</b>" in texts


def test_ids_are_unique_and_references_meet_one(study: Pages) -> None:
    reader = read(study[1])
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [attributes["href"][1:] for tag, attributes in reader.elements if tag in ("use", "a")]
    assert set(targets) <= set(ids)


def test_changed_or_missing_files_are_said(study: Pages, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    with Store(folder / "study.db", write=True) as store:
        fill(store, folder, SearchSettings(budget=100))
        (folder / HOSTILE).unlink()
        make_clip(folder / "both.wav", (50,), 9)
        seen: list[tuple[int, int]] = []
        page = write_report(store, tmp_path / "out", progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    text = page.read_text(encoding="utf-8")
    assert text.count(f'class="note">{UNAVAILABLE}') >= 2
    assert {sound["data-gain"] for sound in read(page).all("audio")}


def test_limit_shows_fewer_clips_and_says_so(study: Pages, tmp_path: Path) -> None:
    with Store(study[0]) as store:
        page = write_report(store, tmp_path, limit=1)
    assert len(read(page).all("details")) == 1
    assert "The first 1 of 3 are shown" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("domain", ["mel:12", "stft:128:32"])
def test_other_domains(tmp_path: Path, domain: str) -> None:
    with Store(tmp_path / "study.db", write=True) as store:
        fill(store, tmp_path, SearchSettings(budget=60, domain=domain))
        page = write_report(store, tmp_path / "report")
    unit = "cell" if domain.startswith("stft") else "band"
    assert re.search(rf"of [\d\u202f]+ {unit}s", page.read_text(encoding="utf-8"))


def test_one_model_alone(tmp_path: Path) -> None:
    with Store(tmp_path / "study.db", write=True) as store:
        make_clip(tmp_path / "a.wav", (110,), 0)
        clip, classifier, settings = audio.read(tmp_path / "a.wav"), planted(110), SearchSettings(budget=100)
        key = store.add_settings(settings, LABELS)
        store.set_meta(settings=key)
        model = store.add_model(classifier.model)
        row = store.add_clip(clip, Recording(tmp_path / "a.wav", None))
        store.set_plan(key, [model], [row])
        store.add_explanation(row, model, key, explain(clip, classifier, settings))
        page = write_report(store, tmp_path / "report")
    assert "nobody else to convince" in page.read_text(encoding="utf-8")


def test_folder_that_cannot_be_written(study: Pages, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with Store(study[0]) as store:
        with pytest.raises(ConfigError, match="choose another --out"):
            write_report(store, tmp_path / "file" / "report")
        with pytest.raises(ConfigError, match="epsilon"):
            write_report(store, tmp_path / "report", epsilon=2)


def test_store_without_a_study(tmp_path: Path) -> None:
    with Store(tmp_path / "study.db", write=True) as store, pytest.raises(StoreError, match="no study"):
        write_report(store, tmp_path / "report")


# --- figures and their data -----------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [1, 2, 3, 100, 2000, 2001, 48_000])
def test_every_bin_has_a_column(samples: int) -> None:
    hertz = np.linspace(0, RATE / 2, samples // 2 + 1)
    columns = Columns.of(hertz, RATE / 2)
    assert (columns.stop > columns.start).all()
    assert (columns.stop <= len(hertz)).all()
    reached = np.zeros(len(hertz), dtype=bool)
    for start, stop in zip(columns.start, columns.stop, strict=True):
        reached[columns.order[start:stop]] = True
    assert reached.all()


@pytest.mark.parametrize("domain", ["rfft", "octave:2", "stft:64:16"])
def test_trace_of_everything_is_the_silhouette(domain: str) -> None:
    clip = audio.Clip(np.random.default_rng(3).standard_normal(SAMPLES).astype(np.float32) * 0.1, RATE)
    spectrum = Spectrum(clip, Domain.parse(domain))
    columns = ClipSpectrum(spectrum)
    assert columns.whole.level.max() == FLOOR
    np.testing.assert_array_equal(columns.whole.share, 1)
    mask = np.zeros(spectrum.size, dtype=bool)
    np.testing.assert_array_equal(columns.trace(mask).level, -1)
    mask[spectrum.size // 2] = True
    some, other = columns.trace(mask), columns.trace(~mask)
    np.testing.assert_allclose(some.share + other.share, 1)
    np.testing.assert_array_equal(np.maximum(some.level, other.level), columns.whole.level)


def test_outline_stands_on_the_base_line() -> None:
    levels = np.array([-1, 3, 3, 5, -1, 0, -1])
    assert outline(levels, 10) == "M1 10V7h2v-2h1V10M5 10V9h1V10"
    assert outline(np.full(4, -1), 10) == ""


def test_strip_tells_shares_apart() -> None:
    shares = np.array([0, 0.05, 0.2, 0.5, 1.0, 1.0])
    assert re.findall(r'class="(k\d)" d="M(\d) 0h(\d)', strip(shares)) == [
        ("k1", "1", "1"), ("k2", "2", "1"), ("k3", "3", "1"), ("k4", "4", "2"),
    ]  # fmt: skip


def test_ticks_end_at_nyquist() -> None:
    assert [text for _, text in ticks(22050)][-1] == "22.1 kHz"
    assert ticks(8000)[-1] == (100.0, "8 kHz")
    assert ticks(100) == [(0.0, "0"), (100.0, "100 Hz")]


def test_words_and_numbers() -> None:
    assert [heat_step(value) for value in (None, 0, 0.449, 1)] == ["none", "q0", "q4", "q10"]
    assert [percent(value).replace("\u202f", " ") for value in (None, 0, 0.0012, 0.5, 0.997, 1)] == [
        "–", "0 %", "0.12 %", "50 %", "99.7 %", "100 %",
    ]  # fmt: skip
    assert letter(27) == "AB"
    assert short_names(["hf:a/x", "hf:b/x", "builtin:y"]) == ["hf:a/x", "hf:b/x", "y"]


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_are_legible(study: Pages) -> None:
    """WCAG AA, in light and in dark, for text on paper and for numbers in every step of the heat map."""
    css = study[1].read_text(encoding="utf-8")
    pair = r"light-dark\((#\w+), (#\w+)\)"
    named = {name: colours for name, *colours in re.findall(rf"--(\w+): {pair}", css)}
    steps = re.findall(rf"\.q\d+ {{ background: {pair}; color: {pair}; }}", css)
    assert len(steps) == 11
    for mode in (0, 1):
        for name in ("ink", "soft", "sufficient", "complete", "inverse", "accent"):
            assert _contrast(named[name][mode], named["paper"][mode]) >= 4.5, name
        for step in steps:
            assert _contrast(step[mode], step[2 + mode]) >= 4.5, step
        shades = [_luminance(step[mode]) for step in steps]
        assert shades == sorted(shades, reverse=mode == 0)


# --- in a browser ---------------------------------------------------------------------------------------------

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run"]  # fmt: skip
PLAY = """async (player) => {
  const audio = player.querySelector('audio');
  audio.muted = true;
  player.querySelector('.play').click();
  await new Promise((done) => { audio.onplaying = done; setTimeout(done, 4000); });
  const state = {ready: audio.readyState, error: audio.error && audio.error.message, volume: audio.volume,
                 gain: Number(audio.dataset.gain), label: player.querySelector('.play').getAttribute('aria-label')};
  audio.pause();
  return state;
}"""


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium to open the page with; install it to run this test")
@pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="no playwright; pip install playwright")
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(study: Pages, scheme: str) -> None:
    playwright: Any = pytest.importorskip("playwright.sync_api")
    asked: list[str] = []
    said: list[str] = []
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        try:
            page = browser.new_page(color_scheme=scheme, viewport={"width": 390, "height": 800})
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("dialog", lambda dialog: said.append(dialog.message))
            page.goto(study[1].as_uri())
            page.evaluate("document.querySelectorAll('details').forEach((clip) => { clip.open = true; })")
            page.wait_for_timeout(200)
            players = page.query_selector_all(".player:has(audio)")
            states = [player.evaluate(PLAY) for player in players]
            width = page.evaluate("document.documentElement.scrollWidth")
            page.check("#loud")
            loud = players[-1].evaluate(PLAY)
            page.goto(study[1].as_uri() + "#" + page.get_attribute("details.clip:last-of-type", "id"))
            opened = page.evaluate("document.querySelector('details.clip:last-of-type').open")
        finally:
            browser.close()
    assert said == []
    assert states
    for state in states:
        assert state["ready"] >= 2, json.dumps(state)
        assert state["error"] is None
        assert state["volume"] == pytest.approx(state["gain"], abs=1e-6)
        assert state["label"].startswith("Pause: ")
    assert loud["volume"] == 1
    assert opened
    assert width <= 390
    assert all(url.startswith(study[1].parent.as_uri()) for url in asked)
