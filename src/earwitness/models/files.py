"""Models that are one file: what the file does not say of itself, and the model made from it.

``onnx:FILE`` and ``torch:FILE`` read ``FILE.toml`` beside the file (``net.onnx.toml``, else ``net.toml``)::

    labels = ["speech", "non-speech"]   # K, in the order of the outputs
    sample_rate = 16000                 # Hz
    # and where it matters
    scores = "logits"                   # or "probabilities", "sigmoids"; default: recognised from the answers
    samples = 16000                     # the model's own length: shorter clips are zero-padded at their end to it
    longest = 160000                    # or only a longest clip, nothing padded
    batch = 1                           # the one batch size it takes, where it is fixed and the file does not say so
    input = "waveform"                  # the names, where the file has several
    output = "logits"

Clips longer than ``samples`` or ``longest`` are cut into windows of that length and their probabilities averaged.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor
from torch.nn import functional

from ..errors import ModelError, brief, nearest
from .base import MOST_LABELS, Model, as_logits
from .windows import average, window_starts

_MOST_BYTES = 64 << 20  # of a sidecar: 100,000 labels take about 5 MB
_Samples = Annotated[int, Field(ge=1, le=1 << 32)]


class Sidecar(BaseModel):
    """What a model file must be told apart from its weights; see the module's text.

    Attributes
    ----------
    labels : tuple of str
    sample_rate : int
        In Hz.
    scores : str
        What the model returns: ``logits``, ``probabilities``, ``sigmoids``, or ``auto``: probabilities where rows
        are not negative and sum to 1, else logits.
    samples : int or None
        The model's own length.
    longest : int or None
        The longest clip it takes.
    batch : int or None
        The only batch size it takes; the last batch is filled up with zeros.
    input, output : str or None
        The names of waveform and scores, where the file has several.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: Annotated[tuple[str, ...], Field(min_length=2, max_length=MOST_LABELS)]
    sample_rate: Annotated[int, Field(ge=1, le=1_000_000)]
    scores: Literal["auto", "logits", "probabilities", "sigmoids"] = "auto"
    samples: _Samples | None = None
    longest: _Samples | None = None
    batch: Annotated[int, Field(ge=1, le=4096)] | None = None
    input: str | None = None
    output: str | None = None


class FileModel(Model):
    """A model made from one file.

    Parameters
    ----------
    call : callable
        Float32 [B, N] → scores [B, K].
    sidecar : Sidecar
    spec, backend, architecture, fingerprint : str
    device : torch.device
        Where ``call`` takes its waveforms.
    parameters : int
    differentiable : bool
    notes : iterable of str
    """

    def __init__(
        self, call: Callable[[Tensor], Tensor], sidecar: Sidecar, *, spec: str, backend: str, architecture: str,
        fingerprint: str, device: torch.device, parameters: int, differentiable: bool = False,
        notes: Iterable[str] = (),
    ) -> None:  # fmt: skip
        self._call, self._sidecar = call, sidecar
        self.labels, self.sample_rate, self.samples = sidecar.labels, sidecar.sample_rate, sidecar.samples
        self.spec, self.backend, self.architecture, self.fingerprint = spec, backend, architecture, fingerprint
        self.device, self.parameters, self.differentiable = device, parameters, differentiable
        self.notes = (*notes, *_describe(sidecar))

    def logits(self, waveforms: Tensor) -> Tensor:
        """See :meth:`Model.logits`. A clip longer than the model's own length gets its windows' mean."""
        length = self._sidecar.samples or self._sidecar.longest
        starts = window_starts(waveforms.shape[1], length)
        if len(starts) == 1:
            return self._answer(waveforms)
        answers = torch.stack([self._answer(waveforms[:, start : start + (length or 0)]) for start in starts])
        return average(answers, tags=self._sidecar.scores == "sigmoids")

    def _answer(self, waveforms: Tensor) -> Tensor:
        padding = max(0, (self._sidecar.samples or 0) - waveforms.shape[1])
        size = self._sidecar.batch
        try:
            filled = functional.pad(waveforms.float(), (0, padding, 0, -len(waveforms) % size if size else 0))
            scores = torch.cat([self._call(part) for part in torch.split(filled, size)]) if size else self._call(filled)
        except (RuntimeError, ValueError) as error:
            shape = tuple(waveforms.shape)
            raise ModelError(f"{self.spec}: failed on waveforms of shape {shape} ({brief(error)})") from error
        scores = scores[: len(waveforms)] if size else scores
        return as_logits(scores, (len(waveforms), len(self.labels)), self.spec, self._sidecar.scores)


