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

# what is counted has an upper end too, far above what anyone waits for: a slip of the pen is refused, not run for ever
#: questions of a search: at a thousand a second, three hours a clip and model
MOST_QUESTIONS = 10_000_000
#: times a question is asked: by then the mean of any noise is as good as float32 holds it
MOST_REPEATS = 10_000
#: sets of a clip, or null signals of a set: each is a row with an answer of every model
MOST_SETS = 1000
#: resamples, shuffles, composites drawn: the third digit of a p-value needs no more
MOST_DRAWS = 1_000_000
#: of a random generator, as most libraries take it
MOST_SEED = 2**32 - 1


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
    off: str | None = None,
) -> Any:
    """A field of a settings dataclass.

    Parameters
    ----------
    default : object
        Immutable.
    description : str
        What it means, in half a sentence.
    ge, gt, le, lt : float, optional
        Its range: at least, more than, at most, less than. ``None`` is in it where it is the default.
    choices : collection of str, optional
        What it may be, or, of a tuple, what its members may be.
    examples : list, optional
        What a study file shows where the default is ``None``.
    flags : tuple of str
        What the option is called on the command line, where not by the field's name.
    off : str, optional
        What the option does, where it turns off what is on by default.
    """
    named = {
        "description": description, "ge": ge, "gt": gt, "le": le, "lt": lt, "choices": choices, "examples": examples,
        "flags": flags, "off": off,
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
            check(one, getattr(self, one.name), one.name)


def check(one: Field[Any], value: Any, name: str) -> None:
    """Refuse a value that its field does not allow; messages call it by the name.

    Raises
    ------
    ConfigError
        It is out of range, or none of the choices.
    """
    rules = one.metadata
    if value is None and one.default is None:
        return
    if choices := rules.get("choices"):
        for part in value if isinstance(value, tuple) else (value,):
            if part not in choices:
                words = " or ".join(choices) if len(choices) == 2 else f"one of {', '.join(choices)}"
                raise ConfigError(
                    f"{name} {part!r}: {nearest(part, choices) if isinstance(part, str) else ''}use {words}"
                )
    low, high = _range(one)
    if low is None and high is None:
        return
    inside = value is not None and (
        (low is None or value > low or (value == low and "ge" in rules))
        and (high is None or value < high or (value == high and "le" in rules))
    )
    if not inside:
        ends = "too small" if high is None else "too large" if low is None else "out of range"
        raise ConfigError(f"{name} {value}: {ends}; use {allowed(one)}")


def allowed(one: Field[Any]) -> str:
    """A field's range in words; empty where it has none.

    Examples
    --------
    >>> from dataclasses import dataclass, fields
    >>> @dataclass(frozen=True)
    ... class Planted(Settings):
    ...     share: float = setting(0.5, "of the whole", gt=0, le=1)
    >>> allowed(fields(Planted)[0])
    'more than 0 and at most 1'
    """
    rules, (low, high) = one.metadata, _range(one)
    if "ge" in rules and "le" in rules:
        return f"{_number(low)} to {_number(high)}"
    words = []
    if low is not None:
        words.append(f"{'at least' if 'ge' in rules else 'more than'} {_number(low)}")
    if high is not None:
        words.append(f"{'at most' if 'le' in rules else 'less than'} {_number(high)}")
    return " and ".join(words)


def _number(value: float | None) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _range(one: Field[Any]) -> tuple[float | None, float | None]:
    rules = one.metadata
    return rules.get("ge", rules.get("gt")), rules.get("le", rules.get("lt"))
