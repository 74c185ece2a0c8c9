"""Spectral entropy, densities and band energies of a study's signals, and tests between classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ...analyses.spectral import band_energies, compare, density, mean_density, measure_entropy, octave_edges
from ...search.settings import KINDS
from ...signal.audio import Clip
from ...transferability.statistics.paired import benjamini_hochberg
from ..progress import Reporter
from ..reopen import Reopened
from .composition import read_composites, used_settings
from .units import Done, Rows, Unit, do_units, of_sets_there, unit_of_sets

ANALYSIS = "spectral"
#: the clip itself, beside the signals made from it
ORIGINAL = "original"
COMPOSITE = "composite"


def measure_spectra(study: Reopened, window: int = 1024, reporter: Reporter | None = None) -> Done:
    """Measure every clip and every signal of the study that the store has no measures of.

    Parameters
    ----------
    study : Reopened
    window : int
        Samples a segment of Welch's density.
    reporter : Reporter, optional
    """
    return do_units(study, ANALYSIS, _options(window), list(_units(study, window)), reporter)


def read_spectra(study: Reopened, window: int = 1024) -> pl.DataFrame:
    """The measures: a row a signal, and a row a clip and model (``kind`` ``original``).

    Returns
    -------
    polars.DataFrame
        ``unit``, ``row`` (of the unit's densities), ``clip``, ``model`` (ids), ``kind``, ``draw``, ``label`` (what the
        model says to the clip), ``entropy_bits``, ``entropy`` (normalised), ``entropy_per_frame``, ``frames``, and
        ``band_LOW_HIGH`` (share of the power between frequencies in Hz). Entropies are null for silence.
    """
    rows = study.store.results(study.key, ANALYSIS, _options(window))
    if rows.is_empty():
        return rows
    subsets = study.subsets()
    rows = of_sets_there(rows, subsets.filter(pl.col("kind").is_in(KINDS)))
    said = subsets.select("clip", "model", "label").unique(["clip", "model"], maintain_order=True)
    clips = rows.filter(pl.col("kind") == ORIGINAL).drop("model", "label").join(said, on="clip", maintain_order="left")
    return pl.concat([rows.filter(pl.col("kind") != ORIGINAL), clips.select(rows.columns)], how="vertical_relaxed")


def named_spectra(study: Reopened, window: int = 1024) -> pl.DataFrame:
    """:func:`read_spectra` with the models' specs for their ids, of the study's models only."""
    rows = read_spectra(study, window)
    if rows.is_empty():
        return rows
    names = study.specs
    return rows.filter(pl.col("model").is_in(list(names))).with_columns(
        model=pl.col("model").replace_strict(names, return_dtype=pl.String)
    )


def spectral_tables(study: Reopened, window: int = 1024) -> dict[str, pl.DataFrame]:
    """The tables by name: ``spectral entropy`` by model, kind and class, and ``spectral differences``."""
    rows = named_spectra(study, window)
    if rows.is_empty():
        return {}
    return {"spectral entropy": entropy_table(rows), "spectral differences": difference_table(rows)}


def entropy_table(rows: pl.DataFrame) -> pl.DataFrame:
    """Entropy by model, kind and class: number, silent ones, median and quartiles, global and per frame."""
    return (
        rows.group_by("model", "kind", "label", maintain_order=True)
        .agg(
            signals=pl.len(),
            clips=pl.col("clip").n_unique(),
            silent=pl.col("entropy").is_null().sum(),
            bits=pl.col("entropy_bits").median(),
            entropy=pl.col("entropy").median(),
            low=pl.col("entropy").quantile(0.25, "linear"),
            high=pl.col("entropy").quantile(0.75, "linear"),
            per_frame=pl.col("entropy_per_frame").median(),
        )
        .sort("model", _order(), "label")
    )


def difference_table(rows: pl.DataFrame) -> pl.DataFrame:
    """Mann–Whitney's test of each measure between classes, by model and kind.

    Two classes are compared with each other; of more, each with all others together. A clip counts once: several
    signals of it are averaged. All p-values of the table are adjusted together (Benjamini–Hochberg).

    Returns
    -------
    polars.DataFrame
        ``model``, ``kind``, ``measure``, ``first``, ``second`` (classes), ``n_first``, ``n_second``, ``median_first``,
        ``median_second``, ``u``, ``p``, ``p_adjusted``, ``effect`` (rank-biserial), ``higher`` (the class that tends
        to be).
    """
    measures = [name for name in rows.columns if name in ("entropy", "entropy_per_frame") or name.startswith("band_")]
    by_clip = rows.group_by("model", "kind", "label", "clip", maintain_order=True).agg(pl.col(measures).mean())
    found: list[dict[str, Any]] = []
    for (model, kind), part in by_clip.sort("model", _order()).group_by("model", "kind", maintain_order=True):
        for measure in measures:
            found += [{"model": model, "kind": kind, **row} for row in _compare_classes(part, measure)]
    if not found:
        return pl.DataFrame()
    table = pl.DataFrame(found, infer_schema_length=None)
    adjusted = benjamini_hochberg(table["p"].to_numpy())
    return table.with_columns(p_adjusted=pl.Series(adjusted)).select(
        "model", "kind", "measure", "first", "second", "n_first", "n_second", "median_first", "median_second", "u",
        "p", "p_adjusted", "effect", "higher",
    )  # fmt: skip


def density_table(study: Reopened, window: int = 1024) -> pl.DataFrame:
    """Mean power spectral density by model, kind and class, each signal scaled to the same power.

    Composites that are in the store (those last made) are there as the kind ``composite``.

    Returns
    -------
    polars.DataFrame
        ``model``, ``kind``, ``label``, ``signals``, ``hertz``, ``density`` (share of the power per segment bin).
    """
    rows = named_spectra(study, window)
    if rows.is_empty():
        return rows
    arrays = {unit: _densities(study, unit, window) for unit in rows["unit"].unique().to_list()}
    hertz = np.asarray(np.fft.rfftfreq(window, 1 / study.sample_rate), dtype=np.float64)
    parts = []
    for (model, kind, label), part in rows.sort("model", _order(), "label").group_by(
        "model", "kind", "label", maintain_order=True
    ):
        stack = np.stack([arrays[unit][row] for unit, row in part.select("unit", "row").iter_rows()])
        parts.append(_lines(str(model), str(kind), str(label), part.height, hertz, mean_density(stack)))
    return pl.concat([*parts, *_composite_densities(study, window)])


def _composite_densities(study: Reopened, window: int) -> Iterator[pl.DataFrame]:
    settings, names = used_settings(study), study.specs
    for composite in read_composites(study, settings) if settings else []:
        hertz, values = density(composite.signal, study.sample_rate, window)
        yield _lines(names[composite.model], COMPOSITE, composite.label, 1, hertz, mean_density(values[None]))


def _lines(
    model: str, kind: str, label: str, signals: int, hertz: NDArray[np.float64], values: NDArray[np.float64]
) -> pl.DataFrame:
    about = {"model": model, "kind": kind, "label": label, "signals": signals}
    columns = [pl.lit(value).alias(name) for name, value in about.items()]
    return pl.DataFrame({"hertz": hertz, "density": values}).select(*columns, "hertz", "density")


def _options(window: int) -> dict[str, Any]:
    return {"window": window, "frame": 0.032, "floor": -60.0}


def _units(study: Reopened, window: int) -> Iterator[Unit]:
    subsets = study.subsets().filter(pl.col("kind").is_in(KINDS))
    paths = dict(study.clips.select("clip", "path").iter_rows())
    specs = study.specs
    for clip, path in paths.items():
        yield Unit(f"{clip}", _work(study, clip, None, window), path)
    for (clip, model), part in subsets.group_by("clip", "model", maintain_order=True):
        yield Unit(unit_of_sets(part), _work(study, int(str(clip)), part, window), paths[clip], specs[model])


def _work(study: Reopened, clip: int, subsets: pl.DataFrame | None, window: int) -> Any:
    """The unit of a clip itself, or of one model's signals of it."""

    def work() -> tuple[Rows, NDArray[np.float32]]:
        if subsets is None:
            read = study.read(clip)
            signals, about = [read.samples], [{"clip": clip, "model": None, "kind": ORIGINAL, "draw": 0, "label": None}]
        else:
            about = subsets.select("clip", "model", "kind", "draw", "label").to_dicts()
            masks = np.stack([study.store.mask(subset) for subset in subsets["subset"]])
            spectrum = study.spectrum(clip)
            read, signals = spectrum.clip, list(spectrum.invert(masks).numpy())
        rows = [
            {"row": row, **facts, **_measure(signal, read)}
            for row, (facts, signal) in enumerate(zip(about, signals, strict=True))
        ]
        densities = np.stack([density(signal, read.sample_rate, window)[1] for signal in signals])
        return rows, densities.astype(np.float32).reshape(-1)

    return work


