"""``hf:DIR-OR-HUB-ID``: audio classifiers in the format of Hugging Face transformers.

A folder is judged before anything in it is loaded: settings are read as plain JSON and checked, weights must be
safetensors unless the user says otherwise, and no code of the folder runs unless the user says so.

Padding is fixed for each family, in the waveform: zeros at the end up to the model's own length (Whisper, AST),
or none (the Wav2Vec2 family). Clips longer than a model's maximum are cut into windows of its own length that
cover them evenly, and the windows' probabilities are averaged. ``notes`` says which of these a model does.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import ModelError, brief
from .base import MOST_LABELS, Model, fingerprint_network, without_rounding
from .frontends import FrontEnd, NormaliseFrontEnd, front_end
from .windows import average, window_starts

_CONFIG = "config.json"
_EXTRACTOR_FILES = ("preprocessor_config.json", "processor_config.json")
_INDEX = "model.safetensors.index.json"
_SETTINGS = (_CONFIG, *_EXTRACTOR_FILES, _INDEX, "adapter_config.json")
_SAFE, _PICKLED = ("*.safetensors",), ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_MOST_BYTES = 64 << 20  # of a JSON file: 100,000 labels take about 5 MB
# the largest value of a setting that decides how much memory or time is spent before the weights are compared
_LARGEST = {
    "num_labels": MOST_LABELS, "_num_labels": MOST_LABELS, "num_hidden_layers": 1000, "encoder_layers": 1000,
    "decoder_layers": 1000, "hidden_size": 100_000, "d_model": 100_000, "intermediate_size": 1_000_000,
    "encoder_ffn_dim": 1_000_000, "decoder_ffn_dim": 1_000_000, "vocab_size": 10_000_000,
    "max_source_positions": 1_000_000, "max_target_positions": 1_000_000, "max_length": 1_000_000,
    "num_mel_bins": 10_000, "feature_size": 10_000, "n_fft": 1 << 20, "chunk_length": 3600,
    "sampling_rate": 1_000_000,
}  # fmt: skip
_VOLATILE = {"_name_or_path", "name_or_path", "transformers_version"}
# no part in the answer: the vector that SpecAugment writes over masked frames in training
_UNUSED = ("masked_spec_embed",)


@dataclass(frozen=True)
class _Folder:
    """A folder that passed every check."""

    path: Path
    config: Mapping[str, Any]
    extractor: Mapping[str, Any]
    weights: tuple[Path, ...]
    pickled: bool


class HuggingFaceModel(Model):
    """An audio classifier of the transformers library, with its feature extractor.

    Parameters
    ----------
    network : transformers.PreTrainedModel
        A model for audio classification.
    extractor : transformers.SequenceFeatureExtractor
        Its feature extractor.
    device : torch.device
    spec : str
        What to call it.
    fingerprint : str or None
        A hash of weights and configuration; ``None`` computes it from the network.
    """

    backend = "hf"

    def __init__(
        self, network: Any, extractor: Any, *, device: torch.device, spec: str, fingerprint: str | None = None
    ) -> None:
        self.spec, self.device = spec, device
        self.labels = _labels(network.config, spec)
        _geometry(network.config, extractor, spec)
        self._network = network.float().eval().requires_grad_(False).to(device)
        self._front_end: FrontEnd = front_end(extractor).to(device)
        self._multi_label = network.config.problem_type == "multi_label_classification"
        self._least = _receptive_field(network.config)
        self.sample_rate = self._front_end.sample_rate
        self.fingerprint = fingerprint or _network_fingerprint(network, extractor)
        self.parameters = sum(weights.numel() for weights in network.parameters())
        self.architecture = type(network).__name__
        self.frontend = self._front_end.path
        self.differentiable = self.frontend == "torch"
        self.deterministic = not getattr(extractor, "dither", 0)
        self.notes = tuple(self._notes(extractor))

    def logits(self, waveforms: Tensor) -> Tensor:
        """See :meth:`Model.logits`. A clip longer than the model's maximum gets the log of its windows' mean."""
        if waveforms.dim() != 2 or not waveforms.shape[1]:
            raise ModelError(f"{self.spec}: waveforms of shape {tuple(waveforms.shape)}; give [B, N] with N > 0")
        length = self._front_end.samples
        starts = window_starts(waveforms.shape[1], length, self._front_end.maximum)
        if len(starts) == 1:
            return self._answer(waveforms)
        answers = torch.stack([self._answer(waveforms[:, start : start + (length or 0)]) for start in starts])
        return average(answers, tags=self._multi_label)

    def features(self, waveforms: Tensor) -> dict[str, Tensor]:
        """The network's arguments for waveforms up to the model's maximum; see :meth:`Model.features`."""
        length = max(self._front_end.samples or 0, self._least)
        padded = functional.pad(waveforms.float(), (0, max(0, length - waveforms.shape[1])))
        with without_rounding(padded):
            made: dict[str, Tensor] = self._front_end(padded)
        return made

    def _answer(self, waveforms: Tensor) -> Tensor:
        """Float32 [B, N] → logits [B, K], for N up to the model's maximum."""
        answer: Tensor = self._network(**self.features(waveforms)).logits
        return answer.float()

    def _notes(self, extractor: Any) -> Iterator[str]:
        kind = type(extractor).__name__
        yield (
            f"front end: torch, batched on the device, the features of {kind}"
            if self.frontend == "torch"
            else f"front end: the library's own {kind}, on the CPU, without gradients"
        )
        length, maximum = self._front_end.samples, self._front_end.maximum
        if length is not None and maximum is not None:
            seconds = f"{length / self.sample_rate:g} s ({length} samples)"
            yield f"padding: zeros at the end of the waveform, up to the model's own {seconds}"
            yield (
                f"long clips: above {maximum} samples, windows of {seconds} that cover the clip evenly, "
                "their probabilities averaged"
            )
        else:
            mask = isinstance(self._front_end, NormaliseFrontEnd) and self._front_end.attention_mask
            given = "an attention mask of ones" if mask else "no attention mask"
            yield f"padding: none but zeros at the end up to {self._least} samples; {given}; no longest clip"
        if self._multi_label:
            yield "tags: independent sigmoids, read as the softmax of their logits"
        if not self.deterministic:
            yield "not deterministic: the feature extractor adds random dither"
        if self.device.type == "mps" and "AST" in kind:
            yield "front end in float32: this device has no float64, so quiet bands are off by up to 4e-4"


