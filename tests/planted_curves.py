"""Models that answer as surely as they hear, so that the evidence they share is known by construction.

A reader's probability of ``yes`` rises linearly with the share of its bins' energy that is there. Its map puts its bins
on top. Bands hold less than the first level's energy, so a map's sets hold its band at every level L, and of other
bins, whose energies are drawn alike, about the share L, as random sets and the order by energy do. So of a judge's
band, that of a source that reads

- the same bins brings 1 at every level, as its own map: shared evidence 1;
- other bins brings L, as random sets: 0;
- half of them brings ½ + ½ L, which is half as far above L as 1 is: ½.

All say ``yes`` to the whole clip: it carries the label in every band.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from earwitness.analyses.nested import ask_curves
from earwitness.analyses.settings import CurveSettings
from earwitness.signal.masks import Mask
from earwitness.transferability.answers import NESTED_COLUMNS, OVERLAP_COLUMNS, SIGNAL_COLUMNS, Answers
from earwitness.transferability.definitions import judge
from planted import Band

SIZE = 2001
A: Band = (100, 108)
FIRST_HALF: Band = (100, 104)
B: Band = (900, 908)


def make_energies(clip: int) -> NDArray[np.float64]:
    """Of a clip's bins, drawn alike, sum 1: float64 [SIZE]."""
    energies = np.random.default_rng([7, clip]).uniform(0.2, 1.8, SIZE)
    return np.asarray(energies / energies.sum(), dtype=np.float64)


@dataclass(frozen=True)
class Reader:
    """Reads a band; ``least`` is its probability of ``yes`` with nothing there, ``denies`` the clips it says no to."""

    band: Band
    least: float = 0.02
    denies: frozenset[int] = field(default_factory=frozenset)

    def answer(self, masks: Mask, clip: int) -> NDArray[np.float32]:
        """Log-probabilities of yes and no, float32 [M, 2]."""
        own = make_energies(clip)[slice(*self.band)]
        yes = self.least + (0.98 - self.least) * (masks[:, slice(*self.band)] @ own) / own.sum()
        both = np.stack([yes, 1 - yes], axis=1)
        return np.asarray(np.log(both[:, ::-1] if clip in self.denies else both), dtype=np.float32)

    @property
    def map(self) -> NDArray[np.float32]:
        """1 for its bins, else 0: float32 [SIZE]."""
        scores = np.zeros(SIZE, dtype=np.float32)
        scores[slice(*self.band)] = 1
        return scores


def ask_readers(readers: Mapping[str, Reader], clips: Iterable[int], settings: CurveSettings | None = None) -> Answers:
    """What readers say to each other's curves, and to each other's bands as ``sufficient`` signals."""
    labels, maps = ("yes", "no"), {name: reader.map for name, reader in readers.items()}
    nested: list[dict[str, Any]] = []
    said: list[dict[str, Any]] = []
    signals: list[dict[str, Any]] = []
    logs: list[NDArray[np.float32]] = []
    for clip in clips:
        energies, facts = make_energies(clip), {"path": f"{clip}.wav", "truth": None, "group": f"{clip % 5}"}
        whole = {name: reader.answer(np.ones((1, SIZE), dtype=bool), clip)[0] for name, reader in readers.items()}
        for name, reader in readers.items():

            def ask(masks: Mask, reader: Reader = reader, clip: int = clip) -> NDArray[np.float32]:
                return reader.answer(masks, clip)

            rows = ask_curves(maps, energies, ask, settings or CurveSettings(), f"clip {clip}")
            nested += [{"clip": clip, "judge": name, **asdict(row)} for row in rows]
            answer = labels[int(whole[name].argmax())]
            said.append({"clip": clip, **facts, "dataset": "", "model": name, "answer": answer, "probability": 0.9})
            for source, other in readers.items():
                signals.append({
                    "subset": len(signals), "clip": clip, **facts, "dataset": "", "source": source, "judge": name,
                    "kind": "sufficient", "draw": 0, "size": 8, "energy": 0.1, "certificate": "none", "parent": None,
                    "label": labels[int(whole[source].argmax())],
                })  # fmt: skip
                logs.append(ask(other.map[None] > 0)[0])
    models = [
        {"model": name, "backend": "planted", "architecture": "", "parameters": 0, "unsteady": 0.0} for name in readers
    ]
    judged = judge(pl.DataFrame(signals, schema={**SIGNAL_COLUMNS, "judge": pl.String()}), np.stack(logs), labels)
    return Answers(
        labels, pl.DataFrame(models), judged, pl.DataFrame(said), judged.clear(),
        pl.DataFrame(schema=OVERLAP_COLUMNS), pl.DataFrame(nested, schema=NESTED_COLUMNS),
    )  # fmt: skip
