"""The study file: TOML, checked before any work is spent; unknown keys are refused with the nearest name."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from ..analyses.settings import CurveSettings
from ..errors import ConfigError, nearest
from ..search.settings import RobustSettings, SearchSettings
from ..settings import MOST_SEED, MOST_SETS
from ..signal.limits import Limits


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSection(_Section):
    """``[[data]]``: recordings to study. Paths are relative to the study file."""

    path: str = Field(description="folder, manifest or file; or 'builtin' for the built-in recordings")
    layout: str = Field(default="auto", description="folder, audiofolder, manifest, ravdess, gtzan, asvspoof2019, ...")
    name: str | None = Field(default=None, examples=["music"], description="the data set's name in tables")
    split: str | None = Field(default=None, examples=["test"], description="only this part of the data set, e.g. test")
    include: str | None = Field(default=None, examples=["*/a*.wav"], description="only files whose path matches")
    labels: tuple[str, ...] | None = Field(default=None, examples=[["rock", "jazz"]], description="only these labels")
    limit: int | None = Field(default=None, examples=[10], ge=1, description="recordings a label, drawn with the seed")
    seed: int = Field(default=0, ge=0, le=MOST_SEED, description="of the draw")


class TransferSection(_Section):
    """``[transfer]``: when a signal counts as transferable, and by chance. ε costs nothing to change."""

    epsilon: float = Field(default=0.5, gt=0, le=1, description="ε: certain is below ε·log2(labels) bits of entropy")
    nulls: int = Field(
        default=1, ge=0, le=MOST_SETS, description="null signals a set: so many of its size, its energy, and both"
    )


class RunSection(_Section):
    """``[run]``: where and how the work is done; it never changes a result."""

    executor: Literal["local", "ray"] = Field(default="local", description="this machine, or a Ray cluster")
    workers: int | None = Field(
        default=None,
        examples=[2],
        ge=1,
        le=1024,
        description="default: this process, and from commands several a GPU; ray: one a node, or several a GPU",
    )
    threads: int | None = Field(
        default=None, examples=[2], ge=1, le=1024, description="of a worker; default: all, divided"
    )
    address: str | None = Field(default=None, examples=["auto"], description="of a Ray cluster; default: start one")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1 or mps")
    batch: int | None = Field(
        default=None,
        examples=[32],
        ge=1,
        le=1 << 16,
        description="signals a model call; default: by length, on a GPU tried",
    )
    time_limit: float | None = Field(
        default=None, examples=[60.0], gt=0, le=86_400,
        description="seconds a model call may take, in worker processes; default: as long as it likes",
    )  # fmt: skip
    allow_pickle: bool = Field(default=False, description="read models from pickles, which can run code")
    trust_remote_code: bool = Field(default=False, description="run code that comes with a Hugging Face model")

    @property
    def elsewhere(self) -> bool:
        """Whether the work is done in other processes than this one: those that hang can be ended."""
        return self.executor != "local" or (self.workers or 1) > 1 or self.time_limit is not None

    @property
    def trust(self) -> dict[str, bool]:
        """The options of :func:`earwitness.models.open_model` that let a model run code."""
        return {"allow_pickle": self.allow_pickle, "trust_remote_code": self.trust_remote_code}


class Study(_Section):
    """A study: models x recordings x settings."""

    name: str = Field(default="study", description="what the page and the tables call it")
    store: str = Field(default="study.db", description="the store, relative to the study file")
    models: tuple[str, ...] = Field(
        min_length=1, description="builtin:NAME, hf:FOLDER-OR-HUB-ID, onnx:FILE, torch:FILE or python:FILE.py:ATTR"
    )
    sample_rate: int | None = Field(
        default=None, examples=[16000], ge=1, le=1_000_000, description="Hz; default: the models'"
    )
    seconds: Annotated[float, Field(gt=0, le=86_400)] | Literal["model"] | None = Field(
        default=None, examples=[10.0], description="crop or zero-pad clips to this; 'model': crop to what models hear"
    )
    pad: bool = Field(default=True, description="zero-pad clips shorter than seconds; without, they stay as they are")
    only_correct: bool = Field(default=False, description="explain a model only on clips it labels rightly")
    data: tuple[DataSection, ...] = Field(min_length=1, description="the recordings; several [[data]] are added up")
    labels: dict[str, str] = Field(default_factory=dict, description="a model's own label = the shared label")
    search: SearchSettings = Field(
        default=SearchSettings(),
        description="what decides what is found. Changing any of it makes every explanation anew.",
    )
    robust: RobustSettings | None = Field(
        default=None,
        description="seek sets that survive harmless changes too, and measure what survives. Without it: not",
    )
    curves: CurveSettings | None = Field(
        default=None,
        description="ask all models about nested sets too: transfer curves, shared evidence. Without it: not",
    )
    limits: Limits = Field(default=Limits(), description="what a recording may be; one that is more becomes a failure")
    transfer: TransferSection = Field(
        default=TransferSection(),
        description="when a signal counts as transferable, and by chance. ε costs nothing to change.",
    )
    run: RunSection = Field(
        default=RunSection(), description="where and how the work is done; it never changes a result."
    )

    @property
    def settings(self) -> SearchSettings:
        """The search settings."""
        return self.search

    @property
    def duration(self) -> float | None:
        """``seconds`` as a number: that of a study which has been planned."""
        assert self.seconds != "model"
        return self.seconds


def load_study(path: str | Path | None, *, given: Mapping[str, Any] | None = None, **run: Any) -> tuple[Study, Path]:
    """Read and check a study file; also the folder its paths are relative to.

    Parameters
    ----------
    path : str or Path, optional
        Without a file the study is what is given, its paths relative to the working folder.
    given : mapping of str to value, optional
        In place of what the file says, by dotted key: ``{"search.delta": 0.9, "models": ["builtin:mtt-vgg"]}``.
    **run
        In place of what the file says under ``[run]``; None leaves that.

    Raises
    ------
    ConfigError
        The file is missing, no TOML, or has unknown or bad settings.
    """
    content = {} if path is None else _read(Path(path))
    changes = {**(given or {}), **{f"run.{name}": value for name, value in run.items() if value is not None}}
    for key in sorted(changes, key=lambda key: key.count(".")):  # a section before what is in it
        _put(content, key, changes[key])
    study = parse_study(content, str(path or "the study given"))
    return study, Path.cwd() if path is None else Path(path).resolve().parent


def parse_setting(text: str) -> tuple[str, Any]:
    """``search.delta=0.9`` as key and value; a value that is no TOML is text.

    Raises
    ------
    ConfigError
        There is no key or no ``=``.

    Examples
    --------
    >>> parse_setting("search.delta=0.9"), parse_setting("search.domain=mel:64")
    (('search.delta', 0.9), ('search.domain', 'mel:64'))
    """
    key, sign, value = text.partition("=")
    key = key.strip()
    if not sign or not all(part.isidentifier() for part in key.split(".")):
        raise ConfigError(f"--set {text}: write a setting and its value, e.g. search.delta=0.9")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return key, value.strip()


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f"{path}: no such study file; give the path of a TOML file")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise ConfigError(f"{path}: not readable as TOML ({error})") from None


def _put(content: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key; of sections that there are several of (``[[data]]``) in each."""
    section, _, rest = key.partition(".")
    if not rest:
        content[section] = value
        return
    inner = content.setdefault(section, {})
    for one in inner if isinstance(inner, list) else [inner]:
        if not isinstance(one, dict):
            raise ConfigError(f"{key}: {section} is {inner!r:.80}, no section; see earwitness study schema")
        _put(one, rest, value)


