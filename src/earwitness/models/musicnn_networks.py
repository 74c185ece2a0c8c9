"""The networks of the music taggers of musicnn, and their front end, in PyTorch.

Everything is in evaluation mode: dropout is left out, batch normalisation uses the stored statistics.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

SAMPLE_RATE: Final = 16000  # Hz
FFT_SIZE: Final = 512  # samples
HOP: Final = 256  # samples
MELS: Final = 96

_DEAD: Final = 1e-12  # a channel whose folded weights are all smaller is constant in float32
_EPSILON: Final = 1e-3  # TensorFlow's default in batch normalisation


def mel_filterbank() -> NDArray[np.float32]:
    """Slaney's mel filters, as in ``librosa.filters.mel``: triangles of unit area in Hz.

    Returns
    -------
    ndarray, float32 [257, 96]
        The weight of each Fourier bin (31.25 Hz apart) in each mel band, 0 to 8000 Hz.
    """
    break_mel, step = 15.0, math.log(6.4) / 27.0  # linear below 1000 Hz = 15 mel, logarithmic above
    top = break_mel + math.log(SAMPLE_RATE / 2 / 1000.0) / step
    mels = np.linspace(0.0, top, MELS + 2)
    edges = np.where(mels < break_mel, mels * 200.0 / 3.0, 1000.0 * np.exp(step * (mels - break_mel)))
    bins = np.linspace(0.0, SAMPLE_RATE / 2, FFT_SIZE // 2 + 1)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * 2.0 / (edges[2:] - edges[:-2]), dtype=np.float32)


class LogMel(nn.Module):
    """The front end: log-compressed mel power spectrogram, differentiable down to the waveform.

    The published extractor also rounds the mel powers to float16; this does not, as rounding has no
    gradient.
    """

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(FFT_SIZE, periodic=True), persistent=False)
        self.register_buffer("filters", torch.from_numpy(mel_filterbank()), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Compute log10(10000 × mel power + 1).

        Parameters
        ----------
        waveforms : Tensor, float32 [B, N]
            Amplitude ±1 at 16 kHz, N > 256 (reflection at both ends needs that many samples).

        Returns
        -------
        Tensor, float32 [B, T, 96]
            T = 1 + N // 256 frames, 16 ms apart, each centred on its sample.
        """
        padded = functional.pad(waveforms, (FFT_SIZE // 2, FFT_SIZE // 2), mode="reflect")
        spectra = torch.fft.rfft(padded.unfold(-1, FFT_SIZE, HOP) * self.window)
        power = spectra.real.square() + spectra.imag.square()  # not abs(): its gradient at 0 is undefined
        return torch.log10(10000.0 * (power @ self.filters) + 1.0)


class _Norm(nn.Module):
    """Batch normalisation with its stored statistics, as a scale and a shift per channel."""

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels), requires_grad=False)
        self.beta = nn.Parameter(torch.zeros(channels), requires_grad=False)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift: float32 [channels] each."""
        scale = self.gamma * torch.rsqrt(self.variance + _EPSILON)
        return scale, self.beta - self.mean * scale

    def forward(self, values: Tensor) -> Tensor:
        """Normalise the last axis (or everything, where there is one channel)."""
        scale, shift = self.affine()
        return values * scale + shift


def _fold(stage: nn.Module, _incompatible: object = None) -> None:
    assert isinstance(stage, _Stage)
    stage.fold()


class _Stage(nn.Module):
    """Linear map, ReLU, batch normalisation, folded into linear map and clamp.

    With scale s and shift t, s·relu(y) + t is max(s·y + t, t) where s > 0 and min(s·y + t, t) elsewhere, so
    s and t go into the linear map and a clamp per channel is left. A clamp never decreases, so max pooling
    may come before it, on the map's raw output, whatever the sign of s: what the networks pool is smaller
    once pooled.

    Weight decay has emptied many channels (370 of the 408 timbral filters of msd-musicnn have weights under
    1e-12): they answer one constant whatever they hear, so the linear map leaves them out, and the constant is
    put in their place.
    """

    kernel: Tensor
    offset: Tensor
    low: Tensor
    high: Tensor
    live: Tensor
    constant: Tensor

    def __init__(self, outputs: int, *inputs: int, channels_last: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, *inputs), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(outputs), requires_grad=False)
        self.norm = _Norm(outputs)
        self.channels_last = channels_last
        for name in ("kernel", "offset", "low", "high", "live", "constant"):
            self.register_buffer(name, torch.empty(0), persistent=False)
        self.fold()
        untyped: Any = self  # PyTorch has no annotations here
        untyped.register_load_state_dict_post_hook(_fold)

    def fold(self) -> None:
        """Recompute the folded weights (runs by itself whenever weights are loaded)."""
        scale, shift = self.norm.affine()
        kernel = self.weight * scale.view(-1, *[1] * (self.weight.dim() - 1))
        offset = self.bias * scale + shift
        low = torch.where(scale > 0, shift, -torch.inf)
        high = torch.where(scale > 0, torch.inf, shift)
        alive = kernel.flatten(1).abs().amax(1) >= _DEAD
        if not alive.any():
            alive[:] = True  # no weights loaded yet
        self.live = alive.nonzero().flatten()
        self.constant = torch.clamp(offset, min=low, max=high)
        self.kernel, self.offset = kernel[alive], offset[alive]
        self.low, self.high = low[alive], high[alive]
        if self.channels_last:
            self.kernel = self.kernel.contiguous(memory_format=torch.channels_last)

    def clamp(self, mapped: Tensor) -> Tensor:
        """What ReLU and normalisation come to, once :attr:`kernel` and :attr:`offset` were applied.

        Parameters
        ----------
        mapped : Tensor, float32
            The linear map's output for the live channels (along axis 1), max-pooled or not.

        Returns
        -------
        Tensor, float32
            All channels.
        """
        shape = [1, -1] + [1] * (mapped.dim() - 2)
        live = torch.clamp(mapped, min=self.low.view(shape), max=self.high.view(shape))
        if len(self.live) == len(self.constant):
            return live
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        sizes = [len(live), -1, *live.shape[2:]]
        every = self.constant.view(shape).expand(sizes).clone(memory_format=layout)
        return every.index_copy_(1, self.live, live)


def stages_of(modules: nn.ModuleList) -> list[_Stage]:
    return [module for module in modules if isinstance(module, _Stage)]


def _pool_mels(stage: _Stage, image: Tensor) -> Tensor:
    """One kind of filter, its maximum over the mels: float32 [B, 1, T', 96] → [B, channels, T]."""
    return stage.clamp(functional.conv2d(image, stage.kernel, stage.offset).amax(dim=3))


class Musicnn(nn.Module):
    """The musically motivated network: timbral and temporal filters, dense middle, pooling over time.

    Parameters
    ----------
    labels : int
        The number K of labels.
    """

    def __init__(self, labels: int = 50) -> None:
        super().__init__()
        self.input = _Norm(1)
        self.timbral = nn.ModuleList(_Stage(204, 1, 7, mels) for mels in (38, 67))
        self.temporal = nn.ModuleList(_Stage(51, 1, frames, 1) for frames in (128, 64, 32))
        self.middle = nn.ModuleList(_Stage(64, channels, 7) for channels in (561, 64, 64))
        self.pooled = _Norm(1506)
        self.dense = _Stage(200, 1506)
        self.output = nn.Linear(200, labels).requires_grad_(False)

    def front(self, mels: Tensor) -> Tensor:
        """Timbral and temporal features: float32 [B, T, 96] → [B, 561, T]."""
        image = self.input(mels).unsqueeze(1)
        tall = functional.pad(image, (0, 0, 3, 3))
        features = [_pool_mels(stage, tall) for stage in stages_of(self.timbral)]
        for stage in stages_of(self.temporal):
            # TensorFlow's 'same' for an even kernel: the odd zero goes after
            before = (stage.kernel.shape[2] - 1) // 2
            padded = functional.pad(image, (0, 0, before, before + 1))
            features.append(_pool_mels(stage, padded))
        return torch.cat(features, dim=1)

    def forward(self, mels: Tensor) -> Tensor:
        """Tag windows.

        Parameters
        ----------
        mels : Tensor, float32 [B, 187, 96]
            What :class:`LogMel` gives. (This network takes any number of frames.)

        Returns
        -------
        Tensor, float32 [B, K]
            Logits, before the sigmoid.
        """
        levels = [self.front(mels)]
        for stage in stages_of(self.middle):
            mapped = functional.conv1d(levels[-1], stage.kernel, stage.offset, padding=3)
            after = stage.clamp(mapped)
            levels.append(after if len(levels) == 1 else after + levels[-1])
        features = torch.cat(levels, dim=1)
        # the published order: maximum and mean of each feature side by side
        pooled = torch.stack((features.amax(dim=2), features.mean(dim=2)), dim=2).flatten(1)
        dense = functional.linear(self.pooled(pooled), self.dense.kernel, self.dense.offset)
        logits: Tensor = self.output(self.dense.clamp(dense))
        return logits


class Vgg(nn.Module):
    """The baseline: five 3 × 3 convolutions with max pooling, one dense layer.

    As published, the pools drop what does not fill them: of a window's 187 frames and 96 mels, the last 26
    frames (0.42 s) and the top 2 mels reach no logit.

    Parameters
    ----------
    labels : int
        The number K of labels.
    """

    def __init__(self, labels: int = 50) -> None:
        super().__init__()
        self.input = _Norm(1)
        self.convolution = nn.ModuleList(
            _Stage(128, channels, 3, 3, channels_last=True) for channels in (1, 128, 128, 128, 128)
        )
        self.output = nn.Linear(256, labels).requires_grad_(False)

    def forward(self, mels: Tensor) -> Tensor:
        """Tag windows: float32 [B, 187, 96] → logits, float32 [B, K], as :meth:`Musicnn.forward`."""
        image = self.input(mels).unsqueeze(1).contiguous(memory_format=torch.channels_last)
        # the first pool is 4 × 1 with stride 2 × 2: of the mels it only keeps every other, so the
        # convolution's own stride leaves the others out
        pools = (((4, 1), (2, 1)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((4, 4), (4, 4)))
        for index, (stage, (size, stride)) in enumerate(zip(stages_of(self.convolution), pools, strict=True)):
            skip = (1, 2) if index == 0 else (1, 1)
            image = functional.conv2d(image, stage.kernel, stage.offset, stride=skip, padding=1)
            image = stage.clamp(functional.max_pool2d(image, size, stride))
        flat = image.permute(0, 2, 3, 1).flatten(1)  # TensorFlow flattens with the channels last
        logits: Tensor = self.output(flat)
        return logits
