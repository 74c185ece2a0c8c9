"""Definitions 4 and 5: is a signal that convinces one model accepted by the others?

Source: Kelly & Chockler, arXiv 2604.02937 (T). For a signal ŝ made from a clip s to which a model says c, and
the other models f̂ with n aligned labels:

- ``accepted``: f̂(ŝ) = c;
- ``certain``: H(f̂(ŝ)) < ε · log₂ n, the entropy of its distribution in bits;
- ``alpha``: share of the other models that accept;
- ``beta``: share of the other models that are certain, whatever their label. (The formula printed in T Def. 5 is
  damaged; this is its plain reading.)
- ``joint``: share of the other models that accept and are certain;
- ``transferable`` (T Def. 4): ``joint`` = 1.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..errors import ConfigError, LabelError
from ..models import fold
from .answers import Answers

Log = NDArray[np.float32]

#: what names a signal in :func:`signal_table`
SIGNAL_KEYS = ("subset", "clip", "path", "group", "dataset", "source", "kind", "draw", "size", "label")


def entropy_bits(log_probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Shannon entropy of distributions in bits: natural logarithms [M, n] → float64 [M]."""
    logs = np.asarray(log_probabilities, dtype=np.float64)
    terms = np.where(np.isfinite(logs), np.exp(logs) * logs, 0.0)
    return np.asarray(np.maximum(-terms.sum(axis=1) / np.log(2), 0.0), dtype=np.float64)


def rank_of(log_probabilities: NDArray[np.float32], labels: NDArray[np.intp]) -> NDArray[np.intp]:
    """Rank of a label in each distribution, 1 for top-1; labels tied with it count as before it if lower."""
    chosen = np.take_along_axis(log_probabilities, labels[:, None], axis=1)
    before = np.arange(log_probabilities.shape[1])[None] < labels[:, None]
    ahead = (log_probabilities > chosen) | ((log_probabilities == chosen) & before)
    return np.asarray(1 + ahead.sum(axis=1), dtype=np.intp)


def judge(raw: pl.DataFrame, log_probabilities: Log, labels: tuple[str, ...]) -> pl.DataFrame:
    """What answers say about the label in column ``label``; rows without an answer (NaN) are left out.

    Adds the columns of :class:`Answers` from ``answer`` to ``entropy_share``.
    """
    known = ~np.isnan(log_probabilities).any(axis=1)
    raw, logs = raw.filter(pl.Series(known)), log_probabilities[known]
    index = {label: i for i, label in enumerate(labels)}
    claimed = raw["label"].replace_strict(index, return_dtype=pl.Int64).to_numpy().astype(np.intp)
    entropy, ranks = entropy_bits(logs), rank_of(logs, claimed)
    chosen = np.take_along_axis(logs, claimed[:, None], axis=1)[:, 0]
    return raw.with_columns(
        answer=top_labels(logs, labels),
        confidence=top_probabilities(logs),
        accepted=pl.Series(ranks == 1, dtype=pl.Boolean),
        probability=pl.Series(np.exp(chosen.astype(np.float64)), dtype=pl.Float64),
        rank=pl.Series(ranks, dtype=pl.Int64),
        entropy=pl.Series(entropy, dtype=pl.Float64),
        entropy_share=pl.Series(entropy / np.log2(len(labels)), dtype=pl.Float64),
    )


def top_labels(logs: Log, labels: tuple[str, ...]) -> pl.Series:
    """The label of each answer, float32 [rows, n]."""
    return pl.Series(np.array(labels, dtype=object)[logs.argmax(axis=1)].tolist(), dtype=pl.String)


def top_probabilities(logs: Log) -> pl.Series:
    """Its probability."""
    return pl.Series(np.exp(logs.max(axis=1, initial=-np.inf).astype(np.float64)), dtype=pl.Float64)


