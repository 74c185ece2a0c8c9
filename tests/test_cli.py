"""Commands: what they print and write, and what bad input gets: one line and exit code 2."""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import typer.main

import planted_files
from earwitness import cli, read
from earwitness.signal.masks import from_runs
from earwitness.signal.spectrum import Spectrum
from earwitness.study.run import Summary
from tiny_models import tiny

RATE = 16_000
MODELS = Path(__file__).parent / "planted_models.py"
LOW = f"python:{MODELS}:low"


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "clip.wav"
    rng = np.random.default_rng(0)
    soundfile.write(path, rng.uniform(-1, 1, 3200), RATE, subtype="FLOAT")
    return path


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """Run a command in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["earwitness", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run a command that must be refused; its one line."""
    assert call(monkeypatch, *words) == 2
    output = capsys.readouterr()
    lines = [line for line in output.err.strip().splitlines() if not line.endswith("to do")]  # progress
    assert len(lines) == 1, output.err
    assert lines[0].startswith("error: ")
    assert "Traceback" not in output.err + output.out
    return lines[0]


def test_explain_writes_what_it_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wav: Path, tmp_path: Path
) -> None:
    words = ("explain", wav, "--model", LOW, "--delta", 0.9, "--json", "--out", tmp_path / "out")
    assert call(monkeypatch, *words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "out" / "explanation.json").read_text()) == printed
    sufficient = printed["subsets"]["sufficient"][0]
    assert sufficient["runs"] == [[58, 63]]
    assert sufficient["certificate"] == {"kind": "one_minimal", "groups": 5}
    assert printed["bins"] == 1601
    assert printed["subsets"]["complete"]["size"] == 5
    assert printed["subsets"]["inverse"]["label"] != printed["label"]
    assert printed["subsets"]["one_complete"]["confidence"] >= printed["confidence"] * (1 - 2e-5)
    clip = read(wav)
    for kind in ("complete", "one_complete", "inverse"):
        signal = Spectrum(clip).invert(from_runs(printed["subsets"][kind]["runs"], 1601)[None])[0].numpy()
        np.testing.assert_array_equal(read(tmp_path / "out" / f"{kind}.wav").samples, signal)


def test_robust_writes_what_it_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wav: Path, tmp_path: Path
) -> None:
    words = ("robust", wav, "--model", LOW, "--budget", 300, "--views", "noise:40,gain:1", "--searched", 8)
    assert call(monkeypatch, *words, "--json", "--out", tmp_path / "out") == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "out" / "robustness.json").read_text()) == printed
    sets = {one["kind"]: one for one in printed["sets"]}
    assert list(sets) == ["sufficient", "complete", "one_complete", "inverse", "robust", "robust_complete"]
    found = sets["robust"]
    assert (found["held"], found["views"], found["certificate"]["kind"]) == (64, 64, "one_minimal")
    assert "held" not in sets["inverse"]
    signal = Spectrum(read(wav)).invert(from_runs(found["runs"], 1601)[None])[0].numpy()
    np.testing.assert_array_equal(read(tmp_path / "out" / "robust.wav").samples, signal)
    assert call(monkeypatch, *words, "-q") == 0
    assert "100.0% " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--views", "nose:3"), "noise:DB"),
        (("--views", "others"), "no recording with another label"),
        (("--level", 1), "less than 1"),
    ],
)
def test_robust_refuses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wav: Path, options: tuple[object, ...],
    words: str,
) -> None:  # fmt: skip
    assert words in refused(monkeypatch, capsys, "robust", wav, "--model", LOW, "--budget", 40, "-q", *options)


def test_explain_says_what_was_asked_twice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wav: Path, tmp_path: Path
) -> None:
    words = ("explain", wav, "--model", LOW, "--budget", 60, "--precision", "bfloat16", "--out", tmp_path)
    assert call(monkeypatch, *words) == 0
    found = re.search(r"(\d+) questions \((\d+) of them again, in float32\)", capsys.readouterr().out)
    assert found
    assert 16 <= int(found[2]) < int(found[1])
    told = json.loads((tmp_path / "explanation.json").read_text())
    assert (told["precision"], told["queries"]) == ("bfloat16", int(found[1]))


