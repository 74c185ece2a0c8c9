"""Composites: the largest set of a model's sufficient signals of one class whose mean is still that class.

Source: Kelly & Chockler, arXiv 2604.02937 (T) §5.1 and §5.3. For M signals of a model f and a class c, a set S is
*accepted* if f(mean of S) = c. The composite is the mean of the largest accepted set, and |S| / M the degree of
compositionality. There are 2^M sets and f is a black box, so the search says how sure it is:

``all``
    the mean of all M signals is accepted: nothing can be larger;
``exact``
    every larger set was asked and rejected;
``maximal``
    no signal can be added (each was tried on the final set), and ``bound`` is the smallest size above which every
    set was asked and rejected;
``none``
    the budget was spent before either was known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from math import comb

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ..errors import ConfigError
from ..search.questions import BudgetSpent
from ..signal.audio import SILENCE
from ..signal.masks import Mask
from .settings import LENGTHS, GreedySettings

Signal = NDArray[np.float32]
#: bool [Q, M], each row a set of signals → float32 [Q, K], natural logarithms of probabilities for its mean
Ask = Callable[[Mask], NDArray[np.float32]]
#: sets a question, so that memory stays small however many sets a layer has
CHUNK = 512


@dataclass(frozen=True, eq=False)
class Largest:
    """The largest accepted set that was found.

    Attributes
    ----------
    members : bool [M]
        All false where no set was accepted.
    certificate : {"all", "exact", "maximal", "none"}
    bound : int
        Every set larger than this was asked and rejected.
    questions : int
    """

    members: Mask
    certificate: str
    bound: int
    questions: int

    @property
    def size(self) -> int:
        """|S|."""
        return int(self.members.sum())

    @property
    def degree(self) -> float:
        """|S| / M, the degree of compositionality."""
        return self.size / len(self.members)


def find_largest(ask: Ask, count: int, label: int, settings: GreedySettings | None = None) -> Largest:
    """Search the largest set of signals whose mean is answered with a label.

    Layers of sets are asked from the largest down: all of them up to ``settings.exact`` signals, else as many as a
    quarter of the budget pays for. If none is accepted, three greedy ways follow: signals are taken out of the
    whole set (at each step the one whose loss helps the label's margin most); put in, beginning with none (the one
    that helps most); and put in one by one in random orders, each kept if the mean stays accepted. What is found
    grows until no further signal can be added.

    Parameters
    ----------
    ask : callable
        See :data:`Ask`. Never asked the same set twice, nor the empty one.
    count : int
        M, at least 1.
    label : int
        Index of the class.
    settings : GreedySettings, optional

    Raises
    ------
    ConfigError
        There are no signals.

    Examples
    --------
    >>> def majority(sets):  # two signals speak for class 0, three for class 1
    ...     votes = np.where(sets, [1, 1, -1, -1, -1], 0).sum(axis=1)
    ...     return np.stack([votes, 0 * votes + 0.5], axis=1).astype(np.float32)
    >>> find_largest(majority, 5, 0).size
    3
    """
    if count < 1:
        raise ConfigError("no signals: a composite needs at least one of the class")
    settings = settings or GreedySettings()
    small = count <= settings.exact
    book = _Book(ask, count, label, 2**count if small else settings.budget)
    for removed in range(count):
        if not small and comb(count, removed) > settings.budget // 4 - book.questions:
            break
        for masks in _layer(count, removed):
            book.margins(masks)
        if book.size:
            return Largest(book.best, "exact" if removed else "all", count - removed, book.questions)
        book.bound = count - removed - 1
    if book.bound == 0:
        return Largest(book.best, "exact", 0, book.questions)
    certificate = "none"
    try:
        _take_out(book)
        _put_in(book)
        _put_in_randomly(book, settings.restarts, settings.seed)
        _saturate(book)
        certificate = "maximal" if book.size else "none"
    except BudgetSpent:
        pass
    if book.size == book.bound:
        certificate = "exact"
    return Largest(book.best, certificate, book.bound, book.questions)


def fit_lengths(signals: Sequence[Signal], rule: str = "pad") -> Signal:
    """Signals of unequal length as one array: zeros put behind the shorter (``pad``), or all cut to the shortest.

    Returns
    -------
    float32 [M, N]

    Raises
    ------
    ConfigError
        The rule is neither ``pad`` nor ``crop``.
    """
    if rule not in LENGTHS:
        raise ConfigError(f"lengths {rule!r}: use one of {', '.join(LENGTHS)}")
    sizes = [len(signal) for signal in signals]
    wanted = max(sizes) if rule == "pad" else min(sizes)
    return np.stack([fit(signal, wanted) for signal in signals])


def fit(signal: Signal, samples: int) -> Signal:
    """A signal's first samples, or zeros put behind it: float32 [samples]."""
    fitted = np.zeros(samples, dtype=np.float32)
    fitted[: min(samples, len(signal))] = signal[:samples]
    return fitted


