"""Tables of what maps are worth, of one clip or pooled over many.

A *gain* is by how much a map beats its profile: insertion − that of the profile, and that of the profile − deletion, so
that more is better of both. Intervals are of a bootstrap over clips, and there are none of a single clip.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..analyses.nested import CurveRow
from ..errors import ConfigError
from ..explanation import Missing
from ..transferability.options import DRAWS
from ..transferability.statistics.paired import compare_pairs
from ..transferability.statistics.rates import cluster_bootstrap
from .measures import SETS as KINDS
from .measures import Evaluation

Real = NDArray[np.float64]
#: by map and way, float64 [clips]
Gains = dict[tuple[str, str], Real]
#: the two ways through a map, and which sign of its distance to the profile is a gain
WAYS = {"insertion": 1.0, "deletion": -1.0}


def compare_maps(evaluations: Evaluation | Sequence[Evaluation]) -> dict[str, pl.DataFrame]:
    """Tables of evaluations of the same maps, of one or more clips.

    Parameters
    ----------
    evaluations : Evaluation or sequence of Evaluation
        One a clip.

    Returns
    -------
    dict of str to polars.DataFrame
        ``maps``: areas and gains of each map; ``differences``: of each pair of maps, paired by clip; ``followed``: the
        sets that follow from each, and ``sets``: every one of them; ``judged``: how often other models accept them,
        beside sets of their profile; ``points``: the curves.

    Raises
    ------
    ConfigError
        There are none, or their maps are not called the same.
    """
    evaluations = [evaluations] if isinstance(evaluations, Evaluation) else list(evaluations)
    if not evaluations:
        raise ConfigError("compare_maps: no evaluation; give one at least")
    names = list(evaluations[0].maps)
    for one in evaluations:
        if sorted(one.maps) != sorted(names):
            raise ConfigError(f"compare_maps: maps {', '.join(one.maps)} beside {', '.join(names)}; name them alike")
    gains = {(name, way): _gains(evaluations, name, way) for name in names for way in WAYS}
    return {
        "maps": pl.DataFrame(list(_areas(evaluations, names, gains)), schema=MAPS),
        "differences": pl.DataFrame(list(_differences(names, gains)), schema=DIFFERENCES),
        "followed": pl.DataFrame(list(_followed(evaluations, names)), schema=FOLLOWED),
        "sets": pl.DataFrame([row for one in evaluations for row in _sets(one)], schema=SETS),
        "judged": pl.DataFrame(list(_judged(evaluations)), schema=JUDGED),
        "points": pl.DataFrame([row for one in evaluations for row in _points(one)], schema=POINTS),
    }


TEXT, REAL, WHOLE = pl.String, pl.Float64, pl.Int64
MAPS = {
    "map": TEXT, "way": TEXT, "clips": WHOLE, "area": REAL, "profile": REAL, "energy": REAL, "random": REAL,
    "gain": REAL, "low": REAL, "high": REAL,
}  # fmt: skip
FOLLOWED = {
    "map": TEXT, "kind": TEXT, "clips": WHOLE, "found": WHOLE, "size": REAL, "energy": REAL, "survives": REAL,
}  # fmt: skip
DIFFERENCES = {
    "way": TEXT, "first": TEXT, "second": TEXT, "clips": WHOLE, "difference": REAL, "low": REAL, "high": REAL,
    "p": REAL,
}  # fmt: skip
SETS = {
    "clip": TEXT, "map": TEXT, "kind": TEXT, "size": WHOLE, "of": WHOLE, "energy": REAL, "confidence": REAL,
    "certificate": TEXT, "survives": REAL, "surely": REAL, "questions": WHOLE, "why": TEXT,
}  # fmt: skip
JUDGED = {
    "map": TEXT, "kind": TEXT, "judge": TEXT, "clips": WHOLE, "accepted": REAL, "low": REAL, "high": REAL,
    "chance": REAL, "beyond": REAL, "beyond_low": REAL, "beyond_high": REAL,
}  # fmt: skip
POINTS = {
    "clip": TEXT, "way": TEXT, "order": TEXT, "map": TEXT, "draw": WHOLE, "level": REAL, "size": WHOLE,
    "energy": REAL, "probability": REAL, "accepted": pl.Boolean,
}  # fmt: skip


def area(rows: Sequence[CurveRow], order: str, source: str) -> float:
    """The mean probability of a curve below the whole clip, over its draws; NaN where there is none."""
    heights = [row.probability for row in rows if row.order == order and row.source == source and row.level < 1]
    return float(np.mean(heights)) if heights else float("nan")


def _ways(one: Evaluation) -> dict[str, tuple[CurveRow, ...]]:
    return {"insertion": one.insertion, "deletion": one.deletion}


def _gains(evaluations: Sequence[Evaluation], name: str, way: str) -> Real:
    """By how much a map beats its profile, by clip."""
    rows = [_ways(one)[way] for one in evaluations]
    return np.array([WAYS[way] * (area(part, "map", name) - area(part, "profile", name)) for part in rows])


def _areas(evaluations: Sequence[Evaluation], names: Sequence[str], gains: Gains) -> Iterator[dict[str, Any]]:
    """A row a map and way through it: means over clips."""
    for name in names:
        for way in WAYS:
            curves = [_ways(one)[way] for one in evaluations]
            means = [
                float(np.mean([area(part, order, source) for part in curves]))
                for order, source in (("map", name), ("profile", name), ("energy", ""), ("random", ""))
            ]
            values = (name, way, len(evaluations), *means, *_mean(gains[name, way]))
            yield dict(zip(MAPS, values, strict=True))


def _followed(evaluations: Sequence[Evaluation], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row a map and kind of set: over how many clips there is one, and how large, how steadfast."""
    for name in names:
        for kind in KINDS:
            sets = [one for found in evaluations for one in found.sets if one.map == name and one.kind == kind]
            parts = [one.part for one in sets if not isinstance(one.part, Missing)]
            held = [one.survival.share for one in sets if one.survival is not None]
            values = (
                name, kind, len(evaluations), len(parts),
                float(np.median([part.size for part in parts])) if parts else None,
                float(np.median([part.energy for part in parts])) if parts else None,
                float(np.mean(held)) if held else None,
            )  # fmt: skip
            yield dict(zip(FOLLOWED, values, strict=True))


