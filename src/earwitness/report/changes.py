"""A clip's signals through harmless changes, and its nested sets: to be heard beside the sets themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..analyses.nested import draw_curves
from ..errors import EarwitnessError
from ..signal.masks import Mask
from ..signal.spectrum import Spectrum
from ..signal.views import View, draw_views, parse_views
from .data import ORIGINAL, StudyData
from .sounds import read_again

#: kinds of set that are heard through changes
CHANGED = ("robust", "sufficient")
#: what is heard, by the name that follows a set's, and in words
WORDS = {"noise": "in noise", "changed": "changed as the study changes it", "other": "laid into another recording"}


def draw_changes(data: StudyData, row: int, source: int, spectrum: Spectrum) -> Iterator[tuple[str, View]]:
    """What a model's sets of a clip are heard through: a name of :data:`WORDS` and one draw.

    Parameters
    ----------
    data : StudyData
    row, source : int
        Of the clip and the model.
    spectrum : Spectrum
        Of the clip.
    """
    kinds = [text for text in data.views if text != "others"]
    noise = [text for text in kinds if text.startswith("noise")]
    for name, views in (("noise", noise), ("changed", kinds if kinds != noise else [])):
        if views:
            yield name, draw_views(parse_views(views), spectrum, 1, data.settings.seed, "heard")[0]
    fill = _other(data, row, source, spectrum)
    if fill is not None:
        yield "other", View(fill=fill, sample_rate=spectrum.clip.sample_rate)


def _other(data: StudyData, row: int, source: int, spectrum: Spectrum) -> NDArray[np.complex128] | None:
    """The first other recording of the study to which the model gives another label, in place of silence."""
    said = data.signals[ORIGINAL]
    mine = said.source == source
    labels = dict(zip(said.clip[mine].tolist(), said.label[mine].tolist(), strict=True))
    for other, label in labels.items():
        if label != labels.get(row, label):
            info = data.clips.row(other, named=True)
            try:
                clip = read_again(info["path"], info["sha256"], info["sample_rate"], info["samples"])
                return None if clip is None else spectrum.fill_with(clip)
            except EarwitnessError:
                return None
    return None


def changed_signals(
    data: StudyData, row: int, spectrum: Spectrum, masks: Mapping[int, Mask]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The signals of a clip's sets through changes, by the name of the set and the change's: float32 [N]."""
    for source in range(len(data.models)):
        chosen = [
            int(signals.subset[place])
            for kind in CHANGED if (signals := data.signals.get(kind)) is not None
            for place in np.flatnonzero((signals.clip == row) & (signals.source == source) & (signals.size >= 0))[:1]
        ]  # fmt: skip
        if chosen:
            for name, view in draw_changes(data, row, source, spectrum):
                for subset in chosen:
                    signal = view.apply(spectrum.invert(masks[subset][None], fill=view.fill))
                    yield f"{subset}-{name}", signal[0].numpy()


def nested_sets(
    data: StudyData,
    nested: pl.DataFrame,
    spectrum: Spectrum,
    maps: Mapping[int, NDArray[np.float32]],
) -> tuple[dict[str, Any], dict[str, Mask]]:
    """The nested sets of a clip along each model's map, and what every model says to them.

    Parameters
    ----------
    data : StudyData
    nested : polars.DataFrame
        The clip's rows of :attr:`Answers.nested`, models by their rows.
    spectrum : Spectrum
    maps : mapping of int to float32 [F]
        By row of the model.

    Returns
    -------
    curves : dict
        By row of the model: ``levels``, ``size`` and, by judge, ``probability`` and ``accepted``; and ``random``, by
        judge, the mean probability of random sets. Empty where the study asked for no curves.
    masks : dict of str to bool [F]
        ``nested-MODEL-LEVEL`` by row and running number, the whole clip left out.
    """
    settings, masks = data.curves, dict[str, Mask]()
    if settings is None:
        return {}, masks
    found: dict[str, Any] = {"curves": {}, "random": {}}
    random = nested.filter(pl.col("order") == "random").group_by("judge", "level").agg(pl.col("probability").mean())
    for (judge,), part in random.sort("level").group_by("judge", maintain_order=True):
        found["random"][str(judge)] = part["probability"].round(4).to_list()
    names = {str(row): values for row, values in maps.items()}
    for (kind, source, _), sets in draw_curves(names, spectrum.energy, settings, spectrum.clip.sha256):
        if kind != "map":
            break  # a model's map comes before all else
        rows = nested.filter((pl.col("order") == "map") & (pl.col("source") == int(source))).sort("level")
        if rows.is_empty():
            continue
        judges = {
            str(judge): {
                "probability": part["probability"].round(4).to_list(), "accepted": part["accepted"].to_list(),
            }
            for (judge,), part in rows.group_by("judge", maintain_order=True)
        }  # fmt: skip
        levels = list(settings.levels)
        found["curves"][source] = {"levels": levels, "size": sets.sum(axis=1).tolist(), "judges": judges}
        masks |= {
            f"nested-{source}-{k}": mask
            for k, (level, mask) in enumerate(zip(levels, sets, strict=True)) if level < 1
        }  # fmt: skip
    return found, masks


def by_row(nested: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Rows of :attr:`Answers.nested` with models by their rows, -1 where an order is no model's."""
    places = {"": -1} | {name: row for row, name in enumerate(names)}
    return nested.with_columns(pl.col("source", "judge").replace_strict(places, return_dtype=pl.Int64))