def test_explain_prints_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wav: Path) -> None:
    assert call(monkeypatch, "explain", wav, "--model", LOW, "-q") == 0
    printed = capsys.readouterr().out
    assert "one_minimal" in printed
    assert printed.startswith("yes (")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--delta", "1.5"), "delta 1.5: out of range"),
        (("--delta", "-0.1"), "delta -0.1: out of range"),
        (("--count", "0"), "count 0: out of range"),
        (("--budget", "3"), "budget 3: out of range"),
        (("--search", "minimum"), "did you mean 'minimal'"),
        (("--domain", "mel"), "mel:BANDS"),
        (("--occlusion", "zeros"), "did you mean 'zero'"),
        (("--seconds", "-1"), "seconds -1.0: out of range"),
        (("--device", "tpu9"), "device 'tpu9'"),
        (("--out", "/proc/nowhere/out"), "cannot be written"),
    ],
)
def test_bad_options_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wav: Path, options: tuple[str, str], words: str
) -> None:
    assert words in refused(monkeypatch, capsys, "explain", wav, "--model", LOW, *options)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("mtt-vgg", "use one of builtin:"),
        ("bultin:mtt-vgg", "did you mean 'builtin'"),
        ("builtin:mtt-vg", "mtt-vgg"),
        ("python:nowhere.py:model", "no such file"),
        (f"python:{MODELS}:lowest", "has no 'lowest'"),
        (f"python:{MODELS}:unusable", "lacks labels"),
        ("python:no_such_module_here:model", "no_such_module_here"),
        ("python:x", "use python:MODULE:ATTR"),
    ],
)
def test_unknown_models_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wav: Path, spec: str, words: str
) -> None:
    assert words in refused(monkeypatch, capsys, "explain", wav, "--model", spec)


def test_bad_recordings_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("text " * 100)
    soundfile.write(tmp_path / "none.wav", np.empty(0), RATE)
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "silence.wav", np.zeros(3200), RATE)
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "whole.flac", rng.uniform(-1, 1, 9000), RATE)
    (tmp_path / "cut.flac").write_bytes((tmp_path / "whole.flac").read_bytes()[:6000])
    for name, words in {
        "missing.wav": "no such file", "empty.wav": "empty", "text.wav": "not readable", "none.wav": "no samples",
        "nan.wav": "NaN", "silence.wav": "silence", "cut.flac": "cut.flac",
    }.items():  # fmt: skip
        assert words in refused(monkeypatch, capsys, "explain", tmp_path / name, "--model", LOW)


@pytest.mark.parametrize(("samples", "rate", "channels"), [(1, RATE, 1), (200, RATE, 1), (19_200, 192_000, 8)])
def test_unusual_recordings_are_explained(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    samples: int,
    rate: int,
    channels: int,
) -> None:
    """One sample; shorter than the model's window; 192 kHz with 8 channels."""
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "odd.wav", rng.uniform(-1, 1, (samples, channels)), rate, subtype="FLOAT")
    words = ("explain", tmp_path / "odd.wav", "--model", "builtin:mtt-vgg", "--budget", 40, "--json")
    assert call(monkeypatch, *words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["clip"]["samples"] == max(1, samples * RATE // rate)
    assert printed["bins"] == printed["clip"]["samples"] // 2 + 1


def test_long_recordings_say_what_they_cost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "clips").mkdir()
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 61 * RATE)
    soundfile.write(tmp_path / "clips" / "long.wav", noise, RATE)
    words = ("explain", tmp_path / "clips" / "long.wav", "--model", LOW, "--budget", 10)
    said = "a clip is longer than a minute (61 s, 488,001 variables): up to 10 questions of the whole length"
    assert call(monkeypatch, *words) == 0
    assert capsys.readouterr().err.startswith(said)
    for more in (("--seconds", "1"), ("--quiet",)):
        assert call(monkeypatch, *words, *more) == 0
        assert said not in capsys.readouterr().err
    study = write_study(tmp_path, "only_correct = true\n", models=("low",))
    call(monkeypatch, "study", "run", study)
    assert said.replace("10 questions", "300 questions") in capsys.readouterr().err
    study.write_text("seconds = 1.0\n" + study.read_text())
    call(monkeypatch, "study", "run", study)
    assert "longer than a minute" not in capsys.readouterr().err


