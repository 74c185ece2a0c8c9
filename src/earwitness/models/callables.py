"""``python:MODULE:ATTR`` and ``python:FILE.py:ATTR``: any callable with labels and a sample rate.

The attribute is an object, or a factory without parameters that returns one, with

- ``labels``: sequence of str;
- ``sample_rate``: int, in Hz;
- ``__call__(waveforms)``: float32 [B, N] (a torch tensor, or what ``np.asarray`` makes of it) → logits or
  probabilities [B, K]. Rows that are non-negative and sum to 1 are read as probabilities.

Optional: ``parameters`` (int; those of a ``torch.nn.Module`` are counted), ``architecture`` (str; else the class's
name), ``samples`` (int; the one length it hears, if it has one), ``notes`` (sequence of str), ``differentiable`` and
``deterministic`` (bool), ``fingerprint`` (str; else the source file and the attribute's name are hashed, and the
weights of a ``torch.nn.Module``).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import numbers
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ..errors import ModelError
from .base import Model, as_logits, fingerprint_network, scores_of
from .guarded import guarded


class CallableModel(Model):
    """A model made of any callable.

    Parameters
    ----------
    call : callable
        float32 [B, N] → logits or probabilities [B, K].
    labels : sequence of str
    sample_rate : int
        In Hz.
    spec : str
        What to call it.
    fingerprint : str
        What identifies it; content, not a path.
    """

    def __init__(
        self, call: Any, labels: Any, sample_rate: int, *, spec: str, fingerprint: str, backend: str = "python"
    ) -> None:
        self._call = call
        self.labels = tuple(str(label) for label in labels)
        self.sample_rate = int(sample_rate)
        self.spec, self.fingerprint, self.backend = spec, fingerprint, backend
        self.parameters = _whole(call, "parameters", spec) or _count(call)
        self.architecture = str(getattr(call, "architecture", "") or type(call).__name__)
        self.samples = _whole(call, "samples", spec)
        self.notes = _notes(call, self.samples, self.sample_rate)
        self.differentiable = bool(getattr(call, "differentiable", False))
        self.deterministic = bool(getattr(call, "deterministic", True))
        if len(set(self.labels)) < 2:
            raise ModelError(f"{spec}: labels {self.labels!r}; give at least two different ones")
        if self.sample_rate < 1:
            raise ModelError(f"{spec}: sample_rate {self.sample_rate}; give it in Hz")

    def logits(self, waveforms: Tensor) -> Tensor:
        """See :meth:`Model.logits`."""
        scores = scores_of(self._call(waveforms))
        return as_logits(scores, (len(waveforms), len(self.labels)), self.spec)


def load_callable(target: str, device: torch.device) -> CallableModel:
    """Load ``MODULE:ATTR`` or ``FILE.py:ATTR``. A file is imported only when it is named so.

    Raises
    ------
    ModelError
        The module, file or attribute is missing, fails on import, or is not of the form above.
    """
    spec = f"python:{target}"
    module, attribute = find_attribute(target)
    thing = getattr(module, attribute)
    try:
        if not _is_model(thing):
            thing = thing()
    except Exception as error:
        raise ModelError(f"{spec}: {attribute}() raised {error!r}; mend the factory") from error
    if not _is_model(thing):
        raise ModelError(f"{spec}: {attribute} lacks labels, sample_rate or __call__; see the docs on python: models")
    if isinstance(thing, torch.nn.Module):
        thing = thing.eval().to(device)
    fingerprint = str(getattr(thing, "fingerprint", "")) or _fingerprint(module, attribute, thing)
    model = CallableModel(thing, thing.labels, thing.sample_rate, spec=spec, fingerprint=fingerprint)
    if isinstance(thing, torch.nn.Module):
        model.device, model.differentiable = device, True
    return model


def find_attribute(target: str) -> tuple[ModuleType, str]:
    """The module of ``MODULE:ATTR`` or ``FILE.py:ATTR``, imported, and the name of what it holds.

    Raises
    ------
    ModelError
        The module, file or attribute is missing, or fails on import.
    """
    where, _, attribute = target.rpartition(":")
    spec = f"python:{target}"
    if not where or not attribute.isidentifier():
        raise ModelError(f"{spec!r}: use python:MODULE:ATTR or python:FILE.py:ATTR")
    module = _import(where, spec)
    if not hasattr(module, attribute):
        public = [name for name in vars(module) if not name.startswith("_")]
        raise ModelError(f"{spec}: {where} has no {attribute!r}; it has {', '.join(public[:12])}")
    return module, attribute


def _is_model(thing: Any) -> bool:
    return not inspect.isclass(thing) and callable(thing) and hasattr(thing, "labels") and hasattr(thing, "sample_rate")


def _import(where: str, spec: str) -> ModuleType:
    try:
        if not where.endswith(".py"):
            with guarded(spec):
                return importlib.import_module(where)
        path = Path(where)
        if not path.is_file():
            raise ModelError(f"{spec}: no such file {where}; give the path of a Python file")
        name = "earwitness_user_" + hashlib.blake2b(str(path.resolve()).encode(), digest_size=6).hexdigest()
        loader = importlib.util.spec_from_file_location(name, path)
        assert loader is not None
        assert loader.loader is not None
        module = importlib.util.module_from_spec(loader)
        sys.modules[name] = module  # dataclasses and typing look modules up there
        with guarded(spec):
            loader.loader.exec_module(module)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{spec}: importing {where} raised {error!r}; mend it or its path") from error
    return module


def _fingerprint(module: ModuleType, attribute: str, thing: Any) -> str:
    source = getattr(module, "__file__", None)
    content = (Path(source).read_bytes() if source else module.__name__.encode()) + b"\0" + attribute.encode()
    if isinstance(thing, torch.nn.Module):  # its weights may come from a file that the source only names
        return fingerprint_network(thing, content)
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _whole(call: Any, name: str, spec: str) -> int | None:
    """A whole number that the model may state of itself; a method of that name states nothing."""
    stated = getattr(call, name, None)
    if stated is None or callable(stated):
        return None
    if not isinstance(stated, numbers.Integral) or isinstance(stated, bool) or stated < 0:
        raise ModelError(f"{spec}: {name} {stated!r}; give a whole number, or leave it out")
    return int(stated) or None


def _count(call: Any) -> int:
    return sum(weights.numel() for weights in call.parameters()) if isinstance(call, torch.nn.Module) else 0


def _notes(call: Any, samples: int | None, sample_rate: int) -> tuple[str, ...]:
    stated = getattr(call, "notes", ())
    notes = (stated,) if isinstance(stated, str) else tuple(str(note) for note in stated)
    length = f"length: hears {samples} samples, {samples / sample_rate:g} s" if samples else ""
    return (length, *notes) if length else notes
