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


def unsqueeze(blob: bytes, size: int | None = None) -> NDArray[np.float32]:
    """The inverse of :func:`squeeze`: float32 [N], where it is known ``size`` of them.

    Raises
    ------
    ValueError
        It is damaged, or of another size.
    """
    return unpack(_decompress(blob, None if size is None else 4 * size))


def pack_mask(mask: Mask) -> bytes:
    """A mask as a compressed bitmap."""
    import numpy as np

    return zlib.compress(np.packbits(mask).tobytes())


def unpack_mask(blob: bytes, size: int) -> Mask:
    """The inverse of :func:`pack_mask`: bool [size].

    Raises
    ------
    ValueError
        It is damaged, or of another size.
    """
    import numpy as np

    bits = _decompress(blob, (size + 7) // 8)
    return np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=size).astype(bool)


def _decompress(blob: bytes, length: int | None = None) -> bytes:
    """What was compressed; where its length is known no more is unpacked, whatever it claims to be."""
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(blob, 0 if length is None else length + 1)
    except zlib.error as error:
        raise ValueError(f"does not decompress: {error}") from None
    if not stream.eof:
        raise ValueError("does not decompress: cut off, or longer than it may be")
    if length is not None and len(content) != length:
        raise ValueError(f"{len(content)} bytes, not {length}")
    return content
