"""The page: its numbers are the tables', its sounds play, and nothing from outside becomes anything but text."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile

from earwitness.datasets.recording import Recording
from earwitness.errors import ConfigError, LabelError, StoreError
from earwitness.explanation import explain
from earwitness.report import write_report
from earwitness.report.chunks import to_json
from earwitness.report.columns import FLOOR, FRAMES, ROWS, ClipSpectrum, Columns, lit_cells, spectrogram
from earwitness.report.data import letter, load_study
from earwitness.report.headline import headline
from earwitness.report.rates import clip_sums, mean_of_pairs, mean_with_interval, rates
from earwitness.report.sections import Curves, Estimates, Section, Table, section_json
from earwitness.report.sounds import PEAK, UNAVAILABLE, Inline, level_sounds, loudness, make_sound
from earwitness.search.settings import SearchSettings
from earwitness.signal import audio
from earwitness.signal.domains import Domain
from earwitness.signal.spectrum import Spectrum
from earwitness.study.answers import load_answers
from earwitness.study.store import Store
from earwitness.transferability.definitions import agreement_table, transfer_table
from planted_report import FAILED, HOSTILE, LABELS, RATE, SAMPLES, Pages, all_sounds, fill, make_clip, piece, planted


@pytest.fixture
def study(report_pages: Pages) -> Pages:
    return report_pages


# --- data -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", ["alpha", "beta", "joint"])
@pytest.mark.parametrize("kind", ["sufficient", "complete", "one_complete"])
def test_rates_are_the_tables(study: Pages, kind: str, measure: str) -> None:
    with Store(study[0]) as store:
        data, table = load_study(store, 0.3), transfer_table(load_answers(store), kind, 0.3)
    found, counts = rates(data.signals[kind], 0.3, measure)
    assert found.reshape(-1).tolist() == table.sort("source", "judge")[measure].to_list()
    assert counts.reshape(-1).tolist() == table.sort("source", "judge")["signals"].to_list()


def test_clips_themselves_are_the_agreement(study: Pages) -> None:
    with Store(study[0]) as store:
        data, table = load_study(store, 0.5), agreement_table(load_answers(store))
    found, _ = rates(data.signals["original"], 0.5)
    assert found.reshape(-1).tolist() == table.sort("source", "judge")["agreement"].to_list()


def test_headline_means_leave_the_diagonal_out(study: Pages) -> None:
    with Store(study[0]) as store:
        data, table = load_study(store, 0.5), transfer_table(load_answers(store))
    others = table.filter(pl.col("source") != pl.col("judge"))["alpha"].to_list()
    numbers = {number.id: number for number in headline(data)}
    assert numbers["sufficient"].value == pytest.approx(sum(others) / len(others))
    assert mean_of_pairs(rates(data.signals["sufficient"], 0.5)[0]) == pytest.approx(numbers["sufficient"].value)
    for number in numbers.values():
        assert number.low is not None
        assert number.high is not None
        assert 0 <= number.low <= number.value <= number.high <= 1


def test_interval_of_clips_that_all_agree_has_no_width(study: Pages) -> None:
    """Resampling whole clips: where each clip says the same, so does every resample."""
    with Store(study[0]) as store:
        data = load_study(store, 0.5)
    hits, of = clip_sums(data.signals["complete"], len(data.clips))
    assert of.shape == (3, 2, 2)
    assert (hits <= of).all()
    hits[:, 0, 1], hits[:, 1, 0] = of[:, 0, 1], 0
    assert mean_with_interval(hits, of) == (0.5, 0.5, 0.5)
    assert mean_with_interval(hits[:1], of[:1]) == (0.5, None, None)
    assert np.isnan(mean_with_interval(hits * 0, of * 0)[0])


def test_columns_of_a_kind_say_what_the_store_does(study: Pages) -> None:
    kind = piece(study[1], "kind-sufficient")
    with Store(study[0]) as store:
        signals = load_study(store, 0.5).signals["sufficient"]
    assert kind["count"] == len(signals.clip)
    for name, dtype in (("clip", "<u4"), ("source", "<u2"), ("label", "<u2"), ("size", "<i4"), ("subset", "<u4")):
        np.testing.assert_array_equal(np.frombuffer(base64.b64decode(kind[name]), dtype), getattr(signals, name))
    step = np.frombuffer(base64.b64decode(kind["step"]), "<u2").reshape(signals.answer.shape)
    for thousandths in (1, 100, 333, 500, 999, 1000):
        np.testing.assert_array_equal(step <= thousandths, signals.certain(thousandths / 1000))
    assert (np.diff(signals.clip) >= 0).all()


def test_planted_bin_is_the_only_one_lit(study: Pages) -> None:
    with Store(study[0]) as store:
        data = load_study(store, 0.5)
    row = [Path(path).name for path in data.clips["path"]].index("both.wav")
    signals = data.signals["sufficient"]
    place = int(np.flatnonzero((signals.clip == row) & (signals.source == 0))[0])
    assert (signals.size[place], signals.certificate[place]) == (1, "no single bin can be dropped")
    found = piece(study[1], f"clip-{data.clips['id'][row]}")["sets"][str(signals.subset[place])]
    assert found["runs"] == [[440.0, 440.0]]
    assert found["runCount"] == 1


# --- sounds ---------------------------------------------------------------------------------------------------


def test_every_sound_is_there_and_whole(study: Pages) -> None:
    sounds = all_sounds(study)
    assert len(sounds) > 6
    for sound in sounds:
        assert re.fullmatch(r"audio/(clip|set)-\d+\.wav", sound["source"])
        samples, rate = soundfile.read(study[1].parent / sound["source"])
        assert (len(samples), rate) == (SAMPLES, RATE)
        assert np.abs(samples).max() == pytest.approx(PEAK, abs=1e-4)
        assert 0 < sound["level"] <= 1
        assert 0 < sound["equal"] <= 1
    assert soundfile.info(study[1].parent / sounds[0]["source"]).subtype == "PCM_16"
    written = {path.name for path in (study[1].parent / "audio").iterdir()}
    assert written == {Path(sound["source"]).name for sound in sounds}


def test_sound_is_the_signal(study: Pages) -> None:
    with Store(study[0]) as store:
        data = load_study(store, 0.5)
        subset = int(data.signals["inverse"].subset[0])
        row = int(data.signals["inverse"].clip[0])
        wave = Spectrum(audio.read(data.clips["path"][row])).invert(store.mask(subset)[None])[0].numpy()
    written, _ = soundfile.read(study[1].parent / f"audio/set-{subset}.wav")
    np.testing.assert_allclose(written, wave / np.abs(wave).max() * PEAK, atol=1 / 32000)


def test_loudness_is_the_standards() -> None:
    """ITU-R BS.1770: a 997 Hz sine of full scale in one channel has -3.01 LUFS."""
    for seconds in (3.0, 0.3):
        times = np.arange(int(48000 * seconds)) / 48000
        assert loudness(np.sin(2 * np.pi * 997 * times), 48000) == pytest.approx(-3.01, abs=0.1)
    assert loudness(np.zeros(48000), 48000) is None


def test_equal_loudness_is_equal() -> None:
    rng = np.random.default_rng(0)
    times = np.arange(16000) / 8000
    waves = {"tone": 0.5 * np.sin(2 * np.pi * 500 * times), "noise": 0.01 * rng.standard_normal(16000)}
    made = {name: make_sound(Inline(), name, wave.astype(np.float32), 8000) for name, wave in waves.items()}
    sounds = level_sounds({name: sound for name, sound in made.items() if sound is not None})
    assert make_sound(Inline(), "none", np.zeros(100, np.float32), 8000) is None
    heard = {}
    for name, sound in sounds.items():
        assert sound.loudness is not None
        heard[name] = sound.loudness + 20 * np.log10(sound.equal)
        kind, _, content = sound.source.partition(";base64,")
        assert kind == "data:audio/wav"
        assert base64.b64decode(content)[:4] == b"RIFF"
    long = make_sound(Inline(), "long", np.tile(waves["noise"], 2).astype(np.float32), 8000)
    assert long is not None
    assert long.source.startswith("data:audio/flac;base64,")
    assert heard["tone"] == pytest.approx(heard["noise"], abs=1e-6)
    assert sounds["tone"].level == 1
    assert sounds["noise"].level == pytest.approx(sounds["noise"].peak / sounds["tone"].peak)


# --- the files ------------------------------------------------------------------------------------------------


def test_nothing_from_outside_is_code(study: Pages) -> None:
    text = study[1].read_text(encoding="utf-8")
    assert "https://" not in text
    assert set(re.findall(r"http://[^\s\"]*", text)) == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in text
    for path in (study[1].parent / "data").iterdir():
        assert not set("<>&\u2028") & set(path.read_text(encoding="ascii"))
    for hostile in ("<script>alert", "<img src=x", "<b>110", "Planted <tones>"):
        assert hostile not in text
    assert json.loads(to_json(HOSTILE + "</script>")) == HOSTILE + "</script>"


def test_failed_rows_are_there(study: Pages) -> None:
    failures = piece(study[1], "study")["failures"]
    assert [(failure["clip"], failure["reason"]) for failure in failures] == [(FAILED, "truncated <b>badly</b>")]


def test_changed_or_missing_files_are_said(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    with Store(folder / "study.db", write=True) as store:
        fill(store, folder, SearchSettings(budget=100))
        (folder / HOSTILE).unlink()
        make_clip(folder / "both.wav", (50,), 9)
        seen: list[tuple[int, int]] = []
        page = write_report(store, tmp_path / "out", progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    clips = [piece(page, path.stem) for path in sorted((page.parent / "data").glob("clip-*.js"))]
    assert sorted(clip["trouble"] for clip in clips) == ["", UNAVAILABLE, UNAVAILABLE]
    assert all(clip["distributions"]["original"] for clip in clips)


def test_clips_in_full_are_the_first_and_those_asked_for(study: Pages, tmp_path: Path) -> None:
    def chosen(**options: Any) -> list[int]:
        with Store(study[0]) as store:
            page = write_report(store, tmp_path / "page", **options)
        return [int(row) for row in piece(page, "study")["full"]]

    assert chosen() == [0, 1, 2]
    before = set((tmp_path / "page" / "audio").iterdir())
    (tmp_path / "page" / "audio" / "notes.txt").write_text("mine")
    (tmp_path / "page" / "audio" / "clip-9999.wav").write_text("stale")
    assert chosen(full=1) == [0]
    after = set((tmp_path / "page" / "audio").iterdir()) - {tmp_path / "page" / "audio" / "notes.txt"}
    assert after < before
    assert (tmp_path / "page" / "audio" / "notes.txt").exists()
    assert len(list((tmp_path / "page" / "data").glob("clip-*.js"))) == 1
    assert chosen(full=0, asked=["both.wav"]) == [1]
    assert chosen(full=1, asked=[HOSTILE]) == [0]
    with Store(study[0]) as store:
        with pytest.raises(ConfigError, match="not in the study"):
            write_report(store, tmp_path / "page", asked=["nowhere.wav"])
        with pytest.raises(ConfigError, match="use 0 or more"):
            write_report(store, tmp_path / "page", full=-1)


@pytest.mark.parametrize("domain", ["mel:12", "stft:128:32"])
def test_other_domains(tmp_path: Path, domain: str) -> None:
    with Store(tmp_path / "study.db", write=True) as store:
        fill(store, tmp_path, SearchSettings(budget=60, domain=domain))
        page = write_report(store, tmp_path / "report", full=2)
    found = piece(page, "study")
    assert found["unit"] == ("cell" if domain.startswith("stft") else "band")
    clip = piece(page, f"clip-{found['clips']['id'][0]}")
    assert all(("cells" in part) == domain.startswith("stft") for part in clip["sets"].values())


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
    assert [number["id"] for number in piece(page, "study")["headline"]] == ["kept"]


def test_folder_that_cannot_be_written(study: Pages, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with Store(study[0]) as store:
        with pytest.raises(ConfigError, match="choose another --out"):
            write_report(store, tmp_path / "file" / "report")
        with pytest.raises(ConfigError, match="epsilon"):
            write_report(store, tmp_path / "report", epsilon=2)


def test_one_label_alone_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path / "study.db", write=True) as store:
        store.set_meta(settings=store.add_settings(SearchSettings(), ("only",)))
        with pytest.raises(LabelError, match="nothing can transfer"):
            write_report(store, tmp_path / "report")


def test_store_without_a_study(tmp_path: Path) -> None:
    with Store(tmp_path / "study.db", write=True) as store, pytest.raises(StoreError, match="no study"):
        write_report(store, tmp_path / "report")


def test_sections_hold_finite_numbers_only() -> None:
    blocks = (
        Table.of("t", pl.DataFrame({"a": ["x"], "b": [float("nan")]})),
        Estimates("e", (("m", 0.5, None, float("inf")),)),
        Curves("c", "Hz", "dB", (("m", (1.0, 2.0), (3.0, float("nan"))),)),
    )
    found = section_json(Section("s", "S", "", blocks), Inline())
    assert found["blocks"][0]["rows"] == [["x", None]]
    assert found["blocks"][1]["rows"] == [["m", 0.5, None, None]]
    assert found["blocks"][2]["curves"] == [["m", [1.0, 2.0], [3.0, None]]]
    assert json.loads(to_json(found)) == found


# --- spectra --------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("samples", [1, 7, 500, 2000, 90_000])
def test_spectrogram_shows_a_tone_where_it_is(samples: int) -> None:
    wave = 0.5 * np.cos(2 * np.pi * 1000 * np.arange(samples) / RATE)
    image = spectrogram(audio.Clip(wave.astype(np.float32), RATE))
    assert image.shape[0] == ROWS
    assert 1 <= image.shape[1] <= FRAMES
    assert image.max() == 255
    if samples >= 2000:
        middle = image[:, image.shape[1] // 2].astype(int)
        row = int(ROWS * np.log10(1 + 1000 / 700) / np.log10(1 + RATE / 2 / 700))
        assert abs(int(middle.argmax()) - row) <= 2
        assert middle[ROWS - 5] < 128


def test_cells_are_lit_when_and_where_they_are() -> None:
    wave = np.random.default_rng(1).standard_normal(RATE).astype(np.float32) * 0.1
    spectrum = Spectrum(audio.Clip(wave, RATE), Domain.parse("stft:256:64"))
    bins = np.unique(spectrum.hertz)
    mask = np.zeros((bins.size, spectrum.size // bins.size), dtype=bool)
    mask[:, : mask.shape[1] // 2] = True
    mask[bins > 2000] = False
    lit = lit_cells(spectrum, mask.reshape(-1), 100)
    assert lit[0, :48].all()
    assert not lit[:, 52:].any()
    assert not lit[ROWS - 1].any()


def test_letters_go_on_after_z() -> None:
    assert [letter(k) for k in (0, 25, 26, 27)] == ["A", "Z", "AA", "AB"]


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_are_legible(study: Pages) -> None:
    """WCAG AA, in light and in dark: text on paper, numbers in every step of the matrix, and the parts as graphics."""
    css = study[1].read_text(encoding="utf-8")
    pair = r"light-dark\((#\w+), (#\w+)\)"
    named = {name: colours for name, *colours in re.findall(rf"--(\w+): {pair}", css)}
    steps = re.findall(rf"\.([qdm]\d+) {{ background: {pair}; color: {pair}; }}", css)
    assert len(steps) == 22
    for mode in (0, 1):
        for name in ("ink", "soft", "accent"):
            for ground in ("paper", "raised", "wash"):
                assert _contrast(named[name][mode], named[ground][mode]) >= 4.5, (name, ground)
        for name in ("sufficient", "complete", "one_complete", "responsibility", "inverse"):
            assert _contrast(named[name][mode], named["paper"][mode]) >= 3, name
        for _, *step in steps:
            assert _contrast(step[mode], step[2 + mode]) >= 4.5, step
        shades = [_luminance(step[mode]) for name, *step in steps if name.startswith("q")]
        assert shades == sorted(shades, reverse=mode == 0)
