"""The door opens at once: which heavy libraries a command may import before it does any work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

import earwitness
from earwitness.cli import app
from earwitness.search.settings import SearchSettings
from earwitness.study.store import Store

#: not pydantic: typer has it check options
HEAVY = (
    "jinja2", "matplotlib", "numpy", "onnx", "onnxruntime", "polars", "pyloudnorm", "ray", "rich.progress",
    "safetensors", "scipy", "soundfile", "soxr", "torch", "transformers",
)  # fmt: skip


def imported(code: str, folder: Path, heavy: tuple[str, ...] = HEAVY) -> set[str]:
    """Those of the heavy libraries that a fresh interpreter has imported after some code."""
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\n"
    script += f"print('|', *(name for name in {heavy} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("|")[2].split())


def run(*words: str) -> str:
    """The code of a command."""
    return f"sys.argv[1:] = {list(words)!r}; from earwitness.cli import main; main()"


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the store of a study that has a failure to tell of."""
    with Store(tmp_path / "study.db", write=True) as store:
        key = store.add_settings(SearchSettings(), ("yes", "no"))
        store.set_plan(key, [], [])
        store.set_meta(settings=key, name="small", study={})
        store.add_failure(key, "read", "a.wav", "", "no sound")
    return tmp_path


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import earwitness", set()),
        ("from earwitness import SearchSettings", set()),
        ("import earwitness.study.status", set()),
        ("from earwitness import Clip", {"numpy", "soundfile", "soxr"}),
        (run("--help"), set()),
        (run("version"), set()),
        (run("study", "init"), set()),
        (run("study", "status", "study.db"), set()),
        (run("study", "status", "nothing.db"), set()),
    ],
    ids=lambda part: part.split(";")[0].removeprefix("sys.argv[1:] = ") if isinstance(part, str) else None,
)
def test_what_is_imported(code: str, allowed: set[str], folder: Path) -> None:
    assert imported(code, folder) == allowed


@pytest.mark.parametrize("words", sorted(commands(typer.main.get_command(app))), ids=" ".join)
def test_help_imports_nothing_heavy(words: tuple[str, ...], folder: Path) -> None:
    assert imported(run(*words, "--help"), folder) == set()


@pytest.mark.parametrize("module", ["cli", "settings", "analyses.settings", "transferability.options", "study.store"])
def test_pydantic_is_for_study_files(module: str, folder: Path) -> None:
    """Typer imports it to check options; nothing of ours does before a study file is read."""
    assert imported(f"import earwitness.{module}", folder, ("pydantic",)) == set()
    assert imported("import earwitness.study.file", folder, ("pydantic",)) == {"pydantic"}


def test_heavy_imports_are_found(folder: Path) -> None:
    assert {"torch", "numpy"} <= imported("import earwitness; earwitness.explain", folder)


def test_public_names_are_there_when_asked_for() -> None:
    assert set(earwitness.__all__) <= set(dir(earwitness))
    for name in earwitness.__all__:
        assert getattr(earwitness, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'explane'"):
        earwitness.explane  # noqa: B018
    with pytest.raises(ImportError):
        exec("from earwitness import explane")


def test_packages_are_there_when_asked_for(folder: Path) -> None:
    assert imported("import earwitness; earwitness.search; earwitness.errors; earwitness.study", folder) == set()


def test_functions_are_not_hidden_by_modules() -> None:
    """``transfer`` and ``explain`` stay functions once the modules that hold them are imported."""
    import earwitness.explanation
    import earwitness.transferability.judges

    assert callable(earwitness.transfer)
    assert callable(earwitness.explain)
    clip = earwitness.Clip(np.zeros(4, dtype=np.float32), 4)
    assert clip.silent


@pytest.mark.parametrize(("typed", "wanted"), [("earwitness st", {"study"}), ("earwitness study ", {"run", "plan"})])
def test_the_shell_completes_commands(typed: str, wanted: set[str], tmp_path: Path) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" ")), "_EARWITNESS_COMPLETE": "complete_bash"}
    command = [sys.executable, "-c", "import sys; sys.argv[0] = 'earwitness'; from earwitness.cli import main; main()"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, **words})
    assert done.returncode == 0, done.stderr
    assert wanted <= set(done.stdout.split())
