"""The plan of the house: the page shows the layers that the linter holds, and no room is too large to know."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "earwitness"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def layers() -> list[list[str]]:
    """The layers that the linter holds, from the top down; modules of one layer know nothing of each other."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (contract,) = (one for one in settings["contracts"] if one["type"] == "layers")
    return [[part.strip() for part in layer.split("|")] for layer in contract["layers"]]


def test_the_page_shows_the_layers_as_they_are() -> None:
    table = PAGE.split("## Layers")[1].split("| a new")[0]
    rows = re.findall(r"^\| (`[^|]+?) \|", table, re.M)
    assert [re.findall(r"`(\w+)`", row) for row in rows] == layers()


def test_every_module_is_in_a_layer() -> None:
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    listed = {name for layer in layers() for name in layer}
    assert there - {"__init__"} == listed


def test_what_the_page_names_is_there() -> None:
    for name in re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`", PAGE):
        assert (PACKAGE / name).exists(), f"docs/architecture.md names {name}, which is not there"
    text = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    for name in re.findall(r"`([A-Z]{4,})`", PAGE):
        assert re.search(rf"^{name}\b.*=", text, re.M), f"docs/architecture.md names {name}, which is nowhere defined"


def test_the_linter_finds_an_arrow_that_points_up(tmp_path: Path) -> None:
    """A copy of the package with one import too many is refused, one as it is kept."""
    copy = tmp_path / "earwitness"
    for path in PACKAGE.rglob("*.py"):
        target = copy / path.relative_to(PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    assert lint(tmp_path) == 0
    with open(copy / "signal" / "masks.py", "a", encoding="utf-8") as file:
        file.write("\n\ndef late() -> None:\n    from ..study import store\n")
    assert lint(tmp_path) == 1


def lint(folder: Path) -> int:
    """Run the linter on the package in a folder; its exit code."""
    command = "import sys; sys.path.insert(0, '.'); from importlinter import cli; cli.lint_imports_command()"
    options = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    return subprocess.run([sys.executable, "-c", command, *options], cwd=folder, capture_output=True).returncode


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks", "tools", "examples"])
def test_no_file_over_450_lines_no_function_over_40(folder: str) -> None:
    for path in sorted((ROOT / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 450, f"{path.relative_to(ROOT)} has {text.count(chr(10))} lines; split it"
        for name, lines in functions(ast.parse(text)):
            assert lines <= 40, f"{path.relative_to(ROOT)}: {name} has {lines} lines without docstring; split it"


def functions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every function with the number of its lines, the docstring left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            documented = ast.get_docstring(node) is not None
            docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
            yield node.name, (node.end_lineno or 0) - node.lineno + 1 - docstring


def test_only_the_store_asks_its_tables() -> None:
    store = PACKAGE / "study" / "store"
    for path in sorted(set(PACKAGE.rglob("*.py")) - set(store.rglob("*.py"))):
        found = re.search(r"\bSELECT\b|\bINSERT\b|\.frame\(", path.read_text(encoding="utf-8"))
        assert found is None, f"{path.relative_to(ROOT)} asks the tables itself; give {store.name}/ a method for it"
