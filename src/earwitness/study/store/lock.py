"""One writer a store: a lock that the system frees however its process ends, and that names its holder."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from ...errors import StoreError

if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[str]) -> None:
        file.seek(1 << 30)  # far behind the holder's id, which others must be able to read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _give(file: IO[str]) -> None:
        file.seek(1 << 30)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _take(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _give(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


#: what the system says where another process holds the lock, and not that there are none
HELD = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK)


class Lock:
    """Held from when it is made until it is freed.

    Parameters
    ----------
    path : Path
        Of what is locked; the lock is a file beside it.

    Raises
    ------
    StoreError
        Another process holds it, or the file system keeps no locks.
    OSError
        The file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._file = open(path.with_name(path.name + ".lock"), "a+", encoding="utf-8")  # noqa: SIM115 - held
        try:
            _take(self._file)
        except OSError as error:
            self._file.seek(0)
            other = self._file.read().strip() or "unknown"
            self._file.close()
            if error.errno not in HELD:
                raise StoreError(
                    f"{path}: its file system keeps no locks ({error}), so that two writers could spoil it; keep the"
                    " store on another drive, and copy it there"
                ) from None
            raise StoreError(f"{path}: process {other} is writing to it; wait for it or stop it") from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def free(self) -> None:
        """Let others have it, even where a process that was forked meanwhile still holds the file."""
        with suppress(OSError, ValueError):  # closed already, or no more to be had: then it is free
            _give(self._file)
        self._file.close()
