"""Front ends of Hugging Face audio classifiers in torch: batched, on the device, differentiable.

The library's feature extractors are NumPy and mostly work one clip at a time. Three of them cover nearly every
published audio classifier, and each is a few lines of linear algebra: the normalisation of the Wav2Vec2 family,
Whisper's log-mel spectrogram and the Kaldi-style filter bank of the Audio Spectrogram Transformer (AST). A module
here is built from the library's own extractor and gives the same features; an extractor it cannot reproduce
exactly is wrapped as it is (:class:`LibraryFrontEnd`).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

# AST's extractor fixes these: 25 ms frames every 10 ms at 16 kHz, in a 512-point transform
_AST_FRAME, _AST_HOP, _AST_FFT = 400, 160, 512
_AST_FLOOR = 1.192092955078125e-07
_WHISPER_FLOOR = 1e-10
# On a CPU, so many bytes of frames are worked on at a time: they and their spectra stay in the cache, and the
# memory for the next is that of the last (touching new memory costs more than the transform).
_CHUNK = 3 << 19
# and so many bytes of frames are prepared at a time: several clips where they are short
_CLIPS = 1 << 20


class FrontEnd(nn.Module):
    """From waveforms to the keyword arguments of a Hugging Face model.

    Attributes
    ----------
    sample_rate : int
        In Hz.
    samples : int or None
        The model's own length: shorter waveforms are to be padded with zeros at the end up to it. ``None`` for
        models without one.
    maximum : int or None
        The longest waveform, in samples, of which nothing but a fraction of a frame is lost; longer ones are cut.
    path : str
        ``torch``, or ``library`` for the library's own extractor.
    """

    path = "torch"

    def __init__(self, sample_rate: int, samples: int | None = None, maximum: int | None = None) -> None:
        super().__init__()
        self.sample_rate, self.samples, self.maximum = sample_rate, samples, maximum

    def forward(self, waveforms: Tensor) -> dict[str, Tensor]:
        """Compute the model's inputs.

        Parameters
        ----------
        waveforms : Tensor, float32 [B, N]
            Amplitude ±1 at the front end's sample rate.

        Returns
        -------
        dict of str to Tensor
            The model's keyword arguments.
        """
        raise NotImplementedError


class NormaliseFrontEnd(FrontEnd):
    """The Wav2Vec2 family: zero mean and unit variance per clip, or the waveform as it is.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    normalise : bool
        The extractor's ``do_normalize``.
    attention_mask : bool
        Whether the model is given an attention mask. All clips of a batch have one length, so it is all ones.
    """

    def __init__(self, sample_rate: int, *, normalise: bool, attention_mask: bool) -> None:
        super().__init__(sample_rate)
        self.normalise, self.attention_mask = normalise, attention_mask

    def forward(self, waveforms: Tensor) -> dict[str, Tensor]:
        """``input_values``: float32 [B, N]; ``attention_mask``: int32 [B, N] where the model wants one."""
        values = waveforms.float()
        if self.normalise:
            # the same formula, fused; torch.var_mean takes ten times as long on a CPU
            values = functional.layer_norm(values, values.shape[-1:], eps=1e-7)
        if not self.attention_mask:
            return {"input_values": values}
        return {"input_values": values, "attention_mask": torch.ones_like(values, dtype=torch.int32)}


class WhisperFrontEnd(FrontEnd):
    """Whisper: log10 mel power of the clip padded to the model's length, clamped to 8 decades, scaled.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    samples : int
        The length the model was made for, in samples (30 s in the published models).
    n_fft, hop : int
        Frame length and step, in samples; ``hop <= n_fft``.
    mel_filters : array, float [n_fft / 2 + 1, M]
        Mel weights of each frequency bin.
    """

    window: Tensor

    def __init__(self, sample_rate: int, samples: int, n_fft: int, hop: int, mel_filters: np.ndarray) -> None:
        super().__init__(sample_rate, samples, samples)
        self.n_fft, self.hop, self.frames = n_fft, hop, samples // hop
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.mel_bank = _MelBank(mel_filters)

    def forward(self, waveforms: Tensor) -> dict[str, Tensor]:
        """``input_features``: float32 [B, M, samples / hop]."""
        frames = min(self.frames, waveforms.shape[1] // self.hop + 2)
        size = frames * self.n_fft * 4
        return {"input_features": _by_clips(self._features, waveforms, size).transpose(1, 2)}

    def _features(self, waveforms: Tensor) -> Tensor:
        """Float32 [B, N] → [B, T, M]."""

        def log_mel(part: Tensor) -> Tensor:
            return self.mel_bank.power(torch.fft.rfft(part * self.window)).clamp_min(_WHISPER_FLOOR).log10()

        log = _by_frames(log_mel, self._frames(waveforms.float()))
        if missing := self.frames - log.shape[1]:
            # the frames that see only padding: their power is the floor
            log = functional.pad(log, (0, 0, 0, missing), value=math.log10(_WHISPER_FLOOR))
        log = torch.maximum(log, log.amax(dim=(1, 2), keepdim=True) - 8.0)
        return log.add_(4.0).mul_(0.25)

    def _frames(self, waveforms: Tensor) -> Tensor:
        """Centred frames, float32 [B, T, n_fft], of the padded clip, up to the last one that hears the clip."""
        assert self.samples is not None
        half = self.n_fft // 2
        waveforms = waveforms[:, : self.samples]
        length = waveforms.shape[1]
        live = min(self.frames, (length + half) // self.hop + 1)
        end = (live - 1) * self.hop + half
        within = min(self.samples, max(end, length, half + 1))
        padded = functional.pad(waveforms, (0, within - length)) if within > length else waveforms
        # both ends are reflected, but the far one only if the frames reach past the padded clip
        reach = max(end - self.samples, 0)
        before, after = padded[:, 1 : half + 1].flip(1), padded[:, within - 1 - reach : within - 1].flip(1)
        padded = torch.cat([before, padded, after], dim=1)
        return padded.unfold(1, self.n_fft, self.hop)[:, :live]


class ASTFrontEnd(FrontEnd):
    """AST: natural log of Kaldi-style mel power, cut or zero-padded to a number of frames, standardised.

    It computes in float64 (float32 where a device lacks it): the library does, and in float32 the quiet bands
    of a loud clip are off by up to 4e-4.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    frames : int
        The extractor's ``max_length``, T.
    mel_filters : array, float [257, M]
        Mel weights of each frequency bin.
    mean, std : float or None
        The features become ``(x - mean) / (2 std)``; ``None`` leaves them.
    """

    def __init__(
        self, sample_rate: int, frames: int, mel_filters: np.ndarray, mean: float | None, std: float | None
    ) -> None:
        super().__init__(sample_rate, *_frame_lengths(frames, _AST_FRAME, _AST_HOP))
        self.frames, self.mean, self.std = frames, mean, std
        self.mel_bank = _MelBank(mel_filters)

    def forward(self, waveforms: Tensor) -> dict[str, Tensor]:
        """``input_values``: float32 [B, T, M]."""
        count = min(max(0, (waveforms.shape[1] - _AST_FRAME) // _AST_HOP + 1), self.frames)
        # a Mac's GPU has no float64
        precision = torch.float32 if waveforms.device.type == "mps" else torch.float64
        # made here, in full precision: a rounded window would leak a loud tone into the quiet bands
        window = torch.hann_window(_AST_FRAME, periodic=False, dtype=precision, device=waveforms.device)
        window = functional.pad(window, (0, _AST_FFT - _AST_FRAME))
        size = count * _AST_FFT * window.element_size()
        features = _by_clips(lambda clips: self._log_mels(clips, window, count), waveforms, size)
        features = functional.pad(features, (0, 0, 0, self.frames - count))
        if self.mean is not None and self.std is not None:
            features = (features - self.mean).div_(2 * self.std)
        return {"input_values": features}

    def _log_mels(self, waveforms: Tensor, window: Tensor, count: int) -> Tensor:
        """Float32 [B, N], window [512] → float32 [B, count, M], computed in the window's precision.

        Of a frame x of mean m, the library transforms window · (x[n] - m - 0.97 (x[n-1] - m)), and the window is
        0 at n = 0: so the whole clip is pre-emphasised once, and 0.03 m taken from each frame.
        """
        # frames are as long as the transform, the window zero there: cheaper than padding every frame
        missing = max(0, (count - 1) * _AST_HOP + _AST_FFT - waveforms.shape[1])
        padded = functional.pad(waveforms.to(window.dtype), (1, missing))
        emphasised = torch.sub(padded[:, 1:], padded[:, :-1], alpha=0.97)
        offsets = 0.03 * _means(padded[:, 1:], count)

        def log_mel(part: Tensor, offset: Tensor) -> Tensor:
            return self.mel_bank.power(torch.fft.rfft((part - offset).mul_(window))).clamp_min(_AST_FLOOR).log()

        return _by_frames(log_mel, emphasised.unfold(1, _AST_FFT, _AST_HOP)[:, :count], offsets)


class LibraryFrontEnd(FrontEnd):
    """Any extractor of the library, as it is: NumPy on the CPU, without gradients.

    Parameters
    ----------
    extractor : transformers.SequenceFeatureExtractor
    """

    path = "library"

    def __init__(self, extractor: Any) -> None:
        super().__init__(int(extractor.sampling_rate), *own_length(extractor))
        self.extractor = extractor

    def forward(self, waveforms: Tensor) -> dict[str, Tensor]:
        """What the extractor returns, on the waveforms' device; floating-point values as float32."""
        clips = list(waveforms.detach().float().cpu().numpy())
        # Whisper's pads to the model's length unless told otherwise; the others pad to the longest
        options = {} if _kind(self.extractor) == "WhisperFeatureExtractor" else {"padding": True}
        found = self.extractor(clips, sampling_rate=self.sample_rate, return_tensors="pt", **options)
        moved = {name: value.to(waveforms.device) for name, value in found.items() if isinstance(value, Tensor)}
        return {name: value.float() if value.is_floating_point() else value for name, value in moved.items()}


