"""A model at another sample rate: signals are resampled on the way in."""

from __future__ import annotations

import numpy as np
import soxr
import torch
from torch import Tensor

from ..errors import AudioError, ModelError
from ..signal.limits import USUAL
from .base import Model


class Resampled(Model):
    """A model that takes waveforms at the study's rate.

    Parameters
    ----------
    model : Model
    sample_rate : int
        The rate of the waveforms it will be given, in Hz.

    Raises
    ------
    ModelError
        Its own rate lies too far from that.
    """

    def __init__(self, model: Model, sample_rate: int) -> None:
        try:
            USUAL.check_ratio(sample_rate, model.sample_rate)
        except AudioError as error:
            raise ModelError(f"{model.spec}: {error}") from None
        self._model = model
        self.spec, self.labels, self.sample_rate = model.spec, model.labels, sample_rate
        self.fingerprint = f"{model.fingerprint}@{sample_rate}"
        self.parameters, self.backend, self.architecture = model.parameters, model.backend, model.architecture
        self.frontend = model.frontend
        self.samples = model.samples and -(-model.samples * sample_rate // model.sample_rate)
        self.device, self.deterministic = model.device, model.deterministic
        self.notes = (*model.notes, f"signals are resampled from {sample_rate} to {model.sample_rate} Hz (soxr HQ)")

    def logits(self, waveforms: Tensor) -> Tensor:
        """See :meth:`Model.logits`."""
        rows = [
            soxr.resample(row, self.sample_rate, self._model.sample_rate, quality="HQ")
            for row in waveforms.cpu().numpy()
        ]
        return self._model.logits(torch.from_numpy(np.stack(rows)).to(self._model.device))


def at_rate(model: Model, sample_rate: int) -> Model:
    """The model itself if it has that rate, else one that resamples."""
    return model if model.sample_rate == sample_rate else Resampled(model, sample_rate)
