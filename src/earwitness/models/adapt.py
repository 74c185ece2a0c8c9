"""Models that a program already holds, as classifiers: pipelines, networks with their extractor, any callable."""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
from collections.abc import Sequence
from typing import Any

import torch

from ..errors import ModelError
from .alignment import Classifier
from .base import Model, fingerprint_network
from .callables import CallableModel


def as_classifier(
    thing: Any,
    extractor: Any = None,
    *,
    labels: Sequence[str] | None = None,
    sample_rate: int | None = None,
    device: torch.device | str | None = None,
    name: str | None = None,
) -> Classifier:
    """Make a classifier of what is at hand.

    Parameters
    ----------
    thing : object
        - a ``transformers`` audio-classification pipeline;
        - a network of transformers, with ``extractor``; or a pair of the two;
        - a ``torch.nn.Module``: float32 [B, N] → scores [B, K];
        - any callable: float32 [B, N] (a torch tensor) → scores [B, K], a tensor or what NumPy makes an array of;
        - a :class:`Model` or :class:`Classifier`.
    extractor : transformers.SequenceFeatureExtractor, optional
    labels : sequence of str, optional
        The K labels; default: those of ``thing``.
    sample_rate : int, optional
        Of the waveforms, in Hz; default: that of ``thing``.
    device : torch.device or str, optional
        Default: where the network is.
    name : str, optional
        What to call it.

    Returns
    -------
    Classifier
        Networks are copied: the one given stays as it is, also in training mode. Rows that are not negative and sum
        to 1 are read as probabilities, others as logits.

    Raises
    ------
    ModelError
        It is none of these, or labels or sample rate are missing.

    Examples
    --------
    >>> def loud(waveforms):
    ...     level = waveforms.square().mean(dim=1).log()
    ...     return torch.stack([level, -level], dim=1)
    >>> as_classifier(loud, labels=["loud", "quiet"], sample_rate=16000).labels
    ('loud', 'quiet')
    """
    if isinstance(thing, tuple) and len(thing) == 2 and extractor is None:
        thing, extractor = thing
    if isinstance(thing, Classifier):
        return thing
    if isinstance(thing, Model):
        return Classifier(thing)
    if hasattr(thing, "feature_extractor") and hasattr(thing, "task"):
        # a pipeline made by hand has no task's name
        if thing.task not in ("", "audio-classification") or extractor is not None:
            raise ModelError(f"pipeline of {thing.task!r}: give an audio-classification pipeline, without an extractor")
        thing, extractor = thing.model, thing.feature_extractor
    if hasattr(getattr(thing, "config", None), "id2label") and (extractor is not None or labels is None):
        return Classifier(_huggingface(thing, extractor, labels, device, name))
    if extractor is not None:
        raise ModelError(f"{type(thing).__name__}: only networks of transformers take an extractor; give it alone")
    return Classifier(_callable(thing, labels, sample_rate, device, name))


def _huggingface(network: Any, extractor: Any, labels: Any, device: Any, name: str | None) -> Model:
    from .huggingface import HuggingFaceModel

    if extractor is None:
        raise ModelError(f"{type(network).__name__}: give its feature extractor too, as_classifier(model, extractor)")
    if labels is not None:
        raise ModelError(f"{type(network).__name__}: has labels of its own; change config.id2label, or map labels")
    place = torch.device(device) if device is not None else _place(network)
    spec = name or f"memory:{type(network).__name__}"
    return HuggingFaceModel(copy.deepcopy(network), extractor, device=place, spec=spec)


def _callable(thing: Any, labels: Any, sample_rate: Any, device: Any, name: str | None) -> Model:
    kind = getattr(thing, "__name__", type(thing).__name__)
    if not callable(thing) or inspect.isclass(thing):
        raise ModelError(f"{kind}: not a model; give a pipeline, a (model, extractor) pair, a network or a callable")
    labels = labels if labels is not None else getattr(thing, "labels", None)
    sample_rate = sample_rate if sample_rate is not None else getattr(thing, "sample_rate", None)
    if labels is None or sample_rate is None:
        lacking = " and ".join(
            key for key, value in (("labels", labels), ("sample_rate", sample_rate)) if value is None
        )
        raise ModelError(f"{kind}: has no {lacking}; pass as_classifier(…, labels=[…], sample_rate=…)")
    settings = json.dumps([kind, [str(label) for label in labels], int(sample_rate)]).encode()
    spec = name or f"memory:{kind}"
    if not isinstance(thing, torch.nn.Module):
        fingerprint = str(getattr(thing, "fingerprint", "")) or _fingerprint(thing, settings)
        return CallableModel(thing, labels, sample_rate, spec=spec, fingerprint=fingerprint, backend="memory")
    place = torch.device(device) if device is not None else _place(thing)
    network = copy.deepcopy(thing).eval().to(place)
    fingerprint = fingerprint_network(network, settings + _source(type(thing)))
    model = CallableModel(network, labels, sample_rate, spec=spec, fingerprint=fingerprint, backend="memory")
    model.device, model.differentiable = place, True
    return model


def _place(network: torch.nn.Module) -> torch.device:
    return next((weights.device for weights in network.parameters()), torch.device("cpu"))


def _fingerprint(thing: Any, settings: bytes) -> str:
    """Hash of a callable's source and settings: what it closes over is not seen."""
    source = _source(thing if inspect.isroutine(thing) else type(thing))
    return hashlib.blake2b(settings + source, digest_size=16).hexdigest()


def _source(thing: Any) -> bytes:
    try:
        return inspect.getsource(thing).encode()
    except (OSError, TypeError):  # typed at a prompt, or built in
        return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}".encode()