def load_huggingface(
    target: str, device: torch.device, *, allow_pickle: bool = False, trust_remote_code: bool = False
) -> HuggingFaceModel:
    """Load a folder, or a model of the hub through its standard cache and token.

    Parameters
    ----------
    target : str
        A folder, or a hub id such as ``superb/hubert-base-superb-er``.
    device : torch.device
    allow_pickle : bool
        Whether to accept weights that are only there as a pickle.
    trust_remote_code : bool
        Whether to run code that comes with the model.

    Raises
    ------
    ModelError
        transformers is not installed, or the model is missing, damaged, hostile or not an audio classifier.
    """
    spec = f"hf:{target}"
    transformers = _library(spec)
    with _quiet(transformers):
        path = _locate(target, spec, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code)
        folder = _inspect(path, spec, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code)
        network, extractor = _open(transformers, folder, spec, trust_remote_code)
        return HuggingFaceModel(network, extractor, device=device, spec=spec, fingerprint=_folder_fingerprint(folder))


def _library(spec: str) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ModelError(f"{spec}: transformers is not installed; pip install 'earwitness[hf]'") from error
    return transformers


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keep the library's log, warnings and progress bars off the terminal; put all back as it was."""
    log = transformers.utils.logging
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log.set_verbosity(log.CRITICAL)
        log.disable_progress_bar()
        try:
            yield
        finally:
            log.set_verbosity(verbosity)
            if bars:
                log.enable_progress_bar()


