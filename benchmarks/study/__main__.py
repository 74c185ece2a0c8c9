"""``python -m benchmarks.study [memory] [workers] [rows] [same]``: measure, and write ``results/NAME.md``."""

from __future__ import annotations

import sys
from pathlib import Path

from . import memory, rows, same, workers

PARTS = {"memory": memory.report, "workers": workers.report, "rows": rows.report, "same": same.report}


def main() -> None:
    """Run the parts named, or all."""
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    for name in sys.argv[1:] or PARTS:
        text = PARTS[name]()
        (results / f"{name}.md").write_text(text + "\n", encoding="utf-8")
        print(f"## {name}\n\n{text}\n")


if __name__ == "__main__":
    main()
