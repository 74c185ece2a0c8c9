"""The documentation against the code: commands, settings, names, links, examples, the notebook."""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
import typer.main
from nbclient import NotebookClient

import earwitness
from earwitness.cli import app
from earwitness.search import SEARCHES
from earwitness.study.file import parse_study
from earwitness.transferability.options import Options
from earwitness.transferability.tables import TABLES

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"
FENCE = re.compile(r"^( *)```([\w-]*)[^\n]*\n(.*?)^\1```", re.M | re.S)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?: \"[^\"]*\")?\)")
COMMAND: Any = typer.main.get_command(app)

PAGE_IDS = [str(page.relative_to(ROOT)) for page in PAGES]


def blocks(text: str, *languages: str) -> Iterator[str]:
    for indent, language, body in FENCE.findall(text):
        if language in languages:
            yield "\n".join(line.removeprefix(indent) for line in body.split("\n"))


def shell_commands(text: str) -> Iterator[list[str]]:
    """The words of each command of a shell block that begins with ``earwitness``."""
    for body in blocks(text, "sh", "bash", "console", ""):
        for line in body.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True) if "earwitness " in line else []
            if words[:1] == ["earwitness"]:
                stop = next((i for i, word in enumerate(words) if word in (">", "|", "&&", ";")), len(words))
                yield words[1:stop]


def inline_commands(text: str) -> Iterator[list[str]]:
    for code in re.findall(r"(?<!`)`earwitness ([a-z][^`]*)`(?!`)", FENCE.sub("", text)):
        yield code.replace("\\|", "|").split()


def parse(words: list[str]) -> None:
    """Parse a command as the command line does, without doing it."""
    command, rest = COMMAND, words
    while hasattr(command, "commands"):
        assert rest, f"earwitness {' '.join(words)}: names no command"
        assert rest[0] in command.commands, f"earwitness {' '.join(words)}: no command {rest[0]!r}"
        command, rest = command.commands[rest[0]], rest[1:]
    if "--help" not in rest:
        command.make_context("earwitness", rest)


def check_mention(words: list[str]) -> None:
    """A command in running text may be without its arguments; what it names must exist."""
    command, rest = COMMAND, words
    while hasattr(command, "commands") and rest:
        assert rest[0] in command.commands, f"earwitness {' '.join(words)}: no command {rest[0]!r}"
        command, rest = command.commands[rest[0]], rest[1:]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    for word in rest:
        option = word.strip("[],.").split("=")[0]
        if option.startswith("--"):
            assert option in known, f"earwitness {' '.join(words)}: no option {option}"


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_commands_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for words in shell_commands(text):
        parse(words)
    for words in inline_commands(text):
        check_mention(words)


def test_the_checks_of_commands_find_faults() -> None:
    with pytest.raises(AssertionError, match="no command"):
        parse(["studdy", "run"])
    with pytest.raises(Exception, match="No such option"):
        parse(["explain", "a.wav", "--model", "builtin:mtt-vgg", "--bogus"])
    with pytest.raises(AssertionError, match="no option"):
        check_mention(["study", "run", "--bogus"])
    text = "```sh\nearwitness study status a.db > b  # why\n```\n`earwitness report --out DIR`"
    assert list(shell_commands(text)) == [["study", "status", "a.db"]]
    assert list(inline_commands(text)) == [["report", "--out", "DIR"]]


def test_every_command_is_documented() -> None:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)

    def names(command: Any, prefix: str) -> Iterator[str]:
        for name, part in command.commands.items():
            yield from names(part, f"{prefix} {name}") if hasattr(part, "commands") else [f"{prefix} {name}"]

    missing = [name for name in names(COMMAND, "earwitness") if not re.search(rf"{name}\b", pages)]
    assert not missing


def test_every_public_name_is_documented() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^::: earwitness\.(\w+)$", page, re.M))
    assert named >= set(earwitness.__all__)
    for name in re.findall(r"^(?:::: |\| `)(earwitness\.[\w.]+)", page, re.M):
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), f"docs/api.md names {name}, which is not there"
    for name in earwitness.__all__:
        assert (getattr(earwitness, name).__doc__ or "").strip(), f"earwitness.{name} has no docstring"


def test_every_table_and_search_is_documented() -> None:
    tables = (ROOT / "docs" / "transfer.md").read_text(encoding="utf-8")
    assert not [name for name in TABLES if f"`{name}`" not in tables]
    definitions = (ROOT / "docs" / "definitions.md").read_text(encoding="utf-8")
    assert not [name for name in SEARCHES if f"`{name}`" not in definitions]


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.M)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_relative_links_resolve(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), f"{page.relative_to(ROOT)} links to {link}, which is not there"
        assert target.resolve().is_relative_to(ROOT.resolve())
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{link}: no such heading"


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r"[\w/.-]+\.(?:md|ipynb)", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    assert {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")} <= listed
    assert not [name for name in listed if not (ROOT / "docs" / name).exists()]


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_code_blocks_parse(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for body in blocks(text, "python"):
        ast.parse(body)
    for body in blocks(text, "toml"):
        settings = tomllib.loads(body)
        if {"models", "data"} <= set(settings):
            parse_study(settings, str(page))


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_code_blocks_import_what_there_is(page: Path) -> None:
    for body in blocks(page.read_text(encoding="utf-8"), "python"):
        for node in ast.walk(ast.parse(body)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("earwitness"):
                module = importlib.import_module(str(node.module))
                assert not [name.name for name in node.names if not hasattr(module, name.name)], ast.unparse(node)


def modules() -> list[str]:
    source = ROOT / "src"
    paths = (path.relative_to(source).with_suffix("") for path in sorted(source.rglob("*.py")))
    return [".".join(path.parts).removesuffix(".__init__") for path in paths if path.name != "__main__"]


def test_examples_of_docstrings() -> None:
    tried = 0
    for name in modules():
        module = importlib.import_module(name)  # libraries of extras are imported where they are used
        result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
        assert not result.failed, f"examples in docstrings of {name}: see the output"
        tried += result.attempted
    assert tried > 20


def test_notebook_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = json.dumps(notebook.cells)
    assert "one_complete" in printed
    assert "alpha" in printed


def test_examples_of_extending_run(monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {}
    for body in blocks((ROOT / "docs" / "extending.md").read_text(encoding="utf-8"), "python"):
        exec(body, names)
    monkeypatch.setitem(SEARCHES, "loudest", names["loudest"])
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    noise = np.random.default_rng(0).standard_normal(16000) / 100
    clip = earwitness.Clip((tone / 2 + noise).astype(np.float32), 16000)
    classifier = earwitness.Classifier(names["load_tone"]("1000", torch.device("cpu")))
    found = earwitness.explain(clip, classifier, earwitness.SearchSettings(search="loudest"))
    assert found.label == "yes"
    first = found.sufficient[0]
    assert isinstance(first, earwitness.Subset)
    assert first.runs == ((1000, 1001),)
    other = earwitness.Classifier(names["load_tone"]("2000", torch.device("cpu")))
    answers = earwitness.transfer(found, [classifier, other])
    assert names["loners"](answers, Options())["alone"].to_list() == [1.0]
