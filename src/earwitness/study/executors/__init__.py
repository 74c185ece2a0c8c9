"""Where the work of a study is done. A new place is one file and one line in :data:`EXECUTORS`."""

from __future__ import annotations

from collections.abc import Callable

from ...models import Model
from ..file import RunSection
from ..messages import Setup
from .pool import Executor, Progress, Say, WorkerError

__all__ = ["EXECUTORS", "Executor", "WorkerError", "open_executor"]

Open = Callable[[Setup, RunSection, tuple[Model, ...], Progress, Say], Executor]


def _local(setup: Setup, run: RunSection, models: tuple[Model, ...], progress: Progress, say: Say) -> Executor:
    from .local import Here, Processes

    if not run.elsewhere:
        return Here(setup, models, progress, say)
    return Processes(setup, run.workers or 1, progress, say)


def _ray(setup: Setup, run: RunSection, models: tuple[Model, ...], progress: Progress, say: Say) -> Executor:
    from .ray import Cluster

    return Cluster(setup, run.workers, run.address, progress, say)


#: name → opener; openers import their libraries only when called
EXECUTORS: dict[str, Open] = {"local": _local, "ray": _ray}


def open_executor(setup: Setup, run: RunSection, models: tuple[Model, ...], progress: Progress, say: Say) -> Executor:
    """The executor a study names.

    Parameters
    ----------
    setup : Setup
    run : RunSection
    models : tuple of Model
        Loaded, where the work is done in this process.
    progress, say : callable
        See :class:`earwitness.study.executors.pool.Executor`.

    Raises
    ------
    ConfigError
        It needs a library that is not installed, or a cluster that does not answer.
    """
    return EXECUTORS[run.executor](setup, run, models, progress, say)
