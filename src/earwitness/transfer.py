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

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .errors import ConfigError, StoreError
from .explain import KINDS
from .models import fold
from .study.store import Store


@dataclass(frozen=True)
class Answers:
    """Every judgement of a study.

    Attributes
    ----------
    labels : tuple of str
        The aligned labels.
    models : polars.DataFrame
        Columns ``model`` (spec), ``backend``, ``architecture``, ``parameters``.
    judgements : polars.DataFrame
        One row a signal and judging model: ``subset`` (id), ``clip`` (id), ``path``, ``truth``, ``group``,
        ``dataset``, ``source`` and ``judge`` (specs), ``kind``, ``draw``, ``size``, ``energy``, ``certificate``,
        ``label`` (what the source says to the clip), ``answer`` (what the judge says to the signal),
        ``accepted``, ``probability`` and ``rank`` (of ``label``, for the judge), ``entropy`` (bits),
        ``entropy_share`` (of log₂ n).
    originals : polars.DataFrame
        One row a clip and model: ``clip``, ``path``, ``truth``, ``group``, ``dataset``, ``model``, ``answer``,
        ``probability``.
    """

    labels: tuple[str, ...]
    models: pl.DataFrame
    judgements: pl.DataFrame
    originals: pl.DataFrame


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


def latest_settings(store: Store) -> str:
    """The key of the settings the study was last run with.

    Raises
    ------
    StoreError
        The store holds no study yet.
    """
    key = store.meta().get("settings")
    if not isinstance(key, str):
        raise StoreError(f"{store.path}: no study was run into it yet; run: earwitness study run STUDY.toml")
    return key


def load_answers(store: Store, settings: str | None = None) -> Answers:
    """Read every judgement of a study from its store."""
    key = settings or latest_settings(store)
    named = store.frame("SELECT labels FROM settings WHERE key = ?", (key,))
    labels: tuple[str, ...] = tuple(json.loads(named["labels"][0]))
    models = store.frame(
        "SELECT m.spec AS model, m.backend, m.architecture, m.parameters FROM models m"
        " JOIN planned_models p ON p.model = m.id WHERE p.settings = ? ORDER BY p.position",
        (key,),
    )
    originals = _read_originals(store, key, labels)
    said = originals.select("clip", source="model", label="answer")
    raw = store.frame(
        "SELECT s.id AS subset, c.id AS clip, c.path, c.label AS truth, c.grp AS 'group', c.dataset,"
        " m.spec AS source, j.spec AS judge, s.kind, s.draw, s.size, s.energy, s.certificate, t.log_probabilities"
        " FROM transfers t JOIN subsets s ON s.id = t.subset JOIN explanations e ON e.id = s.explanation"
        " JOIN clips c ON c.id = e.clip JOIN models m ON m.id = e.model JOIN models j ON j.id = t.model"
        " JOIN planned_clips pc ON pc.settings = e.settings AND pc.clip = e.clip"
        " JOIN planned_models pm ON pm.settings = e.settings AND pm.model = e.model"
        " JOIN planned_models pj ON pj.settings = e.settings AND pj.model = t.model"
        # never by row id, which depends on what was done first
        " WHERE e.settings = ? ORDER BY c.path, c.sha256, pm.position, s.kind, s.draw, pj.position",
        (key,),
    )
    if raw.is_empty():
        return Answers(labels, models, _empty_judgements(), originals)
    raw = raw.join(said, on=["clip", "source"], how="left", maintain_order="left")
    return Answers(labels, models, _judge(raw, labels), originals)


def _read_originals(store: Store, key: str, labels: tuple[str, ...]) -> pl.DataFrame:
    raw = store.frame(
        "SELECT c.id AS clip, c.path, c.label AS truth, c.grp AS 'group', c.dataset, m.spec AS model,"
        " o.log_probabilities FROM originals o JOIN clips c ON c.id = o.clip JOIN models m ON m.id = o.model"
        " JOIN planned_clips pc ON pc.settings = o.settings AND pc.clip = o.clip"
        " JOIN planned_models pm ON pm.settings = o.settings AND pm.model = o.model"
        " WHERE o.settings = ? ORDER BY c.path, c.sha256, pm.position",
        (key,),
    )
    logs = _logs(raw, len(labels))
    names = np.array(labels)
    top = logs.argmax(axis=1) if len(logs) else np.empty(0, dtype=np.intp)
    return raw.drop("log_probabilities").with_columns(
        answer=pl.Series(names[top].tolist(), dtype=pl.String),
        probability=pl.Series(np.exp(logs.max(axis=1)) if len(logs) else [], dtype=pl.Float64),
    )