# --- finding


def _locate(target: str, spec: str, *, allow_pickle: bool, trust_remote_code: bool) -> Path:
    """The folder of a target: itself, or the hub's snapshot, fetched if need be."""
    folder = Path(target).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise ModelError(f"{spec}: {target} is a file; give the folder that holds {_CONFIG}")
    # settings first: a model that is refused for them is not downloaded
    path = _snapshot(target, list(_SETTINGS), spec)
    _check_settings(path, spec, trust_remote_code=trust_remote_code)
    patterns = ["model.safetensors", "model-*.safetensors", *(["*.py"] if trust_remote_code else [])]
    path = _snapshot(target, [*_SETTINGS, *patterns], spec)
    if allow_pickle and not _matching(path, _SAFE):
        path = _snapshot(target, [*_SETTINGS, *patterns, "pytorch_model*.bin", "*.bin.index.json"], spec)
    return path


def _snapshot(target: str, patterns: list[str], spec: str) -> Path:
    from huggingface_hub import snapshot_download

    if target.startswith((".", "~", "/", "\\")) or target.count("/") > 1:
        raise ModelError(f"{spec}: there is no folder {target}; give the folder that holds {_CONFIG}, or a hub id")
    try:
        return Path(snapshot_download(target, allow_patterns=patterns))
    except Exception as error:  # the hub's client raises dozens of kinds, from a bad id to no network
        raise ModelError(
            f"{spec}: {target!r} is neither a folder nor a hub id that is cached or can be fetched ({brief(error)}); "
            "give the folder that holds config.json, or a hub id such as org/name"
        ) from error


# --- judging


def _inspect(path: Path, spec: str, *, allow_pickle: bool, trust_remote_code: bool) -> _Folder:
    """Check all that can be checked without loading anything."""
    _check_links(path, spec)
    config, extractor = _check_settings(path, spec, trust_remote_code=trust_remote_code)
    weights = _safe_weights(path, spec)
    pickled = not weights
    if pickled:
        weights = tuple(_matching(path, _PICKLED))
        names = ", ".join(file.name for file in weights)
        if not weights:
            raise ModelError(f"{spec}: there are no weights in {path}; a model.safetensors is needed")
        if not allow_pickle:
            raise ModelError(
                f"{spec}: its weights are only a pickle ({names}), which can run code when loaded; "
                "convert them to model.safetensors, or pass --allow-pickle if you trust them"
            )
    return _Folder(path, config, extractor, weights, pickled)


def _check_links(path: Path, spec: str) -> None:
    """Refuse files that are links to somewhere else; the hub's cache links to its own blobs."""
    home = path.resolve()
    allowed = [home]
    if home.parent.name == "snapshots" and home.parent.parent.name.startswith("models--"):
        allowed.append(home.parent.parent / "blobs")
    for file in sorted(path.iterdir()):
        if file.is_symlink() and not any(file.resolve().is_relative_to(place) for place in allowed):
            raise ModelError(f"{spec}: {file.name} is a link to {os.readlink(file)}, outside the folder; copy it in")


