"""Models that answer about the same recordings, from the shared folder or built in: what evidence is measured on."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from benchmarks.search.bench import MODELS, SHARED, load_clips

from earwitness import Classifier, Clip, open_model
from earwitness.signal import audio

OFFSET = 1  #: of the clips: the search was tuned on digits at 0


@dataclass(frozen=True)
class Panel:
    """Models, and recordings for them.

    Attributes
    ----------
    models : dict
        Spec by name; of the shared folder's models, relative to it.
    clips : callable
        So many recordings, none of which a search was tuned on.
    """

    models: dict[str, str]
    clips: Callable[[int], list[Clip]]


def load_digits(count: int) -> list[Clip]:
    """Spoken digits, 1 s."""
    return load_clips(count, OFFSET)


def load_spoof(count: int) -> list[Clip]:
    """Bona fide and synthetic speech, 3 s."""
    return _load("spoof", count)


def load_music(count: int) -> list[Clip]:
    """Excerpts of music in ten genres, 3 s."""
    return _load("gtzan", count)


@cache
def load_models(panel: str) -> dict[str, Classifier]:
    """A panel's models, on the CPU; once a process."""
    return {
        name: Classifier(open_model(spec.replace("SHARED", str(SHARED)), "cpu"))
        for name, spec in PANELS[panel].models.items()
    }


def _load(source: str, count: int, seconds: float = 3.0) -> list[Clip]:
    with (SHARED / "data" / "metadata.csv").open(encoding="utf-8") as lines:
        files = [row["file"] for row in csv.DictReader(lines) if row["file"].startswith(f"{source}/")]
    return [audio.read(SHARED / "data" / files[i * len(files) // count], 16_000, seconds) for i in range(count)]


def _shared(task: str, names: Sequence[str]) -> dict[str, str]:
    return {name: f"hf:SHARED/models/hf/{task}/{name}" for name in names}


PANELS = {
    "digits": Panel(_shared("digits", MODELS), load_digits),
    "spoof": Panel(_shared("spoof", ("ast", "hubert", "wav2vec2")), load_spoof),
    "taggers": Panel({name: f"builtin:{name}" for name in ("mtt-musicnn", "mtt-vgg")}, load_music),
}
