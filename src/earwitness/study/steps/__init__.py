"""The steps of a run: one file each says which units are missing, what a worker does with them, what is kept.

:mod:`earwitness.study.run` goes through them in order. A unit is one model's work on one clip.
"""

from __future__ import annotations

from .curves import Curves
from .explain import Explain
from .judge import Judge
from .robust import Robust
from .step import Running, Step

__all__ = ["STEPS", "Curves", "Explain", "Judge", "Robust", "Running", "Step"]

#: by their names, as workers are told
STEPS: dict[str, type[Step]] = {step.name: step for step in (Explain, Robust, Judge, Curves)}