def front_end(extractor: Any) -> FrontEnd:
    """The front end for an extractor of the library: in torch where the features are the same, else the library's.

    Parameters
    ----------
    extractor : transformers.SequenceFeatureExtractor
    """
    build = _BUILDERS.get(_kind(extractor))
    made = build(extractor) if build is not None and extractor.feature_size >= 1 else None
    return made if made is not None else LibraryFrontEnd(extractor)


def own_length(extractor: Any) -> tuple[int | None, int | None]:
    """The length a model's waveforms are padded to, and the longest that is not cut; in samples.

    Parameters
    ----------
    extractor : transformers.SequenceFeatureExtractor

    Returns
    -------
    tuple of (int or None, int or None)
        ``None`` where the extractor sets no length.
    """
    if _kind(extractor) == "WhisperFeatureExtractor":
        return int(extractor.n_samples), int(extractor.n_samples)
    if _kind(extractor) == "ASTFeatureExtractor":
        frame, hop = _AST_FRAME, _AST_HOP
        if not hasattr(extractor, "mel_filters"):  # it calls torchaudio, whose frames are in milliseconds
            frame, hop = int(extractor.sampling_rate * 0.025), int(extractor.sampling_rate * 0.01)
        return _frame_lengths(int(extractor.max_length), frame, hop)
    return None, None


