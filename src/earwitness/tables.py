"""Every table of a study, each a function of the answers and of how to compute it; :data:`TABLES` lists them.

*Conventions.* A rate is the mean over signals; ``*_low`` and ``*_high`` bound its 95 % interval from resampling
clips (:mod:`earwitness.statistics`), ``wilson_*`` Wilson's with the clips as trials, which also says something where
all or none accept. ``convincing`` and ``convinced`` are means of rates over the other models. Null means that there
is nothing to compute it from. Rows of a model with itself are left out, unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .errors import ConfigError
from .explain import KINDS
from .statistics import (
    DRAWS,
    benjamini_hochberg,
    chance_corrected,
    check_level,
    cohen_h,
    compare_pairs,
    find_flat_earthers,
    interval,
    matrix_correlation,
    rank_correlation,
    ratio,
    resample,
    wilson,
)
from .study.store import Store
from .transfer import Answers, agreement_table, check_epsilon, load_answers, model_table, short_names, signal_table

Real = NDArray[np.float64]

#: the kinds whose transfer is tabulated; the inverse is what is left over, not a claim
JUDGED = KINDS[:3]
#: fewer models than this, and correlations over models come with a warning
FEW = 10
#: the levels of the curves over ε
EPSILONS = tuple(round(step / 20, 2) for step in range(1, 21))


@dataclass(frozen=True)
class Options:
    """How tables are computed.

    Attributes
    ----------
    epsilon : float
        Definition 4's ε, more than 0 and at most 1.
    level : float
        Of the intervals.
    draws : int
        Resamples of an interval, shuffles of a permutation test.
    seed : int
        Of both.
    cluster : str
        What is resampled: ``clip``, or ``group`` (speaker, artist) where a data set names it.
    margin : float
        See :func:`earwitness.statistics.find_flat_earthers`.
    vacuous : bool
        Whether empty sets count. Those are sets of models that say to silence what they say to the clip.
    """

    epsilon: float = 0.5
    level: float = 0.95
    draws: int = DRAWS
    seed: int = 0
    cluster: str = "clip"
    margin: float = 0.1
    vacuous: bool = True

    def __post_init__(self) -> None:
        check_epsilon(self.epsilon)
        check_level(self.level)
        if self.cluster not in ("clip", "group"):
            raise ConfigError(f"cluster {self.cluster!r}: use clip or group")
        if self.draws < 1:
            raise ConfigError(f"draws {self.draws}: too few; use at least 1, better 1000")


Table = Callable[[Answers, Options], pl.DataFrame]


def make_tables(
    answers: Answers, options: Options | None = None, names: Sequence[str] | None = None
) -> dict[str, pl.DataFrame]:
    """The tables by name; all of :data:`TABLES` unless some are named.

    Models go by short names (:func:`earwitness.transfer.short_names`); the table ``models`` has their specs.

    Raises
    ------
    ConfigError
        No such table; or clusters are groups and the recordings have none.
    """
    options = options or Options()
    for name in names or ():
        if name not in TABLES:
            raise ConfigError(f"table {name!r}: use one of {', '.join(TABLES)}")
    if options.cluster == "group" and (answers.originals["group"] == "").any():
        raise ConfigError("cluster 'group': not all recordings belong to one; use clip")
    if not options.vacuous:
        answers = answers.without_vacuous()
    specs = answers.models["model"]
    answers = answers.rename_models(dict(zip(specs, short_names(specs.to_list()), strict=True)))
    tables = {name: TABLES[name](answers, options) for name in names or TABLES}
    if "models" in tables:
        tables["models"] = tables["models"].with_columns(spec=specs)
    return {name: _finite(table) for name, table in tables.items()}


def study_tables(store: Store, options: Options | None = None) -> dict[str, pl.DataFrame]:
    """Every table of a study by name.

    Raises
    ------
    StoreError
        The store holds no study yet.
    """
    return make_tables(load_answers(store), options)


# --- models and matrices --------------------------------------------------------------------------------------


def models(answers: Answers, options: Options) -> pl.DataFrame:
    """What each model is, how accurate on the study's own labels, how convincing and convinced, with intervals.

    Accuracy is of the clips whose own label is one of the aligned ones. ``vacuous`` counts empty sufficient sets.
    """
    table = model_table(answers)
    low, high = wilson(table["accuracy"].to_numpy() * table["labelled"].to_numpy(), table["labelled"], options.level)
    cube = Cube.of(answers, "sufficient", options)
    replicates = cube.resampled(options)
    columns: dict[str, Real] = {"accuracy_low": low, "accuracy_high": high}
    for name, axis in (("convincing", -1), ("convinced", -2)):
        means = _mean_of_others(replicates, axis)
        columns[f"{name}_low"], columns[f"{name}_high"] = interval(means, cube.clusters_with(axis), options.level)
    order = [
        "model", "backend", "architecture", "parameters", "labelled", "accuracy", "accuracy_low", "accuracy_high",
        "convincing", "convincing_low", "convincing_high", "convinced", "convinced_low", "convinced_high", "sets",
        "vacuous", "median_size",
    ]  # fmt: skip
    return table.with_columns(**{name: _known(values) for name, values in columns.items()}).select(order)


def sets(answers: Answers, options: Options) -> pl.DataFrame:
    """What the signals are made of: sets by source and kind, how many are empty, up to what they are minimal, and
    their median size and share of the clip's energy."""
    rows = answers.judgements.unique("subset", maintain_order=True)
    counts = {name: (pl.col("certificate") == name).sum() for name in ("one_minimal", "group_minimal", "none")}
    table = rows.filter(pl.col("kind").is_in(JUDGED)).group_by("kind", "source", maintain_order=True).agg(
        sets=pl.len(), clips=pl.col("clip").n_unique(), vacuous=(pl.col("size") == 0).sum(), **counts,
        median_size=pl.col("size").median(), median_energy=pl.col("energy").median(),
    )  # fmt: skip
    return _in_order(table, answers)


