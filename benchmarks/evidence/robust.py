"""What robust sets are worth beside plain ones: ``python -m benchmarks.evidence.robust [--panel P] [--domain D]``.

Of each model of a panel and clip (none of which the search was tuned on): the plain sufficient set, and the robust one.
Both are asked in views that neither search nor verification saw: in how many do they hold with their own model, and in
how many do the other models accept them? Beside that, what those accept of random sets of the same energy, and of the
same profile, in the same views. Rates have intervals from resampling clips.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.evidence.panels import PANELS, load_models

from earwitness import Classifier, Clip, RobustSettings, SearchSettings, Subset, explain, find_robust
from earwitness.analyses.chance import draw_nulls
from earwitness.analyses.panel import Panel
from earwitness.search.driver import Driver
from earwitness.search.questions import Sufficient
from earwitness.signal.masks import Mask, from_runs
from earwitness.signal.views import Viewed, draw_views, in_view, parse_views
from earwitness.transferability.statistics.rates import cluster_bootstrap

RESULTS = Path(__file__).parent / "results"
UNSEEN = 24  #: views that judge
KINDS = ("sufficient", "robust")
NULLS = ("null_energy", "null_profile")
Row = dict[str, Any]


def measure(panel: str, clips: int, settings: SearchSettings, robust: RobustSettings) -> list[Row]:
    """One row a model, clip and kind of set; two clips side by side."""
    rows = []
    work = partial(measure_clip, panel, settings, robust)
    with ProcessPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for number, found in enumerate(pool.map(work, range(clips), PANELS[panel].clips(clips))):
            rows += found
            print(f"clip {number + 1} of {clips}", flush=True)
    return rows


def measure_clip(panel: str, settings: SearchSettings, robust: RobustSettings, number: int, clip: Clip) -> list[Row]:
    """The rows of one clip."""
    classifiers, rows = load_models(panel), []
    for name, classifier in classifiers.items():
        found = explain_both(clip, classifier, settings, robust)
        rows += [{"clip": number, "model": name, **row} for row in judge(name, classifiers, *found, settings.delta)]
    return rows


def explain_both(
    clip: Clip, classifier: Classifier, settings: SearchSettings, wanted: RobustSettings
) -> tuple[Any, dict[str, Row]]:
    """The plain and the robust set, each with its size and questions; robust ones that failed have a reason."""
    explanation = explain(clip, classifier, settings)
    robust = find_robust(explanation, classifier, wanted)
    size = explanation.spectrum.size
    sets = {}
    for kind, part in (("sufficient", explanation.sufficient[0]), ("robust", robust.robust)):
        if isinstance(part, Subset):
            sets[kind] = {"mask": from_runs(part.runs, size), "size": part.size, "questions": part.queries}
        else:
            sets[kind] = {"mask": None, "why": part.why}
    return explanation, sets


def judge(
    name: str, classifiers: dict[str, Classifier], explanation: Any, sets: dict[str, Row], delta: float
) -> list[Row]:
    """What the own and the other models say to both sets and their nulls, in unseen views."""
    spectrum, label = explanation.spectrum, int(explanation.log_probabilities.argmax())
    views = draw_views(parse_views(RobustSettings().views), spectrum, UNSEEN, "unseen")
    viewed, rows = Viewed(spectrum, views), []
    for kind in KINDS:
        mask = sets[kind].pop("mask")
        row: Row = {"kind": kind, **sets[kind]}
        if mask is not None:
            nulls = draw_nulls([mask], spectrum.energy, 4, spectrum.clip.sha256, kind)
            by_null = {null: [one.mask for one in nulls if one.kind == null] for null in NULLS}
            whole = np.ones_like(mask)
            row["survival"] = Panel(Driver(classifiers[name]), viewed, label, delta).count(mask, Sufficient).share
            others = [Driver(one) for other, one in classifiers.items() if other != name]
            for what, masks in {"alpha": [mask], "original": [whole], **by_null}.items():
                row[what] = float(np.mean([accepted(driver, viewed, masks, label) for driver in others]))
        rows.append(row)
    return rows


def accepted(driver: Driver, viewed: Viewed, masks: Sequence[Mask], label: int) -> float:
    """Share of masks and views that get the label."""
    count = len(viewed.views)
    questions = np.concatenate([in_view(np.stack(masks), view, count) for view in range(count)])
    return float((driver.evaluate(viewed, questions).argmax(axis=1) == label).mean())


def summarize(rows: Sequence[Row]) -> dict[str, Row]:
    """By kind: median size and questions, survival, and α with what chance accepts and the difference's interval."""
    table = {}
    for kind in KINDS:
        own = [row for row in rows if row["kind"] == kind]
        sets = [row for row in own if "alpha" in row]
        table[kind] = {
            "explanations": len(own), "sets": len(sets),
            "size": float(np.median([row["size"] for row in sets])),
            "questions": float(np.median([row["questions"] for row in sets])),
            "survival": by_clip(sets, lambda row: row["survival"]), "alpha": by_clip(sets, lambda row: row["alpha"]),
            "original": by_clip(sets, lambda row: row["original"]),
            **{null: by_clip(sets, lambda row, null=null: row[null]) for null in NULLS},
            **{f"beyond_{null}": by_clip(sets, lambda row, null=null: row["alpha"] - row[null]) for null in NULLS},
        }  # fmt: skip
    return table


def by_clip(rows: Sequence[Row], value: Any) -> tuple[float, float, float]:
    """Mean and its interval, clips resampled."""
    sums: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        sums[row["clip"]].append(value(row))
    totals = np.array([[sum(values), len(values)] for values in sums.values()], dtype=np.float64)
    rate, low, high = cluster_bootstrap(totals[:, 0], totals[:, 1])
    return round(float(rate), 4), round(float(low), 4), round(float(high), 4)


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument("--panel", default="digits", choices=PANELS)
    parser.add_argument("--delta", type=float, default=0.9)
    parser.add_argument("--domain", default="rfft")
    parser.add_argument("--budget", type=int, default=3000, help="of the plain search")
    parser.add_argument("--questions", type=int, default=RobustSettings().questions, help="for a robust set")
    options = parser.parse_args()
    settings = SearchSettings(delta=options.delta, budget=options.budget, domain=options.domain)
    torch.set_num_threads(1)
    rows = measure(options.panel, options.clips, settings, RobustSettings(questions=options.questions))
    table = summarize(rows)
    print(json.dumps(table, indent=1))
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"robust-{options.panel}-{options.domain.replace(':', '-')}.json"
    path.write_text(json.dumps({"options": vars(options), "table": table, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
