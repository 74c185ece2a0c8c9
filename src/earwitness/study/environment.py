"""Where results were made: versions, hardware and threads. They decide the last digits of an answer, and no more."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from ..search.settings import REVISION, ROBUST_REVISION
from .executors.work import share_threads
from .file import RunSection
from .store import Store

#: the libraries that compute something of a result
LIBRARIES = ("earwitness", "torch", "numpy", "scipy", "soundfile", "soxr", "transformers", "onnxruntime", "polars")


def describe_environment(run: RunSection) -> dict[str, Any]:
    """The machine as it is: ``libraries`` by name, ``python``, ``system``, ``processor``, ``cores``, ``threads`` of a
    worker, ``devices`` and the ``revision`` of the searches and of robust sets."""
    libraries = {}
    for name in LIBRARIES:
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:  # of an extra that is not installed
            continue
    devices = [torch.cuda.get_device_name(gpu) for gpu in range(torch.cuda.device_count())]
    return {
        "libraries": libraries, "python": platform.python_version(), "system": _system(),
        "processor": _processor(), "cores": os.cpu_count() or 0,
        "threads": share_threads(run.threads, run.workers or 1),
        "devices": devices or ["cpu"], "revision": [REVISION, ROBUST_REVISION],
    }  # fmt: skip


def note_environment(store: Store, run: RunSection) -> None:
    """Note in a study's store where it is made; each environment once, in the order in which they came."""
    known, here = store.meta().get("environments", []), describe_environment(run)
    if here not in known:
        store.set_meta(environments=[*known, here])


def _system() -> str:
    """What of it may decide a digit; not the machine's own kernel, which is nobody's business on a page."""
    library = " ".join(platform.libc_ver())
    return f"{platform.system()} {platform.machine()}" + (f" ({library})" if library.strip() else "")


def _processor() -> str:
    """The processor's own name; ``platform`` knows only its family on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
