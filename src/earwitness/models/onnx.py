"""``onnx:FILE``: waveform in, scores out, through ONNX Runtime on the CPU or CUDA.

The input is float [B, N] or [B, 1, N]; both B and N may be dynamic or fixed: a fixed N is the model's own length,
and a fixed batch is filled up with silence. Labels and sample rate are in
the model's metadata (keys ``labels``, ``sample_rate``) or in the sidecar: see :mod:`earwitness.models.files`.

A file is parsed and judged before the runtime sees it: what it stores outside itself must lie in its own folder, and
operators of libraries that are not ONNX Runtime's own are never loaded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ModelError, brief
from .files import FileModel, check_file, fingerprint_files, read_sidecar

_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


def load_onnx(target: str, device: torch.device) -> FileModel:
    """Load an ONNX file.

    Parameters
    ----------
    target : str
        The file's path.
    device : torch.device
        On CUDA the runtime's CUDA provider is used where it is installed, else its CPU provider.

    Raises
    ------
    ModelError
        onnxruntime or onnx is not installed, or the file is missing, damaged, hostile or of another form.
    """
    spec = f"onnx:{target}"
    file = check_file(target, spec)
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise ModelError(f"{spec}: onnxruntime or onnx is not installed; pip install 'earwitness[onnx]'") from error
    proto = _parse(onnx, file, spec)
    outside = _external_files(onnx, proto, file, spec)
    sidecar = read_sidecar(file, spec, {entry.key: entry.value for entry in proto.metadata_props})
    session = _open(onnxruntime, file, device, spec)
    waveform = _pick(session.get_inputs(), sidecar.input, "input", spec)
    batch, samples = _input_shape(waveform, spec)
    if samples is not None and sidecar.samples not in (None, samples):
        raise ModelError(f"{spec}: its input takes {samples} samples, its sidecar says {sidecar.samples}; remove that")
    sidecar = sidecar.model_copy(update={"samples": samples or sidecar.samples, "batch": batch or sidecar.batch})
    scores = _pick(session.get_outputs(), sidecar.output, "output", spec)
    _check_scores(scores, len(sidecar.labels), spec)
    provider = session.get_providers()[0].removesuffix("ExecutionProvider")
    notes = [f"provider: {provider}" + ("" if device.type == "cpu" or provider != "CPU" else f", not {device}")]
    return FileModel(
        _Session(session, waveform, scores.name), sidecar,
        spec=spec, backend="onnx", architecture=f"ONNX ({proto.producer_name or 'unnamed'})",
        fingerprint=fingerprint_files([file, *outside], sidecar), device=torch.device("cpu"),
        parameters=_count(proto), notes=notes,
    )  # fmt: skip


class _Session:
    """Float32 [B, N] → scores [B, K]."""

    def __init__(self, session: Any, waveform: Any, output: str) -> None:
        self._session, self._input, self._output = session, waveform.name, output
        self._rank, self._type = len(waveform.shape), _TYPES[waveform.type]

    def __call__(self, waveforms: Tensor) -> Tensor:
        signals = waveforms.detach().cpu().contiguous().numpy().astype(self._type, copy=False)
        signals = signals[:, None] if self._rank == 3 else signals
        try:
            (scores,) = self._session.run([self._output], {self._input: signals})
        except Exception as error:  # the runtime's exceptions have no common base but this
            raise RuntimeError(str(error)) from error
        return torch.from_numpy(np.asarray(scores, dtype=np.float32))


def _parse(onnx: Any, file: Path, spec: str) -> Any:
    try:
        proto = onnx.load(file, format="protobuf", load_external_data=False)
    except Exception as error:  # of protobuf, whose kinds differ between versions
        raise ModelError(f"{spec}: not an ONNX file ({brief(error)}); export the model again") from error
    if not proto.graph.node:
        raise ModelError(f"{spec}: not an ONNX file (it has no graph); export the model again")
    return proto


def _external_files(onnx: Any, proto: Any, file: Path, spec: str) -> list[Path]:
    """The files that tensors are stored in, each a real file of the model's own folder."""
    home = file.parent.resolve()
    found: dict[Path, None] = {}
    for tensor in _tensors(onnx, proto):
        if tensor.data_location != onnx.TensorProto.EXTERNAL and not tensor.external_data:
            continue
        location = {entry.key: entry.value for entry in tensor.external_data}.get("location", "")
        # the runtime reads "*/_ORT_MEM_ADDR_/*" as an address in its own memory
        plain = bool(location) and "*" not in location and "\\" not in location and not Path(location).is_absolute()
        place = home / location
        if not plain or ".." in Path(location).parts or not place.resolve().is_relative_to(home):
            raise ModelError(f"{spec}: stores {tensor.name!r} in {location!r}, outside its folder; refused")
        if not place.is_file():
            raise ModelError(f"{spec}: stores {tensor.name!r} in {location!r}, which is not there; put it beside it")
        found[place] = None
    return list(found)


def _tensors(onnx: Any, message: Any) -> Iterator[Any]:
    """Every tensor at any depth: initialisers, attributes, subgraphs, functions, training graphs."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if hasattr(value, "add") else [value]:  # repeated, or one
                yield from _tensors(onnx, part)


def _open(onnxruntime: Any, file: Path, device: torch.device, spec: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is wrong is raised, and warnings are of no use to a user
    options.intra_op_num_threads = torch.get_num_threads()
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.type == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": device.index or 0}))
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=providers)
    except Exception as error:  # the runtime's exceptions have no common base but this
        raise ModelError(f"{spec}: ONNX Runtime cannot load it ({brief(error)}); export the model again") from error


def _pick(values: list[Any], name: str | None, what: str, spec: str) -> Any:
    """The named one; the only one; among several outputs the one called ``logits``."""
    names = [value.name for value in values]
    if name is None and what == "output" and "logits" in names:
        name = "logits"
    if name is None and len(values) == 1:
        return values[0]
    if name not in names or (what == "input" and len(values) > 1):
        allowed = f"one {what}" if what == "input" else f"{what} = one of them in the sidecar"
        raise ModelError(f"{spec}: its {what}s are {', '.join(names[:8])}; {allowed} is needed, or wrap it as python:")
    return values[names.index(name)]


def _input_shape(waveform: Any, spec: str) -> tuple[int | None, int | None]:
    """Batch and samples; ``None`` where dynamic."""
    shape = [size if isinstance(size, int) and size > 0 else None for size in waveform.shape]
    if waveform.type not in _TYPES or len(shape) not in (2, 3) or (len(shape) == 3 and shape[1] not in (1, None)):
        raise ModelError(
            f"{spec}: its input is {waveform.type} {waveform.shape}; waveforms float [B, N] or [B, 1, N] are needed: "
            "export the model with its front end, or wrap it as python:"
        )
    return shape[0], shape[-1]


def _check_scores(scores: Any, labels: int, spec: str) -> None:
    shape = scores.shape or []
    if len(shape) != 2 or (isinstance(shape[1], int) and shape[1] != labels):
        raise ModelError(f"{spec}: its output {scores.name!r} is {shape}; [B, {labels}] is needed, one column a label")


def _count(proto: Any) -> int:
    """Numbers in the floating-point initialisers: weights, and what else is stored as such."""
    real = {1, 10, 11, 16}  # TensorProto's FLOAT, FLOAT16, DOUBLE, BFLOAT16
    return sum(math.prod(tensor.dims) for tensor in proto.graph.initializer if tensor.data_type in real)
