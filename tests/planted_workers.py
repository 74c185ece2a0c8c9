"""Planted models that end the process they are in, or that find no room: for the tests of executors.

A test copies this file into a folder of its own, where the models keep what they must remember.
"""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

FOLDER = Path(__file__).parent


class Band:
    """Says ``yes`` as surely as there is energy in all of the rFFT bins ``low`` to ``high``."""

    labels = ("yes", "no", "maybe")
    sample_rate = 16_000

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high
        self.fingerprint = f"{type(self).__name__} {low} {high}"

    def __call__(self, waveforms: Tensor) -> Tensor:
        power = torch.fft.rfft(waveforms.double())[:, self.low : self.high].abs() ** 2
        score = torch.log(power.min(dim=1).values + 1e-12)
        zero = torch.zeros_like(score)
        return torch.stack([score, zero, zero - 3], dim=1).float()


class Mortal(Band):
    """Kills the process that asks it a third time, once."""

    asked = 0

    def __call__(self, waveforms: Tensor) -> Tensor:
        self.asked += 1
        if self.asked == 3 and not (FOLDER / "died").exists():
            (FOLDER / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(waveforms)


class Deadly(Band):
    """Kills every process that asks it about a recording that is loud at the start."""

    def __call__(self, waveforms: Tensor) -> Tensor:
        if bool((waveforms[:, 0].abs() > 3).any()):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(waveforms)


class Big(Band):
    """Fills the one device there is: as long as it lives, no other big model can be loaded."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__(low, high)
        self.device: IO[str] = open(FOLDER / "device", "w")  # noqa: SIM115 - held as long as the model lives
        try:
            fcntl.flock(self.device, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.device.close()
            raise torch.OutOfMemoryError("the device is full") from None
        with open(FOLDER / "loads", "a") as loads:
            loads.write(f"{low} {os.getpid()}\n")

    def __del__(self) -> None:
        self.device.close()


class Narrow(Band):
    """Has memory for three signals at a time."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__(low, high)
        self.fingerprint = Band(low, high).fingerprint

    def __call__(self, waveforms: Tensor) -> Tensor:
        if len(waveforms) > 3:
            raise torch.OutOfMemoryError("too many")
        return super().__call__(waveforms)


class Crowded(Band):
    """The second one to be loaded finds no room; those after it do."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__(low, high)
        with open(FOLDER / "loads", "a+") as loads:
            loads.write(f"{low}\n")
            loads.seek(0)
            if len(loads.readlines()) == 2:
                raise torch.OutOfMemoryError("no room for two")


class Stuck(Band):
    """Says who asks it, and never answers."""

    def __call__(self, waveforms: Tensor) -> Tensor:
        self.told = open(FOLDER / "stuck", "w")  # noqa: SIM115 - open as long as this process lives
        self.told.write(f"{os.getpid()}\n")
        self.told.flush()
        signal.pause()
        return waveforms


def crowded() -> Crowded:
    return Crowded(58, 63)


def also_crowded() -> Crowded:
    return Crowded(200, 203)


def stuck() -> Stuck:
    return Stuck(58, 63)


def narrow() -> Narrow:
    return Narrow(58, 63)


def low() -> Band:
    return Band(58, 63)


def high() -> Band:
    return Band(200, 203)


def mortal() -> Mortal:
    return Mortal(58, 62)


def deadly() -> Deadly:
    return Deadly(58, 62)


def big() -> Big:
    return Big(58, 63)