def check_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Aligned labels, two at least: of one, every signal is accepted and log₂ n is 0.

    Raises
    ------
    LabelError
        There are fewer.
    """
    if len(labels) < 2:
        raise LabelError(f"{len(labels)} label after alignment: nothing can transfer; map labels so that 2 are shared")
    return labels


def check_epsilon(epsilon: float) -> float:
    """ε of Definition 4, in (0, 1].

    Raises
    ------
    ConfigError
        It is out of range.
    """
    if not 0 < epsilon <= 1:
        raise ConfigError(f"epsilon {epsilon}: out of range; use more than 0 and at most 1")
    return epsilon


def transfer_table(answers: Answers, kind: str = "sufficient", epsilon: float = 0.5) -> pl.DataFrame:
    """α from each model to each other: one row an ordered pair of models, the diagonal included.

    Returns
    -------
    polars.DataFrame
        ``source``, ``judge``, ``signals``, ``clips``, ``alpha``, ``beta``, ``joint``.
    """
    check_epsilon(epsilon)
    certain = pl.col("entropy_share") < epsilon
    return (
        answers.judgements.filter(pl.col("kind") == kind)
        .group_by("source", "judge", maintain_order=True)
        .agg(
            signals=pl.len(),
            clips=pl.col("clip").n_unique(),
            alpha=pl.col("accepted").mean(),
            beta=certain.mean(),
            joint=(pl.col("accepted") & certain).mean(),
        )
    )


def signal_table(answers: Answers, epsilon: float = 0.5) -> pl.DataFrame:
    """Definitions 4 and 5 for each signal: ``alpha``, ``beta``, ``joint`` over the other models, ``transferable``."""
    check_epsilon(epsilon)
    certain = pl.col("entropy_share") < epsilon
    return (
        answers.judgements.filter(pl.col("source") != pl.col("judge"))
        .group_by(*SIGNAL_KEYS, maintain_order=True)
        .agg(
            judges=pl.len(),
            alpha=pl.col("accepted").mean(),
            beta=certain.mean(),
            joint=(pl.col("accepted") & certain).mean(),
        )
        .with_columns(transferable=pl.col("joint") == 1)
    )


def model_table(answers: Answers, kind: str = "sufficient") -> pl.DataFrame:
    """For each model: how convincing (mean α of its signals on the others), how convinced (of the others' on it),
    accuracy on the study's own labels (of ``labelled`` clips), and median size of its sets."""
    pairs = transfer_table(answers, kind, 1.0).filter(pl.col("source") != pl.col("judge"))
    convincing = pairs.group_by("source").agg(convincing=pl.col("alpha").mean()).rename({"source": "model"})
    convinced = pairs.group_by("judge").agg(convinced=pl.col("alpha").mean()).rename({"judge": "model"})
    # a clip whose own label is not among the aligned ones cannot be answered right or wrong
    names = {fold(label): label for label in answers.labels}
    truth = [names.get(fold(label)) if label is not None else None for label in answers.originals["truth"]]
    known = answers.originals.with_columns(truth=pl.Series(truth, dtype=pl.String)).filter(
        pl.col("truth").is_not_null()
    )
    accuracy = known.group_by("model").agg(
        labelled=pl.len(), accuracy=(pl.col("truth") == pl.col("answer")).mean()
    )  # fmt: skip
    own = answers.judgements.filter((pl.col("kind") == kind) & (pl.col("source") == pl.col("judge")))
    sizes = own.group_by("source").agg(
        sets=pl.len(), vacuous=(pl.col("size") == 0).sum(), median_size=pl.col("size").median()
    )
    table = answers.models
    for part in (accuracy, convincing, convinced, sizes.rename({"source": "model"})):
        table = table.join(part, on="model", how="left", maintain_order="left")
    return table


def agreement_table(answers: Answers) -> pl.DataFrame:
    """How often two models agree on the clips themselves: what transfer is to be read against."""
    mine = answers.originals.select("clip", source="model", said="answer")
    theirs = answers.originals.select("clip", judge="model", other="answer")
    pairs = mine.join(theirs, on="clip", maintain_order="left")
    return pairs.group_by("source", "judge", maintain_order=True).agg(
        clips=pl.len(), agreement=(pl.col("said") == pl.col("other")).mean()
    )
