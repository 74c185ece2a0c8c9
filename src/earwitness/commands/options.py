"""Options of commands: those that several share, and those that are made of settings.

A parameter of a command whose type is a settings dataclass stands for one option a field (:func:`expand`): a setting is
declared once, where it is used, and every command that takes it has the same option.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import Field, dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from ..errors import ConfigError
from ..settings import Settings, allowed, check, setting

FORMATS = ("md", "csv", "json")

StoreArgument = Annotated[Path, typer.Argument(metavar="STORE", help="The study's store.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
EpsilonOption = Annotated[float | None, typer.Option(help="Definition 4's ε; default: the study's.")]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]


@dataclass(frozen=True)
class Device(Settings):
    """Where a model is to compute."""

    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps")


@dataclass(frozen=True)
class Access(Device):
    """Where a model is to compute, and what it may do."""

    allow_pickle: bool = setting(False, "read models from pickles, which can run code")
    trust_remote_code: bool = setting(False, "run code that comes with a model")

    @property
    def trust(self) -> dict[str, bool]:
        """The options of :func:`earwitness.open_model` that let a model run code."""
        return {"allow_pickle": self.allow_pickle, "trust_remote_code": self.trust_remote_code}


@dataclass(frozen=True)
class Format(Settings):
    """How tables are printed."""

    style: str = setting("md", "md, csv or json", choices=FORMATS, flags=("--format",))
    as_json: bool = setting(False, "as --format json", flags=("--json",))

    @property
    def form(self) -> str:
        """``md``, ``csv`` or ``json``."""
        return "json" if self.as_json else self.style


@dataclass(frozen=True)
class Analysis(Format, Device):
    """Where an analysis computes, and where what it found goes."""

    out: Path | None = setting(None, "folder for the tables as CSV, the figures and the signals")
    quiet: bool = setting(False, "no progress", flags=("--quiet", "-q"))


@dataclass(frozen=True)
class Trusting(Settings):
    """Whether models run on the word of the file that names them."""

    trust_models: bool = setting(
        False, "run code that a store or explanation names: python: models, and what its study allowed"
    )


@dataclass(frozen=True)
class Asking(Analysis, Trusting):
    """An analysis that asks models, not the store alone."""


@dataclass(frozen=True)
class Leave:
    """Marks fields of settings that a command does not take from the command line: ``Annotated[S, Leave("x")]``."""

    name: str


def expand(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each field in place of each parameter that is a settings dataclass."""
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[Any, frozenset[str]]] = {}
    for parameter in inspect.signature(command).parameters.values():
        kind, left = _group(hints[parameter.name])
        if kind is None:
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
        else:
            groups[parameter.name] = kind, left
            parameters += list(_options(kind, left))

    @wraps(command)
    def run(**values: Any) -> None:
        made = {name: _make(kind, left, values) for name, (kind, left) in groups.items()}
        command(**values, **made)

    # options have defaults, so they may stand in any order; arguments without one come first
    parameters.sort(key=lambda parameter: parameter.default is not inspect.Parameter.empty)
    del run.__wrapped__  # typer would read the command's own signature
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _group(hint: Any) -> tuple[Any, frozenset[str]]:
    """The settings dataclass that a parameter is, and the fields that are left out; ``None`` if it is none."""
    left: frozenset[str] = frozenset()
    if get_origin(hint) is Annotated:
        hint, *marks = get_args(hint)
        left = frozenset(mark.name for mark in marks if isinstance(mark, Leave))
    return (hint, left) if isinstance(hint, type) and is_dataclass(hint) else (None, left)


def _options(kind: Any, left: frozenset[str]) -> Iterator[inspect.Parameter]:
    """A parameter for each field of settings, those of settings inside it too."""
    hints = get_type_hints(kind)
    for one in fields(kind):
        if is_dataclass(hints[one.name]):
            yield from _options(hints[one.name], left)
        elif one.name not in left:
            yield _option(one, hints[one.name])


def _option(one: Field[Any], hint: Any) -> inspect.Parameter:
    default: Any = one.default
    flags = _flags(one)
    shown = not isinstance(default, bool)
    text = _sentence(one, default)
    if get_origin(hint) is tuple:  # several values: repeated, or with commas between
        several = f"{text[:-1]}; repeat, or separate by commas"
        text, shown = f"{several} (default: {_join(default)})." if default else f"{several}.", False
        hint, default = list[str] | None, None
    annotation = Annotated[hint, typer.Option(*flags, help=text, show_default=shown)]
    return inspect.Parameter(
        one.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation
    )  # fmt: skip


def _sentence(one: Field[Any], default: Any) -> str:
    """What an option does and its range: with a capital letter, unless it begins with a value, and a full stop."""
    text = one.metadata.get("off", one.metadata["description"])
    first = text.split()[0]
    text = text[0].upper() + text[1:] if first.isalpha() and first != default else text
    return "; ".join(part for part in (text, allowed(one)) if part) + "."


def _join(values: tuple[Any, ...]) -> str:
    return ",".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)


def _make(kind: Any, left: frozenset[str], values: dict[str, Any]) -> Any:
    """The settings that the options' values say; those values are taken away."""
    hints, given = get_type_hints(kind), {}
    for one in fields(kind):
        hint = hints[one.name]
        if is_dataclass(hint):
            given[one.name] = _make(hint, left, values)
        elif one.name not in left:
            value, flag = values.pop(one.name), _flags(one)[0]
            if get_origin(hint) is tuple:
                value = one.default if value is None else _split(one, value, get_args(hint)[0])
            check(one, value, flag)
            given[one.name] = value
    return kind(**given)


def _flags(one: Field[Any]) -> tuple[str, ...]:
    return one.metadata.get("flags") or (f"--{one.name.replace('_', '-')}",)


def _split(one: Field[Any], texts: list[str], convert: type) -> tuple[Any, ...]:
    parts = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    try:
        return tuple(convert(part) for part in parts)
    except ValueError:
        kind = "whole numbers" if convert is int else "numbers"
        default: Any = one.default
        given, example = ",".join(texts), _join(default) or "1,5,25"
        raise ConfigError(f"{_flags(one)[0]} {given!r}: not a list of {kind}; write e.g. {example}") from None
