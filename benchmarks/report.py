"""How long a report of many clips takes to open, and how much memory the browser holds.

    python -m benchmarks.report --clips 10000

makes a synthetic store (random answers of some models; no search is run), writes its report, and opens views of it in
headless Chromium, each from the file in a fresh browser. A row a view: seconds from navigation until it is drawn, and
memory (proportional set size, MB) of the processes that hold pages, of the JavaScript heap, of all of the browser's
processes, and of these beyond what the same browser took with an empty page.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from earwitness.datasets.recording import Recording
from earwitness.models.callables import CallableModel
from earwitness.report import write_report
from earwitness.search.settings import SearchSettings
from earwitness.signal import audio
from earwitness.study.store import Store, pack

LABELS = tuple(f"label {k}" for k in range(10))
KINDS = ("sufficient", "complete", "one_complete", "inverse", "null_size")
VIEWS = ("#/", "#/transfer?cell=0-1", "#/clips", "#/clips?page=150", "#/clip/1", "#/clip/9000")
RATE, SAMPLES, BINS = 16000, 16000, 8001


def make_store(path: Path, clips: int, models: int, sounds: int) -> None:
    """A store as a study makes it, with random sets and answers; only the first ``sounds`` clips have recordings."""
    rng = np.random.default_rng(0)
    with Store(path, write=True) as store:
        key = store.add_settings(SearchSettings(), LABELS)
        store.set_meta(settings=key, name=f"{clips} synthetic clips", epsilon=0.5)
        ids = [
            store.add_model(
                CallableModel(lambda waves: waves, LABELS, RATE, spec=f"python:model{k}", fingerprint=str(k))
            )
            for k in range(models)
        ]  # fmt: skip
        rows = [_add_clip(store, path.parent, k, rng, k < sounds) for k in range(clips)]
        store.set_plan(key, ids, rows)
        _fill(store, key, rows, ids, rng)


def _add_clip(store: Store, folder: Path, number: int, rng: np.random.Generator, sound: bool) -> int:
    name = folder / f"recording {number:05d}.wav"
    recording = Recording(name, label=LABELS[number % len(LABELS)], group=f"speaker {number % 40}")
    if sound:
        wave = (0.1 * rng.standard_normal(SAMPLES)).astype(np.float32)
        soundfile.write(name, wave, RATE, subtype="FLOAT")
        return store.add_clip(audio.read(name), recording)
    wave = np.zeros(SAMPLES, dtype=np.float32)
    wave[0] = (number + 1) / 2**24
    return store.add_clip(audio.Clip(wave, RATE, str(name)), recording)


def _fill(store: Store, key: str, clips: list[int], models: list[int], rng: np.random.Generator) -> None:
    """Write rows at once: ten thousand clips in one transaction, where a study takes one for each."""
    database: Any = store._db
    mask = np.zeros(BINS, dtype=bool)
    mask[rng.integers(0, BINS, 200)] = True
    packed = zlib.compress(np.packbits(mask).tobytes())
    with store.transaction():
        for clip in clips:
            for model in models:
                database.execute("INSERT INTO originals VALUES (?, ?, ?, ?)", (clip, model, key, _answer(rng)))
                explanation = database.execute(
                    "INSERT INTO explanations (clip, model, settings, size, queries, seconds, why)"
                    " VALUES (?, ?, ?, ?, ?, ?, '')",
                    (clip, model, key, BINS, 400, 1.0),
                ).lastrowid
                for kind in KINDS:
                    subset = database.execute(
                        "INSERT INTO subsets (explanation, kind, draw, mask, size, energy, certificate, groups,"
                        " queries, why) VALUES (?, ?, 0, ?, ?, 0.1, 'one_minimal', 0, 100, '')",
                        (explanation, kind, packed, int(mask.sum())),
                    ).lastrowid
                    answers = [(subset, judge, _answer(rng)) for judge in models]
                    database.executemany("INSERT INTO transfers VALUES (?, ?, ?)", answers)


def _answer(rng: np.random.Generator) -> bytes:
    values = rng.standard_normal(len(LABELS)) * 2
    return pack((values - np.log(np.exp(values).sum())).astype(np.float32))


def measure(page: Path, view: str, chromium: str) -> dict[str, Any]:
    """Open one view in a fresh browser: seconds until it is drawn, and MB beyond an empty page."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=chromium, headless=True, args=flags)
        try:
            window = browser.new_page(viewport={"width": 1280, "height": 900})
            window.goto("about:blank")
            window.wait_for_timeout(500)
            before, _ = _memory()
            start = time.perf_counter()
            window.goto(page.as_uri() + view)
            while not window.evaluate("document.documentElement.dataset.ready"):
                window.wait_for_timeout(5)
            seconds = time.perf_counter() - start
            window.wait_for_timeout(1000)
            heap = window.evaluate("performance.memory.usedJSHeapSize") / 1e6
            total, renderers = _memory()
            return {
                "view": view, "seconds": round(seconds, 2), "MB_renderers": round(renderers), "MB_heap": round(heap),
                "MB_browser": round(total), "MB_beyond_empty": round(total - before),
            }  # fmt: skip
        finally:
            browser.close()


def _memory() -> tuple[float, float]:
    """Proportional set size of all Chromium processes below this one, and of those that hold pages, in MB."""
    total = renderers = 0.0
    for process in _descendants():
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        size = next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0) * 1024 / 1e6
        total += size
        if b"--type=renderer" in Path(f"/proc/{process}/cmdline").read_bytes():
            renderers += size
    return total, renderers


def _descendants() -> set[int]:
    import os

    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(text.rpartition(")")[2].split()[1])
    found = {os.getpid()}
    while True:
        more = {child for child, parent in parents.items() if parent in found} - found
        if not more:
            break
        found |= more
    return {process for process in found if _is_chromium(process)}


def _is_chromium(process: int) -> bool:
    try:
        return "chrom" in Path(f"/proc/{process}/comm").read_text()
    except OSError:
        return False


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--models", type=int, default=4)
    parser.add_argument("--sounds", type=int, default=50, help="clips with recordings")
    parser.add_argument("--keep", type=Path, help="folder for store and report, kept and used again")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no chromium to open the report with; install it")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "study.db").exists():
            make_store(folder / "study.db", options.clips, options.models, options.sounds)
        start, page = time.perf_counter(), folder / "report" / "index.html"
        if not page.exists():
            with Store(folder / "study.db") as store:
                write_report(store, folder / "report")
        size = sum(path.stat().st_size for path in (folder / "report").rglob("*") if path.is_file())
        print(json.dumps({"written_seconds": round(time.perf_counter() - start, 1), "MB": round(size / 1e6, 1)}))
        for view in VIEWS:
            print(json.dumps(measure(page, view, chromium)), flush=True)


if __name__ == "__main__":
    main()