def _measure(signal: NDArray[np.float32], clip: Clip) -> dict[str, Any]:
    found = measure_entropy(signal, clip.sample_rate)
    edges = octave_edges(clip.sample_rate)
    shares = band_energies(signal, clip.sample_rate, edges) if found else [None] * (len(edges) - 1)
    bands = {
        f"band_{low:g}_{high:g}": None if share is None else float(share)
        for low, high, share in zip(edges, edges[1:], shares, strict=False)
    }
    return {
        "entropy_bits": found.bits if found else None,
        "entropy": found.normalised if found else None,
        "entropy_per_frame": found.per_frame if found else None,
        "frames": found.frames if found else 0,
        **bands,
    }


def _compare_classes(part: pl.DataFrame, measure: str) -> Iterator[dict[str, Any]]:
    known = part.filter(pl.col(measure).is_not_null())
    labels = sorted(known["label"].unique().to_list())
    pairs = [(labels[0], labels[1])] if len(labels) == 2 else [(label, "others") for label in labels]
    for first, second in pairs if len(labels) > 1 else []:
        ones = known.filter(pl.col("label") == first)[measure].to_numpy()
        others = known.filter(pl.col("label") != first)[measure].to_numpy()
        found = compare(ones, others)
        if found is None:
            continue
        higher = first if found.effect > 0 else second if found.effect < 0 else "neither"
        yield {
            "measure": measure, "first": first, "second": second, "n_first": len(ones), "n_second": len(others),
            "median_first": float(np.median(ones)), "median_second": float(np.median(others)),
            "u": found.u, "p": found.p, "effect": found.effect, "higher": higher,
        }  # fmt: skip


def _densities(study: Reopened, unit: str, window: int) -> NDArray[np.float64]:
    flat = study.store.result_array(study.key, ANALYSIS, unit, _options(window))
    return flat.reshape(-1, window // 2 + 1).astype(np.float64)


def _order() -> pl.Expr:
    """Kinds in the order of the definitions."""
    kinds = [ORIGINAL, *KINDS]
    return pl.col("kind").replace_strict(kinds, list(range(len(kinds))), default=len(kinds))
