"""The page's data in pieces, each read by the page when it is needed.

A page opened from a file may not fetch, but it may load scripts from its folder: a piece is a script that hands its
data over. In a page of one file a piece is an element that holds it. Arrays are little-endian, as base64.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ..errors import ConfigError


def encode(array: NDArray[Any], dtype: str) -> str:
    """An array as base64 of a little-endian type, C order."""
    return base64.b64encode(np.ascontiguousarray(array, dtype=np.dtype(dtype).newbyteorder("<")).tobytes()).decode()


def fold_texts(texts: tuple[str, ...]) -> dict[str, Any]:
    """Texts as a list of the different ones and, for each, its place there."""
    different = list(dict.fromkeys(texts))
    place = {text: i for i, text in enumerate(different)}
    return {"texts": different, "which": encode(np.array([place[text] for text in texts]), "u2")}


def to_json(value: Any) -> str:
    """JSON that may stand in a script: no character ends the element or the line."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


class Scripts:
    """Keeps pieces as scripts of ``data/`` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: set[str] = set()
        self.inline = Markup("")

    def put(self, name: str, value: Any) -> None:
        """Write a piece.

        Raises
        ------
        ConfigError
            It cannot be written.
        """
        path = self.folder / "data" / f"{name}.js"
        temporary = path.with_name(path.name + ".tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(f'earwitness.receive("{name}",{to_json(value)});\n', encoding="ascii")
            os.replace(temporary, path)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written ({error}); choose another --out") from error
        self.written.add(path.name)


class Elements:
    """Keeps pieces as elements of the page itself.

    Attributes
    ----------
    size : int
        Characters of all of them; each is a byte.
    """

    def __init__(self) -> None:
        self._parts: list[Markup] = []
        self.size = 0

    def put(self, name: str, value: Any) -> None:
        """Add a piece."""
        element = Markup('<script type="application/json" id="data-{}">{}</script>\n')
        self._parts.append(element.format(name, Markup(to_json(value))))  # noqa: S704 - holds no <, > or &
        self.size += len(self._parts[-1])

    @property
    def inline(self) -> Markup:
        """The elements."""
        return Markup("").join(self._parts)
