"""Settings are declared once: what a field says of itself is held by Python, commands and study files alike."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from pydantic import TypeAdapter

from earwitness.analyses.settings import CompositionSettings, GreedySettings, ManipulationSettings
from earwitness.commands.options import Access, Analysis, Leave, expand
from earwitness.errors import ConfigError
from earwitness.search.settings import RobustSettings, SearchSettings
from earwitness.settings import Settings, setting
from earwitness.study.file import parse_study
from earwitness.study.template import study_schema
from earwitness.transferability.options import Options


@dataclass(frozen=True)
class Inner(Settings):
    depth: int = setting(2, "how deep", ge=1)


@dataclass(frozen=True)
class Planted(Settings):
    share: float = setting(0.5, "of the whole", gt=0, le=1)
    level: float = setting(0.9, "of intervals", gt=0, lt=1)
    count: int = setting(1, "at least one", ge=1)
    most: int = setting(1, "at most nine", le=9)
    limit: int | None = setting(None, "only so many", ge=1, examples=[10])
    kind: str = setting("square", "which shape", choices=("square", "circle", "line"))
    kinds: tuple[str, ...] = setting(("square",), "which shapes", choices=("square", "circle"), flags=("--shape",))
    sizes: tuple[int, ...] = setting((1, 5), "how large")
    quick: bool = setting(False, "take no care")
    swift: bool = setting(True, "be swift", flags=(" /--slow",), off="be slow")
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"share": 0}, "share 0: out of range; use more than 0 and at most 1"),
        ({"share": float("nan")}, "share nan: out of range"),
        ({"level": 1.0}, "level 1.0: out of range; use more than 0 and less than 1"),
        ({"count": 0}, "count 0: too small; use at least 1"),
        ({"most": 10}, "most 10: too large; use at most 9"),
        ({"limit": 0}, "limit 0: too small; use at least 1"),
        ({"share": None}, "share None: out of range; use more than 0 and at most 1"),
        ({"kind": None}, "kind None: use one of square, circle, line"),
        ({"kind": "circl"}, "kind 'circl': did you mean 'circle'? use one of square, circle, line"),
        ({"kinds": ("square", "line")}, "kinds 'line': use square or circle"),
    ],
)
def test_what_a_field_does_not_allow_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Planted(**given)
    assert message in str(refused.value)


@pytest.mark.parametrize("place", [
    "search.budget", "search.repeats", "search.count", "search.seed", "transfer.nulls", "run.workers", "run.threads",
    "run.batch", "sample_rate", "seconds", "data.seed",
])  # fmt: skip
def test_study_files_with_absurd_numbers_are_refused(place: str) -> None:
    section, _, name = place.rpartition(".")
    content: dict[str, Any] = {"models": ["m"], "data": [{"path": "x"}]}
    one = content["data"][0] if section == "data" else content.setdefault(section, {}) if section else content
    one[name] = 2**63 - 1
    with pytest.raises(ConfigError, match=rf"{name}.*(at most|less than or equal to) \d") as refused:
        parse_study(content)
    assert "e+" not in str(refused.value)
    one[name] = -1
    with pytest.raises(ConfigError, match=name):
        parse_study(content)


COUNTED = [
    pytest.param(kind, one.name, id=f"{kind.__name__}.{one.name}")
    for kind in (CompositionSettings, GreedySettings, ManipulationSettings, Options, RobustSettings, SearchSettings)
    for one in fields(kind)
    if one.name in ("budget", "questions", "restarts", "draws", "seed", "repeats", "count")
]


@pytest.mark.parametrize(("kind", "name"), COUNTED)
def test_what_is_counted_has_an_upper_end(kind: Any, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} 9223372036854775807: .*use \d+ to \d+$"):
        kind(**{name: 2**63 - 1})


@pytest.mark.parametrize("domain", ["mel:1e12", "octave:1e9", "stft:1e12:4"])
def test_absurd_domains_are_refused(domain: str) -> None:
    with pytest.raises(ConfigError, match="use fewer"):
        SearchSettings(domain=domain)


def test_ends_of_a_range_are_allowed() -> None:
    assert Planted(share=1, count=1, most=9, limit=None).share == 1


def test_study_files_read_what_a_field_says() -> None:
    schema = TypeAdapter(Planted).json_schema()
    share, limit = schema["properties"]["share"], schema["properties"]["limit"]
    assert (share["description"], share["exclusiveMinimum"], share["maximum"]) == ("of the whole", 0, 1)
    assert limit["examples"] == [10]
    assert schema["additionalProperties"] is False


def test_the_schema_describes_sections_in_a_line() -> None:
    for section in study_schema()["$defs"].values():
        assert section["description"]
        assert "\n" not in section["description"]


def call(command: Any, *words: str) -> None:
    app = typer.Typer(add_completion=False)
    app.command()(expand(command))
    app(list(words), standalone_mode=False)


def test_a_command_has_an_option_a_field() -> None:
    made: list[Any] = []

    def command(settings: Planted, path: Path, loud: bool = False) -> None:
        made.extend([settings, path, loud])

    shape = ("--share", "0.25", "--shape", "circle", "--shape", "square", "--quick")
    call(command, "here", *shape, "--sizes", "2,3", "--sizes", "4", "--depth", "7", "--loud")
    shapes = ("circle", "square")
    wanted = Planted(share=0.25, kinds=shapes, sizes=(2, 3, 4), quick=True, inner=Inner(7))
    assert made == [wanted, Path("here"), True]


def test_what_is_not_given_is_the_default() -> None:
    made: list[Any] = []

    def command(settings: Planted, output: Analysis) -> None:
        made.extend([settings, output])

    call(command)
    assert made == [Planted(), Analysis()]


def test_an_empty_list_is_none_of_them() -> None:
    made: list[Planted] = []

    def command(settings: Planted) -> None:
        made.append(settings)

    call(command, "--sizes", "")
    assert made[0].sizes == ()


def test_options_refuse_what_settings_do() -> None:
    def command(settings: Planted) -> None:
        raise AssertionError("called")

    for words, message in (
        (("--share", "2"), r"--share 2\.0: out of range"),
        (("--shape", "line"), "--shape 'line': use square or circle"),  # by the option's name, not the field's
        (("--sizes", "1,x"), "--sizes '1,x': not a list of whole numbers; write e.g. 1,5"),
    ):
        with pytest.raises(ConfigError, match=message):
            call(command, *words)


def test_help_says_ranges_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    def command(settings: Planted) -> None:
        raise AssertionError("called")

    call(command, "--help")
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for text in (
        "Of the whole; more than 0 and at most 1.",
        "At least one; at least 1.",
        "(default: 1,5).",
        "Be slow.",
    ):
        assert text in shown


def test_a_field_may_be_left_out() -> None:
    made: list[Access] = []

    def command(access: Annotated[Access, Leave("device")]) -> None:
        made.append(access)

    assert list(inspect.signature(expand(command)).parameters) == ["allow_pickle", "trust_remote_code"]
    call(command, "--allow-pickle")
    assert made == [Access(allow_pickle=True)]
