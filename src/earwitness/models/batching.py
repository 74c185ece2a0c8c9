"""How many signals a model is asked at once: on a CPU by their length, on a GPU found by trial.

The most that fits is seldom the fastest. On a CPU what is fastest is about the same for all models (16 to 32 signals of
up to some seconds), so the length alone decides it and nothing differs from run to run. On a GPU it is not, and more
or less memory is free each time: a few full batches of a size are timed, then of twice the size, as long as a signal
takes less time so. What was found of a length is remembered as long as the model is held.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

MOST, SAMPLES = 32, 1 << 20  #: signals and samples that keep the caches of a CPU warm
MOST_ON_GPU = 4096
BYTES = 4096  #: of activations a sample: what Wav2Vec2-base needs
CAUTIOUS = 4  #: a trial begins with this part of what should fit, and ends with as many times it
TRIES = 3  #: full batches of a size that are timed; the fastest counts
WORTH = 0.95  #: times the seconds a signal of half the size: what a larger one must take at most


def choose_batch(samples: int, device: torch.device) -> int:
    """Signals of so many samples that a model should be asked at once.

    On a CPU about 4 s x 16 signals at 16 kHz keep the caches warm and more does not help; on a GPU, what fits into half
    of the free memory.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(max(1, min(MOST_ON_GPU, free // 2 // (BYTES * max(samples, 1)))))
    return int(max(1, min(MOST, SAMPLES // max(samples, 1))))


def lacks_memory(error: BaseException | None) -> bool:
    """Whether it is, or was caused by, a want of memory."""
    while error is not None:
        if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
            return True
        error = error.__cause__
    return False


@dataclass
class _Trial:
    """Of signals of one length: the size to ask now, the largest allowed, and the best so far."""

    size: int
    most: int
    best: int = 0
    seconds: float = float("inf")  #: a signal, of the best
    tries: list[float] = field(default_factory=list)
    over: bool = False

    def took(self, seconds: float) -> None:
        self.tries.append(seconds)
        if len(self.tries) < TRIES:
            return
        if (fastest := min(self.tries)) > WORTH * self.seconds:
            self.size, self.over = self.best, True
            return
        self.best, self.seconds, self.tries = self.size, fastest, []
        self.size = min(2 * self.size, self.most)
        self.over = self.size == self.best

    def limit(self, most: int) -> None:
        self.most = min(self.most, max(1, most))
        if self.size > self.most:
            self.size, self.over = self.best if 0 < self.best <= self.most else self.most, True


class Batches:
    """What was learnt of one model on its device.

    Parameters
    ----------
    device : torch.device
    trial : bool, optional
        Whether to find sizes by trial; by default on a GPU.
    """

    def __init__(self, device: torch.device, trial: bool | None = None) -> None:
        self._device = device
        self._tries = device.type == "cuda" if trial is None else trial
        self._trials: dict[int, _Trial] = {}
        self._limits: dict[int, int] = {}

    def room(self, samples: int) -> int:
        """Signals of so many samples to ask at once now."""
        if not self._tries:
            return min(choose_batch(samples, self._device), self._limits.get(samples, MOST_ON_GPU))
        if samples not in self._trials:
            fits = choose_batch(samples, self._device)
            self._trials[samples] = _Trial(max(1, fits // CAUTIOUS), min(MOST_ON_GPU, CAUTIOUS * fits))
        return self._trials[samples].size

    def took(self, samples: int, signals: int, seconds: float) -> None:
        """A model call took so long; fewer signals than there was room for say nothing."""
        trial = self._trials.get(samples)
        if trial is not None and not trial.over and signals == trial.size:
            trial.took(seconds / signals)

    def limit(self, samples: int, most: int) -> None:
        """There is memory for at most so many signals at once (another process may use the device as well)."""
        self._limits[samples] = max(1, most)
        if samples in self._trials:
            self._trials[samples].limit(most)
