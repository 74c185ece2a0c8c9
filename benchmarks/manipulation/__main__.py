"""How often the answers of real classifiers flip when one bin, or five, of the whole clip's spectrum change.

``python -m benchmarks.manipulation --out RESULTS.json`` measures; ``--table RESULTS.json...`` prints the tables.
Digit models and recordings are the shared folder's (``EARWITNESS_SHARED``); taggers and 3 s of
music are built in; ``gtzan`` are the taggers on 15 s of the shared folder's music.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from earwitness import Clip, open_model
from earwitness.analyses.manipulation.bounds import ACTIONS, Bounds
from earwitness.analyses.manipulation.flips import Flip, find_flip, make_subject
from earwitness.datasets.builtin import builtin_recordings
from earwitness.models import Classifier, Model, align, aligned
from earwitness.search.driver import Driver
from earwitness.signal import audio
from earwitness.signal.domains import Domain
from earwitness.signal.spectrum import Spectrum
from earwitness.transferability.statistics.rates import wilson

#: of which changes below the masking threshold are made
CELLS = "stft:512:256"
DIGITS = ("whisper", "ast", "wavlm", "hubert", "sew", "wav2vec2")
TAGGERS = ("msd-musicnn", "msd-vgg", "mtt-musicnn", "mtt-vgg")


def main() -> None:
    """Measure, or print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=("digits", "taggers", "gtzan"), default="digits")
    parser.add_argument("--models", nargs="*", help="names within the family; default: all")
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--actions", nargs="*", default=ACTIONS, choices=ACTIONS, help="only these, each by itself")
    parser.add_argument("--budget", type=int, default=300)
    parser.add_argument("--gain", type=float, default=40.0)
    parser.add_argument("--gradients", action="store_true", help="order changes by gradients; default: black-box")
    parser.add_argument(
        "--masked", type=int, nargs="*", help="instead: so many STFT cells, below the masking threshold"
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path, nargs="*")
    arguments = parser.parse_args()
    if arguments.table:
        print(to_table([row for path in arguments.table for row in json.loads(path.read_text())]))
        return
    rows: list[dict[str, Any]] = []
    for row in measure(arguments):
        rows.append(row)
        if arguments.out:  # an interrupted run keeps what it has
            arguments.out.write_text(json.dumps(rows, indent=0) + "\n")
    print(to_table(rows))


