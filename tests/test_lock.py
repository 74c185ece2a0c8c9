"""One writer a store: the lock as Windows keeps it, by a stand-in for its library, and what a fork may not hold."""

from __future__ import annotations

import errno
import importlib.util
import os
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from earwitness.errors import StoreError
from earwitness.study.store import Store
from earwitness.study.store import lock as posix


class Windows(ModuleType):
    """``msvcrt`` as documented: locks bytes of a file from where it stands; each file handle for itself."""

    LK_NBLCK, LK_UNLCK = 2, 0

    def __init__(self) -> None:
        super().__init__("msvcrt")
        self.held: dict[tuple[int, int], int] = {}

    def locking(self, fd: int, mode: int, count: int) -> None:
        assert count == 1
        place = os.fstat(fd).st_ino, os.lseek(fd, 0, os.SEEK_CUR)
        if mode == self.LK_NBLCK:
            if place in self.held:
                raise OSError(errno.EACCES, "Permission denied")
            self.held[place] = fd
        elif self.held.pop(place, None) != fd:
            raise OSError(errno.EACCES, "Permission denied")


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of locks as it is on Windows, and the library it uses there."""
    library = Windows()
    spec = importlib.util.spec_from_file_location("earwitness.study.store.windows_lock", posix.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")
        patch.setitem(sys.modules, "msvcrt", library)
        spec.loader.exec_module(module)
    assert not hasattr(module, "fcntl")
    return module, library


def test_windows_keeps_one_writer(windows: Any, tmp_path: Path) -> None:
    module, library = windows
    first = module.Lock(tmp_path / "s.db")
    (place,) = library.held
    assert place[1] > 1 << 20  # far behind the holder's id
    with pytest.raises(StoreError, match=f"process {os.getpid()} is writing to it"):
        module.Lock(tmp_path / "s.db")
    assert (tmp_path / "s.db.lock").read_text() == str(os.getpid())
    module.Lock(tmp_path / "other.db").free()
    first.free()
    assert not library.held
    module.Lock(tmp_path / "s.db").free()


def test_a_lock_is_freed_once(tmp_path: Path) -> None:
    lock = posix.Lock(tmp_path / "s.db")
    lock.free()
    lock.free()
    posix.Lock(tmp_path / "s.db").free()


def test_what_a_writer_forked_does_not_hold_its_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db", write=True)
    child = os.fork()
    if child == 0:
        signal.pause()  # it has all that its parent had open, the lock too
        os._exit(1)
    try:
        store.close()
        Store(tmp_path / "s.db", write=True).close()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
