"""AASIST and AASIST-L, two detectors of spoofed speech: what makes a recording sound bona fide to them?

The network of Jung et al., "AASIST: audio anti-spoofing using integrated spectro-temporal graph attention networks",
ICASSP 2022 (arXiv 2110.01200), as a worked example of a network of one's own: a ``torch.nn.Module`` with ``labels``,
``sample_rate`` and ``samples``, and a factory without parameters that a spec names. The weights are their authors'
(MIT) and not part of this project: fetch them yourself. They are read as weights only, so no code in them runs::

    for name in AASIST AASIST-L; do
      curl -L --create-dirs -o aasist/$name.pth https://github.com/clovaai/aasist/raw/main/models/weights/$name.pth
    done
    export AASIST=aasist          # the folder of the weights; this is the default
    earwitness models check python:examples/aasist.py:aasist python:examples/aasist.py:aasist_l
    earwitness explain speech.wav --model python:examples/aasist.py:aasist

The network hears 64,600 samples at 16 kHz, 4.0375 s. As its authors do it, a shorter waveform is repeated until it is
that long, and of a longer one the first 64,600 samples are taken. So explain longer recordings with
``--seconds 4.0375``, else what nobody heard has frequencies too; but leave that out for shorter ones, as it would fill
them up with silence in place of repeating them. Labels are in the order of the outputs: ``spoof``, ``bonafide``.
Digital silence is bona fide, 0.988, to AASIST and undecided, 0.504, to AASIST-L, so very little may suffice.

Every module with weights is named as in the published files. Dropout is left out: this answers and is not trained.
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

SAMPLES, SAMPLE_RATE = 64_600, 16_000


class AASIST(nn.Module):
    """Filters, residual blocks, a graph of frequencies, one of times, and two stacks of layers over both.

    Parameters
    ----------
    channels : int
        Of the encoder: 64 in AASIST, 24 in AASIST-L.
    keep : (float, float, float)
        The share of nodes that pooling keeps: of frequencies, of times, in the stacks.
    """

    labels, sample_rate, samples = ("spoof", "bonafide"), SAMPLE_RATE, SAMPLES
    notes = ("padding: a shorter clip is repeated up to the model's own length, of a longer one the start is heard",)

    def __init__(self, channels: int, keep: tuple[float, float, float]) -> None:
        super().__init__()
        self.conv_time = SincFilters()
        self.first_bn = nn.BatchNorm2d(1)
        sizes = (1, 32, 32, channels, channels, channels, channels)
        blocks = (ResidualBlock(*pair, first=i == 0) for i, pair in enumerate(pairwise(sizes)))
        # channels last: on a CPU the same numbers in two thirds of the time
        self.encoder = nn.Sequential(*(nn.Sequential(block) for block in blocks)).to(memory_format=torch.channels_last)
        self.pos_S = nn.Parameter(torch.randn(1, 23, channels))  # where each of the 23 frequencies is
        self.master1, self.master2 = (nn.Parameter(torch.randn(1, 1, channels)) for _ in range(2))
        self.GAT_layer_S, self.GAT_layer_T = (GraphLayer(channels, channels) for _ in range(2))
        self.pool_S, self.pool_T = GraphPool(channels, keep[0]), GraphPool(channels, keep[1])
        self.HtrgGAT_layer_ST11, self.HtrgGAT_layer_ST21 = (MixedGraphLayer(channels, 32) for _ in range(2))
        self.HtrgGAT_layer_ST12, self.HtrgGAT_layer_ST22 = (MixedGraphLayer(32, 32) for _ in range(2))
        self.pool_hS1, self.pool_hT1, self.pool_hS2, self.pool_hT2 = (GraphPool(32, keep[2]) for _ in range(4))
        self.out_layer = nn.Linear(5 * 32, 2)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Float32 [B, N], any N → logits [B, 2]."""
        filtered = self.conv_time(fit(waveforms)[:, None]).abs()  # [B, 70, 64472]
        image = functional.max_pool2d(filtered[:, None], 3)  # [B, 1, 23, 21490]
        seen = self.encoder(functional.selu(self.first_bn(image))).abs()  # [B, channels, 23, 29]
        frequencies = self.pool_S(self.GAT_layer_S(seen.amax(dim=3).transpose(1, 2) + self.pos_S))
        times = self.pool_T(self.GAT_layer_T(seen.amax(dim=2).transpose(1, 2)))
        one = self.stack(times, frequencies, self.master1, 1)
        two = self.stack(times, frequencies, self.master2, 2)
        times, frequencies, master = (torch.maximum(a, b) for a, b in zip(one, two, strict=True))
        summary = [times.abs().amax(dim=1), times.mean(dim=1), frequencies.abs().amax(dim=1), frequencies.mean(dim=1)]
        return self.out_layer(torch.cat([*summary, master[:, 0]], dim=1))

    def stack(self, times: Tensor, frequencies: Tensor, master: Tensor, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Two layers, pooling between them, the second one's output added to its input.

        Times [B, T, D], frequencies [B, F, D] and the master node [1, 1, D] → [B, T', 32], [B, F', 32], [B, 1, 32].
        """
        first, second = (getattr(self, f"HtrgGAT_layer_ST{number}{layer}") for layer in (1, 2))
        times, frequencies, master = first(times, frequencies, master)
        nodes = getattr(self, f"pool_hT{number}")(times), getattr(self, f"pool_hS{number}")(frequencies), master
        times, frequencies, master = (old + new for old, new in zip(nodes, second(*nodes), strict=True))
        return times, frequencies, master


class SincFilters(nn.Module):
    """Band-pass filters side by side on the mel scale, as Hamming-windowed sincs; they are fixed, so not among the
    weights."""

    filters: Tensor

    def __init__(self, bands: int = 70, taps: int = 129) -> None:
        super().__init__()
        highest = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
        edges = 700 * (10 ** (np.linspace(0, highest, bands + 1) / 2595) - 1) / SAMPLE_RATE  # in cycles a sample
        times = np.arange(taps) - (taps - 1) / 2
        low_pass = 2 * edges[:, None] * np.sinc(2 * edges[:, None] * times)  # [bands + 1, taps]
        filters = np.diff(low_pass, axis=0) * np.hamming(taps)
        self.register_buffer("filters", torch.tensor(filters[:, None], dtype=torch.float32), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """[B, 1, N] → [B, 70, N - 128]."""
        return functional.conv1d(waveforms, self.filters)


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut, then a third of the time steps. [B, I, F, T] → [B, O, F, T // 3]."""

    def __init__(self, inputs: int, outputs: int, *, first: bool = False) -> None:
        super().__init__()
        # the published network normalises its input here and then convolves the input as it was, so these weights
        # do nothing; they are kept because the file has them
        self.bn1 = nn.Identity() if first else nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, (2, 3), padding=(1, 1))
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, (2, 3), padding=(0, 1))
        self.conv_downsample = (
            nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, (1, 3), padding=(0, 1))
        )

    def forward(self, image: Tensor) -> Tensor:
        """See the class."""
        changed = self.conv2(functional.selu(self.bn2(self.conv1(image)), inplace=True))
        return functional.max_pool2d(changed.add_(self.conv_downsample(image)), (1, 3))


