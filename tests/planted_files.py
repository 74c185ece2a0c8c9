"""Planted models as files: what they listen to is known by construction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

RATE = 16_000
SAMPLES = 3200
LABELS = ("yes", "no", "maybe")
BINS = (58, 63)
SIDECAR = 'labels = ["yes", "no", "maybe"]\nsample_rate = 16000\n'


def expected(waveforms: np.ndarray) -> np.ndarray:
    """What every planted file answers: float32 [B, N] → [B, 3]."""
    power = np.abs(np.fft.rfft(waveforms.astype(np.float64))[:, slice(*BINS)]) ** 2
    score = np.log(power.min(axis=1) + 1e-6)
    return np.stack([score, np.zeros_like(score), np.full_like(score, -3)], axis=1)


class Band(nn.Module):
    """Says ``yes`` as surely as there is energy in the rFFT bins 58 to 62, all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Parameter(torch.tensor([0.0, 0.0, -3.0]))

    def forward(self, waveforms: Tensor) -> Tensor:
        power = torch.fft.rfft(waveforms.double())[:, 58:63].abs().square()
        score = torch.log(power.amin(dim=1) + 1e-6).float()
        return torch.stack([score, torch.zeros_like(score), torch.zeros_like(score)], dim=1) + self.last


def onnx_band(
    file: Path, batch: int | str = "batch", *, rank: int = 2, metadata: dict[str, str] | None = None, scores: str = "",
    labels: int = 3,
) -> Any:  # fmt: skip
    """Write the same model as ONNX, for clips of 3,200 samples; the proto."""
    from onnx import TensorProto, helper, numpy_helper, save

    time = np.arange(SAMPLES)
    angles = 2 * np.pi * np.outer(time, np.arange(*BINS)) / SAMPLES
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    shape: list[int | str] = [batch, SAMPLES] if rank == 2 else [batch, 1, SAMPLES]
    constants = {
        "waves": waves, "two": np.array([-1, 2, 5], dtype=np.int64), "one": np.array([1], dtype=np.int64),
        "flat": np.array([-1, SAMPLES], dtype=np.int64), "small": np.array(1e-6, dtype=np.float32),
        "column": np.array([-1, 1], dtype=np.int64), "weights": np.array([[1, 0, 0]], dtype=np.float32),
        "last": np.array([0, 0, -3], dtype=np.float32),
    }  # fmt: skip
    last = {"probabilities": "Softmax", "sigmoids": "Sigmoid"}.get(scores, "Identity")
    nodes = [
        helper.make_node("Reshape", ["waveform", "flat"], ["rows"]),
        helper.make_node("MatMul", ["rows", "waves"], ["parts"]),
        helper.make_node("Reshape", ["parts", "two"], ["pairs"]),
        helper.make_node("ReduceSumSquare", ["pairs", "one"], ["power"], keepdims=0),
        helper.make_node("ReduceMin", ["power", "one"], ["least"], keepdims=0),
        helper.make_node("Add", ["least", "small"], ["floored"]),
        helper.make_node("Log", ["floored"], ["score"]),
        helper.make_node("Reshape", ["score", "column"], ["cells"]),
        helper.make_node("MatMul", ["cells", "weights"], ["row"]),
        helper.make_node("Add", ["row", "last"], ["plain"]),
        helper.make_node(last, ["plain"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes, "band",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [batch, labels])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8, producer_name="planted")
    helper.set_model_props(proto, metadata or {})
    save(proto, file)
    return proto