def _check_settings(path: Path, spec: str, *, trust_remote_code: bool) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Read and check config and extractor settings."""
    _check_links(path, spec)
    config = _read_json(path / _CONFIG, spec)
    extractor = {name: _read_json(path / name, spec) for name in _EXTRACTOR_FILES if (path / name).exists()}
    if not extractor:
        raise ModelError(f"{spec}: there is no {_EXTRACTOR_FILES[0]} in {path}; save the feature extractor there too")
    if (path / "adapter_config.json").exists():
        raise ModelError(f"{spec}: it is an adapter of another model; merge the two and save the result")
    for name, settings in ((_CONFIG, config), *extractor.items()):
        for where, key, value in _walk(settings):
            _check_setting(where, key, value, f"{spec}: {name}", trust_remote_code)
    return config, extractor


def _check_setting(where: str, key: str, value: Any, what: str, trust_remote_code: bool) -> None:
    if key == "auto_map" and value and not trust_remote_code:
        raise ModelError(f"{what} asks to run its own code ({where}); pass --trust-remote-code if you trust it")
    if "attn_implementation" in key and "/" in str(value):
        raise ModelError(f"{what}: {where} = {value!r} would fetch and run a kernel; remove it")
    if key in ("id2label", "label2id") and (not isinstance(value, dict | None) or len(value or ()) > MOST_LABELS):
        count = f"{len(value)} labels" if isinstance(value, dict) else repr(value)[:40]
        raise ModelError(f"{what}: {where} has {count}; a mapping of at most {MOST_LABELS} is allowed")
    if key in _LARGEST and isinstance(value, int | float) and not 0 <= value <= _LARGEST[key]:
        raise ModelError(f"{what}: {where} = {value}; 0 to {_LARGEST[key]} is allowed")


def _walk(settings: Any, where: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every (path, key, value) of nested settings; label mappings are not entered."""
    items: Iterable[tuple[Any, Any]] = settings.items() if isinstance(settings, dict) else enumerate(settings)
    for key, value in items:
        place = f"{where}.{key}".lstrip(".")
        yield place, str(key), value
        if isinstance(value, dict | list) and key not in ("id2label", "label2id"):
            yield from _walk(value, place)


def _read_json(file: Path, spec: str) -> Mapping[str, Any]:
    """A JSON object, of a bounded size."""
    if not file.is_file():
        raise ModelError(f"{spec}: there is no {file.name} in {file.parent}; give a folder that transformers saved")
    if file.stat().st_size > _MOST_BYTES:
        raise ModelError(f"{spec}: {file.name} has {file.stat().st_size} bytes; at most {_MOST_BYTES} are allowed")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{spec}: {file.name} is not JSON ({brief(error)}); save the model again") from error
    if not isinstance(found, dict):
        raise ModelError(f"{spec}: {file.name} holds a {type(found).__name__}; a JSON object is needed")
    return found


def _safe_weights(path: Path, spec: str) -> tuple[Path, ...]:
    """The safetensors files that the library would load, their headers checked."""
    from safetensors import SafetensorError, safe_open

    files = [path / "model.safetensors"]
    if not files[0].exists():
        files = [path / name for name in _shards(path, spec)]
    for file in files:
        if not file.is_file():
            raise ModelError(f"{spec}: {_INDEX} names {file.name}, which is not there; fetch all parts")
        try:
            with safe_open(file, framework="pt") as weights:
                weights.keys()
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelError(f"{spec}: {file.name} is not a sound safetensors file ({brief(error)})") from error
    return tuple(files)


def _shards(path: Path, spec: str) -> list[str]:
    """The parts that the index names, each a plain file name."""
    if not (path / _INDEX).exists():
        return []
    parts = _read_json(path / _INDEX, spec).get("weight_map")
    if not isinstance(parts, dict) or not parts:
        raise ModelError(f"{spec}: {_INDEX} has no weight_map; save the model again")
    names = sorted({str(name) for name in parts.values()})
    for name in names:
        if "/" in name or "\\" in name or not name.endswith(".safetensors"):
            raise ModelError(f"{spec}: {_INDEX} names {name!r}; only a .safetensors file of the same folder is allowed")
    return names


def _matching(path: Path, patterns: Iterable[str]) -> list[Path]:
    return sorted(file for pattern in patterns for file in path.glob(pattern))


# --- loading


