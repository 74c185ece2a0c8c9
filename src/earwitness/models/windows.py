"""How a model hears a clip longer than its own length: windows that cover it evenly, probabilities averaged."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional


def window_starts(samples: int, length: int | None, longest: int | None = None) -> list[int]:
    """Where the windows of a clip start.

    Parameters
    ----------
    samples : int
        The clip's length.
    length : int or None
        A window's length; ``None`` for a model that takes any.
    longest : int, optional
        The longest clip that is taken whole; default ``length``.

    Returns
    -------
    list of int
        The first is 0, the last ends with the clip; ``[0]`` where the clip is taken whole.

    Examples
    --------
    >>> window_starts(250, 100)
    [0, 75, 150]
    """
    if length is None or samples <= (longest or length):
        return [0]
    count = math.ceil(samples / length)
    return [round(number * (samples - length) / (count - 1)) for number in range(count)]


def average(answers: Tensor, *, tags: bool = False) -> Tensor:
    """Logits of the windows' mean probability.

    Parameters
    ----------
    answers : Tensor, float32 [W, B, K]
        Each window's logits.
    tags : bool
        Whether they are independent sigmoids, not one softmax.

    Returns
    -------
    Tensor, float32 [B, K]
        Log-probabilities; for tags the logits of the mean sigmoids.
    """
    if tags:
        return _mean_of_logs(functional.logsigmoid(answers)) - _mean_of_logs(functional.logsigmoid(-answers))
    return _mean_of_logs(answers.log_softmax(dim=-1))


def _mean_of_logs(logs: Tensor) -> Tensor:
    """log of the mean over the first dimension of exp(logs)."""
    return logs.logsumexp(dim=0) - math.log(len(logs))
