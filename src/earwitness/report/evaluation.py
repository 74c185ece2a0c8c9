"""The page of an evaluation: what maps are worth, side by side, and what follows from them to listen to. No scripts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..errors import ConfigError
from ..evaluation.measures import Evaluation, MapSet
from ..evaluation.settings import SAMPLES
from ..evaluation.tables import compare_maps
from ..explanation import Missing
from ..signal.domains import Domain
from .data import certificate_words, unit_of
from .page import asset, write_whole
from .plots.evaluation import plot_maps
from .plots.style import to_png
from .sounds import Inline, make_sound

#: clips whose sounds are on the page
SHOWN = 10
NAMES = {"prefix": "first of the map", "sufficient": "suffices", "complete": "suffices and is needed"}


def write_evaluation(evaluations: Sequence[Evaluation], out: str | Path) -> Path:
    """Write ``index.html`` to a folder: one file, sounds in it.

    Raises
    ------
    ConfigError
        The folder cannot be written.
    """
    from .. import __version__

    page = Path(out) / "index.html"
    content = _environment().get_template("evaluation.html").render(
        title=_title(evaluations), version=__version__,
        style=Markup(asset("report.css")),  # noqa: S704 - the package's own file
        body=Markup(evaluation_html(evaluations)),  # noqa: S704 - escaped there
    )  # fmt: skip
    try:
        write_whole(page, content)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written ({error}); choose another --out") from error
    return page


def evaluation_html(evaluations: Evaluation | Sequence[Evaluation]) -> str:
    """What the page and a notebook show of evaluations; every name in it is escaped."""
    evaluations = [evaluations] if isinstance(evaluations, Evaluation) else list(evaluations)
    tables = compare_maps(evaluations)
    return _environment().get_template("maps.html").render(
        title=_title(evaluations), lead=_lead(evaluations), picture=to_png(plot_maps(tables["points"])[0], 150),
        maps=_map_rows(tables),
        caption=_caption(evaluations),
        judged=[_judged_row(row) for row in tables["judged"].iter_rows(named=True)],
        clips=[_clip(one) for one in evaluations[:SHOWN]],
    )  # fmt: skip


def _environment() -> Environment:
    return Environment(loader=PackageLoader("earwitness.report"), autoescape=True, undefined=StrictUndefined)


def _title(evaluations: Sequence[Evaluation]) -> str:
    maps = evaluations[0].maps
    return f"What {len(maps)} maps are worth" if len(maps) > 1 else "What a map is worth"


def _lead(evaluations: Sequence[Evaluation]) -> str:
    if len(evaluations) > 1:
        return f"{evaluations[0].spec} and its answers to {len(evaluations)} clips."
    one = evaluations[0]
    return f"{one.spec} hears {one.label} with confidence {one.confidence:.2f}."


def _caption(evaluations: Sequence[Evaluation]) -> str:
    one, several = evaluations[0], len(evaluations) > 1
    of = (
        f"{len(evaluations)} clips; sizes are medians, in brackets 95 % intervals over clips" if several else "one clip"
    )
    return (
        f"Variables: {_unit(one)}s of {of}. Harmless changes: {', '.join(one.settings.views)}. "
        "In the figure, dashed: the profile of the map of the same colour."
    )


def _unit(one: Evaluation) -> str:
    return "sample" if one.domain == SAMPLES else unit_of(Domain.parse(one.domain))


def _number(value: float | None, form: str = ".2f") -> str:
    return "–" if value is None else format(value, form)


def _between(value: float | None, low: float | None, high: float | None) -> str:
    """A difference with its interval, where there is one."""
    ends = "" if low is None or high is None else f" [{low:+.2f}, {high:+.2f}]"
    return _number(value, "+.2f") + ends


def _map_rows(tables: dict[str, pl.DataFrame]) -> list[dict[str, Any]]:
    """A row a map: both ways through it, and the sets that follow."""
    cells: dict[str, list[str]] = {}
    for row in tables["maps"].iter_rows(named=True):
        gain = _between(row["gain"], row["low"], row["high"])
        cells.setdefault(row["map"], []).extend([_number(row["area"]), _number(row["profile"]), gain])
    for row in tables["followed"].filter(pl.col("kind") != "prefix").iter_rows(named=True):
        size, survives = _number(row["size"], ",.0f"), _number(row["survives"], ".0%")
        cells[row["map"]] += [size, survives] if row["kind"] == "sufficient" else [size]
    return [{"map": name, "cells": own} for name, own in cells.items()]


def _judged_row(row: dict[str, Any]) -> dict[str, str]:
    return {
        "map": row["map"], "kind": NAMES[row["kind"]], "judge": row["judge"],
        "accepted": _number(row["accepted"], ".0%"), "chance": _number(row["chance"], ".0%"),
        "beyond": _between(row["beyond"], row["beyond_low"], row["beyond_high"]),
    }  # fmt: skip


def _clip(one: Evaluation) -> dict[str, Any]:
    clip = one.variables.clip
    sound = make_sound(Inline(), "original", clip.samples, clip.sample_rate)
    return {
        "name": PurePath(clip.path).name or "the clip", "lead": f"{one.label}, {one.confidence:.2f}.",
        "original": sound.source if sound else "", "rows": [_set(one, found) for found in one.sets],
    }  # fmt: skip


def _set(one: Evaluation, found: MapSet) -> dict[str, str]:
    row = {"map": found.map, "kind": NAMES[found.kind], "why": found.part.why}
    if isinstance(found.part, Missing):
        return row | dict.fromkeys(("sound", "size", "energy", "confidence", "survives", "minimal"), "")
    part, unit = found.part, _unit(one)
    sound = make_sound(Inline(), found.kind, one.signal(part), one.variables.clip.sample_rate)
    words = certificate_words(part.certificate.kind, part.certificate.groups, part.size, unit, part.why)
    return row | {
        "sound": sound.source if sound else "", "size": f"{part.size:,} of {one.variables.size:,}",
        "energy": f"{part.energy:.1%}", "confidence": f"{part.confidence:.2f}",
        "survives": "–" if found.survival is None else f"{found.survival.share:.0%}",
        "minimal": "" if found.kind == "prefix" else words,
    }  # fmt: skip