def _open(transformers: Any, folder: _Folder, spec: str, trust_remote_code: bool) -> tuple[Any, Any]:
    """Network and extractor. The library's failures are of every kind; all become one."""
    options = {"local_files_only": True, "trust_remote_code": trust_remote_code}
    try:
        extractor = transformers.AutoFeatureExtractor.from_pretrained(str(folder.path), **options)
        network, report = transformers.AutoModelForAudioClassification.from_pretrained(
            str(folder.path), use_safetensors=not folder.pickled, output_loading_info=True, **options
        )
    except Exception as error:
        if "mismatched" in str(error):
            raise ModelError(
                f"{spec}: its weights do not fit its config.json; give the two that belong together"
            ) from error
        raise ModelError(f"{spec}: transformers cannot load it as an audio classifier ({brief(error)})") from error
    missing = sorted(name for name in report["missing_keys"] if not name.endswith(_UNUSED))
    if missing or report["mismatched_keys"]:
        lost = ", ".join(map(str, (missing or sorted(report["mismatched_keys"]))[:4]))
        raise ModelError(
            f"{spec}: its weights lack {lost}, which would be random; "
            "give a model that was trained for audio classification"
        )
    return network, extractor


def _labels(config: Any, spec: str) -> tuple[str, ...]:
    names = {int(key): str(label) for key, label in dict(config.id2label).items()}
    if config.problem_type == "regression" or len(names) < 2:
        raise ModelError(f"{spec}: it has {len(names)} output(s), problem type {config.problem_type}; not a classifier")
    if sorted(names) != list(range(len(names))):
        raise ModelError(f"{spec}: id2label numbers its labels {sorted(names)[:5]}…; number them from 0 without gaps")
    return tuple(names[number] for number in range(len(names)))


def _geometry(config: Any, extractor: Any, spec: str) -> None:
    """Refuse an extractor whose output the network cannot take."""
    pairs = []
    if config.model_type == "whisper" and hasattr(extractor, "nb_max_frames"):
        # the encoder halves the frames, and has as many positions as are left
        pairs = [("frames", extractor.nb_max_frames, 2 * config.max_source_positions)]
        pairs += [("mel bins", extractor.feature_size, config.num_mel_bins)]
    elif config.model_type == "audio-spectrogram-transformer" and hasattr(extractor, "num_mel_bins"):
        pairs = [("frames", extractor.max_length, config.max_length)]
        pairs += [("mel bins", extractor.num_mel_bins, config.num_mel_bins)]
    for what, made, wanted in pairs:
        if made != wanted:
            raise ModelError(f"{spec}: the feature extractor makes {made} {what}, the model takes {wanted}")


def _receptive_field(config: Any) -> int:
    """The fewest samples from which a convolutional encoder makes one output; 1 for other models."""
    kernels, strides = getattr(config, "conv_kernel", None), getattr(config, "conv_stride", None)
    if not isinstance(kernels, list | tuple) or not isinstance(strides, list | tuple):
        return 1
    samples = int(getattr(config, "squeeze_factor", 1))  # SEW pools so many frames into one
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        samples = (samples - 1) * stride + kernel
    return samples


# --- fingerprints


def _folder_fingerprint(folder: _Folder) -> str:
    """Hash of settings and weight files; neither the path nor the version that saved them counts."""
    digest = hashlib.blake2b(_canonical([folder.config, folder.extractor]), digest_size=16)
    for file in folder.weights:
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def _network_fingerprint(network: Any, extractor: Any) -> str:
    """The same of a model in memory: its state, tensor by tensor."""
    return fingerprint_network(network, _canonical([network.config.to_dict(), extractor.to_dict()]))


def _canonical(settings: Any) -> bytes:
    return json.dumps(_stable(settings), sort_keys=True, default=str).encode()


def _stable(settings: Any) -> Any:
    """Settings without what differs between equal models."""
    if isinstance(settings, dict):
        return {str(key): _stable(value) for key, value in settings.items() if key not in _VOLATILE}
    return [_stable(value) for value in settings] if isinstance(settings, list | tuple) else settings
