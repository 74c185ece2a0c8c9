"""Executor ``local``: in this process, or in several on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from ...models import Model
from ..devices import list_devices
from ..messages import Asked, Chunk, Done, Event, Failed, NoRoom, Outcome, Setup, Unit
from .pool import Executor, Finished, Handle, Lost, Pool, Progress, Ready, Say
from .work import Worker, share_threads

#: seconds a worker gets to end by itself
PATIENCE = 5.0


class Here(Executor):
    """This process, with models that are loaded already."""

    def __init__(self, setup: Setup, models: tuple[Model, ...], progress: Progress, say: Say) -> None:
        super().__init__(progress, say)
        self._model = 0
        self._worker = Worker(setup, lambda questions: progress(self._model, questions), models)

    def run(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Unit, Outcome]]:
        """See :class:`earwitness.study.executors.pool.Executor`."""
        for chunk in chunks:
            self._model, left = chunk.model, dict(enumerate(chunk.units))
            for event in self._worker.work(chunk):
                if isinstance(event, Done):
                    yield chunk, left.pop(event.index), event.outcome
                elif isinstance(event, NoRoom):
                    yield from ((chunk, unit, Failed(event.reason)) for unit in left.values())


class Processes(Pool):
    """Several processes on this machine, the threads of the machine divided among them."""

    def __init__(self, setup: Setup, workers: int, progress: Progress, say: Say) -> None:
        super().__init__(workers, progress, say)
        self._setup = replace(setup, threads=share_threads(setup.threads, workers))
        self._devices = list_devices(setup.device, torch.cuda.device_count())
        # A fork of this process, with its threads and its GPU, may hang; one of a process that has only imported
        # what workers need does not, and is there at once. Elsewhere than on Linux libraries bear no fork at all.
        self._context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
        if sys.platform == "linux":
            self._context.set_forkserver_preload([Worker.__module__])

    def start(self) -> Handle:
        """See :class:`Pool`."""
        taken = [handle.device for handle in self._handles if isinstance(handle, Process)]
        device = min(self._devices, key=taken.count)
        ours, theirs = self._context.Pipe()
        setup = replace(self._setup, device=device)
        process = self._context.Process(target=serve, args=(theirs, setup), daemon=True)  # type: ignore[attr-defined]
        process.start()
        theirs.close()
        return Process(process=process, connection=ours, device=device)

    def wait(self, handles: Sequence[Handle]) -> list[tuple[Handle, Event | Ready | Finished | Lost]]:
        """See :class:`Pool`."""
        by_connection: dict[Any, Process] = {h.connection: h for h in handles if isinstance(h, Process)}
        return [(by_connection[one], by_connection[one].hear()) for one in wait(list(by_connection))]


@dataclass(eq=False, kw_only=True)
class Process(Handle):
    """A worker process and the pipe to it."""

    process: BaseProcess
    connection: Connection
    device: str

    def hear(self) -> Event | Ready | Finished | Lost:
        """What it says next."""
        try:
            event: Event | Ready | Finished = self.connection.recv()
        except (EOFError, OSError):
            self.process.join(PATIENCE)
            return Lost(f"process {self.process.pid}, exit code {self.process.exitcode}")
        return event

    def send(self, chunk: Chunk) -> None:
        """See :class:`Handle`."""
        self._tell(chunk)

    def drop(self) -> None:
        """See :class:`Handle`."""
        self._tell("drop")

    def stop(self) -> None:
        """See :class:`Handle`."""
        self.connection.close()
        self.process.terminate()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()

    def _tell(self, message: object) -> None:
        with suppress(OSError):  # it is dead: the next thing heard of it says so
            self.connection.send(message)


def serve(connection: Connection, setup: Setup) -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who is interrupted ends the workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    worker = Worker(setup, lambda questions: connection.send(Asked(questions)))
    connection.send(Ready())
    while True:
        try:
            message = connection.recv()
        except EOFError:
            return
        if message == "drop":
            worker.drop()
            continue
        for event in worker.work(message):
            connection.send(event)
        connection.send(Finished())


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