class GraphAttention(nn.Module):
    """What both kinds of layers share: every node attends to every node. [B, N, I] → [B, N, O]."""

    def __init__(self, inputs: int, outputs: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.att_proj = nn.Linear(inputs, outputs)
        self.proj_with_att, self.proj_without_att = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs)
        self.bn = nn.BatchNorm1d(outputs)

    def update(self, nodes: Tensor, weights: Tensor) -> Tensor:
        """Nodes [B, N, I] and the weights of their pairs, [O] or [N, N, O] → [B, N, O]."""
        pairs = self.att_proj(nodes[:, :, None] * nodes[:, None]).tanh()  # [B, N, N, O]
        attention = ((pairs * weights).sum(dim=-1) / self.temperature).softmax(dim=-1)
        mixed = self.proj_with_att(attention @ nodes) + self.proj_without_att(nodes)
        return functional.selu(self.bn(mixed.flatten(0, 1)).view_as(mixed))


class GraphLayer(GraphAttention):
    """Nodes of one kind, frequencies or times."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, temperature=2.0)
        self.att_weight = nn.Parameter(torch.randn(outputs, 1))

    def forward(self, nodes: Tensor) -> Tensor:
        """[B, N, I] → [B, N, O]."""
        return self.update(nodes, self.att_weight[:, 0])


class MixedGraphLayer(GraphAttention):
    """Nodes of two kinds, with weights for pairs of each kind and for mixed ones, and a master node that hears all."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, temperature=100.0)
        self.proj_type1, self.proj_type2 = nn.Linear(inputs, inputs), nn.Linear(inputs, inputs)
        self.att_weight11, self.att_weight22, self.att_weight12, self.att_weightM = (
            nn.Parameter(torch.randn(outputs, 1)) for _ in range(4)
        )
        self.att_projM = nn.Linear(inputs, outputs)
        self.proj_with_attM, self.proj_without_attM = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs)

    def forward(self, first: Tensor, second: Tensor, master: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, M, I], [B, N, I] and [B or 1, 1, I] → [B, M, O], [B, N, O] and [B, 1, O]."""
        sizes = [first.shape[1], second.shape[1]]
        nodes = torch.cat([self.proj_type1(first), self.proj_type2(second)], dim=1)
        heard = self.att_projM(nodes * master).tanh() @ self.att_weightM  # [B, M + N, 1]
        attention = (heard / self.temperature).softmax(dim=1).transpose(1, 2)
        master = self.proj_with_attM(attention @ nodes) + self.proj_without_attM(master)
        is_second = torch.arange(sum(sizes), device=nodes.device) >= sizes[0]
        kinds = is_second[:, None].int() + is_second[None].int()  # 0: both first, 1: mixed, 2: both second
        weights = torch.stack([self.att_weight11, self.att_weight12, self.att_weight22])[..., 0][kinds]
        first, second = self.update(nodes, weights).split(sizes, dim=1)
        return first, second, master


class GraphPool(nn.Module):
    """The best of the nodes, each times its score. [B, N, D] → [B, keep * N, D]."""

    def __init__(self, inputs: int, keep: float) -> None:
        super().__init__()
        self.keep, self.proj = keep, nn.Linear(inputs, 1)

    def forward(self, nodes: Tensor) -> Tensor:
        """See the class."""
        scores = self.proj(nodes).sigmoid()  # [B, N, 1]
        best = scores.topk(max(1, int(nodes.shape[1] * self.keep)), dim=1).indices
        return (nodes * scores).gather(1, best.expand(-1, -1, nodes.shape[2]))


def fit(waveforms: Tensor) -> Tensor:
    """[B, N] → [B, 64600]: repeated where shorter, cut where longer."""
    return waveforms.repeat(1, -(-SAMPLES // waveforms.shape[1]))[:, :SAMPLES]


def read_weights(name: str, network: AASIST) -> AASIST:
    """The network with the published weights of that name."""
    file = Path(os.environ.get("AASIST", "aasist")) / f"{name}.pth"
    if not file.is_file():
        raise FileNotFoundError(
            f"no {file}; fetch it from https://github.com/clovaai/aasist/raw/main/models/weights/{name}.pth, "
            "or set AASIST to the folder it is in"
        )
    network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return network.eval().requires_grad_(False)


def aasist() -> AASIST:
    """For the spec ``python:examples/aasist.py:aasist``."""
    return read_weights("AASIST", AASIST(64, (0.5, 0.7, 0.5)))


def aasist_l() -> AASIST:
    """For the spec ``python:examples/aasist.py:aasist_l``."""
    return read_weights("AASIST-L", AASIST(24, (0.4, 0.5, 0.7)))
