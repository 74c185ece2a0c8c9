"""Pictures of the report's main views, for the documentation.

    python tools/screenshots.py STORE --out docs/images

writes the report of a study (the built-in demo's, say: ``earwitness demo --out demo`` makes ``demo/study.db``) to a
temporary folder, opens it in headless Chromium and takes a picture of each view.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from earwitness.report import write_report
from earwitness.study.store import Store

#: file name, view, scheme, height
VIEWS = (
    ("report-overview", "#/", "light", 1240),
    ("report-transfer", "#/transfer?kind=complete&cell=0-2", "light", 1240),
    ("report-difference", "#/transfer?kind=complete&minus=sufficient", "light", 800),
    ("report-clip", "#/clip/{clip}?signal=robust", "light", 1980),
    ("report-clip-dark", "#/clip/{clip}?signal=complete", "dark", 1180),
    ("report-clips", "#/clips?only=disagree", "light", 760),
    ("report-evidence", "#/section/evidence", "light", 1240),
    ("report-chance", "#/section/chance", "light", 760),
    ("report-certainty", "#/section/certainty", "dark", 760),
)


def take(page: Path, out: Path, clip: int, chromium: str) -> list[Path]:
    """A picture of each view."""
    from playwright.sync_api import sync_playwright

    paths = []
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=chromium, headless=True, args=["--no-sandbox"])
        for name, view, scheme, height in VIEWS:
            options: dict[str, Any] = {"color_scheme": scheme, "viewport": {"width": 1240, "height": height}}
            window = browser.new_page(**options)
            window.goto(page.as_uri() + view.format(clip=clip))
            while not window.evaluate("document.documentElement.dataset.ready"):
                window.wait_for_timeout(20)
            # where the recordings lie on this machine is nobody's business
            window.evaluate("document.querySelector('.meta')?.lastChild.remove()")
            window.wait_for_timeout(200)
            paths.append(out / f"{name}.png")
            window.screenshot(path=paths[-1])
            window.close()
        browser.close()
    return paths


def main() -> None:
    """Run and print what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--clip", type=int, default=1, help="id of the clip to show")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no chromium to open the report with; install it")
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Store(options.store) as store:
        for path in take(write_report(store, folder), options.out, options.clip, chromium):
            print(path)


if __name__ == "__main__":
    main()