def matrix(kind: str) -> Table:
    """The table of α from each model (row) to each model (column), as in T's Tables 1 to 3.

    ``average`` is how convincing a row's model is, the last row how convinced a column's; both leave the model
    itself out. Parameters, accuracy and back end stand beside.
    """

    def table(answers: Answers, options: Options) -> pl.DataFrame:
        names = answers.models["model"].to_list()
        cube = Cube.of(answers, kind, options)
        rates = cube.rates
        described = model_table(answers, kind).select("model", "parameters", "accuracy", "backend")
        cells = pl.DataFrame({name: _known(rates[:, i]) for i, name in enumerate(names)})
        cells = cells.with_columns(average=_known(_mean_of_others(rates, -1)))
        body = pl.concat([described.select("model"), cells, described.drop("model")], how="horizontal")
        columns = _mean_of_others(rates, -2)
        pairs = rates[~np.eye(len(names), dtype=bool)]
        last = pl.DataFrame({
            "model": ["average"], **{name: [value] for name, value in zip(names, columns.tolist(), strict=True)},
            "average": [_mean(pairs)],
        })  # fmt: skip
        return pl.concat([body, last], how="diagonal_relaxed").fill_nan(None)

    return table


def agreement(answers: Answers, options: Options) -> pl.DataFrame:
    """How often two models agree on the clips themselves, with Wilson intervals: what transfer is to be read
    against. The diagonal is included."""
    table = agreement_table(answers)
    low, high = wilson(table["agreement"].to_numpy() * table["clips"].to_numpy(), table["clips"], options.level)
    return table.with_columns(wilson_low=_known(low), wilson_high=_known(high))


# --- Definitions 4 and 5 --------------------------------------------------------------------------------------


def transfer(answers: Answers, options: Options) -> pl.DataFrame:
    """α, β and joint from each model to each other, for each kind.

    ``agreement`` is the share of these signals whose clip the judge itself gives the source's label;
    ``alpha_agreed`` and ``alpha_disagreed`` are α where it does and where it does not.
    """
    said = answers.originals.select("clip", judge="model", said="answer")
    rows = _others(answers).join(said, on=["clip", "judge"], how="left", maintain_order="left")
    rows = rows.with_columns(agreed=pl.col("said") == pl.col("label"))
    measures = {**_definitions(options), "agreement": pl.col("agreed").cast(pl.Float64)}
    table = _rates(answers, rows, ["kind", "source", "judge"], measures, options)
    split = rows.group_by("kind", "source", "judge").agg(
        alpha_agreed=pl.col("accepted").filter(pl.col("agreed")).mean(),
        alpha_disagreed=pl.col("accepted").filter(~pl.col("agreed")).mean(),
    )
    table = table.drop("agreement_low", "agreement_high")
    return _with_wilson(table, options).join(split, on=["kind", "source", "judge"], how="left", maintain_order="left")


def transferable(answers: Answers, options: Options) -> pl.DataFrame:
    """Definition 4 by source and kind: mean α, β and joint of its signals over the other models, and the share of
    signals that all of them accept and are certain of (``transferable``)."""
    return _rates(answers, _signals(answers, options.epsilon), ["kind", "source"], SIGNAL_MEASURES, options)


