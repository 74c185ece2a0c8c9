"""What a model may not do to the process that asks it: end it, or write among its tables."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from ..errors import ModelError


@contextmanager
def guarded(spec: str) -> Iterator[None]:
    """While a model computes, what it prints goes to standard error, and its exit is an error as any other.

    Parameters
    ----------
    spec : str
        Of the model, for the message.

    Raises
    ------
    ModelError
        It tried to end the process.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except SystemExit as error:
        raise ModelError(
            f"{spec}: tried to end the process (exit code {error.code}); it must answer or raise"
        ) from None
