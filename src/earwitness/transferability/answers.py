"""Every judgement of a study or of a handful of explanations, as frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

import polars as pl

from ..analyses.chance import NULLS

TEXT, WHOLE, REAL, TRUTH = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean()
CLIP_COLUMNS: dict[str, pl.DataType] = {"clip": WHOLE, "path": TEXT, "truth": TEXT, "group": TEXT, "dataset": TEXT}
MODEL_COLUMNS: dict[str, pl.DataType] = {
    "model": TEXT, "backend": TEXT, "architecture": TEXT, "parameters": WHOLE, "unsteady": REAL,
}  # fmt: skip
OVERLAP_COLUMNS: dict[str, pl.DataType] = {
    "clip": WHOLE, "kind": TEXT, "subset": WHOLE, "other": WHOLE, "source": TEXT, "judge": TEXT,
    "jaccard": REAL, "weighted": REAL,
}  # fmt: skip
SIGNAL_COLUMNS: dict[str, pl.DataType] = {
    "subset": WHOLE, **CLIP_COLUMNS, "source": TEXT, "kind": TEXT, "draw": WHOLE, "size": WHOLE, "energy": REAL,
    "certificate": TEXT, "parent": WHOLE, "label": TEXT,
}  # fmt: skip
NESTED_COLUMNS: dict[str, pl.DataType] = {
    "clip": WHOLE, "order": TEXT, "source": TEXT, "draw": WHOLE, "level": REAL, "judge": TEXT, "size": WHOLE,
    "energy": REAL, "accepted": TRUTH, "probability": REAL,
}  # fmt: skip

SURVIVAL_COLUMNS: dict[str, pl.DataType] = {
    "clip": WHOLE, "source": TEXT, "kind": TEXT, "draw": WHOLE, "held": WHOLE, "views": WHOLE, "questions": WHOLE,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Answers:
    """Every judgement of a study. An answer with NaN is no answer: it is left out.

    Attributes
    ----------
    labels : tuple of str
        The aligned labels, two at least.
    models : polars.DataFrame
        Columns ``model`` (spec, each once), ``backend``, ``architecture``, ``parameters``, ``unsteady`` (by how much
        its answers to one signal differed, see :class:`earwitness.Explanation`).
    judgements : polars.DataFrame
        One row a signal and judging model: ``subset`` (id), ``clip`` (id), ``path``, ``truth``, ``group``,
        ``dataset``, ``source`` and ``judge`` (specs), ``kind``, ``draw``, ``size``, ``energy``, ``certificate``,
        ``parent`` (null), ``label`` (what the source says to the clip), ``answer`` (what the judge says to the
        signal) and ``confidence`` (its probability), ``accepted``, ``probability`` and ``rank`` (of ``label``, for
        the judge), ``entropy`` (bits), ``entropy_share`` (of log₂ n).
    originals : polars.DataFrame
        One row a clip and model: ``clip``, ``path``, ``truth``, ``group``, ``dataset``, ``model``, ``answer``,
        ``probability``.
    nulls : polars.DataFrame
        As ``judgements``, of null signals: ``kind`` is one of :data:`earwitness.analyses.chance.NULLS`, ``parent`` the
        ``subset`` that it is the chance baseline of. ``silence`` is the same for all sets of a clip.
    overlaps : polars.DataFrame
        One row an ordered pair of sets of one kind and clip by different models: ``clip``, ``kind``, ``subset``,
        ``other`` (ids), ``source``, ``judge`` (their models), ``jaccard``, and ``weighted`` by energy.
    nested : polars.DataFrame
        One row a set of a curve and judging model, see :class:`earwitness.analyses.nested.CurveRow`: ``clip``,
        ``order``, ``source`` (empty where the order is no model's), ``draw``, ``level``, ``judge``, ``size``,
        ``energy``, ``accepted`` (as the judge's answer to the clip) and ``probability`` (of that). Empty where no
        curves were asked for.
    survival : polars.DataFrame
        One row a set that is to get the label: ``clip``, ``source``, ``kind``, ``draw``; of how many ``views`` drawn
        afresh it ``held`` in how many; ``questions`` that its clip and model took. A clip and model without any set
        has one row, without a kind. Empty where no survival was measured.
    """

    labels: tuple[str, ...]
    models: pl.DataFrame
    judgements: pl.DataFrame
    originals: pl.DataFrame
    nulls: pl.DataFrame
    overlaps: pl.DataFrame
    nested: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=NESTED_COLUMNS))
    survival: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SURVIVAL_COLUMNS))

    def without_vacuous(self) -> Answers:
        """The same without empty sets: what a model says to silence anyway needs no signal. Silence itself stays."""
        empty = self.judgements.filter(pl.col("size") == 0)["subset"].unique().to_list()
        gone, silent = pl.col("subset").is_in(empty), pl.col("kind") == "silence"
        return replace(
            self, judgements=self.judgements.filter(~gone),
            nulls=self.nulls.filter(silent | ~pl.col("parent").is_in(empty)),
            overlaps=self.overlaps.filter(~gone & ~pl.col("other").is_in(empty)),
        )  # fmt: skip

    def rename_models(self, names: Mapping[str, str]) -> Answers:
        """The same with other names for the models; they must differ."""

        def rename(table: pl.DataFrame, *columns: str) -> pl.DataFrame:
            return table.with_columns(pl.col(*columns).replace_strict({**names, "": ""}, return_dtype=TEXT))

        pairs: dict[str, Any] = {name: rename(getattr(self, name), "source", "judge") for name in _PAIRS}
        models, originals = rename(self.models, "model"), rename(self.originals, "model")
        return replace(self, models=models, originals=originals, survival=rename(self.survival, "source"), **pairs)


#: the frames with a source and a judge
_PAIRS = ("judgements", "nulls", "overlaps", "nested")


def unique_names(specs: Sequence[str], fingerprints: Sequence[str]) -> list[str]:
    """Each spec; with the start of its fingerprint where two models go by the same."""
    counts = Counter(specs)
    return [spec if counts[spec] == 1 else f"{spec}#{mark[:8]}" for spec, mark in zip(specs, fingerprints, strict=True)]


def short_names(specs: Sequence[str]) -> list[str]:
    """Each spec without back end and folders, unless two would read the same.

    Examples
    --------
    >>> short_names(["builtin:mtt-vgg", "hf:models/wav2vec2"])
    ['mtt-vgg', 'wav2vec2']
    """
    short = [PurePath(spec.partition(":")[2] or spec).name or spec for spec in specs]
    counts = Counter(short)
    return [name if counts[name] == 1 else spec for name, spec in zip(short, specs, strict=True)]


def assemble(
    labels: tuple[str, ...], models: pl.DataFrame, judged: pl.DataFrame, originals: pl.DataFrame, overlaps: pl.DataFrame
) -> Answers:
    is_null = pl.col("kind").is_in(list(NULLS))
    return Answers(labels, models, judged.filter(~is_null), originals, judged.filter(is_null), overlaps)
