"""The study file: TOML, checked before any work is spent; unknown keys are refused with the nearest name."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import ConfigError, nearest
from ..explain import SearchSettings


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSection(_Section):
    """``[[data]]``: recordings to study. Paths are relative to the study file."""

    path: str = Field(description="folder, manifest or file; or 'builtin' for the built-in recordings")
    layout: str = Field("auto", description="folder, audiofolder, manifest, ravdess, gtzan, asvspoof2019, ...")
    name: str | None = Field(None, description="the data set's name in the tables")
    split: str | None = None
    include: str | None = Field(None, description="only files whose relative path matches this pattern")
    labels: tuple[str, ...] | None = Field(None, description="only recordings with these labels")
    limit: int | None = Field(None, ge=1, description="recordings a label, drawn with the seed")
    seed: int = 0


class SearchSection(_Section):
    """``[search]``: see :class:`earwitness.explain.SearchSettings`."""

    search: str = "minimal"
    delta: Annotated[float, Field(ge=0, le=1)] = 0.5
    count: Annotated[int, Field(ge=1)] = 1
    overlap: Annotated[float, Field(ge=0, le=1)] = 0.0
    budget: Annotated[int, Field(ge=10)] = 3000
    seed: int = 0
    domain: str = "rfft"
    occlusion: str = "zero"
    repeats: Annotated[int, Field(ge=1)] = 1


class TransferSection(_Section):
    """``[transfer]``: Definition 4's ε."""

    epsilon: Annotated[float, Field(gt=0, le=1)] = 0.5


class RunSection(_Section):
    """``[run]``: how the work is done; never changes a result."""

    executor: Literal["local"] = "local"
    device: str = "auto"
    batch: Annotated[int, Field(ge=1)] | None = None


class Study(_Section):
    """A study: models x recordings x settings."""

    name: str = "study"
    store: str = Field("study.db", description="the store, relative to the study file")
    models: tuple[str, ...] = Field(min_length=1)
    sample_rate: Annotated[int, Field(ge=1)] | None = Field(None, description="Hz; default: the models' highest")
    seconds: Annotated[float, Field(gt=0)] | None = Field(None, description="crop or zero-pad every clip to this")
    only_correct: bool = Field(False, description="explain a model only on clips it labels as the data set does")
    data: tuple[DataSection, ...] = Field(min_length=1)
    labels: dict[str, str] = Field(default_factory=dict, description="own label = shared label")
    search: SearchSection = SearchSection()
    transfer: TransferSection = TransferSection()
    run: RunSection = RunSection()

    @property
    def settings(self) -> SearchSettings:
        """The search settings."""
        return SearchSettings(**self.search.model_dump())


def load_study(path: str | Path) -> tuple[Study, Path]:
    """Read and check a study file; also the folder its paths are relative to.

    Raises
    ------
    ConfigError
        The file is missing, no TOML, or has unknown or bad settings.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: no such study file; give the path of a TOML file")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: not readable as TOML ({error})") from None
    study = parse_study(content, str(path))
    return study, path.resolve().parent


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
    study.settings  # noqa: B018 - the search names are checked there
    if len(set(study.models)) < len(study.models):
        raise ConfigError(f"{where}: models: the same spec twice; name each once")
    return study


def _explain(error: Any) -> str:
    place = [str(step) for step in error["loc"]]
    if error["type"] != "extra_forbidden":
        return f"{'.'.join(place)}: {error['msg']}, got {error.get('input')!r:.80}"
    section: Any = Study
    for step in place[:-1]:
        if not step.isdigit():
            section = _SECTIONS.get(step, Study)
    names = list(section.model_fields)
    return f"unknown key {'.'.join(place)!r}: {nearest(place[-1], names)}allowed are {', '.join(names)}"


_SECTIONS: dict[str, type[_Section]] = {
    "data": DataSection, "search": SearchSection, "transfer": TransferSection, "run": RunSection,
}  # fmt: skip
assert {field.name for field in fields(SearchSettings)} == set(SearchSection.model_fields)