def _mean(values: Real) -> tuple[float, float | None, float | None]:
    """A mean over clips and its interval; none of a single clip."""
    value, low, high = cluster_bootstrap(values[:, None], np.ones((len(values), 1)), draws=DRAWS)
    if not np.isfinite([low[0], high[0]]).all():
        return float(value[0]), None, None
    return float(value[0]), float(low[0]), float(high[0])


def _differences(names: Sequence[str], gains: Gains) -> Iterator[dict[str, Any]]:
    for way in WAYS:
        for first, second in combinations(names, 2):
            if len(gains[first, way]) > 1:
                test = compare_pairs(gains[first, way], gains[second, way])
                ends = (test.difference, test.low, test.high, test.p_t)
                values = (way, first, second, test.n, *(end if np.isfinite(end) else None for end in ends))
                yield dict(zip(DIFFERENCES, values, strict=True))


def _sets(one: Evaluation) -> Iterator[dict[str, Any]]:
    for found in one.sets:
        part, survival = found.part, found.survival
        row: dict[str, Any] = {"clip": one.variables.clip.path, "map": found.map, "kind": found.kind, "why": part.why}
        if not isinstance(part, Missing):
            row |= {
                "size": part.size, "of": one.variables.size, "energy": part.energy, "confidence": part.confidence,
                "certificate": part.certificate.kind, "questions": part.queries,
            }  # fmt: skip
        if survival is not None:
            row |= {"survives": survival.share, "surely": survival.low}
        yield {column: row.get(column) for column in SETS}


def _judged(evaluations: Sequence[Evaluation]) -> Iterator[dict[str, Any]]:
    """How often judges accept sets and those of their profile: rates over clips."""
    rows = [(clip, row) for clip, one in enumerate(evaluations) for row in one.transfer]
    for name, kind, judge in dict.fromkeys((row.map, row.kind, row.judge) for _, row in rows):
        accepted: dict[bool, dict[int, list[bool]]] = {False: {}, True: {}}
        for clip, row in rows:
            if (row.map, row.kind, row.judge) == (name, kind, judge):
                accepted[row.null].setdefault(clip, []).append(row.accepted)
        own, null = (np.array([np.mean(found) for found in accepted[side].values()]) for side in (False, True))
        values = (name, kind, judge, len(own), *_mean(own), float(null.mean()), *_mean(own - null))
        yield dict(zip(JUDGED, values, strict=True))


def _points(one: Evaluation) -> Iterator[dict[str, Any]]:
    for way, rows in _ways(one).items():
        for row in rows:
            values = (
                one.variables.clip.path, way, row.order, row.source, row.draw, row.level, row.size, row.energy,
                row.probability, row.accepted,
            )  # fmt: skip
            yield dict(zip(POINTS, values, strict=True))