def curves(answers: Answers, options: Options) -> pl.DataFrame:
    """β, joint and ``transferable`` by kind and source for ε from 0.05 to 1; α does not depend on it."""
    parts = [
        _signals(answers, epsilon)
        .group_by("kind", "source", maintain_order=True)
        .agg(signals=pl.len(), **{name: pl.col(name).cast(pl.Float64).mean() for name in SIGNAL_MEASURES})
        .with_columns(epsilon=pl.lit(epsilon))
        for epsilon in EPSILONS
    ]
    table = pl.concat(parts).select("kind", "source", "epsilon", "signals", "beta", "joint", "transferable")
    return _in_order(table, answers, epsilon=EPSILONS)


def classes(answers: Answers, options: Options) -> pl.DataFrame:
    """As :func:`transferable`, by class: what the source says to the clip. A class that a model never says has a
    row without rates."""
    found = _rates(answers, _signals(answers, options.epsilon), ["kind", "source", "label"], SIGNAL_MEASURES, options)
    grid = pl.DataFrame({"kind": list(JUDGED)}).join(answers.models.select(source="model"), how="cross")
    grid = grid.join(pl.DataFrame({"label": list(answers.labels)}), how="cross")
    table = grid.join(found, on=["kind", "source", "label"], how="left", maintain_order="left")
    return table.with_columns(pl.col("signals", "clips").fill_null(0))


def datasets(answers: Answers, options: Options) -> pl.DataFrame:
    """As :func:`transferable`, by data set."""
    return _rates(answers, _signals(answers, options.epsilon), ["kind", "source", "dataset"], SIGNAL_MEASURES, options)


# --- what the paper lacks -------------------------------------------------------------------------------------


def draws(answers: Answers, options: Options) -> pl.DataFrame:
    """How much α depends on which of several sufficient sets of a clip was drawn; of clips with two or more.

    ``alpha`` is over all sets, ``first`` over the first of each clip; ``least`` counts clips of which every set is
    accepted, ``most`` clips of which any is; ``split`` is the share of clips whose sets are judged differently.
    ``draw_sd`` is the standard deviation of α if one set a clip is drawn at random: √(Σ p(1 − p)) / clips, with p
    the accepted share of a clip's sets.
    """
    rows = _others(answers).filter(pl.col("kind") == "sufficient")
    by_clip = rows.group_by("source", "judge", "clip", maintain_order=True).agg(
        sets=pl.len(), p=pl.col("accepted").mean(), first=pl.col("accepted").sort_by("draw").first(),
    ).filter(pl.col("sets") > 1)  # fmt: skip
    p = pl.col("p")
    table = by_clip.group_by("source", "judge", maintain_order=True).agg(
        clips=pl.len(), sets=pl.col("sets").sum(), alpha=(p * pl.col("sets")).sum() / pl.col("sets").sum(),
        first=pl.col("first").mean(), least=(p == 1).mean(), most=(p > 0).mean(), split=((p > 0) & (p < 1)).mean(),
        draw_sd=(p * (1 - p)).sum().sqrt() / pl.len(),
    )  # fmt: skip
    return _in_order(table, answers)


def chance(answers: Answers, options: Options) -> pl.DataFrame:
    """α beside what null signals of the same sets are accepted for.

    ``null`` is ``null_size`` (as many variables), ``null_energy`` (as much energy), ``silence``, or ``original``
    (the clip itself). ``excess`` is α − chance; ``corrected`` is (α − chance) / (1 − chance), null where chance
    accepts all. Only sets with that null signal count. Rows of a model with itself are in: does it need *this* set?
    """
    judged, parts = answers.judgements.filter(pl.col("kind").is_in(JUDGED)), []
    nulls = _null_rates(answers)
    for name, rows in nulls.items():
        paired = judged.join(rows, on=["subset", "judge"], maintain_order="left")
        by = ["kind", "source", "judge"]
        grid = _Grid.of(paired, by, options)
        sums, counts = grid.sums({"alpha": pl.col("accepted").cast(pl.Float64), "chance": pl.col("chance")})
        rates = ratio(sums.sum(axis=0), counts.sum(axis=0))
        replicates = resample(sums, counts, draws=options.draws, seed=options.seed)
        low, high = interval(replicates[:, 0] - replicates[:, 1], (counts[:, 0] > 0).sum(axis=0), options.level)
        parts.append(grid.keys.with_columns(
            null=pl.lit(name), alpha=_known(rates[0]), chance=_known(rates[1]),
            excess=_known(rates[0] - rates[1]), excess_low=_known(low), excess_high=_known(high),
            corrected=_known(chance_corrected(rates[0], rates[1])),
        ))  # fmt: skip
    return _in_order(pl.concat(parts), answers, null=list(nulls))