def test_limits_reach_commands_and_studies(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "clips").mkdir()
    soundfile.write(tmp_path / "clips" / "slow.wav", np.random.default_rng(0).uniform(-0.1, 0.1, 20), 90)
    words = ("explain", tmp_path / "clips" / "slow.wav", "--model", LOW, "--budget", 10)
    assert "sample rate 90 Hz; use 100 to" in refused(monkeypatch, capsys, *words)
    assert call(monkeypatch, *words, "--lowest-rate", "90") == 0
    study = write_study(tmp_path, models=("low",))
    assert call(monkeypatch, "study", "run", study) == 1
    study.write_text(study.read_text() + "[limits]\nlowest_rate = 90\n")
    assert call(monkeypatch, "study", "run", study) == 0


def write_study(folder: Path, text: str = "", models: tuple[str, ...] = ("low", "high")) -> Path:
    specs = ", ".join(f'"python:{MODELS}:{name}"' for name in models)
    path = folder / "study.toml"
    path.write_text(f'models = [{specs}]\n{text}\n[[data]]\npath = "clips"\n[search]\nbudget = 300\n')
    return path


def test_a_study_from_file_to_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wav: Path, tmp_path: Path
) -> None:
    (tmp_path / "clips").mkdir()
    wav.rename(tmp_path / "clips" / wav.name)
    study = write_study(tmp_path)
    store = tmp_path / "study.db"
    assert call(monkeypatch, "study", "run", study) == 0
    assert "2 explanations" in capsys.readouterr().out
    assert call(monkeypatch, "study", "run", study, "-q") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert call(monkeypatch, "study", "status", store, "--json") == 0
    assert json.loads(capsys.readouterr().out)["explanations"] == 2
    assert call(monkeypatch, "study", "tables", store, "--format", "json") == 0
    tables = json.loads(capsys.readouterr().out)
    rates = [row for row in tables["matrix_sufficient"] if row["model"] != "average"]
    assert len(rates) == 2
    assert all(row[row["model"]] == 1.0 for row in rates)
    assert call(monkeypatch, "study", "tables", store, "--table", "chance", "--table", "models") == 0
    printed = capsys.readouterr().out
    assert "## chance" in printed
    assert "## curves" not in printed
    assert call(monkeypatch, "study", "tables", store, "--out", tmp_path / "tables") == 0
    assert (tmp_path / "tables" / "chance.csv").read_text().startswith("kind,source,judge,")
    assert "use one of models, " in refused(monkeypatch, capsys, "study", "tables", store, "--table", "modles")
    for style in ("md", "csv"):
        assert call(monkeypatch, "study", "tables", store, "--format", style) == 0
        assert "alpha" in capsys.readouterr().out
    assert call(monkeypatch, "report", store, "--out", tmp_path / "page") == 0
    assert (tmp_path / "page" / "index.html").read_text().startswith("<!")
    (tmp_path / "clips" / "text.wav").write_text("no sound")
    assert call(monkeypatch, "study", "run", study, "-q") == 1
    capsys.readouterr()
    assert call(monkeypatch, "study", "status", store) == 0
    assert "failed: read" in capsys.readouterr().out