def _frame_lengths(frames: int, frame: int, hop: int) -> tuple[int, int]:
    """The fewest and the most samples that give so many frames."""
    fewest = frame + hop * (frames - 1)
    return fewest, fewest + hop - 1


def _kind(extractor: Any) -> str:
    """The class's name if it is the library's own, else ``""``: a subclass may compute anything."""
    kind = type(extractor)
    return kind.__name__ if kind.__module__.startswith("transformers.models.") else ""


def _normalise(extractor: Any) -> FrontEnd | None:
    if extractor.feature_size != 1:
        return None
    return NormaliseFrontEnd(
        int(extractor.sampling_rate),
        normalise=bool(extractor.do_normalize),
        attention_mask=bool(extractor.return_attention_mask),
    )


def _whisper(extractor: Any) -> FrontEnd | None:
    # dither is random, and other padding than zeros at the end is not what this front end computes
    plain = getattr(extractor, "dither", 0) == 0 and extractor.padding_value == 0 and extractor.padding_side == "right"
    n_fft, hop, samples = int(extractor.n_fft), int(extractor.hop_length), int(extractor.n_samples)
    if not plain or n_fft % 2 or not 0 < hop <= n_fft or samples <= n_fft or extractor.return_attention_mask:
        return None
    return WhisperFrontEnd(int(extractor.sampling_rate), samples, n_fft, hop, extractor.mel_filters)


def _ast(extractor: Any) -> FrontEnd | None:
    # at another rate the library's frames depend on whether torchaudio is installed
    if extractor.sampling_rate != 16000 or extractor.feature_size != 1 or extractor.max_length < 1:
        return None
    mean, std = (extractor.mean, extractor.std) if extractor.do_normalize else (None, None)
    return ASTFrontEnd(16000, int(extractor.max_length), _kaldi_filters(extractor), mean, std)