def silence(answers: Answers, options: Options) -> pl.DataFrame:
    """What each model says to silence, how surely, and how often it accepts others' signals of that label and of
    the others. A model that says ``real`` to silence accepts every ``real`` signal for nothing."""
    quiet = answers.nulls.filter(pl.col("kind") == "silence").unique(["clip", "judge"], maintain_order=True)
    quiet = quiet.select("clip", "judge", "confidence", silent="answer")
    says = quiet.group_by("judge", answer="silent", maintain_order=True).agg(
        says=pl.len(), probability=pl.col("confidence").mean()
    )  # fmt: skip
    top = says.sort("says", descending=True, maintain_order=True).group_by("judge", maintain_order=True).agg(
        clips=pl.col("says").sum(), answer=pl.col("answer").first(),
        share=pl.col("says").first() / pl.col("says").sum(), probability=pl.col("probability").first(),
    )  # fmt: skip
    rows = _others(answers).filter(pl.col("kind") == "sufficient").join(quiet.drop("confidence"), on=["clip", "judge"])
    same = pl.col("label") == pl.col("silent")
    accepts = rows.group_by("judge").agg(
        same_label=same.sum(), alpha_same=pl.col("accepted").filter(same).mean(),
        other_label=(~same).sum(), alpha_other=pl.col("accepted").filter(~same).mean(),
    )  # fmt: skip
    own = answers.judgements.filter((pl.col("kind") == "sufficient") & (pl.col("source") == pl.col("judge")))
    empty = own.group_by(judge="source").agg(sets=pl.len(), vacuous=(pl.col("size") == 0).sum())
    table = answers.models.select(judge="model")
    for part in (top, accepts, empty):
        table = table.join(part, on="judge", how="left", maintain_order="left")
    return table.rename({"judge": "model"})


def vacuous(answers: Answers, options: Options) -> pl.DataFrame:
    """α, β and joint with and without the empty sets, which need no signal to convince their model."""
    definitions = _definitions(options)
    kept = pl.col("size") > 0
    table = _others(answers).group_by("kind", "source", "judge", maintain_order=True).agg(
        pl.len().alias("signals"), (~kept).sum().alias("vacuous"),
        *(expression.mean().alias(name) for name, expression in definitions.items()),
        *(expression.filter(kept).mean().alias(f"{name}_without") for name, expression in definitions.items()),
    )  # fmt: skip
    return _in_order(table, answers)


def partial_credit(answers: Answers, options: Options) -> pl.DataFrame:
    """How near a judge comes to the source's label where top-1 is all or nothing: the label's mean probability
    and rank (1 is top), share among the first three, and the entropy of the answer in bits and as a share of
    log₂ n."""
    measures = {
        "alpha": pl.col("accepted").cast(pl.Float64), "probability": pl.col("probability"),
        "rank": pl.col("rank").cast(pl.Float64), "top3": (pl.col("rank") <= 3).cast(pl.Float64),
        "entropy": pl.col("entropy"), "entropy_share": pl.col("entropy_share"),
    }  # fmt: skip
    table = _rates(answers, _others(answers), ["kind", "source", "judge"], measures, options)
    return table.drop("alpha_low", "alpha_high", "top3_low", "top3_high", "entropy_low", "entropy_high")


def flat_earthers(answers: Answers, options: Options) -> pl.DataFrame:
    """Who stands apart: score, interval and family-wise permutation p-value, see
    :func:`earwitness.statistics.find_flat_earthers`."""
    parts = []
    for kind in _kinds(answers):
        cube = Cube.of(answers, kind, options)
        found = find_flat_earthers(
            cube.sums, cube.counts, margin=options.margin, level=options.level, draws=options.draws, seed=options.seed
        )
        values = {name: _known(column) for name, column in vars(found).items()}
        parts.append(pl.DataFrame({"kind": kind, "model": cube.names, **values}))
    return pl.concat(parts) if parts else _frame([], "kind", "model")