def parse_study(content: dict[str, Any], where: str = "study") -> Study:
    """Check a study given as a dictionary.

    Raises
    ------
    ConfigError
        See :func:`load_study`.
    """
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_explain(error.errors()[0])}") from None
    if len(set(study.models)) < len(study.models):
        raise ConfigError(f"{where}: models: the same spec twice; name each once")
    return study


def _explain(error: Any) -> str:
    place = [str(step) for step in error["loc"]]
    if error["type"] == "literal_error":
        allowed = error["ctx"]["expected"]
        hint = nearest(str(error.get("input")), allowed.replace("'", "").split(" or "))
        return f"{'.'.join(place)}: {error.get('input')!r}, {hint}use {allowed}"
    if error["type"] not in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{'.'.join(place)}: {error['msg']}, got {error.get('input')!r:.80}"
    section: Any = Study
    for step in place[:-1]:
        if not step.isdigit():
            section = SECTIONS.get(step, Study)
    names = list(keys_of(section))
    return f"unknown key {'.'.join(place)!r}: {nearest(place[-1], names)}allowed are {', '.join(names)}"


def keys_of(section: Any) -> dict[str, FieldInfo]:
    """The keys of a section, a model of pydantic or a settings dataclass, with what is said of each."""
    if is_dataclass(section):
        return {one.name: FieldInfo.from_annotated_attribute(Any, one) for one in fields(section)}
    return dict(section.model_fields)


#: the sections of a study file by their names
SECTIONS: dict[str, Any] = {
    "data": DataSection, "search": SearchSettings, "robust": RobustSettings, "curves": CurveSettings,
    "limits": Limits, "transfer": TransferSection, "run": RunSection,
}  # fmt: skip
