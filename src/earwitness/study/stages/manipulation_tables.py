"""How often answers flip, how robust each model is, and whether flips transfer."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import polars as pl

from ...analyses.settings import FREE, SIZES, ManipulationSettings, Search
from ...transferability.definitions import transfer_table
from ...transferability.statistics.correlations import matrix_correlation
from ...transferability.statistics.rates import Real, wilson
from ..answers import load_answers
from ..reopen import Reopened
from .manipulation import keeps_bound, name_files, read_flips, read_transfers, with_names


def manipulation_tables(study: Reopened, settings: ManipulationSettings | None = None) -> dict[str, pl.DataFrame]:
    """Every table of the analysis by name; empty ones are left out."""
    settings = settings or ManipulationSettings()
    tables = {
        "flip rates": rate_table(study, settings),
        "robustness": robustness_table(study, settings),
        "transfer of flips": transfer_of_flips(study, settings),
        "flips and sufficiency": conjecture_table(study, settings),
    }
    return {name: table for name, table in tables.items() if not table.is_empty()}


def rate_table(study: Reopened, settings: ManipulationSettings) -> pl.DataFrame:
    """How often flips without a bound on audibility succeed, and what they cost, by model and action.

    Returns
    -------
    polars.DataFrame
        ``model``, ``actions``, ``k`` (variables at most; null: any number), ``clips``, ``flipped``, ``rate``, ``low``,
        ``high`` (Wilson, 95 %), ``questions`` (median, of those that flipped, until the flip), ``snr`` and ``margin``
        (median, of those whose smallest flip this is), ``survives`` (16-bit FLAC, share of flips).
    """
    rows = with_names(study, read_flips(study, settings))
    if rows.is_empty():
        return rows
    records = []
    free = rows.filter(pl.col("bound") == FREE)
    for (model, actions), part in free.group_by("model", "actions", maintain_order=True):
        for k in (*SIZES, None):
            limit = np.inf if k is None else k
            flips = part.filter(pl.col("flipped") & (pl.col("size") <= limit))
            costs = [
                min(asked for size, asked in json.loads(text) if size <= limit) for text in flips["history"].to_list()
            ]
            low, high = wilson(flips.height, part.height)
            records.append({
                "model": model, "actions": actions, "k": k, "clips": part.height, "flipped": flips.height,
                "rate": flips.height / part.height, "low": float(low), "high": float(high),
                "questions": float(np.median(costs)) if costs else None, "snr": flips["snr"].median(),
                "margin": flips["margin"].median(), "survives": flips["survives"].mean(),
            })  # fmt: skip
    return pl.DataFrame(records, infer_schema_length=None)


def robustness_table(study: Reopened, settings: ManipulationSettings) -> pl.DataFrame:
    """The defence's view: the share of clips whose answer can be flipped within each bound.

    A clip counts where any flip found of it, within whatever bound it was sought, keeps this one.

    Returns
    -------
    polars.DataFrame
        ``model``, ``bound``, ``k``, ``clips``, ``flipped``, ``rate``, ``low``, ``high`` (Wilson, 95 %), ``questions``
        (mean a clip, of the searches within this bound).
    """
    rows = with_names(study, read_flips(study, settings))
    if rows.is_empty():
        return rows
    records = []
    bounds = dict.fromkeys((search.bound, search.count) for search in settings.searches() if search.count)
    for (model,), part in rows.group_by("model", maintain_order=True):
        clips = part["clip"].n_unique()
        for bound, count in [*((FREE, k) for k in SIZES), *bounds]:
            within = part.filter(keeps_bound(Search(settings.actions, bound, count, settings.gain)))
            searched = part.filter((pl.col("bound") == bound) & pl.col("count").eq_missing(count))
            flipped = within["clip"].n_unique()
            low, high = wilson(flipped, clips)
            records.append({
                "model": model, "bound": bound, "k": count, "clips": clips, "flipped": flipped,
                "rate": flipped / clips, "low": float(low), "high": float(high),
                "questions": searched["questions"].sum() / clips if bound != FREE else None,
            })  # fmt: skip
    return pl.DataFrame(records, infer_schema_length=None)


def transfer_of_flips(study: Reopened, settings: ManipulationSettings) -> pl.DataFrame:
    """How often a flip of one model flips another that gave the clip the same label, beside the transfer of
    sufficient signals.

    Returns
    -------
    polars.DataFrame
        ``bound`` (within which the flips were sought; ``all``: pooled, where a clip may count more than once),
        ``source``, ``judge``, ``flips`` (that the judge could follow: it gave the source's label before),
        ``changed`` (share that changed its label), ``low``, ``high`` (Wilson, 95 %), ``agrees`` (share that got the
        source's new label), ``alpha`` (of the sufficient signals).
    """
    rows = read_transfers(study, settings)
    if rows.is_empty():
        return rows
    shared = rows.filter(pl.col("shared") & (pl.col("actions") == "+".join(settings.actions)))
    if shared.is_empty():
        return shared
    table = (
        _pooled(shared)
        .group_by("bound", "model", "judge")
        .agg(flips=pl.len(), changed=pl.col("changed").mean(), agrees=(pl.col("judge_after") == pl.col("after")).mean())
    )
    low, high = wilson((table["changed"] * table["flips"]).to_numpy(), table["flips"].to_numpy())
    table = table.with_columns(low=pl.Series(low), high=pl.Series(high)).sort("bound", "model", "judge")
    names = study.specs
    table = table.with_columns(
        source=pl.col("model").replace_strict(names, return_dtype=pl.String),
        judge=pl.col("judge").replace_strict(names, return_dtype=pl.String),
    )
    alphas = transfer_table(load_answers(study.store, study.key)).select("source", "judge", "alpha")
    table = table.join(alphas, on=["source", "judge"], how="left", maintain_order="left")
    return table.select("bound", "source", "judge", "flips", "changed", "low", "high", "agrees", "alpha")


def conjecture_table(study: Reopened, settings: ManipulationSettings) -> pl.DataFrame:
    """Where sufficient signals transfer, do flips? (T's conjecture.)

    Returns
    -------
    polars.DataFrame
        For each ``bound``: over ordered pairs of models, Spearman's ``rho`` of α and of the share of flips that
        transfer, ``rho_low``, ``rho_high`` (by the number of ``models``) and ``p`` (Mantel); over flips,
        ``accepted`` (flips whose judge accepts the source's sufficient signal of the clip), the share ``changed`` of
        them with ``changed_low``, ``changed_high`` (Wilson, 95 %), and the same of those it ``rejected``.
    """
    table = transfer_of_flips(study, settings)
    if table.is_empty():
        return table
    names = study.models["spec"].to_list()
    judged = _with_acceptance(study, settings)
    records = []
    for (bound,), part in table.group_by("bound", maintain_order=True):
        found = matrix_correlation(*transfer_matrices(part, names))
        record = {
            "bound": bound, "pairs": part.height, "models": found.n, "rho": found.rho, "rho_low": found.low,
            "rho_high": found.high, "p": found.p,
        }  # fmt: skip
        for name, accepted in (("accepted", True), ("rejected", False)):
            those = judged.filter((pl.col("bound") == bound) & (pl.col("accepted") == accepted))
            low, high = wilson(int(those["changed"].sum()), those.height)
            prefix = "changed" if accepted else "rejected_changed"
            record |= {
                name: those.height, prefix: those["changed"].mean(), f"{prefix}_low": float(low),
                f"{prefix}_high": float(high),
            }  # fmt: skip
        records.append(record)
    return pl.DataFrame(records, infer_schema_length=None)


def transfer_matrices(table: pl.DataFrame, names: Sequence[str]) -> tuple[Real, Real]:
    """α and the share of flips that transfer, from each model (row) to each: of :func:`transfer_of_flips` at one bound,
    float64 [models, models] twice, NaN where there is none."""
    alpha, changed = (np.full((len(names), len(names)), np.nan) for _ in range(2))
    for row in table.iter_rows(named=True):
        at = names.index(row["source"]), names.index(row["judge"])
        alpha[at], changed[at] = (np.nan if row[column] is None else row[column] for column in ("alpha", "changed"))
    return alpha, changed


def flip_table(study: Reopened, settings: ManipulationSettings | None = None) -> pl.DataFrame:
    """Every flip: the recording, what changed, how audible, and what the model said then."""
    rows = read_flips(study, settings)
    if rows.is_empty():
        return rows
    paths = dict(study.clips.select("clip", "path").iter_rows())
    flips = with_names(study, rows).filter("flipped")
    files = pl.Series(name_files(flips), dtype=pl.String)
    return flips.with_columns(file=files, path=pl.col("clip").replace_strict(paths, return_dtype=pl.String)).select(
        "file", "path", "model", "actions", "bound", "count", "before", "after", "confidence", "size", "variables",
        "hertz", "decibels", "degrees", "snr", "margin", "inaudible", "flac_after", "flac_confidence", "survives",
        "certificate", "questions",
    )  # fmt: skip


def _pooled(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows, and all of them again under the bound ``all``."""
    return pl.concat([rows, rows.with_columns(bound=pl.lit("all"))])


def _with_acceptance(study: Reopened, settings: ManipulationSettings) -> pl.DataFrame:
    """Transfers of flips, and whether the judge accepts the source's sufficient signal of the same clip."""
    rows = read_transfers(study, settings)
    rows = rows.filter(pl.col("shared") & (pl.col("actions") == "+".join(settings.actions)))
    names = study.specs
    rows = rows.with_columns(
        source=pl.col("model").replace_strict(names, return_dtype=pl.String),
        judge=pl.col("judge").replace_strict(names, return_dtype=pl.String),
    )
    judged = load_answers(study.store, study.key).judgements.filter(pl.col("kind") == "sufficient")
    accepted = judged.group_by("clip", "source", "judge").agg(accepted=pl.col("accepted").first())
    return _pooled(rows).join(accepted, on=["clip", "source", "judge"], how="inner")
