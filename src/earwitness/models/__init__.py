"""Models: one string names one, one file loads a kind, one line here names the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from ..errors import ModelError, nearest
from ..plugins import Registry
from .adapt import as_classifier
from .alignment import Alignment, Classifier, align, aligned, fold
from .base import Model

__all__ = [
    "BACKENDS", "Alignment", "Classifier", "Model", "Trust", "align", "aligned", "as_classifier", "choose_device",
    "fold", "open_model", "refuse_code",
]  # fmt: skip


@dataclass(frozen=True)
class Trust:
    """What a model may do that a stranger's must not; nothing unless the user names it.

    Attributes
    ----------
    pickle : bool
        Be read from a pickle, which can run code when it is loaded.
    remote_code : bool
        Run code that comes with it.
    """

    pickle: bool = False
    remote_code: bool = False


def _builtin(target: str, device: torch.device, trust: Trust) -> Model:
    from .musicnn import load_builtin

    return load_builtin(target, device)


def _huggingface(target: str, device: torch.device, trust: Trust) -> Model:
    from .huggingface import load_huggingface

    return load_huggingface(target, device, allow_pickle=trust.pickle, trust_remote_code=trust.remote_code)


def _onnx(target: str, device: torch.device, trust: Trust) -> Model:
    from .onnx import load_onnx

    return load_onnx(target, device)


def _torch(target: str, device: torch.device, trust: Trust) -> Model:
    from .torchfile import load_torch

    return load_torch(target, device, allow_pickle=trust.pickle)


def _callable(target: str, device: torch.device, trust: Trust) -> Model:
    from .callables import load_callable

    return load_callable(target, device)


#: scheme → loader; loaders import their libraries only when called
BACKENDS: Registry[Callable[[str, torch.device, Trust], Model]] = Registry(
    "earwitness.backends",
    {"builtin": _builtin, "hf": _huggingface, "onnx": _onnx, "torch": _torch, "python": _callable},
)


def refuse_code(specs: Iterable[str], where: object, instead: str = "") -> None:
    """Refuse models that are Python code, named by a file that may be a stranger's: whoever opens them runs that.

    Raises
    ------
    ModelError
        One is; ``instead`` says what else the user may do.
    """
    if code := next((spec for spec in specs if spec.startswith("python:")), None):
        raise ModelError(
            f"{where}: names code to run ({code}); if you trust whoever made it, add --trust-models{instead}"
        )


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; ``auto`` is CUDA, else MPS, else the CPU.

    Raises
    ------
    ModelError
        There is no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(f"device {name!r}: not usable here; use auto, cpu, cuda, cuda:1 or mps") from error
    return device


def open_model(
    spec: str, device: torch.device | str = "auto", *, allow_pickle: bool = False, trust_remote_code: bool = False
) -> Model:
    """Load the model that a spec names.

    Parameters
    ----------
    spec : str
        ``builtin:NAME``, ``hf:DIR-OR-HUB-ID``, ``python:MODULE:ATTR``, ...: see :data:`BACKENDS`.
    device : torch.device or str
    allow_pickle : bool
        Whether to read weights that are only there as a pickle, which can run code when it is loaded.
    trust_remote_code : bool
        Whether to run code that comes with a Hugging Face model.

    Raises
    ------
    ModelError
        The spec is of no known form, or the model cannot be loaded.
    """
    scheme, colon, target = spec.partition(":")
    if not colon or not target or scheme not in BACKENDS:
        forms = ", ".join(f"{name}:…" for name in BACKENDS)
        raise ModelError(f"model {spec!r}: {nearest(scheme, BACKENDS)}use one of {forms}")
    trust = Trust(allow_pickle, trust_remote_code)
    return BACKENDS[scheme](target, choose_device(device) if isinstance(device, str) else device, trust)
