"""Which labels several models share, and a model's distribution over just those.

By default the shared labels are the intersection of the models' labels, folded: case, spaces and punctuation do
not count (``"hip-hop"`` = ``"HipHop"`` = ``"hiphop"``). A mapping may rename labels first (``"LABEL_3"`` =
``"jazz"``), also several to one, whose probabilities are then added.

A model's distribution over aligned labels is the softmax of its logits over them: what it says once the other
labels are out of the question. Several labels mapped to one are added before: ``logsumexp`` of their logits.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import LabelError, nearest
from .base import Model
from .batching import Batches


@dataclass(frozen=True)
class Alignment:
    """How the labels of each model become the shared ones.

    Attributes
    ----------
    labels : tuple of str
        The n shared labels, as the first model writes them.
    members : tuple (a model) of tuple (a shared label) of tuple of int
        The model's own label indices that make up each shared label.
    dropped : tuple (a model) of tuple of str
        The model's own labels that are not shared.
    """

    labels: tuple[str, ...]
    members: tuple[tuple[tuple[int, ...], ...], ...]
    dropped: tuple[tuple[str, ...], ...]


class Classifier:
    """A model asked over aligned labels: waveforms in, probabilities out.

    Attributes
    ----------
    model : Model
    labels : tuple of str
        The n labels of the answers.
    batches : Batches
        How many signals it is asked at once.
    """

    def __init__(
        self, model: Model, labels: Sequence[str] | None = None, members: Sequence[Sequence[int]] | None = None
    ) -> None:
        self.model, self.batches = model, Batches(model.device)
        self.labels = tuple(labels) if labels is not None else model.labels
        self._members = [list(group) for group in (members or [[i] for i in range(len(self.labels))])]
        self._plain = all(len(group) == 1 for group in self._members)

    def log_probabilities(self, waveforms: Tensor) -> Tensor:
        """Answers to waveforms at the model's own rate: float32 [B, N] → log-probabilities, float32 [B, n]."""
        logits = self.model.logits(waveforms)
        if self._plain:
            chosen = logits[:, [group[0] for group in self._members]]
        else:
            chosen = torch.stack([logits[:, group].logsumexp(dim=1) for group in self._members], dim=1)
        return chosen.log_softmax(dim=1)

    def __call__(self, waveforms: Tensor) -> Tensor:
        """Answers to waveforms at the model's own rate: float32 [B, N] → probabilities, float32 [B, n]."""
        return self.log_probabilities(waveforms).exp()


def fold(label: str) -> str:
    """A label without what does not distinguish it: case, spaces, punctuation; NFKC normalised.

    Examples
    --------
    >>> fold("Hip-Hop ") == fold("hiphop")
    True
    """
    text = unicodedata.normalize("NFKC", label).casefold()
    return "".join(sign for sign in text if sign.isalnum()) or text.strip()


def align(models: Sequence[Model], mapping: Mapping[str, str] | None = None) -> Alignment:
    """Find the labels that all models share.

    Parameters
    ----------
    models : sequence of Model
    mapping : mapping, optional
        Own label → shared label, before folding; applies to every model that has the own label.

    Raises
    ------
    LabelError
        Two labels of one model fold to the same name without a mapping that says so, a mapped label exists in
        no model, or fewer than two labels are shared.
    """
    mapping = dict(mapping or {})
    known = {label for model in models for label in model.labels}
    for own in mapping:
        if own not in known:
            raise LabelError(f"label mapping: no model has {own!r}; {nearest(own, known)}map labels that exist")
    tables = [_fold_labels(model, mapping) for model in models]
    shared = [key for key in tables[0] if all(key in table for table in tables)]
    if len(shared) < 2:
        sets = "; ".join(f"{model.spec}: {', '.join(model.labels[:6])}…" for model in models)
        raise LabelError(
            f"the models share {len(shared)} labels, at least two are needed; map them under [labels] ({sets})"
        )
    first = models[0].labels
    names = tuple(mapping.get(first[tables[0][key][0]], first[tables[0][key][0]]) for key in shared)
    members = tuple(tuple(tuple(table[key]) for key in shared) for table in tables)
    dropped = tuple(
        tuple(label for i, label in enumerate(model.labels) if all(i not in group for group in own))
        for model, own in zip(models, members, strict=True)
    )
    return Alignment(names, members, dropped)


def aligned(models: Sequence[Model], alignment: Alignment) -> list[Classifier]:
    """Each model over the shared labels."""
    return [Classifier(model, alignment.labels, own) for model, own in zip(models, alignment.members, strict=True)]


def _fold_labels(model: Model, mapping: Mapping[str, str]) -> dict[str, list[int]]:
    table: dict[str, list[int]] = {}
    for index, label in enumerate(model.labels):
        key = fold(mapping.get(label, label))
        others = [model.labels[other] for other in table.get(key, [])]
        if others and (label not in mapping or any(other not in mapping for other in others)):
            raise LabelError(
                f"{model.spec}: labels {others[0]!r} and {label!r} both read as {key!r}; "
                "say what each means under [labels]"
            )
        table.setdefault(key, []).append(index)
    return table