def _judge(raw: pl.DataFrame, labels: tuple[str, ...]) -> pl.DataFrame:
    logs, index = _logs(raw, len(labels)), {label: i for i, label in enumerate(labels)}
    claimed = np.array([index[label] for label in raw["label"]], dtype=np.intp)
    entropy, ranks = entropy_bits(logs), rank_of(logs, claimed)
    chosen = np.take_along_axis(logs, claimed[:, None], axis=1)[:, 0]
    return raw.drop("log_probabilities").with_columns(
        answer=pl.Series(np.array(labels)[logs.argmax(axis=1)].tolist(), dtype=pl.String),
        accepted=pl.Series(ranks == 1),
        probability=pl.Series(np.exp(chosen.astype(np.float64))),
        rank=pl.Series(ranks),
        entropy=pl.Series(entropy),
        entropy_share=pl.Series(entropy / np.log2(len(labels))),
    )


def _logs(raw: pl.DataFrame, n: int) -> NDArray[np.float32]:
    blobs = raw["log_probabilities"].to_list()
    return np.frombuffer(b"".join(blobs), dtype="<f4").reshape(-1, n)


def _empty_judgements() -> pl.DataFrame:
    text, whole, real = pl.String, pl.Int64, pl.Float64
    return pl.DataFrame(
        schema={
            "subset": whole, "clip": whole, "path": text, "truth": text, "group": text, "dataset": text,
            "source": text, "judge": text, "kind": text, "draw": whole, "size": whole, "energy": real,
            "certificate": text, "label": text, "answer": text, "accepted": pl.Boolean, "probability": real,
            "rank": whole, "entropy": real, "entropy_share": real,
        }
    )  # fmt: skip


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
        .group_by("subset", "clip", "path", "source", "kind", "draw", "size", "label", maintain_order=True)
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
    accuracy on the study's own labels, and median size of its sets."""
    pairs = transfer_table(answers, kind, 1.0).filter(pl.col("source") != pl.col("judge"))
    convincing = pairs.group_by("source").agg(convincing=pl.col("alpha").mean()).rename({"source": "model"})
    convinced = pairs.group_by("judge").agg(convinced=pl.col("alpha").mean()).rename({"judge": "model"})
    # a clip whose own label is not among the aligned ones cannot be answered right or wrong
    names = {fold(label): label for label in answers.labels}
    truth = [names.get(fold(label)) if label is not None else None for label in answers.originals["truth"]]
    known = answers.originals.with_columns(truth=pl.Series(truth, dtype=pl.String)).filter(
        pl.col("truth").is_not_null()
    )
    accuracy = known.group_by("model").agg(accuracy=(pl.col("truth") == pl.col("answer")).mean())
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


def study_tables(store: Store, epsilon: float) -> dict[str, pl.DataFrame]:
    """Every table of a study by name."""
    answers = load_answers(store)
    tables = {"models": model_table(answers), "agreement on the clips": agreement_table(answers)}
    for kind in KINDS[:3]:
        tables[f"transfer, {kind}"] = transfer_table(answers, kind, epsilon)
    signals = signal_table(answers, epsilon)
    tables["transferable signals"] = signals.group_by("source", "kind", maintain_order=True).agg(
        signals=pl.len(), alpha=pl.col("alpha").mean(), beta=pl.col("beta").mean(), joint=pl.col("joint").mean(),
        transferable=pl.col("transferable").mean(),
    )  # fmt: skip
    return tables


def study_status(store: Store) -> dict[str, Any]:
    """What is done, left, failed and why."""
    key, meta = latest_settings(store), store.meta()
    counts = store.frame(
        "SELECT (SELECT count(*) FROM clips WHERE id IN (SELECT clip FROM originals WHERE settings = ?1)) AS clips,"
        " (SELECT count(DISTINCT model) FROM originals WHERE settings = ?1) AS models,"
        " (SELECT count(*) FROM explanations WHERE settings = ?1) AS explanations,"
        " (SELECT count(*) FROM originals WHERE settings = ?1) AS judgements,"
        " (SELECT count(*) FROM failures WHERE settings = ?1) AS failed",
        (key,),
    )
    failures = store.frame("SELECT stage, clip, model, reason FROM failures WHERE settings = ?", (key,))
    return {"name": meta.get("name", ""), **counts.to_dicts()[0], "failures": failures.to_dicts()}
