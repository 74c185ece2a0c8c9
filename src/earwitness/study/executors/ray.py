"""Executor ``ray``: actors on a cluster. The only file that knows Ray."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...errors import ConfigError
from ..devices import choose_workers
from ..messages import Chunk, Event, Setup
from .pool import Finished, Handle, Lost, Pool, Progress, Ready, Say
from .work import Worker

try:
    import ray
except ImportError:
    raise ConfigError(
        "executor 'ray' needs Ray, which is not installed; install it with: pip install 'earwitness[ray]'"
    ) from None

#: events come as they happen; a worker that is so many ahead of the writer waits
STREAM = {"num_returns": "streaming", "_generator_backpressure_num_objects": 64}


class Cluster(Pool):
    """Actors that hold models: several a GPU, see :func:`choose_workers`, or, where there is none, one for each node.

    The models' files and the recordings must be found under the same paths on every node.

    Parameters
    ----------
    setup : Setup
    workers : int, optional
        Actors, if not so many.
    address : str, optional
        Of a running cluster, e.g. ``auto`` or ``10.0.0.1:6379``; without it one is started on this machine.
    progress, say : callable
        See :class:`earwitness.study.executors.pool.Executor`.

    Raises
    ------
    ConfigError
        No cluster answers at the address, or it has no room for the workers.
    """

    def __init__(self, setup: Setup, workers: int | None, address: str | None, progress: Progress, say: Say) -> None:
        self._ours = not ray.is_initialized()
        if self._ours:
            _connect(address, workers)
        resources = ray.cluster_resources()
        cpus, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
        on_gpu = gpus > 0 and setup.device != "cpu"
        nodes = sum(node["Alive"] for node in ray.nodes())
        super().__init__(workers or (choose_workers("cuda", gpus, cpus) if on_gpu else nodes), progress, say)
        if cpus < self.workers:
            self.close()
            raise ConfigError(f"workers {self.workers}: the cluster has {cpus} CPUs; use at most that many")
        threads = setup.threads or max(1, cpus // max(nodes, self.workers))
        self._setup = replace(setup, threads=threads)
        # a share of a GPU lets more workers than GPUs be had
        share = min(1.0, gpus / self.workers) if on_gpu else 0.0
        self._options: dict[str, Any] = {
            "num_cpus": min(threads, max(1, cpus // self.workers)), "num_gpus": share,
            "scheduling_strategy": "SPREAD", "max_restarts": 0,
        }  # fmt: skip

    def start(self) -> Handle:
        """See :class:`Pool`."""
        return Actor(actor=ray.remote(Worker).options(**self._options).remote(self._setup))

    def wait(self, handles: Sequence[Handle]) -> list[tuple[Handle, Event | Ready | Finished | Lost]]:
        """See :class:`Pool`."""
        waiting = {handle.pending: handle for handle in handles if isinstance(handle, Actor) and handle.pending}
        done, _ = ray.wait(list(waiting), num_returns=1)
        return [(waiting[one], waiting[one].hear()) for one in done]

    def close(self) -> None:
        """See :class:`earwitness.study.executors.pool.Executor`."""
        super().close()
        if self._ours and ray.is_initialized():
            ray.shutdown()


@dataclass(eq=False, kw_only=True)
class Actor(Handle):
    """An actor, and what is awaited of it: that it is there, or the next event of its chunk."""

    actor: Any
    pending: Any = field(init=False)

    def __post_init__(self) -> None:
        self.pending = self.actor.drop.remote()

    def hear(self) -> Event | Ready | Finished | Lost:
        """What it says next."""
        try:
            if not self.ready:
                ray.get(self.pending)
                self.pending = None
                return Ready()
            event: Event = ray.get(next(self.pending))
        except StopIteration:
            self.pending = None
            return Finished()
        except ray.exceptions.RayError as error:
            return Lost(f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")
        return event

    def send(self, chunk: Chunk) -> None:
        """See :class:`Handle`."""
        self.pending = self.actor.work.options(**STREAM).remote(chunk)

    def drop(self) -> None:
        """See :class:`Handle`."""
        self.actor.drop.remote()

    def stop(self) -> None:
        """See :class:`Handle`."""
        self.pending = None
        ray.kill(self.actor)


def _connect(address: str | None, workers: int | None) -> None:
    own = {"num_cpus": workers, "include_dashboard": False} if address is None else {"address": address}
    try:
        ray.init(**own, logging_level=logging.WARNING, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(f"address {address!r}: no Ray cluster answers there ({error}); see: ray status") from error
