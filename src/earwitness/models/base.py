"""What a model is to the rest of the package: a callable from waveforms to logits, with labels and a rate."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ModelError

#: more labels than any classifier of sounds has; a model that claims more is refused before memory is spent on it
MOST_LABELS = 100_000


class Model(ABC):
    """A classifier of waveforms. A back end is a subclass in a file of its own.

    Attributes
    ----------
    spec : str
        The one string that names the model everywhere (``builtin:mtt-vgg``, ``hf:DIR``, ...).
    labels : tuple of str
        The K labels, in the order of the logits.
    sample_rate : int
        The rate of the waveforms :meth:`logits` takes, in Hz.
    fingerprint : str
        A hash of weights and configuration, never of a path: equal models have equal fingerprints.
    parameters : int
        The number of trainable parameters (0 where unknown).
    backend : str
        The back end's name, e.g. ``builtin``, ``hf``, ``onnx``.
    architecture : str
        The family, for tables, e.g. ``Wav2Vec2ForSequenceClassification``.
    samples : int or None
        The model's own length at :attr:`sample_rate`, where it states one: what it computes on at least, however
        short the clip.
    frontend : str
        Who computes the features: ``model`` where the model itself takes waveforms, ``torch`` for one of
        :mod:`earwitness.models.frontends`, ``library`` for the model's library, on the CPU.
    device : torch.device
        Where :meth:`logits` computes, and where the driver makes the signals.
    notes : tuple of str
        What a user must know to read results right (padding rule, windows, front end).
    differentiable : bool
        Whether gradients flow from the logits to the waveforms.
    deterministic : bool
        Whether the same waveform always gets the same answer, whatever its batch.
    """

    spec: str
    labels: tuple[str, ...]
    sample_rate: int
    fingerprint: str
    parameters: int = 0
    backend: str = ""
    architecture: str = ""
    samples: int | None = None
    frontend: str = "model"
    device: torch.device = torch.device("cpu")
    notes: tuple[str, ...] = ()
    differentiable: bool = False
    deterministic: bool = True

    def features(self, waveforms: Tensor) -> object:
        """What the front end makes of a batch, float32 [B, N]; to time it apart from the rest.

        A model that takes waveforms returns them as they are.
        """
        return waveforms

    @property
    def seconds(self) -> float | None:
        """The most that it hears of a recording, where it has a length of its own."""
        return self.samples / self.sample_rate if self.samples else None

    @abstractmethod
    def logits(self, waveforms: Tensor) -> Tensor:
        """Answer a batch of waveforms.

        Parameters
        ----------
        waveforms : Tensor, float32 [B, N]
            Amplitude ±1 at :attr:`sample_rate`, on :attr:`device`.

        Returns
        -------
        Tensor, float32 [B, K]
            Logits: their softmax is the distribution over :attr:`labels`. A model that outputs
            probabilities p returns log p, whose softmax over any subset of the labels is p renormalised
            there. A tagger (independent sigmoids) returns the logits of its sigmoids.
        """


def scores_of(answer: Any) -> Tensor:
    """The scores in what a model returned: ``logits`` of several named outputs, the first of several others.

    Raises
    ------
    TypeError, ValueError
        It is no array of numbers.
    """
    if isinstance(answer, dict):
        answer = answer["logits"] if "logits" in answer else next(iter(answer.values()), None)
    elif hasattr(answer, "logits"):
        answer = answer.logits
    elif isinstance(answer, tuple) and len(answer) and hasattr(answer[0], "shape"):
        answer = answer[0]
    return answer if isinstance(answer, Tensor) else torch.from_numpy(np.asarray(answer, dtype=np.float32))


def fingerprint_network(network: torch.nn.Module, settings: bytes) -> str:
    """Hash of a network in memory, tensor by tensor, and of what else decides its answers."""
    digest = hashlib.blake2b(settings, digest_size=16)
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def without_rounding(waveforms: Tensor) -> torch.autocast:
    """A context in which features are computed in the precision they are written in, whatever the network's is: powers
    range over more decades than float16 has, and are off by 0.4 % in bfloat16."""
    return torch.autocast(waveforms.device.type, enabled=False)


def as_logits(scores: Tensor, shape: tuple[int, int], spec: str, kind: str = "auto") -> Tensor:
    """Read what a model of unknown make returned.

    Parameters
    ----------
    scores : Tensor [B, K]
    shape : (int, int)
        The B and K wanted.
    spec : str
        The model, for the message.
    kind : str
        ``logits``, ``probabilities``, ``sigmoids`` (each between 0 and 1), or ``auto``: probabilities where every row
        is not negative and sums to 1, else logits.

    Returns
    -------
    Tensor, float32 [B, K]
        As :meth:`Model.logits` returns them.

    Raises
    ------
    ModelError
        The shape is another.
    """
    if tuple(scores.shape) != shape:
        raise ModelError(f"{spec}: answered with shape {tuple(scores.shape)}; return {shape}, one row a clip")
    scores = scores.float()
    if kind == "sigmoids":
        return scores.logit(eps=1e-7)
    if kind == "auto":
        distribution = (scores >= 0).all() and ((scores.sum(dim=1) - 1).abs() < 1e-4).all()
        kind = "probabilities" if distribution else "logits"
    return scores.clamp_min(1e-30).log() if kind == "probabilities" else scores