def test_bad_studies_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wav: Path, tmp_path: Path
) -> None:
    assert "no such study file" in refused(monkeypatch, capsys, "study", "run", tmp_path / "none.toml")
    (tmp_path / "clips").mkdir()
    assert "no recordings" in refused(monkeypatch, capsys, "study", "run", write_study(tmp_path), "-q")
    wav.rename(tmp_path / "clips" / wav.name)
    study = write_study(tmp_path, "secnds = 3")
    assert "did you mean 'seconds'" in refused(monkeypatch, capsys, "study", "run", study)
    study.write_text("models = [")
    assert "TOML" in refused(monkeypatch, capsys, "study", "run", study)
    study = write_study(tmp_path, models=("low", "other_labels"))
    assert "share 1 labels" in refused(monkeypatch, capsys, "study", "run", study, "-q")
    assert "no such store" in refused(monkeypatch, capsys, "study", "status", tmp_path / "no.db")
    study = write_study(tmp_path, 'store = "/proc/nowhere/study.db"')
    assert "not usable" in refused(monkeypatch, capsys, "study", "run", study, "-q")


def test_epsilon_out_of_range_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wav: Path, tmp_path: Path
) -> None:
    (tmp_path / "clips").mkdir()
    wav.rename(tmp_path / "clips" / wav.name)
    call(monkeypatch, "study", "run", write_study(tmp_path), "-q")
    capsys.readouterr()
    for epsilon in ("0", "1.5"):
        words = ("study", "tables", tmp_path / "study.db", "--epsilon", epsilon)
        assert f"epsilon {float(epsilon)}: out of range" in refused(monkeypatch, capsys, *words)


def test_models_check_says_what_aligns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    specs = ("builtin:msd-vgg", "builtin:mtt-vgg")
    assert call(monkeypatch, "models", "check", *specs) == 0
    printed = capsys.readouterr().out
    assert "8 labels align" in printed
    for label in ("guitar", "electronic", "rock", "ambient", "pop", "dance", "country", "metal"):
        assert label in printed.split("labels align:")[1]
    assert "605,748" in printed
    spec = f"python:{MODELS}:other_labels"
    assert "labels do not align" in refused(monkeypatch, capsys, "models", "check", LOW, spec)


def test_wrong_use_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "explane") == 2
    assert call(monkeypatch, "explain") == 2
    assert "Traceback" not in capsys.readouterr().err


def test_commands_speak_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wav: Path, tmp_path: Path
) -> None:
    assert call(monkeypatch, "models", "check", LOW, "--seconds", 0.2, "--json") == 0
    checked = json.loads(capsys.readouterr().out)
    assert checked["labels"] == checked["models"][0]["labels"] == ["yes", "no", "maybe"]
    assert checked["models"][0]["clips_per_second"] > 0
    (tmp_path / "clips").mkdir()
    wav.rename(tmp_path / "clips" / wav.name)
    study = write_study(tmp_path)
    assert call(monkeypatch, "study", "run", study, "--json") == 0
    ran = json.loads(capsys.readouterr().out)
    assert (ran["explained"], ran["failed"], ran["store"]) == (2, 0, str(tmp_path / "study.db"))
    store, out = tmp_path / "study.db", tmp_path / "out"
    for words in (
        ("report", store, "--out", out / "page"), ("open", store, "--no-browser"),
        ("figures", store, "--out", out / "figures"), ("export", store, "--out", out / "tables"),
        ("study", "tables", store, "--out", out / "csv"), ("study", "compare", store, store, "--out", out / "both"),
    ):  # fmt: skip
        assert call(monkeypatch, *words, "--json") == 0
        written = [Path(path) for path in json.loads(capsys.readouterr().out)["written"]]
        assert written
        assert all(path.is_file() for path in written)
    for asked in (("study", "tables", store), ("study", "compare", store, store), ("spectral", store)):
        assert call(monkeypatch, *asked, "--json") == 0
        assert all(isinstance(rows, list) for rows in json.loads(capsys.readouterr().out).values())