def read_sidecar(file: Path, spec: str, metadata: Mapping[str, str] | None = None) -> Sidecar:
    """What is known of a model file: its own metadata, overruled by the file beside it.

    Parameters
    ----------
    file : Path
        The model file.
    spec : str
        For the messages.
    metadata : mapping, optional
        The model's own; keys that are no settings of a :class:`Sidecar` are ignored. ``labels`` is a JSON list or
        separated by commas.

    Raises
    ------
    ModelError
        Labels or sample rate are nowhere, or a setting is wrong.
    """
    found: dict[str, Any] = {key: value for key, value in (metadata or {}).items() if key in Sidecar.model_fields}
    if "labels" in found:
        found["labels"] = _split(found["labels"])
    places = (file.with_name(f"{file.name}.toml"), file.with_suffix(".toml"))
    beside = next((place for place in places if place.is_file()), None)
    if beside is not None:
        found |= _read_toml(beside, spec)
    where = f"{spec}: {beside.name}" if beside is not None else f"{spec}: its metadata"
    lacking = [key for key in ("labels", "sample_rate") if key not in found]
    if lacking:
        raise ModelError(
            f"{where} does not say {' and '.join(lacking)}; write {places[0].name} beside it with "
            'labels = ["…", "…"] and sample_rate = 16000'
        )
    try:
        sidecar = Sidecar.model_validate(found)
    except ValidationError as error:
        raise ModelError(f"{where}: {_explain(error.errors()[0])}") from None
    if len(set(sidecar.labels)) < len(sidecar.labels):
        raise ModelError(f"{where}: labels: the same one twice; name each output differently")
    return sidecar


def fingerprint_files(files: Iterable[Path], sidecar: Sidecar) -> str:
    """Hash of the contents of files and of the sidecar's settings; paths do not count."""
    digest = hashlib.blake2b(sidecar.model_dump_json().encode(), digest_size=16)
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def check_file(target: str, spec: str) -> Path:
    """The file of a target.

    Raises
    ------
    ModelError
        There is none.
    """
    file = Path(target).expanduser()
    if not file.is_file():
        raise ModelError(f"{spec}: no such file {target}; give the path of a model file")
    return file


def _describe(sidecar: Sidecar) -> Iterable[str]:
    length = sidecar.samples or sidecar.longest
    if sidecar.samples:
        yield f"padding: zeros at the end of the waveform, up to the model's own {sidecar.samples} samples"
    else:
        yield "padding: none"
    if length:
        yield f"long clips: above {length} samples, windows of that length that cover the clip evenly, averaged"
    if sidecar.batch:
        yield f"batch: fixed at {sidecar.batch}; the last one is filled up with silence"
    if sidecar.scores == "sigmoids":
        yield "tags: independent sigmoids, read as the softmax of their logits"


def _read_toml(file: Path, spec: str) -> dict[str, Any]:
    if file.stat().st_size > _MOST_BYTES:
        raise ModelError(f"{spec}: {file.name} has {file.stat().st_size} bytes; at most {_MOST_BYTES} are allowed")
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise ModelError(f"{spec}: {file.name} is not readable as TOML ({error})") from None


def _split(text: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return [label.strip() for label in text.split(",")]
    return list(found.values()) if isinstance(found, dict) else found


def _explain(error: Any) -> str:
    place = ".".join(map(str, error["loc"]))
    if error["type"] != "extra_forbidden":
        return f"{place}: {error['msg']}, got {str(error.get('input'))[:80]}"
    names = list(Sidecar.model_fields)
    return f"unknown key {place!r}: {nearest(place, names)}allowed are {', '.join(names)}"
