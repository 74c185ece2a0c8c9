"""The package as it is installed: the wheel has all that is needed, and works outside of the repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: what the wheel may have at most, in bytes: weights and recordings are in it, so that the demo needs no network
MOST = 20 << 20


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheel_has_what_git_has(wheel: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "src"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no git repository to compare with")
    files = {name.removeprefix("src/") for name in listed.stdout.split("\n") if name}
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        facts = {
            name.rpartition("/")[2]: archive.read(name).decode() for name in archive.namelist() if "METADATA" in name
        }
    assert inside >= files - {"earwitness/.gitignore"}
    assert "License-Expression: MIT" in facts["METADATA"]
    assert wheel.stat().st_size < MOST


def test_it_works_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "empty").mkdir()

    def call(*words: str) -> str:
        run = subprocess.run(
            [sys.executable, "-P", *words], cwd=tmp_path / "empty", capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        return run.stdout

    place = call("-c", "import earwitness; print(earwitness.__file__)").strip()
    assert Path(place).is_relative_to(tmp_path / "site")
    recording = next((tmp_path / "site" / "earwitness" / "data" / "recordings").glob("*.flac"))
    words = ("--model", "builtin:mtt-vgg", "--seconds", "1", "--budget", "20", "--json", "--quiet")
    told = json.loads(call("-m", "earwitness", "explain", str(recording), *words))
    assert told["clip"]["samples"] == 16_000
    assert call("-m", "earwitness", "version").strip() == version("earwitness")
