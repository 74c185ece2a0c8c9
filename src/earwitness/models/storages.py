"""The storages of a TorchScript archive, held against what its pickles say of them.

PyTorch's own reader takes the pickles' word for it, and reads on in memory where a record is shorter.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from typing import Any

from ..errors import ModelError, brief

#: bytes of an element, by the name of the storage's type
_BYTES = {
    "ByteStorage": 1, "CharStorage": 1, "BoolStorage": 1, "QInt8Storage": 1, "QUInt8Storage": 1, "UntypedStorage": 1,
    "ShortStorage": 2, "HalfStorage": 2, "BFloat16Storage": 2, "IntStorage": 4, "FloatStorage": 4, "QInt32Storage": 4,
    "LongStorage": 8, "DoubleStorage": 8, "ComplexFloatStorage": 8, "ComplexDoubleStorage": 16,
}  # fmt: skip


def check_storages(parts: Mapping[str, bytes], spec: str) -> None:
    """Hold the records of an archive against what its pickles say of them.

    Parameters
    ----------
    parts : mapping of str to bytes
        The records of the archive, by name.
    spec : str
        Of the model, for the message.

    Raises
    ------
    ModelError
        A record is missing or too short, or a pickle is none of TorchScript's.
    """
    for folder in ("data", "constants"):
        reader = _Reader(io.BytesIO(parts.get(f"{folder}.pkl", b"N.")))
        try:
            reader.load()
            wanted = [(f"{folder}/{key}", _BYTES[kind.__name__] * count) for _, kind, key, _, count in reader.found]
        except Exception as error:  # whatever a pickle of another shape makes of the code that takes it
            raise ModelError(
                f"{spec}: {folder}.pkl is damaged ({brief(error)}); fetch or save the model again"
            ) from error
        for name, size in wanted:
            there = len(parts.get(name, b""))
            if not 0 <= size <= there:
                raise ModelError(f"{spec}: {name} has {there} bytes of {size}; fetch or save the model again")


class _Inert:
    """In place of whatever a pickle names: nothing of it is imported or run."""

    def __new__(cls, *arguments: object) -> _Inert:
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        """Nothing is kept of it."""


class _Reader(pickle.Unpickler):
    """Notes what a pickle refers to: tuples of ``"storage"``, type, key, place and number of elements."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.found: list[Any] = []

    def find_class(self, module: str, name: str) -> type[_Inert]:
        return type(name, (_Inert,), {})

    def persistent_load(self, reference: Any) -> None:
        self.found.append(reference)
