"""A case worked out by hand: three models, four clips, three labels, one of them never said.

==========  ======  ======  ======  ======
clip        1       2       3       4
==========  ======  ======  ======  ======
its label   x       x       y       y
a says      x       x       y       y
b says      x       x       y       x
c says      x       y       y       y
==========  ======  ======  ======  ======

An answer is sure (``X``: 0.98 of x, 0.01 each of the others; 0.1614 bits, 0.1018 of log₂ 3) or unsure (``x``: 0.4
of x, 0.3 each; 1.5710 bits, 0.9912 of log₂ 3). With ε = 0.5 the sure ones are certain.

Sufficient signals, and what the others say to them (two of a's on clip 1; b's on clip 2 is empty):

==========  ======  ======  ======  ======  ======
            1       1'      2       3       4
==========  ======  ======  ======  ======  ======
a: b, c     X, x    Y, X    X, Y    y, Y    X, Y
b: a, c     X, X            Y, Y    Y, Y    Y, X
c: a, b     Y, Y            X, X    Y, X    X, X
==========  ======  ======  ======  ======  ======

So α is a→b 3/5, a→c 4/5, b→a 2/4, b→c 3/4, c→a 1/4, c→b 0/4. Complete signals: a's are accepted by both always
(b unsure), c's are answered as its sufficient ones, b has none; one_complete there are none at all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from earwitness.transferability.answers import OVERLAP_COLUMNS, SIGNAL_COLUMNS, Answers
from earwitness.transferability.definitions import judge

LABELS = ("x", "y", "z")
MODELS = {"a": ("hf", 100), "b": ("hf", 300), "c": ("onnx", 200)}
TRUTH = {1: "x", 2: "x", 3: "y", 4: "y"}
SAID = {"a": "xxyy", "b": "xxyx", "c": "xyyy"}
SUFFICIENT = {
    "a": {"b": ["X", "Y", "X", "y", "X"], "c": ["x", "X", "Y", "Y", "Y"]},
    "b": {"a": ["X", "Y", "Y", "Y"], "c": ["X", "Y", "Y", "X"]},
    "c": {"a": ["Y", "X", "Y", "X"], "b": ["Y", "X", "X", "X"]},
}
COMPLETE = {"a": {"b": ["x", "x", "y", "y"], "c": ["X", "X", "Y", "Y"]}, "c": SUFFICIENT["c"]}
#: what each says to silence, and to null signals of the size of a's sufficient ones
SILENT = {"a": "Y", "b": "x", "c": "Y"}
NULL_SIZE = {"b": ["X", "Y", "Y", "Y", "X"], "c": ["Y", "Y", "Y", "Y", "X"]}
SURE = 0.98 * np.log2(1 / 0.98) + 0.02 * np.log2(100)
UNSURE = 0.4 * np.log2(2.5) + 0.6 * np.log2(1 / 0.3)


def distribution(letter: str) -> list[float]:
    top, rest = (0.98, 0.01) if letter.isupper() else (0.4, 0.3)
    return [np.log(top if label == letter.lower() else rest) for label in LABELS]


class Case:
    """Rows of judgements, as they are noted."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.answers: list[list[float]] = []
        self.subset = 0

    def signal(self, source: str, clip: int, kind: str, said: dict[str, str], **facts: Any) -> int:
        self.subset += 1
        label = SAID[source][clip - 1]
        row = {
            "subset": self.subset, "clip": clip, "path": f"clip{clip}", "truth": TRUTH[clip], "group": "ab"[clip % 2],
            "dataset": "odd" if clip % 2 else "even", "source": source, "kind": kind, "draw": 0, "size": 9,
            "energy": 0.1, "certificate": "none", "parent": None, "label": label, **facts,
        }  # fmt: skip
        for name, letter in said.items():
            self.rows.append({**row, "judge": name})
            self.answers.append(distribution(letter) if letter != "?" else [np.nan] * 3)
        return self.subset

    def finish(self, labels: tuple[str, ...] = LABELS) -> Answers:
        raw = pl.DataFrame(self.rows, schema={**SIGNAL_COLUMNS, "judge": pl.String()})
        judged = judge(raw, np.array(self.answers, dtype=np.float32).reshape(-1, 3), labels)
        originals = [
            {"clip": clip, "path": f"clip{clip}", "truth": TRUTH[clip], "group": "ab"[clip % 2], "dataset": "d",
             "model": name, "answer": said[clip - 1], "probability": 0.9}
            for clip in TRUTH for name, said in SAID.items()
        ]  # fmt: skip
        models = [
            {"model": name, "backend": m[0], "architecture": "A", "parameters": m[1], "unsteady": 0.0}
            for name, m in MODELS.items()
        ]
        own = pl.col("parent").is_null()
        overlaps = [
            # clip 3: a and b heard much the same, a and c little; clip 4: a and b nothing
            {"clip": clip, "kind": "sufficient", "subset": i, "other": j, "source": a, "judge": b,
             "jaccard": plain, "weighted": weighted}
            for clip, first, second, a, b, plain, weighted in (
                (3, 4, 8, "a", "b", 0.5, 0.8), (3, 4, 12, "a", "c", 0.1, 0.2), (4, 5, 9, "a", "b", 0.0, 0.0),
            )
            for i, j, a, b in ((first, second, a, b), (second, first, b, a))
        ]  # fmt: skip
        return Answers(
            labels, pl.DataFrame(models), judged.filter(own), pl.DataFrame(originals), judged.filter(~own),
            pl.DataFrame(overlaps, schema=OVERLAP_COLUMNS),
        )  # fmt: skip


def make_case() -> Answers:
    case = Case()
    parents, vacuous = [], 0
    for kind, table in (("sufficient", SUFFICIENT), ("complete", COMPLETE)):
        for source, said in table.items():
            clips = [1, 1, 2, 3, 4] if (source, kind) == ("a", "sufficient") else [1, 2, 3, 4]
            for i, clip in enumerate(clips):
                letters = {name: column[i] for name, column in said.items()}
                letters[source] = SAID[source][clip - 1].upper()
                empty = (source, kind, clip) == ("b", "sufficient", 2)
                draw = int(clips[:i].count(clip))
                number = case.signal(
                    source,
                    clip,
                    kind,
                    letters,
                    draw=draw,
                    size=0 if empty else 10 * clip,
                    certificate="one_minimal" if empty else "none",
                )
                if (source, kind) == ("a", "sufficient"):
                    parents.append(number)
                vacuous = number if empty else vacuous
    for i, (parent, clip) in enumerate(zip(parents, [1, 1, 2, 3, 4], strict=True)):
        nulls = {name: column[i] for name, column in NULL_SIZE.items()}
        case.signal("a", clip, "null_size", nulls, draw=i, parent=parent)
    for source in MODELS:
        for clip in TRUTH:
            case.signal(source, clip, "silence", SILENT, parent=vacuous, size=0)
    return case.finish()
