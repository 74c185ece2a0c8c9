"""A page in headless Chromium, watched: what it asks for, what it complains of, how accessible it is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import axe_playwright_python

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run", "--mute-audio",
         "--autoplay-policy=no-user-gesture-required"]  # fmt: skip
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")


class Window:
    """A page of a report."""

    def __init__(self, browser: Any, page: Path, **options: Any) -> None:
        self.asked: list[str] = []
        self.said: list[str] = []
        self.address = page.as_uri()
        self.page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))

    def go(self, address: str) -> Any:
        """Show a view, as a link to it would, and wait for it."""
        self.page.goto("about:blank")
        self.page.goto(self.address + address)
        self.until("document.documentElement.dataset.ready")
        return self.page

    def until(self, condition: str) -> None:
        """Wait until a condition holds, asked from outside: the page's policy lets nothing be evaluated inside."""
        for _ in range(500):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(20)
        raise AssertionError(f"never came true: {condition}")

    def faults(self) -> list[Any]:
        """What axe-core finds, minor faults apart: impact, rule and elements."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        run = "axe.run().then(run => run.violations.map(v => [v.impact, v.id, v.nodes.map(n => n.html)]))"
        return [fault for fault in self.page.evaluate(run) if fault[0] != "minor"]

    def close(self) -> None:
        """Close it; it must not have complained, nor asked for anything outside its folder."""
        self.page.close()
        assert self.said == []
        folder = self.address.rpartition("/")[0] + "/"
        assert all(url.startswith((folder, "about:", "data:")) for url in self.asked)
