"""What searches and the driver say to each other.

A search never calls a model. It is a generator that yields a batch of masks (bool [M, size]) and is sent an
:class:`Answer`; the driver throws :class:`BudgetSpent` into it once it asks for more than is left.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..signal.masks import Mask

T = TypeVar("T")
Search = Generator[Mask, "Answer", T]

#: Log-probabilities closer than this to a threshold count as neither passing nor failing: float32 arithmetic gives
#: answers that differ by some 1e-6 from one batch size or machine to the next, and no result may hang on that.
TOLERANCE = 1e-5


class BudgetSpent(Exception):  # noqa: N818 - an event, not a fault
    """Thrown into a search that asks for more than its budget has left."""


@dataclass(frozen=True)
class Answer:
    """What the model said.

    Attributes
    ----------
    log_probabilities : float32 [M, n]
        Natural logarithms, one row a mask.
    left : int
        How many questions the budget still allows.
    """

    log_probabilities: NDArray[np.float32]
    left: int


@dataclass(frozen=True)
class Target:
    """What a subset must preserve.

    Attributes
    ----------
    label : int
        Index of the clip's top-1 label.
    confidence : float
        Its probability σ(f(s)).
    delta : float
        A subset keeps at least ``delta`` times the confidence, 0 ≤ delta ≤ 1.
    """

    label: int
    confidence: float
    delta: float

    @classmethod
    def of(cls, log_probabilities: NDArray[np.float32], delta: float) -> Target:
        """The target that the original's answer (float32 [n]) sets."""
        label = int(np.argmax(log_probabilities))
        return cls(label, float(np.exp(np.float64(log_probabilities[label]))), delta)

    @property
    def floor(self) -> float:
        """What a subset's log p(label) must reach, in nats."""
        return float(np.log(max(self.delta * self.confidence, 1e-30)))

    def margin(self, log_probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
        """How far the label leads: log p(label) - max of the others, float64 [M]."""
        scores = np.asarray(log_probabilities, dtype=np.float64)
        others = np.delete(scores, self.label, axis=1).max(axis=1)
        return np.asarray(scores[:, self.label] - others, dtype=np.float64)

    def slack(self, log_probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
        """How far the answers are from just sufficient (≥ 0: sufficient), in nats, float64 [M]."""
        floor = self.floor
        if self.delta == 1:  # the whole clip has exactly its own confidence: equal must count as reached
            floor -= 2 * TOLERANCE
        scores = np.asarray(log_probabilities[:, self.label], dtype=np.float64)
        return np.asarray(np.minimum(scores - floor, self.margin(log_probabilities)), dtype=np.float64)


class Part(Protocol):
    """What one question about a candidate decides."""

    def masks(self, candidates: Mask) -> Mask:
        """The questions about candidates, bool [M, size] → bool [M, size]."""

    def slack(self, log_probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
        """From their answers (float32 [M, n]), how far each is from just having it (≥ 0: it has), nats, float64 [M]."""


class Property(Protocol):
    """What is sought of a set: that it has each of some parts."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Those that mostly fail first."""


@dataclass(frozen=True)
class Sufficient:
    """Definition 2: what is kept gets the clip's label with at least δ of its confidence."""

    target: Target

    @property
    def parts(self) -> tuple[Part, ...]:
        """Itself."""
        return (self,)

    def masks(self, candidates: Mask) -> Mask:
        """Each candidate alone."""
        return candidates

    def slack(self, log_probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
        """See :meth:`Target.slack`."""
        return self.target.slack(log_probabilities)


@dataclass(frozen=True)
class Necessary:
    """What is left without a candidate gets another label."""

    target: Target

    def masks(self, candidates: Mask) -> Mask:
        """Each candidate's complement."""
        return ~candidates

    def slack(self, log_probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
        """How far another label leads."""
        return -self.target.margin(log_probabilities)


@dataclass(frozen=True)
class Complete:
    """Definition 3: what is kept is sufficient, and what is left without it gets another label."""

    target: Target

    @property
    def parts(self) -> tuple[Part, ...]:
        """Sufficient and necessary."""
        return Sufficient(self.target), Necessary(self.target)


def ask_once(masks: Mask) -> Search[NDArray[np.float32]]:
    """Ask this and no more: log-probabilities, float32 [M, n]."""
    answer = yield masks
    return answer.log_probabilities


def ask(
    property_: Property, candidates: Mask, first: NDArray[np.intp] | None = None, *, best: bool = False
) -> Search[NDArray[np.float64]]:
    """Ask whether candidates have a property, each no more than decides it.

    Most candidates lack what is asked first; then there is no need to ask about the other part.

    Parameters
    ----------
    property_ : Property
    candidates : bool [M, size]
    first : int [M], optional
        Which part to ask first about each.
    best : bool
        Seek as well the candidate that comes nearest: ask on about all that may.

    Returns
    -------
    float64 [M]
        Slack, in nats: where a candidate lacks the property, and another comes nearer, it may have even less.
    """
    parts, count = property_.parts, len(candidates)
    slack, asked = np.full(count, np.inf), np.zeros(count, dtype=np.intp)
    first = np.zeros(count, dtype=np.intp) if first is None else first
    rows = np.arange(count)
    while rows.size:
        turn = (first[rows] + asked[rows]) % len(parts)
        groups = [(part, group) for number, part in enumerate(parts) if (group := rows[turn == number]).size]
        answer = yield np.concatenate([part.masks(candidates[group]) for part, group in groups])
        ends = np.cumsum([group.size for _, group in groups])
        for (part, group), answers in zip(groups, np.split(answer.log_probabilities, ends[:-1]), strict=True):
            slack[group] = np.minimum(slack[group], part.slack(answers))
        asked[rows] += 1
        done = asked == len(parts)
        enough = min(-TOLERANCE, slack[done].max(initial=-np.inf)) if best else -TOLERANCE
        rows = np.flatnonzero(~done & (slack >= enough))
        if best:  # the nearer half may spare the others
            rows = rows[np.argsort(-slack[rows], kind="stable")][: (count + 1) // 2]
    return slack


@dataclass(frozen=True)
class Certificate:
    """Up to what a set is minimal.

    Attributes
    ----------
    kind : {"one_minimal", "group_minimal", "none"}
        ``one_minimal``: each single variable was dropped from the final set and the property was lost;
        ``group_minimal``: so for each of ``groups`` groups that make up the set; ``none``: the budget was spent.
    groups : int
        Number of groups tried (the size of the set for ``one_minimal``, 0 for ``none``).
    parts : tuple of int arrays
        Their variables, while the search is at hand.
    """

    kind: str = "none"
    groups: int = 0
    parts: tuple[NDArray[np.intp], ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True)
class Found:
    """What a search returns.

    Attributes
    ----------
    mask : bool [size] or None
        The set; ``None`` if none was found.
    certificate : Certificate
    why : str
        Why there is no set, or why the search ended before it was certified.
    """

    mask: Mask | None
    certificate: Certificate = Certificate()
    why: str = ""