def measure(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row a model, clip and kind of change."""
    classifiers, clips = load(arguments.family, arguments.models, arguments.clips)
    bounds = Bounds(gain=arguments.gain)
    searches: list[tuple[tuple[str, ...], Bounds]] = [((action,), bounds) for action in arguments.actions]
    if len(searches) == len(ACTIONS):
        searches.append((ACTIONS, bounds))
    if arguments.masked:
        searches = [(ACTIONS, Bounds(count, arguments.gain, margin=0.0)) for count in sorted(arguments.masked)]
    domain = Domain.parse(CELLS if arguments.masked else "rfft")
    for classifier in classifiers:
        driver = Driver(classifier)
        for name, clip in clips.items():
            subject = make_subject(Spectrum(clip, domain), driver, gradients=arguments.gradients)
            for actions, bounds in searches:
                start = time.process_time()
                found = find_flip(subject, actions, bounds, budget=arguments.budget)
                row = {
                    "family": arguments.family, "model": classifier.model.spec.replace("\\", "/").split("/")[-1],
                    "bins": subject.spectrum.size, "clip": name, "count": bounds.count, "actions": "+".join(actions),
                    "gradients": arguments.gradients, "gain": arguments.gain, "budget": arguments.budget,
                    "questions": found.queries, "flipped": isinstance(found, Flip),
                    "cpu": round(time.process_time() - start, 3),
                }  # fmt: skip
                if isinstance(found, Flip):
                    row |= {
                        "size": found.change.size, "history": found.history, "snr": round(found.snr, 2),
                        "margin": round(found.margin, 2), "flac": found.flac.flipped,
                    }  # fmt: skip
                yield row


def load(family: str, names: list[str] | None, count: int) -> tuple[list[Classifier], dict[str, Clip]]:
    """The classifiers of a family, and clips."""
    shared = Path(os.environ.get("EARWITNESS_SHARED", Path(__file__).parents[3] / "shared"))
    if family == "digits":
        models: list[Model] = [open_model(f"hf:{shared}/models/hf/digits/{name}") for name in names or DIGITS]
        files = sorted((shared / "data" / "fsdd").glob("*.flac"))
        return [Classifier(model) for model in models], read_some(files, count, 1.0)
    taggers = [open_model(f"builtin:{name}") for name in names or TAGGERS]
    everyone = [open_model(f"builtin:{name}") for name in TAGGERS] if names else taggers
    labels = align(everyone)
    kept = [i for i, model in enumerate(everyone) if not names or model.spec.split(":")[1] in names]
    classifiers = [aligned(everyone, labels)[i] for i in kept]
    if family == "gtzan":
        return classifiers, read_some(sorted((shared / "data" / "gtzan").glob("*.flac")), count, 15.0)
    recordings = builtin_recordings(count)
    return classifiers, {Path(r.path).stem: audio.read(r.path, 16_000, 3.0) for r in recordings}


def read_some(files: list[Path], count: int, seconds: float) -> dict[str, Clip]:
    """Clips of so many files, spread evenly over them."""
    chosen = [files[round(i * (len(files) - 1) / max(count - 1, 1))] for i in range(count)]
    return {file.stem: audio.read(file, 16_000, seconds) for file in chosen}


def to_table(rows: list[dict[str, Any]]) -> str:
    """Flip rates by model and kind of change, as Markdown."""
    if rows and rows[0].get("count") is not None:
        return to_masked_table(rows)
    lines = [
        "| model | bins | change | order | clips | k = 1 | 95 % | questions | k = 5 | 95 % | questions | any k |"
        " smallest, median | SNR, median dB | 16-bit FLAC |",
        "| --- " * 15 + "|",
    ]
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        key = (row["model"], row["bins"], row["actions"].replace("remove+scale+shift", "any"), row["gradients"])
        groups.setdefault(key, []).append(row)
    for (model, bins, actions, gradients), part in groups.items():
        cells = [model, f"{bins:,}", actions, "gradient" if gradients else "black-box", len(part)]
        for k in (1, 5):
            cells += [*_rate(part, k)]
        flips = [row for row in part if row["flipped"]]
        cells.append(f"{len(flips) / len(part):.0%}")
        cells += [f"{np.median([row[name] for row in flips]):.3g}" if flips else "" for name in ("size", "snr")]
        cells.append(f"{sum(row['flac'] for row in flips)}/{len(flips)}")
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def to_masked_table(rows: list[dict[str, Any]]) -> str:
    """Flip rates below the masking threshold, as Markdown."""
    lines = [
        "| model | cells | at most | clips | flipped | 95 % | questions | cells changed, median | SNR, median dB |"
        " margin, median dB | 16-bit FLAC |",
        "| --- " * 11 + "|",
    ]
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["model"], row["bins"], row["count"]), []).append(row)
    for (model, cells, count), part in groups.items():
        flips = [row for row in part if row["flipped"]]
        low, high = wilson(len(flips), len(part))
        medians = [
            f"{np.median([row[name] for row in flips]):.3g}" if flips else ""
            for name in ("questions", "size", "snr", "margin")
        ]
        shown = [model, f"{cells:,}", f"{count:,}", len(part), f"{len(flips) / len(part):.0%}", f"{low:.0%}–{high:.0%}"]
        shown += [*medians, f"{sum(row['flac'] for row in flips)}/{len(flips)}"]
        lines.append("| " + " | ".join(map(str, shown)) + " |")
    return "\n".join(lines)


def _rate(part: list[dict[str, Any]], k: int) -> tuple[str, str, str]:
    """Share that flips with at most k bins, its interval, and the median questions until such a flip."""
    asked = [min(q for size, q in row["history"] if size <= k) for row in part if row.get("size", np.inf) <= k]
    low, high = wilson(len(asked), len(part))
    return f"{len(asked) / len(part):.0%}", f"{low:.0%}–{high:.0%}", f"{np.median(asked):.0f}" if asked else ""


if __name__ == "__main__":
    main()
