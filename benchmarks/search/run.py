"""Measure the searches, write the results and the page made of them.

``python -m benchmarks.search [--only PART …] [--models …] [--deltas …] [--clips N]`` from the project's root.
What is done is remembered, a result at a time, and only what is missing or came from other code is computed: a
long run may be cut anywhere and started again. ``--page`` computes nothing.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from . import ablation, comparison, heldout, overhead, own, planted
from .bench import DELTAS, MODELS, Settings, Store, Subjects, Task
from .peers import PeerError
from .tables import write_page
from .worth import write_ablation

RESULTS = Path(__file__).with_name("results")
PARTS: dict[str, Callable[[Settings, Subjects, Store], Iterator[Task]]] = {
    "sufficient": own.list_sufficient,
    "complete": own.list_complete,
    "agreement": own.list_agreement,
    "peers": comparison.list_peers,
    "maps": comparison.list_maps,
    "planted": planted.list_planted,
    "overhead": overhead.list_overhead,
    "ablation": ablation.list_ablation,
    "heldout": heldout.list_heldout,
}


def main() -> None:
    """Parse, measure, write."""
    options = _parse()
    torch.set_num_threads(options.threads)
    settings = Settings(tuple(options.models), tuple(options.deltas), options.clips, options.cache)
    store, subjects = Store(options.results, options.keep), Subjects(settings)
    for part in [] if options.page else options.only:
        for task in PARTS[part](settings, subjects, store):
            _run(part, task, store)
    folder = options.results
    pages = Path(__file__).parents[2] / "docs" if folder == RESULTS else folder
    print(write_page(store, pages / "benchmarks.md", options.clips))
    write_ablation(store, pages / "search-ablation.md")


def _run(part: str, task: Task, store: Store) -> None:
    if store.done(part, task):
        return
    start = time.perf_counter()
    try:
        store.put(part, task, task.compute())
    except PeerError as error:
        print(f"{part} {task.key}: not run, {error}", flush=True)
        return
    print(f"{part} {task.key}: {time.perf_counter() - start:.0f} s", flush=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=str(__doc__).split("\n\n")[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL")
    parser.add_argument("--deltas", nargs="+", type=float, default=list(DELTAS), metavar="DELTA")
    parser.add_argument("--clips", type=int, default=12, help="digit clips (default: 12)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of PyTorch")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where results are kept")
    cache = os.environ.get("EARWITNESS_BENCHMARK_CACHE", Path.home() / ".cache" / "earwitness-benchmarks")
    parser.add_argument("--cache", type=Path, default=Path(cache), help="for the other tools and their rankings")
    parser.add_argument("--keep", action="store_true", help="do not compute again what came from other code")
    parser.add_argument("--page", action="store_true", help="only write the page")
    return parser.parse_args()


if __name__ == "__main__":
    main()