def test_every_command_can_be_read_by_a_program() -> None:
    """All but those whose one answer is a version, a schema or a file to fill in."""

    def commands(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
        for word, one in getattr(command, "commands", {}).items():
            yield from commands(one, f"{name} {word}".strip())
        if not hasattr(command, "commands"):
            yield name, command

    options = {
        name: {flag for each in one.params for flag in each.opts}
        for name, one in commands(typer.main.get_command(cli.app))
    }
    assert {name for name, flags in options.items() if "--json" not in flags} == {
        "version", "study schema", "study init",
    }  # fmt: skip


def test_models_check_says_which_front_end_is_used_and_what_aligns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for each in tiny("wav2vec2"):
        each.save_pretrained(tmp_path)
    assert call(monkeypatch, "models", "check", f"hf:{tmp_path}", LOW, "--seconds", 0.2, "--device", "cpu") == 0
    head, first, second, *rest = capsys.readouterr().out.splitlines()
    assert head.split()[-4:] == ["end", "its", "clips/s", "clips/s"]
    assert first.split()[-3] == "torch"
    assert float(first.split()[-2]) > float(first.split()[-1]) > 0
    assert second.split()[-2] == "model"
    assert "3 labels align: yes, no, maybe" in rest


def test_models_check_loads_every_shared_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shared: Path
) -> None:
    with (shared / "models" / "hf" / "MODELS.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["task"] == "digits"]
    specs = [f"hf:{shared / 'models' / 'hf' / row['path']}" for row in rows]
    assert call(monkeypatch, "models", "check", *specs, "--seconds", 0.5, "--device", "cpu") == 0
    lines = capsys.readouterr().out.splitlines()
    for row, line in zip(rows, lines[1:], strict=False):
        assert line.split()[1:6] == [row["architecture"], "10", "16000", f"{int(row['params']):,}", "torch"]
    assert "10 labels align: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in lines


def test_a_pickle_is_read_only_where_allowed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wav: Path, tmp_path: Path
) -> None:
    torch.save(planted_files.Band(), tmp_path / "band.pt")
    (tmp_path / "band.pt.toml").write_text(planted_files.SIDECAR)
    spec = f"torch:{tmp_path / 'band.pt'}"
    assert "--allow-pickle" in refused(monkeypatch, capsys, "explain", wav, "--model", spec, "-q")
    assert "--allow-pickle" in refused(monkeypatch, capsys, "models", "check", spec)
    assert call(monkeypatch, "models", "check", spec, "--seconds", 0.2, "--allow-pickle") == 0
    assert call(monkeypatch, "explain", wav, "--model", spec, "-q", "--allow-pickle", "--json") == 0
    study = tmp_path / "study.toml"
    study.write_text(f'models = ["torch:band.pt", "{LOW}"]\n[[data]]\npath = "{wav}"\n[search]\nbudget = 100\n')
    assert "--allow-pickle" in refused(monkeypatch, capsys, "study", "run", study, "-q")
    assert call(monkeypatch, "study", "run", study, "-q", "--allow-pickle") == 0
    study.write_text(study.read_text() + "[run]\nallow_pickle = true\n")
    assert call(monkeypatch, "study", "run", study, "-q") == 0
    capsys.readouterr()


def test_commands_share_a_gpu_among_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[int | None] = []

    def run_into(path: Path, study: Any, *_: Any, **__: Any) -> Summary:
        asked.append(study.run.workers)
        return Summary(0, 0, 0)

    monkeypatch.setattr("earwitness.study.run.run_into", run_into)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    study = ("study", "run", "--model", LOW, "--data", "builtin", "--set", f"store={tmp_path / 's.db'}")
    for words in ((), ("--workers", "2"), ("--set", "run.device=cpu")):
        call(monkeypatch, *study, *words)
    assert asked == [8, 2, 1]