_BUILDERS: dict[str, Callable[[Any], FrontEnd | None]] = {
    "Wav2Vec2FeatureExtractor": _normalise,
    "WhisperFeatureExtractor": _whisper,
    "ASTFeatureExtractor": _ast,
}


def _kaldi_filters(extractor: Any) -> np.ndarray:
    """AST's mel weights, float64 [257, M]; where torchaudio is installed the extractor does not hold them."""
    if hasattr(extractor, "mel_filters"):
        return np.asarray(extractor.mel_filters)
    from transformers.audio_utils import mel_filter_bank

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # narrow filters between two bins are all zero, in the library too
        filters = mel_filter_bank(
            num_frequency_bins=_AST_FFT // 2 + 1,
            num_mel_filters=extractor.num_mel_bins,
            min_frequency=20,
            max_frequency=8000,
            sampling_rate=16000,
            norm=None,
            mel_scale="kaldi",
            triangularize_in_mel_space=True,
        )
    return np.asarray(filters)


class _MelBank(nn.Module):
    """Spectra, complex [..., bins], to mel power, float32 [..., M].

    Triangles are narrow: each quarter of the mel bands hears a part of the bins, and multiplying only those takes
    a third of the time of one product with the whole matrix.
    """

    def __init__(self, mel_filters: np.ndarray, parts: int = 4) -> None:
        super().__init__()
        # each bin's weights twice: Σ m (re² + im²) is one product with the interleaved re², im²
        weights = torch.from_numpy(np.repeat(np.asarray(mel_filters, dtype=np.float32), 2, axis=0))
        self._spans: list[tuple[int, int]] = []
        for number, bands in enumerate(weights.tensor_split(min(parts, weights.shape[1]), dim=1)):
            heard = bands.any(dim=1).nonzero()[:, 0].tolist() or [0]
            self._spans.append((heard[0], heard[-1] + 1))
            self.register_buffer(f"_weights{number}", bands[heard[0] : heard[-1] + 1].contiguous(), persistent=False)

    def power(self, spectrum: Tensor) -> Tensor:
        """Complex [..., bins], overwritten where no gradient is wanted → float32 [..., M]."""
        parts = torch.view_as_real(spectrum).flatten(-2).float()
        # a gradient needs the parts; without one their memory is used again
        power = parts.square() if parts.requires_grad else parts.square_()
        weights = [self.get_buffer(f"_weights{number}") for number in range(len(self._spans))]
        spans = zip(self._spans, weights, strict=True)
        return torch.cat([power[..., start:stop] @ part for (start, stop), part in spans], dim=-1)


def _means(waveforms: Tensor, count: int) -> Tensor:
    """The mean of each of the first AST frames, [B, N] → [B, count, 1], from sums over what frames share."""
    step = math.gcd(_AST_FRAME, _AST_HOP)
    blocks = max(0, count - 1) * (_AST_HOP // step) + _AST_FRAME // step
    sums = functional.pad(waveforms, (0, max(0, blocks * step - waveforms.shape[1])))[:, : blocks * step]
    sums = sums.reshape(-1, blocks, step).sum(dim=2)
    frames: Tensor = sums.unfold(1, _AST_FRAME // step, _AST_HOP // step)[:, :count]
    return frames.sum(dim=2, keepdim=True) / _AST_FRAME


def _by_clips(function: Callable[[Tensor], Tensor], waveforms: Tensor, size: int) -> Tensor:
    """Map waveforms [B, N], each of so many bytes of frames, to [B, T, M]; on a CPU a few clips at a time."""
    if waveforms.device.type != "cpu":
        return function(waveforms)
    groups = torch.split(waveforms, max(1, _CLIPS // max(1, size)))
    return torch.cat([function(group) for group in groups]) if len(groups) > 1 else function(waveforms)


def _by_frames(function: Callable[..., Tensor], frames: Tensor, *others: Tensor) -> Tensor:
    """Map frames [B, T, L], and what else there is for each, to [B, T, M]; on a CPU a few frames at a time."""
    chunk = max(1, _CHUNK // (len(frames) * frames.shape[2] * frames.element_size()))
    if frames.device.type != "cpu" or frames.shape[1] <= chunk:
        return function(frames, *others)
    parts = zip(*(torch.split(each, chunk, dim=1) for each in (frames, *others)), strict=True)
    return torch.cat([function(*part) for part in parts], dim=1)
