"""Tables of transfer curves and of the evidence that models share.

A curve says how a judge's own answer to a clip returns as more of the clip is kept, in a given order
(:mod:`earwitness.analyses.nested`). Its *area* is the mean, over the levels below the whole clip, of what the judge
gives its label (:data:`MEASURE`). *Shared evidence* of a source and a judge is

    (area of the source's map − area of its profile) / (area of the judge's own map − area of its profile),

all on the judge, each difference (*gain*) a mean over clips: 1 where the other's evidence is as good to the judge as
its own, 0 where it is no better than other variables, as many and as loud. Evidence is for a label, so only clips
count that both give the same one. Random sets of the same energy are no such baseline: they are hundreds of weak
variables from all over the spectrum, which some models take for the whole clip.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...analyses.nested import ORDERS
from ..answers import Answers
from ..options import Options
from ..statistics.correlations import matrix_correlation
from ..statistics.flat_earthers import find_flat_earthers
from ..statistics.rates import interval, ratio, resample
from .grid import (
    Cube,
    Real,
    as_column,
    as_drawn,
    clusters_of,
    kinds_in,
    make_frame,
    places_of,
    rate_table,
    with_adjusted,
)
from .models import as_matrix

#: what a curve's height is: ``probability`` of the judge's label, or whether it is ``accepted``
MEASURE = "probability"
#: reasons why shared evidence is not defined
NO_MAP = "one of them has no map of these clips"
FEW_CLIPS = "they agree on clips of fewer than 2 clusters"
NOT_BEYOND_PROFILE = "the judge's own map does not beat sets of its profile"


@dataclass(frozen=True, eq=False)
class Areas:
    """The area under each curve by clip, for n models; NaN where a curve was not asked for.

    Attributes
    ----------
    names : list of str
        The models.
    clips : polars.DataFrame
        The c clips: ``clip``, ``group``.
    map, profile : float64 [c, n, n]
        By source and judge.
    energy, random : float64 [c, n]
        By judge.
    agreed : bool [c, n, n]
        Whether both give the clip the same label.
    """

    names: list[str]
    clips: pl.DataFrame
    map: Real
    profile: Real
    energy: Real
    random: Real
    agreed: NDArray[np.bool_]

    @classmethod
    def of(cls, answers: Answers, measure: str = MEASURE) -> Areas:
        """Average the nested sets over levels and draws."""
        names = answers.models["model"].to_list()
        own = answers.originals.filter(pl.col("clip").is_in(answers.nested["clip"].unique().to_list()))
        clips = own.unique("clip", maintain_order=True).select("clip", "group").sort("clip")
        place = {"": 0} | {name: i for i, name in enumerate(names)}
        row = {clip: i for i, clip in enumerate(clips["clip"])}
        said = np.full((len(row), len(names)), -1)
        label = {label: i for i, label in enumerate(answers.labels)}
        said[places_of(own["clip"], row), places_of(own["model"], place)] = places_of(own["answer"], label)
        keys = ["clip", "order", "source", "judge"]
        # in one order: means that differ in their last bits would not tie
        below = answers.nested.filter(pl.col("level") < 1).sort(*keys, "draw", "level")
        means = below.group_by(keys, maintain_order=True).agg(area=pl.col(measure).cast(pl.Float64).mean())
        areas = {order: np.full((len(row), len(names), len(names)), np.nan) for order in ORDERS}
        for (order,), part in means.group_by("order", maintain_order=True):
            at = (places_of(part[name], where) for name, where in (("clip", row), ("source", place), ("judge", place)))
            areas[str(order)][tuple(at)] = part["area"].to_numpy()
        agreed = (said[:, :, None] == said[:, None]) & (said[:, None] >= 0)
        return cls(
            names, clips, areas["map"], areas["profile"], areas["energy"][:, 0], areas["random"][:, 0], agreed
        )  # fmt: skip

    @property
    def own(self) -> Real:
        """Of the judge's own map, float64 [c, n]."""
        return np.diagonal(self.map, axis1=1, axis2=2)

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Which clips count for a pair: those it agrees on, with all curves that shared evidence takes; [c, n, n]."""
        there = np.isfinite(self.map) & np.isfinite(self.profile)
        return self.agreed & there & np.diagonal(there, axis1=1, axis2=2)[:, None]

    def gains(self) -> tuple[Real, Real]:
        """By how much the source's map and the judge's own beat their profiles, 0 where a clip does not count."""
        gain = self.map - self.profile
        own = np.diagonal(gain, axis1=1, axis2=2)[:, None]
        return tuple(np.where(self.counted, part, 0.0) for part in (gain, own))  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class Shared:
    """Shared evidence by cluster, source and judge, as numerators and denominators, 0 where it is not defined.

    Attributes
    ----------
    areas : Areas
    gained, own, counts : float64 [C, n, n]
        By how much the source's map and the judge's own beat their profiles, and clips; sums over those that count.
    why : str [n, n]
        Why a pair has none; empty where it has.
    """

    areas: Areas
    gained: Real
    own: Real
    counts: Real
    why: NDArray[Any]

    @classmethod
    def of(cls, answers: Answers, options: Options) -> Shared:
        """Sum the areas by cluster."""
        areas = Areas.of(answers)
        size, cluster = clusters_of(areas.clips, options)
        counted = areas.counted
        sums = (_by_cluster(part, cluster, size) for part in (*areas.gains(), counted.astype(np.float64)))
        gained, own, counts = sums
        clusters, replicates = (counts > 0).sum(axis=0), resample(own, counts, draws=options.draws, seed=options.seed)
        low, _ = interval(replicates, clusters, options.level)
        there = np.isfinite(areas.map).any(axis=0)
        why = np.where(low > 0, "", NOT_BEYOND_PROFILE)
        why = np.where(clusters < 2, FEW_CLIPS, why)
        why = np.where(there & np.diagonal(there)[None], why, NO_MAP)
        return cls(areas, gained, own, counts, why)

    @property
    def defined(self) -> Real:
        """The denominators of shared evidence, 0 where it is not defined."""
        return np.where(self.why == "", self.own, 0.0)

    @property
    def rates(self) -> Real:
        """Float64 [n, n], the diagonal included; NaN where it is not defined."""
        return ratio(self.gained.sum(axis=0), self.defined.sum(axis=0))

    def bounds(self, by: Real, options: Options) -> tuple[Real, Real]:
        """The intervals of what is gained by each of ``by``, float64 [C, n, n]."""
        replicates = resample(self.gained, by, draws=options.draws, seed=options.seed)
        return interval(replicates, (by != 0).sum(axis=0), options.level)

    @property
    def common(self) -> Real:
        """Denominators of one scale for all pairs: clips times the mean gain of all judges' own maps, float64
        [C, n, n]. So who gains nothing from its own map does not make of noise a large share."""
        each = ratio(self.own.sum(axis=0), self.counts.sum(axis=0))
        mean = float(np.nanmean(each)) if np.isfinite(each).any() else 0.0
        return self.counts * max(mean, 0.0)


def transfer_curves(answers: Answers, options: Options) -> pl.DataFrame:
    """What each judge gives its own label as more of a clip is kept, by order, source and share of the energy.

    ``alpha`` is the share of sets to which it gives that label, ``probability`` the label's mean probability, ``size``
    the mean number of variables. Of a source's curves only clips count to which it gives the same label; orders that
    are no model's have no source. Curves of a model's own map are in.
    """
    if answers.nested.is_empty():
        return make_frame([], "order", "source", "judge", "level")
    said = answers.originals.select("clip", "answer", "group", judge="model")
    claimed = answers.originals.select("clip", source="model", claimed="answer")
    rows = answers.nested.join(said, on=["clip", "judge"], maintain_order="left")
    rows = rows.join(claimed, on=["clip", "source"], how="left", maintain_order="left")
    rows = rows.filter((pl.col("source") == "") | (pl.col("claimed") == pl.col("answer")))
    measures = {
        "alpha": pl.col("accepted").cast(pl.Float64), "probability": pl.col("probability"),
        "size": pl.col("size").cast(pl.Float64),
    }  # fmt: skip
    table = rate_table(answers, rows.sort("level"), ["order", "source", "judge", "level"], measures, options)
    table = table.drop("signals", "size_low", "size_high")
    place = {order: i for i, order in enumerate(ORDERS)}
    return table.sort(pl.col("order").replace_strict(place, return_dtype=pl.Int64), maintain_order=True)


def shared_evidence(answers: Answers, options: Options) -> pl.DataFrame:
    """Shared evidence of each ordered pair of models, with its interval, and the areas that it is made of.

    ``clips`` are those to which both give the same label, ``agreement`` their share. ``own``, ``own_profile``,
    ``other``, ``profile``, ``random`` and ``energy`` are mean areas on the judge: of its own map and of its profile, of
    the source's and of its profile, of random sets, and of the order by energy. ``gain`` is other − profile; where
    ``shared`` is null ``why`` says why.
    """
    if answers.nested.is_empty():
        return make_frame([], "source", "judge")
    shared = Shared.of(answers, options)
    areas = shared.areas
    rates, (low, high) = shared.rates, shared.bounds(shared.defined, options)
    gain, gain_bounds = (
        ratio(shared.gained.sum(axis=0), shared.counts.sum(axis=0)),
        shared.bounds(shared.counts, options),
    )
    own_profile = np.diagonal(areas.profile, axis1=1, axis2=2)
    counted, clips = areas.counted, areas.counted.sum(axis=0).astype(np.float64)
    means = {
        name: ratio(np.where(counted & np.isfinite(values), values, 0.0).sum(axis=0), clips)
        for name, values in (
            ("own", areas.own[:, None]), ("own_profile", own_profile[:, None]), ("other", areas.map),
            ("profile", areas.profile), ("random", areas.random[:, None]), ("energy", areas.energy[:, None]),
        )
    }  # fmt: skip
    rows = [
        {
            "source": source, "judge": judge, "clips": int(clips[i, j]), "agreement": areas.agreed[:, i, j].mean(),
            **{name: values[i, j] for name, values in means.items()},
            "gain": gain[i, j], "gain_low": gain_bounds[0][i, j], "gain_high": gain_bounds[1][i, j],
            "shared": rates[i, j], "shared_low": low[i, j], "shared_high": high[i, j], "why": str(shared.why[i, j]),
        }
        for i, source in enumerate(areas.names) for j, judge in enumerate(areas.names) if i != j
    ]  # fmt: skip
    return make_frame(rows, "source", "judge")


def shared_by_clip(answers: Answers) -> pl.DataFrame:
    """The areas of each clip and ordered pair that count, and the clip's own shared evidence.

    ``shared`` is null where the judge's own map does as well as its profile on the clip; a single clip's is rough.
    """
    areas = Areas.of(answers)
    clip, source, judge = np.nonzero(areas.counted)
    gain, own_gain = (part[clip, source, judge] for part in areas.gains())
    names = np.array(areas.names, dtype=object)
    return pl.DataFrame({
        "clip": areas.clips["clip"].to_numpy()[clip], "source": names[source].tolist(),
        "judge": names[judge].tolist(), "own": areas.own[clip, judge], "other": areas.map[clip, source, judge],
        "profile": areas.profile[clip, source, judge], "random": as_column(areas.random[clip, judge]),
        "energy": as_column(areas.energy[clip, judge]), "gain": gain, "shared": as_column(ratio(gain, own_gain)),
    }).filter(pl.col("source") != pl.col("judge"))  # fmt: skip


def matrix_shared_evidence(answers: Answers, options: Options) -> pl.DataFrame:
    """Shared evidence from each model (row) to each judge (column); averages leave the model itself out."""
    if answers.nested.is_empty():
        return make_frame([], "model")
    return as_matrix(answers.models.select("model"), Shared.of(answers, options).rates)


def shared_flat_earthers(answers: Answers, options: Options) -> pl.DataFrame:
    """Who shares no evidence with the others, though they share theirs: as the table ``flat_earthers``, of gains in the
    place of α, as shares of the mean gain of all models' own maps on themselves."""
    if answers.nested.is_empty():
        return make_frame([], "model")
    shared = Shared.of(answers, options)
    found = find_flat_earthers(shared.gained, shared.common, margin=options.margin, **as_drawn(options))
    return pl.DataFrame(
        {"model": shared.areas.names, **{name: as_column(values) for name, values in vars(found).items()}}
    )


def shared_correlations(answers: Answers, options: Options) -> pl.DataFrame:
    """Rank correlation of α with the gain over ordered pairs of models, by kind of set: whether the two say
    the same of who convinces whom. As in the table ``correlations``, models are permuted."""
    if answers.nested.is_empty():
        return make_frame([], "kind")
    shared = Shared.of(answers, options)
    rates = ratio(shared.gained.sum(axis=0), shared.counts.sum(axis=0))
    rows: list[dict[str, Any]] = [
        {"kind": kind, **asdict(matrix_correlation(Cube.of(answers, kind, options).rates, rates, **as_drawn(options)))}
        for kind in kinds_in(answers)
    ]
    return with_adjusted(make_frame(rows, "kind").rename({"n": "models"} if rows else {}), "p")


def _by_cluster(values: Real, cluster: NDArray[np.intp], size: int) -> Real:
    """Sums over the clips of each cluster, [c, n, n] → [size, n, n]."""
    sums = np.zeros((size, *values.shape[1:]))
    np.add.at(sums, cluster, values)
    return sums
