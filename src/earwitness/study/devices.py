"""Which devices a study's work is spread over, and by how many processes."""

from __future__ import annotations

import os

import torch

from .file import RunSection

A_GPU = 8  #: processes that share a GPU, where there are cores for them


def with_workers(run: RunSection) -> RunSection:
    """With a number of workers: where none is named, what keeps this machine's devices busy.

    For commands: a script that starts processes must be written for it.
    """
    if run.workers or run.executor != "local":
        return run
    workers = choose_workers(run.device, torch.cuda.device_count(), os.cpu_count() or 1)
    return run.model_copy(update={"workers": workers})


def list_devices(device: str, gpus: int) -> list[str]:
    """The devices that workers are spread over: all GPUs where none is named.

    Examples
    --------
    >>> list_devices("auto", 2)
    ['cuda:0', 'cuda:1']
    """
    return [f"cuda:{number}" for number in range(gpus)] if device in ("auto", "cuda") and gpus > 1 else [device]


def choose_workers(device: str, gpus: int, cores: int) -> int:
    """Processes that keep the devices busy.

    One process searches for as long as a GPU answers, or longer (Wav2Vec2-base on an H200 in 16 bits: 0.6 of the time),
    so that several share one. A CPU is kept busy by one.

    Examples
    --------
    >>> choose_workers("auto", 1, 16), choose_workers("auto", 2, 64), choose_workers("cuda:1", 2, 8)
    (8, 16, 4)
    >>> choose_workers("cpu", 1, 16), choose_workers("auto", 0, 16), choose_workers("cuda", 4, 4)
    (1, 1, 4)
    """
    if not gpus or not (device == "auto" or device.startswith("cuda")):
        return 1
    devices = len(list_devices(device, gpus))
    return max(devices, min(A_GPU * devices, cores // 2))
