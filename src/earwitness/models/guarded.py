"""What a model may not do to the process that asks it: end it, double it, hold it up, or write among its tables."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import FrameType

import numpy as np
import torch

from ..errors import ModelError

#: a call that does not end by itself at its time limit (compiled code hears no alarm) ends its process so much later
GRACE = 5.0


@contextmanager
def guarded(spec: str, time_limit: float | None = None) -> Iterator[None]:
    """While a model computes, what it prints goes to standard error, and its exit is an error as any other.

    A process that the model forked and that comes back here ends; a folder that it changed to is left again, and how
    NumPy and PyTorch compute is what it was.

    Parameters
    ----------
    spec : str
        Of the model, for the message.
    time_limit : float, optional
        Seconds that it may take. What is deaf to the alarm (compiled code that does not return) ends the process
        :data:`GRACE` later: set it only where another process goes on.

    Raises
    ------
    ModelError
        It tried to end the process, or took too long.
    """
    process, folder, dtype = os.getpid(), _folder(), torch.get_default_dtype()
    try:
        with redirect_stdout(sys.stderr), np.errstate(), _limited(spec, time_limit):
            yield
    except SystemExit as error:
        raise ModelError(
            f"{spec}: tried to end the process (exit code {error.code}); it must answer or raise"
        ) from None
    finally:
        if os.getpid() != process:
            os._exit(0)  # a second process would ask and write everything twice
        torch.set_default_dtype(dtype)
        if folder is not None and _folder() != folder:
            os.chdir(folder)


def _folder() -> str | None:
    """The working folder; it may be gone."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


@contextmanager
def _limited(spec: str, seconds: float | None) -> Iterator[None]:
    if seconds is None:
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise ModelError(f"{spec}: took longer than the {seconds:g} s a call may take; raise run.time_limit")

    # Python hears an alarm in the main thread alone, and not on Windows: there only the process's end is left
    alarm = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGALRM, ring) if alarm else None
    faulthandler.dump_traceback_later(seconds + GRACE, exit=True, file=2)  # the file of standard error
    if alarm:
        signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        if alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
