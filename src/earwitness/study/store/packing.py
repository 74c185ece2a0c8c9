"""How arrays are kept in columns: log-probabilities as float32, masks and maps compressed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Log = NDArray[np.float32]
Mask = NDArray[np.bool_]


def pack(log_probabilities: Log) -> bytes:
    """Float32, little endian."""
    return np.asarray(log_probabilities, dtype="<f4").tobytes()


def unpack(blob: bytes) -> Log:
    """The inverse of :func:`pack`: float32 [n]."""
    return np.frombuffer(blob, dtype="<f4").astype(np.float32)


def pack_mask(mask: Mask) -> bytes:
    """A mask as a compressed bitmap."""
    return zlib.compress(np.packbits(mask).tobytes())


def unpack_mask(blob: bytes, size: int) -> Mask:
    """The inverse of :func:`pack_mask`: bool [size]."""
    return np.unpackbits(np.frombuffer(zlib.decompress(blob), dtype=np.uint8), count=size).astype(bool)


def unpack_all(blobs: Iterable[bytes], n: int) -> Log:
    """Log-probabilities of many rows, float32 [rows, n]."""
    return np.frombuffer(b"".join(blobs), dtype="<f4").reshape(-1, n)


def squeeze(values: NDArray[np.float32]) -> bytes:
    """A map or a signal (float32 [N]), compressed."""
    return zlib.compress(np.asarray(values, dtype="<f4").tobytes())


def unsqueeze(blob: bytes) -> NDArray[np.float32]:
    """The inverse of :func:`squeeze`: float32 [N]."""
    return np.frombuffer(zlib.decompress(blob), dtype="<f4").astype(np.float32)
