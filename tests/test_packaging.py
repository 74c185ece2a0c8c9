"""Recipes for other ways to install it say what pyproject.toml says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
yaml: Any = pytest.importorskip("yaml")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: what conda-forge calls them
CONDA = {"matplotlib": "matplotlib-base", "soundfile": "pysoundfile", "soxr": "soxr-python", "torch": "pytorch"}


def test_the_conda_recipe_needs_what_the_project_needs() -> None:
    recipe = yaml.safe_load((ROOT / "packaging" / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["context"]["version"] == PROJECT["version"]
    wanted = {f"python {PROJECT['requires-python']}"}
    for line in PROJECT["dependencies"]:
        need = Requirement(line)
        wanted.add(f"{CONDA.get(need.name, need.name)} {need.specifier}")
    assert set(recipe["requirements"]["run"]) == wanted
    scripts = [f"{name} = {target}" for name, target in PROJECT["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == scripts


def test_the_image_copies_what_the_wheel_is_built_of() -> None:
    """What is copied is there and not ignored, and its Python is one that the project allows."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    ]
    assert {"pyproject.toml", "README.md", "LICENSE", "src", "constraints.txt"} == set(copied)
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored
    (base,) = {line.split()[1] for line in lines if line.startswith("FROM ")}
    assert f">={base.removeprefix('python:').removesuffix('-slim')}" == PROJECT["requires-python"]
    extras = re.search(r"\[([\w,]+)\]", "\n".join(lines))
    assert extras is not None
    assert set(extras[1].split(",")) <= set(PROJECT["optional-dependencies"])


def test_the_release_tests_what_it_publishes() -> None:
    flow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8"))
    jobs = flow["jobs"]
    assert jobs["build"]["needs"] == "check"
    assert jobs["publish"]["needs"] == jobs["image"]["needs"] == "build"
    steps = [step.get("run", "") for step in jobs["build"]["steps"]]
    assert any("earwitness demo" in step and "/tmp/empty" in step for step in steps)
    script = next(step for step in steps if "GITHUB_REF_NAME" in step)
    pattern = re.search(r"s/(\^version = .*?)/", script)
    assert pattern is not None  # what the tag is held against is there
    assert re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert all("password" not in str(step.get("with", "")) for job in jobs.values() for step in job["steps"])
