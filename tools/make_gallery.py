"""The figures of docs/gallery.md: runs the page's Python and saves what each block draws as the image that follows it.

python tools/make_gallery.py STORE [FOLDER]        # by default into docs
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "gallery.md"
#: a block of code, and the image that follows it, if any
BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n!\[[^\]]*\]\((?P<image>[^)]+)\))?", re.S)
#: how the page names the store
STORE = '"music.db"'


def make_images(text: str, store: Path, folder: Path) -> list[Path]:
    """Run a page's code on a store; the images it drew, by the paths it names, below a folder."""
    names: dict[str, Any] = {}
    paths = []
    for block in BLOCK.finditer(text):
        exec(block["code"].replace(STORE, repr(str(store))), names)
        if block["image"]:
            path = folder / block["image"]
            path.parent.mkdir(parents=True, exist_ok=True)
            figure_of(names["axes"]).savefig(path, dpi=110, metadata={"Software": None})
            paths.append(path)
    return paths


def figure_of(drawn: Any) -> Figure:
    """The figure of what a plot returns: axes, several, or the figure itself."""
    one = drawn[0] if isinstance(drawn, Sequence) else drawn
    found = one if isinstance(one, Figure) else one.get_figure(root=True)
    assert isinstance(found, Figure)
    return found


if __name__ == "__main__":
    for made in make_images(
        PAGE.read_text(encoding="utf-8"), Path(sys.argv[1]), Path(sys.argv[2] if sys.argv[2:] else DOCS)
    ):
        print(made)
