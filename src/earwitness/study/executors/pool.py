"""Several workers, wherever they live: who gets which chunk, and what becomes of the work of a lost one.

A chunk goes to a worker that is free and has room for its model. What a lost worker had not finished goes to the
others one unit at a time, so that a unit which kills its workers is found: it becomes a failed row. The process
that runs this is the only one that writes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType

from ...errors import EarwitnessError
from ..messages import Asked, Chunk, Done, Event, Failed, NoRoom, Outcome, Unit

#: workers that die one after the other without having been ready: then there is no use in starting more
DEAD_ON_ARRIVAL = 3

#: workers that may be lost with a unit before it is taken to be its fault
LOSSES = 3

Progress = Callable[[int, int], None]
Say = Callable[[str], None]


class Executor(ABC):
    """Does chunks. One class a place where work can be done; each gives the same results.

    Parameters
    ----------
    progress : callable
        Called with a model's position and the number of questions it answered.
    say : callable
        Called with what the user should know, e.g. that a worker was lost.
    """

    #: how many chunks are under way at once
    workers: int = 1

    def __init__(self, progress: Progress, say: Say) -> None:
        self._progress, self._say = progress, say

    @abstractmethod
    def run(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Unit, Outcome]]:
        """Do chunks; yield each unit with its chunk and outcome when it is done, in the order in which they end."""

    def close(self) -> None:  # noqa: B027 - what has no workers has none to end
        """End the workers."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


@dataclass(frozen=True)
class Ready:
    """The worker can take a chunk."""


@dataclass(frozen=True)
class Finished:
    """The worker is through with its chunk."""


@dataclass(frozen=True)
class Lost:
    """The worker is no more."""

    reason: str


class WorkerError(EarwitnessError):
    """No worker stays alive."""


@dataclass(eq=False)
class Handle(ABC):
    """One worker as the pool sees it."""

    ready: bool = False
    chunk: Chunk | None = None
    left: dict[int, Unit] = field(default_factory=dict)
    #: models there was no room for
    full: set[int] = field(default_factory=set)

    @abstractmethod
    def send(self, chunk: Chunk) -> None:
        """Have it do a chunk."""

    @abstractmethod
    def drop(self) -> None:
        """Have it give up its models."""

    @abstractmethod
    def stop(self) -> None:
        """End it."""

    def take(self, chunk: Chunk) -> None:
        """Send a chunk and remember what of it is left to do."""
        self.chunk, self.left = chunk, dict(enumerate(chunk.units))
        self.send(chunk)


class Pool(Executor):
    """Workers elsewhere. A subclass says how one is started and how one waits for them.

    Parameters
    ----------
    workers : int
    progress, say : callable
        See :class:`Executor`.
    """

    def __init__(self, workers: int, progress: Progress, say: Say) -> None:
        super().__init__(progress, say)
        self.workers = workers
        self._handles: list[Handle] = []
        self._stillborn = 0

    @abstractmethod
    def start(self) -> Handle:
        """Start a worker; it says :class:`Ready` when it can take work."""

    @abstractmethod
    def wait(self, handles: Sequence[Handle]) -> list[tuple[Handle, Event | Ready | Finished | Lost]]:
        """What the workers have said; waits until one has said something."""

    def run(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Unit, Outcome]]:
        """See :class:`Executor`."""
        source, queue = iter(chunks), deque[Chunk]()
        for handle in self._handles:
            handle.full.clear()
        while True:
            if not self._feed(source, queue):
                return
            for handle, event in self.wait(self._handles):
                chunk = handle.chunk
                if isinstance(event, Done):
                    assert chunk is not None
                    yield chunk, handle.left.pop(event.index), event.outcome
                elif isinstance(event, Lost):
                    yield from self._bury(handle, event.reason, queue)
                else:
                    yield from self._note(handle, event, queue)

    def close(self) -> None:
        """See :class:`Executor`."""
        for handle in self._handles:
            handle.stop()
        self._handles.clear()

    def _feed(self, source: Iterator[Chunk], queue: deque[Chunk]) -> bool:
        """Give free workers chunks they have room for; False once nothing is left to do or wait for."""
        for handle in self._handles:
            if handle.ready and handle.chunk is None and (chunk := _next(source, queue, handle.full)) is not None:
                handle.take(chunk)
        busy = any(handle.chunk is not None for handle in self._handles)
        if not busy and not queue:
            first = next(source, None)
            if first is None:
                return False
            queue.append(first)
        while len(self._handles) < self.workers:
            self._handles.append(self.start())
        if not busy and all(handle.ready for handle in self._handles):
            self._make_room(queue)
        return True

    def _make_room(self, queue: deque[Chunk]) -> None:
        """Nobody has room for what is left: all but one give up their models."""
        first, *others = self._handles
        for handle in others:
            handle.drop()
        if queue[0].model in first.full:
            first.full.discard(queue[0].model)
            queue[0] = replace(queue[0], last_try=True)
        first.take(queue.popleft())

    def _note(self, handle: Handle, event: Event | Ready | Finished, queue: deque[Chunk]) -> Iterator[
        tuple[Chunk, Unit, Outcome]
    ]:  # fmt: skip
        chunk = handle.chunk
        if isinstance(event, Ready):
            handle.ready, self._stillborn = True, 0
        elif isinstance(event, Asked):
            assert chunk is not None
            self._progress(chunk.model, event.questions)
        elif isinstance(event, NoRoom):
            assert chunk is not None
            if chunk.last_try:
                yield from ((chunk, unit, Failed(event.reason)) for unit in handle.left.values())
            else:
                handle.full.add(chunk.model)
                queue.appendleft(replace(chunk, units=tuple(handle.left.values())))
            handle.left = {}
        elif isinstance(event, Finished):
            handle.chunk = None

    def _bury(self, handle: Handle, reason: str, queue: deque[Chunk]) -> Iterator[tuple[Chunk, Unit, Outcome]]:
        self._handles.remove(handle)
        handle.stop()
        chunk, units = handle.chunk, list(handle.left.values())
        if not handle.ready:
            self._stillborn += 1
            if self._stillborn >= DEAD_ON_ARRIVAL:
                raise WorkerError(f"{self._stillborn} workers died as they were started ({reason}); use one process")
        if chunk is None:
            return
        self._say(f"a worker was lost ({reason}); {len(units)} units of its work are left to the others")
        losses = chunk.losses + 1
        if losses >= LOSSES:
            yield from ((chunk, unit, Failed(f"{losses} workers died of it ({reason})")) for unit in units)
        else:  # one by one, so that the one at fault is found
            queue.extendleft(replace(chunk, units=(unit,), losses=losses) for unit in reversed(units))


def _next(source: Iterator[Chunk], queue: deque[Chunk], full: set[int]) -> Chunk | None:
    """The first chunk whose model there may be room for; what is passed over stays in the queue."""
    for position, chunk in enumerate(queue):
        if chunk.model not in full:
            del queue[position]
            return chunk
    for chunk in source:
        if chunk.model not in full:
            return chunk
        queue.append(chunk)
    return None