def asymmetry(answers: Answers, options: Options) -> pl.DataFrame:
    """Whether one model of a pair convinces the other more than the other way round.

    ``forward`` is α from ``first`` to ``second``, ``difference`` forward − backward with its interval, ``effect``
    Cohen's h; paired t-test and Wilcoxon over clips, adjusted over all pairs by Benjamini and Hochberg.
    """
    rows: list[dict[str, Any]] = []
    for kind in _kinds(answers):
        cube = Cube.of(answers, kind, options)
        clips, rates, replicates = ratio(cube.sums, cube.counts), cube.rates, cube.resampled(options)
        low, high = interval(replicates - replicates.swapaxes(1, 2), cube.pair_clusters, options.level)
        for a, first in enumerate(cube.names):
            for b, second in list(enumerate(cube.names))[a + 1 :]:
                test = compare_pairs(clips[:, a, b], clips[:, b, a], options.level)
                rows.append({
                    "kind": kind, "first": first, "second": second, "clips": test.n, "forward": rates[a, b],
                    "backward": rates[b, a], "difference": rates[a, b] - rates[b, a], "low": low[a, b],
                    "high": high[a, b], "effect": float(cohen_h(rates[a, b], rates[b, a])), "t": test.t,
                    "p_t": test.p_t, "w": test.w, "p_w": test.p_w,
                })  # fmt: skip
    return _adjusted(_frame(rows, "kind", "first", "second"), "p_t", "p_w")


def overlap(answers: Answers, options: Options) -> pl.DataFrame:
    """Whether models that are convinced listen to the same: overlap of a signal's set with the judge's own.

    ``jaccard`` counts variables, ``weighted`` their energy; of several sets of the judge on the clip, the most alike
    counts. ``accepted`` and ``rejected`` are the mean weighted overlap of signals that it accepts and rejects,
    ``difference`` their difference with an interval.
    """
    best = answers.overlaps.group_by("subset", "judge").agg(pl.col("jaccard").max(), pl.col("weighted").max())
    rows = _others(answers).join(best, on=["subset", "judge"], maintain_order="left")
    rows = rows.filter(pl.col("weighted").is_not_null())
    by = ["kind", "source", "judge"]
    grid = _Grid.of(rows, by, options)
    taken, weighted = pl.col("accepted").cast(pl.Float64), pl.col("weighted")
    sums, counts = grid.sums({
        "jaccard": pl.col("jaccard"), "weighted": weighted, "alpha": taken,
        "accepted": pl.when(pl.col("accepted")).then(weighted), "rejected": pl.when(~pl.col("accepted")).then(weighted),
    })  # fmt: skip
    rates = ratio(sums.sum(0), counts.sum(0))
    replicates = resample(sums, counts, draws=options.draws, seed=options.seed)
    low, high = interval(replicates[:, 3] - replicates[:, 4], (counts[:, 3:] > 0).sum(0).min(0), options.level)
    names = ("jaccard", "weighted", "alpha", "accepted", "rejected")
    table = grid.keys.with_columns(
        **{name: _known(rates[i]) for i, name in enumerate(names)},
        difference=_known(rates[3] - rates[4]), low=_known(low), high=_known(high),
    )  # fmt: skip
    return _in_order(table, answers)


def correlations(answers: Answers, options: Options) -> pl.DataFrame:
    """Rank correlation of transfer with what might explain it.

    ``convincing`` and ``convinced`` of models against accuracy, number of parameters and median size of their sets;
    α of pairs (``transfer``) against shared back end, shared architecture, agreement on the clips and overlap.
    Intervals take the number of models; p-values are permutation tests over models, adjusted over the table.
    """
    described = model_table(answers)
    rows: list[dict[str, Any]] = []
    for kind in _kinds(answers):
        cube = Cube.of(answers, kind, options)
        table = model_table(answers, kind)
        factors = {
            "accuracy": described["accuracy"], "parameters": described["parameters"].replace(0, None),
            "median_size": table["median_size"],
        }  # fmt: skip
        for what, axis in (("convincing", -1), ("convinced", -2)):
            means = _mean_of_others(cube.rates, axis)
            for name, column in factors.items():
                found = rank_correlation(means, column.cast(pl.Float64).to_numpy(), **_drawn(options))
                rows.append({"kind": kind, "what": what, "with": name, **asdict(found)})
        for name, values in _pair_factors(answers, kind, cube, options).items():
            found = matrix_correlation(cube.rates, values, **_drawn(options))
            rows.append({"kind": kind, "what": "transfer", "with": name, **asdict(found)})
    table = _adjusted(_frame(rows, "kind", "what", "with").rename({"n": "models"} if rows else {}), "p")
    if not rows:
        return table
    few = pl.format("{} models are few: read the interval, not ρ", pl.col("models"))
    return table.with_columns(caution=pl.when(pl.col("models") < FEW).then(few).otherwise(pl.lit("")))


