"""The four music taggers of the package musicnn (Pons & Serra 2019), in PyTorch: the built-in models.

Two architectures, each trained on the Million Song Dataset (MSD) and on MagnaTagATune (MTT). The weights
are the published ones (ISC licence, ``data/musicnn/LICENCE``), converted by ``tools/convert_musicnn.py``.
Everything is in evaluation mode: dropout is left out, batch normalisation uses the stored statistics.
"""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Final

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

from ..errors import ModelError, nearest
from .base import Model, without_rounding
from .musicnn_networks import HOP, SAMPLE_RATE, LogMel, Musicnn, Vgg

BUILTIN_NAMES: Final = ("msd-musicnn", "msd-vgg", "mtt-musicnn", "mtt-vgg")
WINDOW: Final = 187  # frames: what the published extractor cuts for 3 s
WINDOW_SAMPLES: Final = (WINDOW - 1) * HOP  # the fewest with 187 frames: N samples give 1 + N // 256
_CHUNK_ON_ACCELERATOR: Final = 64  # windows at once
# part of the fingerprint: whatever here changes the answers of the same weights
_FRONT_END: Final = "slaney mel power 16000/512/256/96, log10(10000 x + 1), windows 187 even, mean logits"


_ARCHITECTURES: Final[dict[str, type[Musicnn] | type[Vgg]]] = {"Musicnn": Musicnn, "Vgg": Vgg}


def window_starts(frames: int) -> list[int]:
    """Where the windows of a clip start: the fewest that cover it, evenly placed.

    The clip's very last frame, centred on its end and half mirrored, is left out where it alone would cost
    a window: 3 s give 188 frames and one window, as published.

    Parameters
    ----------
    frames : int
        T >= 187, the frames of the clip.

    Returns
    -------
    list of int
        First frames, in order. Neighbouring windows touch or overlap.
    """
    count = max(1, -((1 - frames) // WINDOW))  # ceil((T - 1) / 187)
    last = min(frames - WINDOW, WINDOW * (count - 1))
    return [index * last // max(1, count - 1) for index in range(count)]


class MusicTagger(Model):
    """One of the four taggers: waveforms to the mean logits of their windows.

    Parameters
    ----------
    name : str
        One of :data:`BUILTIN_NAMES`.
    network : Musicnn or Vgg
        With its weights loaded.
    labels : tuple of str
        The K labels in the order of the logits.
    device : torch.device
        Where to compute.
    """

    backend = "builtin"
    sample_rate = SAMPLE_RATE
    differentiable = True
    notes: tuple[str, ...] = (
        "independent tags (sigmoids): read as the softmax of the logits over the aligned labels",
        f"windows of {WINDOW} frames (3 s) placed evenly over the whole clip; their logits are averaged",
        f"a clip under {WINDOW_SAMPLES} samples (2.976 s at 16 kHz) is zero-padded at its end to that length",
        "a last frame that alone would cost a window (as in 3 s exactly) is not heard, as published",
        "mel powers stay float32; the published extractor rounds them to float16",
    )

    def __init__(self, name: str, network: Musicnn | Vgg, labels: tuple[str, ...], device: torch.device) -> None:
        self.spec = f"builtin:{name}"
        self.labels = labels
        self.architecture = type(network).__name__
        if isinstance(network, Vgg):
            deaf = "the published pools hear the first 161 of a window's 187 frames (2.58 s) and 94 of the 96 mels"
            self.notes = (*self.notes, deaf)
        self.fingerprint = _fingerprint(network, labels)
        self.parameters = sum(parameter.numel() for parameter in network.parameters())
        self.device = device
        # accelerators answer windows in batches, whose size may change the last bits
        self.deterministic = device.type == "cpu"
        self.network = network.to(device).eval()
        self.mels = LogMel().to(device)
        # On a CPU a clip a thread: threads inside the small convolutions wait for each other (measured on two
        # busy cores: 32 and 70 ms of CPU a window with two inner threads, 7 and 30 ms with one)
        self._workers = (
            ThreadPoolExecutor(torch.get_num_threads(), initializer=torch.set_num_threads, initargs=(1,))
            if device.type == "cpu"
            else None
        )

    def logits(self, waveforms: Tensor) -> Tensor:
        """Tag clips: the mean over each clip's windows of the logits (not of the sigmoids).

        Parameters
        ----------
        waveforms : Tensor, float32 [B, N]
            Amplitude ±1 at 16 kHz, any N. Under 47,616 samples: zero-padded at the end to one window.

        Returns
        -------
        Tensor, float32 [B, K]
            Logits of independent sigmoids.
        """
        missing = WINDOW_SAMPLES - waveforms.shape[-1]
        padded = functional.pad(waveforms, (0, missing)) if missing > 0 else waveforms
        starts = window_starts(1 + padded.shape[-1] // HOP)
        # On a CPU one window at a time is no slower than a batch, as its activations stay in the cache
        # (measured: layers up to twice as fast as in batches of 32), and it makes an answer the same to the
        # last bit in any batch.
        step = 1 if self.device.type == "cpu" else max(1, _CHUNK_ON_ACCELERATOR // len(starts))
        clips = torch.split(padded, step)
        if torch.is_grad_enabled() or self._workers is None:
            return torch.cat([self._answer(clip, starts) for clip in clips])
        return torch.cat(list(self._workers.map(lambda clip: self._infer(clip, starts), clips)))

    @torch.inference_mode()
    def _infer(self, waveforms: Tensor, starts: list[int]) -> Tensor:
        return self._answer(waveforms, starts)

    def _answer(self, waveforms: Tensor, starts: list[int]) -> Tensor:
        with without_rounding(waveforms):
            mels = self.mels(waveforms)
        windows = torch.stack([mels[:, start : start + WINDOW] for start in starts], dim=1).flatten(0, 1)
        step = 1 if self.device.type == "cpu" else _CHUNK_ON_ACCELERATOR
        logits = torch.cat([self.network(chunk) for chunk in torch.split(windows, step)])
        return logits.view(len(waveforms), len(starts), len(self.labels)).mean(dim=1)


def _fingerprint(network: nn.Module, labels: tuple[str, ...]) -> str:
    """Blake2b of labels, architecture, front end and weights, in hexadecimal."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([labels, type(network).__name__, _FRONT_END]).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().astype("<f4").tobytes())
    return digest.hexdigest()


def load_builtin(name: str, device: torch.device) -> MusicTagger:
    """Load one of the built-in models.

    Parameters
    ----------
    name : str
        One of :data:`BUILTIN_NAMES`.
    device : torch.device
        Where to compute.

    Returns
    -------
    MusicTagger
        Ready for :meth:`MusicTagger.logits`.

    Raises
    ------
    ModelError
        If there is no such model, or its file is missing.
    """
    if name not in BUILTIN_NAMES:
        hint = nearest(name, BUILTIN_NAMES)
        raise ModelError(f"no built-in model {name!r}: {hint}allowed are {', '.join(BUILTIN_NAMES)}")
    resource = resources.files("earwitness") / "data" / "musicnn" / f"{name}.safetensors"
    if not resource.is_file():
        raise ModelError(
            f"the weights of builtin:{name} are missing ({name}.safetensors in earwitness/data/musicnn): "
            "install the package again, or run tools/convert_musicnn.py in a checkout"
        )
    with resources.as_file(resource) as path, safe_open(path, framework="pt") as file:
        metadata: dict[str, str] = file.metadata()
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    labels = tuple(json.loads(metadata["labels"]))
    network = _ARCHITECTURES[metadata["architecture"]](len(labels))
    network.load_state_dict(weights)
    return MusicTagger(name, network, labels, device)