def mean_of(signals: Signal, members: Mask) -> Signal:
    """The mean of each set of signals, computed in double precision: [M, N], bool [Q, M] → float32 [Q, N]."""
    weights = members / np.maximum(members.sum(axis=1, keepdims=True), 1)
    return np.asarray(weights @ signals.astype(np.float64), dtype=np.float32)


def join_masks(masks: Sequence[Mask], lengths: Sequence[int], samples: int) -> Mask:
    """The rFFT bins of a clip of ``samples`` samples that any of several clips' masks keeps.

    A kept bin k of a clip of N samples stands for the frequencies (k ± ½)/N; a bin of the result is kept if its
    own frequency lies in one of them. For equal lengths that is the union.

    Parameters
    ----------
    masks : sequence of bool [N_i // 2 + 1]
    lengths : sequence of int
        N_i.
    samples : int

    Returns
    -------
    bool [samples // 2 + 1]
    """
    joined = np.zeros(samples // 2 + 1, dtype=bool)
    for mask, length in zip(masks, lengths, strict=True):
        nearest = np.floor(np.arange(joined.size) * (length / samples) + 0.5).astype(np.intp)
        joined |= mask[np.minimum(nearest, mask.size - 1)]
    return joined


def make_noise(signals: Signal, rng: np.random.Generator) -> Signal:
    """White Gaussian noise with the power of each signal, float32 [M, N]."""
    power = (signals.astype(np.float64) ** 2).mean(axis=1, keepdims=True)
    return np.asarray(rng.standard_normal(signals.shape) * np.sqrt(power), dtype=np.float32)


def scale(signal: Signal, clip: Signal, level: float | None) -> Signal:
    """A signal at ``level`` dB of power relative to a clip (``None``: as it is), fitted to the clip's length.

    Raises
    ------
    ConfigError
        The signal or the clip is silent over the clip's length: no gain reaches the level.
    """
    fitted = fit(signal, len(clip))
    if level is None:
        return fitted
    own, wanted = _power(fitted), _power(clip) * 10 ** (level / 10)
    if min(own, wanted) <= SILENCE**2:
        raise ConfigError("silence: no gain makes a level of it; leave the level out")
    return np.asarray(fitted * np.sqrt(wanted / own), dtype=np.float32)


def overlay(clip: Signal, signal: Signal) -> Signal:
    """The sum of a clip and a signal of its length; nothing is clipped."""
    return np.asarray(clip.astype(np.float64) + signal, dtype=np.float32)


def replace_bins(clip: Signal, signal: Signal, bins: Mask) -> Signal:
    """A clip with its content in some rFFT bins (bool [N // 2 + 1]) replaced by a signal's."""
    values = np.where(bins, scipy.fft.rfft(signal.astype(np.float64)), scipy.fft.rfft(clip.astype(np.float64)))
    return np.asarray(scipy.fft.irfft(values, len(clip)), dtype=np.float32)


def signal_to_noise(clip: Signal, changed: Signal) -> float | None:
    """10 log₁₀ of the clip's power over that of the change, in dB.

    ``None`` where there was nothing, or nothing changed beyond the rounding of float32 samples (140 dB below).
    """
    noise, power = _power(changed.astype(np.float64) - clip), _power(clip)
    return None if power == 0 or noise <= 1e-14 * power else float(10 * np.log10(power / noise))


def _power(signal: NDArray[np.floating]) -> float:
    return float((signal.astype(np.float64) ** 2).mean())


class _Book:
    """What was asked, what the answers were, and the largest accepted set among them."""

    def __init__(self, ask: Ask, count: int, label: int, budget: int) -> None:
        self._ask, self._label, self._budget = ask, label, budget
        self._known: dict[bytes, float] = {}
        self.count, self.bound, self.questions = count, count, 0
        self.best, self._margin = np.zeros(count, dtype=bool), -np.inf

    @property
    def size(self) -> int:
        return int(self.best.sum())

    def margins(self, masks: Mask) -> NDArray[np.float64]:
        """By how many nats the label leads (or trails) in each set's mean, float64 [Q]; accepted sets lead."""
        keys = [row.tobytes() for row in masks]
        new = [row for key, row in {key: row for row, key in enumerate(keys)}.items() if key not in self._known]
        if self.questions + len(new) > self._budget:
            raise BudgetSpent
        for start in range(0, len(new), CHUNK):
            asked = masks[new[start : start + CHUNK]]
            for mask, margin in zip(asked, self._lead(self._ask(asked)), strict=True):
                self._note(mask, float(margin))
        self.questions += len(new)
        return np.array([self._known[key] for key in keys])

    def _lead(self, logs: NDArray[np.float32]) -> NDArray[np.float64]:
        others = np.delete(logs.astype(np.float64), self._label, axis=1).max(axis=1)
        lead = logs[:, self._label] - others
        # a tie goes to the lower index, as everywhere
        accepted = logs.argmax(axis=1) == self._label
        return np.asarray(np.where(accepted, np.maximum(lead, 1e-12), np.minimum(lead, 0)), dtype=np.float64)

    def _note(self, mask: Mask, margin: float) -> None:
        self._known[mask.tobytes()] = margin
        if margin > 0 and (int(mask.sum()), margin) > (self.size, self._margin):
            self.best, self._margin = mask.copy(), margin


def _layer(count: int, removed: int) -> Iterator[Mask]:
    """All sets that lack ``removed`` of the signals, in chunks of bool [Q, M]."""
    sets = combinations(range(count), removed)
    while chunk := list(islice(sets, CHUNK)):
        masks = np.ones((len(chunk), count), dtype=bool)
        for row, absent in enumerate(chunk):
            masks[row, list(absent)] = False
        yield masks


def _neighbours(mask: Mask, value: bool) -> Mask:
    """The sets with one signal more (or less) than a set."""
    places = np.flatnonzero(mask != value)
    masks = np.repeat(mask[None], len(places), axis=0)
    masks[np.arange(len(places)), places] = value
    return masks


def _take_out(book: _Book) -> None:
    mask = np.ones(book.count, dtype=bool)
    while mask.sum() > max(1, book.size + 1):
        masks = _neighbours(mask, False)
        margins = book.margins(masks)
        mask = masks[int(margins.argmax())]
        if margins.max() > 0:
            break


def _put_in(book: _Book) -> None:
    mask = np.zeros(book.count, dtype=bool)
    while mask.sum() < book.bound:
        masks = _neighbours(mask, True)
        mask = masks[int(book.margins(masks).argmax())]


def _put_in_randomly(book: _Book, restarts: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    orders = np.array([rng.permutation(book.count) for _ in range(restarts)], dtype=np.intp)
    masks = np.zeros((restarts, book.count), dtype=bool)
    for step in range(book.count if restarts else 0):
        tried = masks.copy()
        tried[np.arange(restarts), orders[:, step]] = True
        keep = book.margins(tried) > 0
        masks[keep] = tried[keep]


def _saturate(book: _Book) -> None:
    """Add signals to the best set until none can be added."""
    while 0 < book.size < book.count:
        size = book.size
        book.margins(_neighbours(book.best, True))
        if book.size == size:
            return
