"""How arrays are kept in columns: log-probabilities as float32, masks as bitmaps, maps and signals compressed.

NumPy is imported when called: what only counts rows needs none.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Log = NDArray[np.float32]
    Mask = NDArray[np.bool_]


def pack(log_probabilities: Log) -> bytes:
    """Float32, little endian."""
    import numpy as np

    return np.asarray(log_probabilities, dtype="<f4").tobytes()


def unpack(blob: bytes) -> Log:
    """The inverse of :func:`pack`: float32 [n]."""
    import numpy as np

    return np.frombuffer(blob, dtype="<f4").astype(np.float32)


def unpack_all(blobs: Iterable[bytes], n: int) -> Log:
    """Many packed rows of ``n`` values at once: float32 [rows, n]."""
    import numpy as np

    return np.frombuffer(b"".join(blobs), dtype="<f4").reshape(-1, n)


def squeeze(values: NDArray[np.float32]) -> bytes:
    """A map or signal, compressed."""
    return zlib.compress(pack(values))


def unsqueeze(blob: bytes) -> NDArray[np.float32]:
    """The inverse of :func:`squeeze`: float32 [N]."""
    return unpack(zlib.decompress(blob))


def pack_mask(mask: Mask) -> bytes:
    """A mask as a compressed bitmap."""
    import numpy as np

    return zlib.compress(np.packbits(mask).tobytes())


def unpack_mask(blob: bytes, size: int) -> Mask:
    """The inverse of :func:`pack_mask`: bool [size]."""
    import numpy as np

    return np.unpackbits(np.frombuffer(zlib.decompress(blob), dtype=np.uint8), count=size).astype(bool)
