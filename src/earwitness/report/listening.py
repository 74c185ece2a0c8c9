"""Where the models listen: the mean share of kept variables by frequency over their sufficient sets."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from .chunks import encode
from .columns import COLUMNS
from .data import StudyData


class Listener:
    """Sums up, over the clips in full, where each model's sufficient sets lie."""

    def __init__(self, data: StudyData) -> None:
        self._signals = data.signals.get("sufficient")
        rates = data.clips["sample_rate"].to_list()
        self._nyquist = max(rates, default=2) / 2
        self._sums: dict[int, tuple[int, Any]] = {}

    def add(self, row: int, clip: dict[str, Any]) -> None:
        """Count the sets of a clip, as the page has them."""
        if self._signals is None or "sets" not in clip:
            return
        for place in np.flatnonzero((self._signals.clip == row) & (self._signals.size >= 0)):
            share = np.frombuffer(base64.b64decode(clip["sets"][str(self._signals.subset[place])]["share"]), np.uint8)
            model = int(self._signals.source[place])
            count, total = self._sums.get(model, (0, np.zeros(COLUMNS)))
            self._sums[model] = (count + 1, total + share / 255)

    def lanes(self) -> dict[str, Any] | None:
        """The means by model, as shares of the tallest; ``None`` where no clip was counted."""
        if not self._sums:
            return None
        means = {model: total / count for model, (count, total) in sorted(self._sums.items())}
        top = max(float(mean.max()) for mean in means.values())
        return {
            "nyquist": self._nyquist,
            "top": top,
            "lanes": [
                {"model": model, "sets": self._sums[model][0],
                 "levels": encode(np.rint(255 * mean / max(top, 1e-300)), "u1")}
                for model, mean in means.items()
            ],
        }  # fmt: skip