def complete_against_sufficient(answers: Answers, options: Options) -> pl.DataFrame:
    """Whether complete signals transfer better than sufficient ones, and those with δ = 1 better still.

    Paired by clip for each source and for all together (mean α of a clip's signals over the other models), and
    by pairs of models (``unit`` = ``pair``: the cells of two matrices). Paired t-test as in T, Wilcoxon beside it,
    both adjusted over the table; ``effect`` is Cohen's d_z.
    """
    rows: list[dict[str, Any]] = []
    signals = _signals(answers, options.epsilon)
    for kind, base in (("complete", "sufficient"), ("one_complete", "sufficient"), ("one_complete", "complete")):
        by_clip = [
            signals.filter(pl.col("kind") == own)
            .group_by("source", "clip", maintain_order=True)
            .agg(pl.col("alpha").mean())
            for own in (kind, base)
        ]
        # in the clips' order: sums differ in their last bits by it
        paired = by_clip[0].join(by_clip[1], on=["source", "clip"], suffix="_base", maintain_order="left")
        units = [(name, "clip", paired.filter(pl.col("source") == name)) for name in answers.models["model"]]
        whole = paired.group_by("clip", maintain_order=True).agg(pl.col("alpha").mean(), pl.col("alpha_base").mean())
        cubes = [Cube.of(answers, own, options) for own in (kind, base)]
        off = ~np.eye(len(answers.models), dtype=bool)
        cells = pl.DataFrame({"alpha": cubes[0].rates[off], "alpha_base": cubes[1].rates[off]}).drop_nans()
        for source, unit, values in (*units, ("all", "clip", whole), ("all", "pair", cells)):
            test = compare_pairs(values["alpha"].to_numpy(), values["alpha_base"].to_numpy(), options.level)
            if test.n:
                rows.append({
                    "kind": kind, "against": base, "source": source, "unit": unit,
                    "alpha": values["alpha"].mean(), "alpha_against": values["alpha_base"].mean(), **asdict(test),
                })  # fmt: skip
    return _adjusted(_frame(rows, "kind", "against", "source", "unit"), "p_t", "p_w")


#: every table, in the order in which they are shown
TABLES: dict[str, Table] = {
    "models": models,
    "sets": sets,
    **{f"matrix_{kind}": matrix(kind) for kind in JUDGED},
    "agreement": agreement,
    "transfer": transfer,
    "transferable": transferable,
    "curves": curves,
    "classes": classes,
    "datasets": datasets,
    "draws": draws,
    "chance": chance,
    "silence": silence,
    "vacuous": vacuous,
    "partial_credit": partial_credit,
    "flat_earthers": flat_earthers,
    "asymmetry": asymmetry,
    "overlap": overlap,
    "correlations": correlations,
    "complete_against_sufficient": complete_against_sufficient,
}


# --- inside ---------------------------------------------------------------------------------------------------

SIGNAL_MEASURES = {name: pl.col(name).cast(pl.Float64) for name in ("alpha", "beta", "joint", "transferable")}


@dataclass(frozen=True, eq=False)
class Cube:
    """Accepted signals and signals of one kind by cluster, source and judge, the models in their order.

    Attributes
    ----------
    names : list of str
        The n models.
    sums, counts : float64 [C, n, n]
    """

    names: list[str]
    sums: Real
    counts: Real

    @classmethod
    def of(cls, answers: Answers, kind: str, options: Options) -> Cube:
        """Count the judgements of a kind."""
        names = answers.models["model"].to_list()
        rows, n = answers.judgements.filter(pl.col("kind") == kind), len(names)
        place = {name: i for i, name in enumerate(names)}
        source, judge = (_places(rows[column], place) for column in ("source", "judge"))
        clusters, cell = _clusters(rows, options)
        cell = (cell * n + source) * n + judge
        accepted = rows["accepted"].cast(pl.Float64).to_numpy()
        sums, counts = (
            np.bincount(cell, weights, minlength=clusters * n * n).astype(np.float64).reshape(clusters, n, n)
            for weights in (accepted, None)
        )
        return cls(names, sums, counts)

    @property
    def rates(self) -> Real:
        """α, float64 [n, n], the diagonal included."""
        return ratio(self.sums.sum(axis=0), self.counts.sum(axis=0))

    @property
    def pair_clusters(self) -> NDArray[np.intp]:
        """Clusters behind each rate, [n, n]."""
        return np.asarray((self.counts > 0).sum(axis=0))

    def clusters_with(self, axis: int) -> NDArray[np.intp]:
        """Clusters behind the mean over the other models along an axis, [n]."""
        others = self.counts * (1 - np.eye(len(self.names)))
        return np.asarray((others.sum(axis=axis) > 0).sum(axis=0))

    def resampled(self, options: Options) -> Real:
        """α of each resample, float64 [draws, n, n]."""
        return resample(self.sums, self.counts, draws=options.draws, seed=options.seed)


