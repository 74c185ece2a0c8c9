"""Settings: each is declared once, as a field of a frozen dataclass, for commands, study files and Python alike.

A field says its default, what it means and what it may be. A command makes an option of it, a study file a key
(pydantic reads a field's metadata, for the JSON schema too), and the dataclass refuses what lies out of range wherever
it was made.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import Field, field, fields
from typing import Any, ClassVar

from .errors import ConfigError, nearest


def setting(
    default: Any,
    description: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    choices: Collection[str] | None = None,
    examples: list[Any] | None = None,
    flags: tuple[str, ...] = (),
) -> Any:
    """A field of a settings dataclass.

    Parameters
    ----------
    default : object
        Immutable.
    description : str
        What it means, in half a sentence.
    ge, gt, le, lt : float, optional
        Its range: at least, more than, at most, less than. ``None`` as a value is in every range.
    choices : collection of str, optional
        What it may be, or, of a tuple, what its members may be.
    examples : list, optional
        What a study file shows where the default is ``None``.
    flags : tuple of str
        What the option is called on the command line, where not by the field's name.
    """
    named = {
        "description": description, "ge": ge, "gt": gt, "le": le, "lt": lt, "choices": choices, "examples": examples,
        "flags": flags,
    }  # fmt: skip
    return field(default=default, metadata={name: value for name, value in named.items() if value not in (None, ())})


class Settings:
    """What settings dataclasses inherit: a value that its field does not allow is refused.

    Raises
    ------
    ConfigError
        When one is made: a value is out of range, or none of the choices.
    """

    #: for pydantic, where settings are a section of a study file
    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        for one in fields(self):  # type: ignore[arg-type]
            _check(one, getattr(self, one.name))


def _check(one: Field[Any], value: Any) -> None:
    rules = one.metadata
    if value is None:
        return
    if choices := rules.get("choices"):
        for part in value if isinstance(value, tuple) else (value,):
            if part not in choices:
                allowed = " or ".join(choices) if len(choices) == 2 else f"one of {', '.join(choices)}"
                raise ConfigError(f"{one.name} {part!r}: {nearest(part, choices)}use {allowed}")
    low, high = rules.get("ge", rules.get("gt")), rules.get("le", rules.get("lt"))
    inside = (
        (low is None or value > low or (value == low and "ge" in rules))
        and (high is None or value < high or (value == high and "le" in rules))
    )  # fmt: skip
    if not inside:
        raise ConfigError(f"{one.name} {value}: {_words(rules, low, high)}")


def _words(rules: Any, low: float | None, high: float | None) -> str:
    """What is allowed, in words."""
    if high is None:
        return f"too small; use {'at least' if 'ge' in rules else 'more than'} {low:g}"
    if low is None:
        return f"too large; use {'at most' if 'le' in rules else 'less than'} {high:g}"
    if "ge" in rules and "le" in rules:
        return f"out of range; use {low:g} to {high:g}"
    first = f"{'at least' if 'ge' in rules else 'more than'} {low:g}"
    return f"out of range; use {first} and {'at most' if 'le' in rules else 'less than'} {high:g}"
