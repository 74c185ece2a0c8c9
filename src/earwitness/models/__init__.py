"""Models: one string names one, one file loads a kind, one line here names the file."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..errors import ModelError, nearest
from .alignment import Alignment, Classifier, align, aligned, fold
from .base import Model

__all__ = [
    "BACKENDS", "Alignment", "Classifier", "Model", "align", "aligned", "choose_device", "fold", "open_model",
]  # fmt: skip


def _builtin(target: str, device: torch.device) -> Model:
    from .musicnn import load_builtin

    return load_builtin(target, device)


def _huggingface(target: str, device: torch.device) -> Model:
    from .huggingface import load_huggingface

    return load_huggingface(target, device)


def _callable(target: str, device: torch.device) -> Model:
    from .callables import load_callable

    return load_callable(target, device)


#: scheme → loader; loaders import their libraries only when called
BACKENDS: dict[str, Callable[[str, torch.device], Model]] = {
    "builtin": _builtin,
    "hf": _huggingface,
    "python": _callable,
}


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


def open_model(spec: str, device: torch.device | str = "auto") -> Model:
    """Load the model that a spec names.

    Parameters
    ----------
    spec : str
        ``builtin:NAME``, ``hf:DIR-OR-HUB-ID``, ``python:MODULE:ATTR``, ...: see :data:`BACKENDS`.
    device : torch.device or str

    Raises
    ------
    ModelError
        The spec is of no known form, or the model cannot be loaded.
    """
    scheme, colon, target = spec.partition(":")
    if not colon or not target or scheme not in BACKENDS:
        forms = ", ".join(f"{name}:…" for name in BACKENDS)
        raise ModelError(f"model {spec!r}: {nearest(scheme, BACKENDS)}use one of {forms}")
    return BACKENDS[scheme](target, choose_device(device) if isinstance(device, str) else device)