@dataclass(frozen=True, eq=False)
class _Grid:
    """Rows of a frame by cluster and key.

    Attributes
    ----------
    keys : polars.DataFrame
        The K keys, with ``signals`` and ``clips``.
    """

    frame: pl.DataFrame
    keys: pl.DataFrame
    cell: NDArray[np.intp]
    size: int

    @classmethod
    def of(cls, frame: pl.DataFrame, by: list[str], options: Options) -> _Grid:
        keys = frame.group_by(by, maintain_order=True).agg(signals=pl.len(), clips=pl.col("clip").n_unique())
        numbered = keys.select(by).with_row_index("key")
        key = frame.select(by).join(numbered, on=by, how="left", maintain_order="left")["key"].to_numpy()
        size, cluster = _clusters(frame, options)
        return cls(frame, keys, np.asarray(cluster * keys.height + key, dtype=np.intp), size)

    def sums(self, measures: Mapping[str, pl.Expr]) -> tuple[Real, Real]:
        """Sums and counts of the values that are not null, float64 [C, measures, K]."""
        values = self.frame.select(**measures)
        shape = (self.size, self.keys.height)
        sums, counts = np.zeros((2, len(measures), self.size * self.keys.height))
        for i, name in enumerate(measures):
            column = values[name].cast(pl.Float64).to_numpy()
            known = ~np.isnan(column)
            sums[i] = np.bincount(self.cell[known], column[known], minlength=sums.shape[1])
            counts[i] = np.bincount(self.cell[known], minlength=sums.shape[1])
        return (part.reshape(len(measures), *shape).swapaxes(0, 1) for part in (sums, counts))  # type: ignore[return-value]


def _rates(
    answers: Answers, frame: pl.DataFrame, by: list[str], measures: Mapping[str, pl.Expr], options: Options
) -> pl.DataFrame:
    """Mean of each measure by key, with its interval."""
    grid = _Grid.of(frame, by, options)
    sums, counts = grid.sums(measures)
    rates = ratio(sums.sum(axis=0), counts.sum(axis=0))
    low, high = interval(
        resample(sums, counts, draws=options.draws, seed=options.seed), (counts > 0).sum(axis=0), options.level
    )
    columns = {
        name: _known(part[i])
        for i, measure in enumerate(measures)
        for name, part in ((measure, rates), (f"{measure}_low", low), (f"{measure}_high", high))
    }
    return _in_order(grid.keys.with_columns(**columns), answers)


def _with_wilson(table: pl.DataFrame, options: Options) -> pl.DataFrame:
    """Wilson's interval of ``alpha`` after its other one: clips are the trials, so that several signals of a clip
    do not count as so many proofs."""
    low, high = wilson((table["alpha"] * table["clips"]).to_numpy(), table["clips"].to_numpy(), options.level)
    table = table.with_columns(wilson_low=_known(low), wilson_high=_known(high))
    names = [name for name in table.columns if not name.startswith("wilson")]
    place = names.index("alpha_high") + 1
    return table.select(*names[:place], "wilson_low", "wilson_high", *names[place:])


def _clusters(frame: pl.DataFrame, options: Options) -> tuple[int, NDArray[np.intp]]:
    """How many clusters, and each row's."""
    column = frame[options.cluster]
    return column.n_unique(), (column.rank("dense").cast(pl.Int64) - 1).to_numpy().astype(np.intp)


def _places(column: pl.Series, place: Mapping[str, int]) -> NDArray[np.intp]:
    return column.replace_strict(place, return_dtype=pl.Int64).to_numpy().astype(np.intp)


def _others(answers: Answers) -> pl.DataFrame:
    """Judgements of the other models' signals."""
    return answers.judgements.filter((pl.col("source") != pl.col("judge")) & pl.col("kind").is_in(JUDGED))


def _signals(answers: Answers, epsilon: float) -> pl.DataFrame:
    return signal_table(answers, epsilon).filter(pl.col("kind").is_in(JUDGED))


def _kinds(answers: Answers) -> list[str]:
    there = set(answers.judgements["kind"])
    return [kind for kind in JUDGED if kind in there]


