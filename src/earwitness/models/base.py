"""What a model is to the rest of the package: a callable from waveforms to logits, with labels and a rate."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor


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
    device: torch.device = torch.device("cpu")
    notes: tuple[str, ...] = ()
    differentiable: bool = False
    deterministic: bool = True

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
