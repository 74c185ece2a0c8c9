"""What every step of a run is: which units it wants, what a worker does with them, what is kept of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar, cast

from ...datasets.recording import Recording
from ...search.driver import Driver, Job
from ...search.questions import Search
from ...signal.audio import Clip
from ...signal.spectrum import Spectrum
from ..messages import Done, Failed, Outcome, Setup, Source, Unit, describe
from ..plan import Plan
from ..progress import Reporter
from ..store import Store

U = TypeVar("U", bound=Unit)

#: units a chunk, at most: a lost worker has no more than these to be done again
LARGEST = 32
#: the same where the masks of all its clips are in memory
TOGETHER = 16


@dataclass(frozen=True, eq=False)
class Running:
    """A study under way.

    Attributes
    ----------
    plan : Plan
    store : Store
        Open for writing.
    key : str
        Of the study's settings.
    ids : sequence of int
        Of the models, in the plan's order.
    clips : sequence of (Source, Recording)
        Those that could be read.
    reporter : Reporter
    """

    plan: Plan
    store: Store
    key: str
    ids: Sequence[int]
    clips: Sequence[tuple[Source, Recording]]
    reporter: Reporter

    @property
    def specs(self) -> list[str]:
        """Of the models, in the plan's order."""
        return [model.spec for model in self.plan.models]


class Desk(Protocol):
    """What a worker has for a step."""

    setup: Setup

    def read(self, source: Source) -> Clip:
        """A clip as it was planned."""

    def count(self, questions: int) -> None:
        """The model answered so many questions."""


class Step(ABC):
    """One step of a run, for all models and clips.

    Parameters
    ----------
    running : Running
    """

    name: ClassVar[str]

    def __init__(self, running: Running) -> None:
        self.running = running
        self.failed = running.store.failed(running.key, self.name)

    @abstractmethod
    def wanted(self, model: int) -> list[Source]:
        """The clips of which a model's unit is neither done nor failed; ``model`` is its position."""

    @abstractmethod
    def unit(self, clip: Source, model: int) -> Unit:
        """A unit as it is sent to a worker; made when its turn comes."""

    @staticmethod
    @abstractmethod
    def do(desk: Desk, driver: Driver, units: Sequence[Any]) -> Iterator[Done]:
        """A worker's part: an event for each unit, in the order in which they end."""

    @abstractmethod
    def keep(self, clip: Source, model: int, outcome: Any) -> bool:
        """Store what came of a unit; whether it counts as done."""

    def chunk_size(self, total: int, workers: int) -> int:
        """Units a chunk."""
        return max(1, min(TOGETHER, -(-total // (4 * workers))))

    def is_open(self, clip: Source, model: int) -> bool:
        """Whether the unit has not failed."""
        return (clip.path, self.running.specs[model]) not in self.failed


def settled(outcome: Outcome) -> Job[Any]:
    """A job that asks nothing, for a unit that is settled already."""

    def search() -> Search[Outcome]:
        return outcome
        yield

    return Job(cast(Spectrum, None), search(), 0)  # only a job that asks needs its spectrum


def stream(
    driver: Driver, units: Sequence[U], prepare: Callable[[U], Job[Any]], close: Callable[[U, Job[Any]], Outcome]
) -> Iterator[Done]:
    """Run the units' jobs side by side; what one of them raises is its own failure."""
    index_of: dict[int, int] = {}

    def jobs() -> Iterator[Job[Any]]:
        for index, unit in enumerate(units):
            try:
                job = prepare(unit)
            except Exception as error:
                job = settled(Failed(describe(error)))
            index_of[id(job)] = index
            yield job

    for job in driver.run(jobs()):
        index = index_of.pop(id(job))
        try:
            if job.error is not None:
                raise job.error
            outcome = job.result if isinstance(job.result, Failed) else close(units[index], job)
        except Exception as error:
            outcome = Failed(describe(error))
        yield Done(index, outcome)


def one_by_one(units: Sequence[U], work: Callable[[U], Outcome]) -> Iterator[Done]:
    """Do units one after the other; what one of them raises is its own failure."""
    for index, unit in enumerate(units):
        try:
            outcome = work(unit)
        except Exception as error:
            outcome = Failed(describe(error))
        yield Done(index, outcome)