def _definitions(options: Options) -> dict[str, pl.Expr]:
    """Definition 5 for one judgement."""
    accepted, certain = pl.col("accepted"), pl.col("entropy_share") < options.epsilon
    return {
        "alpha": accepted.cast(pl.Float64), "beta": certain.cast(pl.Float64),
        "joint": (accepted & certain).cast(pl.Float64),
    }  # fmt: skip


def _null_rates(answers: Answers) -> dict[str, pl.DataFrame]:
    """What each judge accepts by chance: (``subset``, ``judge``, ``chance``) by name of the null."""
    rates = {}
    for name in ("null_size", "null_energy"):
        rows = answers.nulls.filter(pl.col("kind") == name).group_by("parent", "judge")
        rates[name] = rows.agg(chance=pl.col("accepted").mean()).rename({"parent": "subset"})
    sets = answers.judgements.select("subset", "clip", "source", "judge", "label")
    quiet = answers.nulls.filter(pl.col("kind") == "silence").select("clip", "source", "judge", "accepted")
    quiet = sets.join(quiet, on=["clip", "source", "judge"])
    said = sets.join(answers.originals.select("clip", judge="model", said="answer"), on=["clip", "judge"])
    for name, table, accepted in (
        ("silence", quiet, pl.col("accepted")), ("original", said, pl.col("said") == pl.col("label"))
    ):  # fmt: skip
        rates[name] = table.select("subset", "judge", chance=accepted.cast(pl.Float64))
    return rates


def _pair_factors(answers: Answers, kind: str, cube: Cube, options: Options) -> dict[str, Real]:
    """What pairs of models have in common, float64 [n, n] each."""
    place = {name: i for i, name in enumerate(cube.names)}

    def square(table: pl.DataFrame, value: str) -> Real:
        cells = np.full((len(place), len(place)), np.nan)
        cells[_places(table["source"], place), _places(table["judge"], place)] = table[value].to_numpy()
        return cells

    shared = {
        f"shared_{name}": (answers.models[name].to_numpy()[:, None] == answers.models[name].to_numpy()).astype(float)
        for name in ("backend", "architecture")
    }
    alike = overlap(answers, options).filter(pl.col("kind") == kind)
    return {
        **shared, "agreement": square(agreement_table(answers), "agreement"),
        "overlap": square(alike, "weighted"),
    }  # fmt: skip


def _mean_of_others(rates: Real, axis: int) -> Real:
    """Means of rates [..., n, n] along an axis, the diagonal and what is NaN left out."""
    known = np.isfinite(rates) & ~np.eye(rates.shape[-1], dtype=bool)
    return ratio(np.where(known, rates, 0).sum(axis=axis), known.sum(axis=axis).astype(np.float64))


def _mean(values: Real) -> float:
    return float(values[np.isfinite(values)].mean()) if np.isfinite(values).any() else float("nan")


def _known(values: Any) -> pl.Series:
    """Numbers as a column, null where there is none."""
    return pl.Series(np.asarray(values, dtype=np.float64)).fill_nan(None)


def _finite(table: pl.DataFrame) -> pl.DataFrame:
    """Null for NaN and infinity, which not every format knows."""
    real = pl.selectors.float()
    return table.with_columns(pl.when(real.is_finite()).then(real))


def _drawn(options: Options) -> dict[str, Any]:
    return {"level": options.level, "draws": options.draws, "seed": options.seed}


def _frame(rows: list[dict[str, Any]], *keys: str) -> pl.DataFrame:
    if not rows:
        return pl.DataFrame(schema=dict.fromkeys(keys, pl.String()))
    return pl.DataFrame(rows, infer_schema_length=None).fill_nan(None)


def _adjusted(table: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Beside each column of p-values, the ones adjusted for all rows."""
    return table.with_columns(
        _known(benjamini_hochberg(table[name].cast(pl.Float64).to_numpy())).alias(f"{name}_adjusted")
        for name in columns
        if name in table.columns
    )


def _in_order(table: pl.DataFrame, answers: Answers, **orders: Sequence[Any]) -> pl.DataFrame:
    """Rows by kind, source, judge, ..., each in its own order, not the alphabet's."""
    names = answers.models["model"].to_list()
    known: dict[str, Sequence[Any]] = {
        "kind": JUDGED, "source": names, "judge": names, "label": answers.labels, **orders
    }  # fmt: skip
    keys = [
        pl.col(name).replace_strict({value: i for i, value in enumerate(known[name])}, return_dtype=pl.Int64)
        for name in ("kind", *(name for name in known if name != "kind"))
        if name in table.columns
    ]
    return table.sort(keys, maintain_order=True) if keys else table
