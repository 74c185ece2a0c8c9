"""What long recordings will cost, said before they are explained."""

from __future__ import annotations

from collections.abc import Sequence

from ..search.settings import SearchSettings
from ..signal.spectrum import count_variables

#: seconds from which a clip is long: each question sends all of it through the model
LONG = 60


def tell_cost(samples: Sequence[int], sample_rate: int, models: int, settings: SearchSettings) -> str:
    """A line about the clips that are longer than a minute; empty where none is.

    Parameters
    ----------
    samples : sequence of int
        Lengths of clips that nothing crops.
    sample_rate : int
        Hz.
    models : int
        That explain each.
    settings : SearchSettings
    """
    long = [count for count in samples if count > LONG * sample_rate]
    if not long:
        return ""
    variables = count_variables(settings.variables, max(long), sample_rate)
    questions = len(long) * models * settings.budget * settings.repeats
    what = "a clip is" if len(long) == 1 else f"{len(long)} clips are"
    return (
        f"{what} longer than a minute ({max(long) / sample_rate:,.0f} s, {variables:,} variables): up to "
        f"{questions:,} questions of the whole length; crop with seconds, e.g. to 10"
    )


def tell_duration(seconds: float) -> str:
    """A duration as people say it.

    Examples
    --------
    >>> [tell_duration(seconds) for seconds in (0.4, 75, 5400, 200_000)]
    ['less than a second', '75 s', '1.5 h', '2.3 days']
    """
    if seconds < 1:
        return "less than a second"
    for name, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {name}" if seconds < 10 * length else f"{seconds / length:.0f} {name}"
    return f"{seconds:.0f} s"
