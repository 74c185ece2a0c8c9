"""A planted study for the page: hostile names, two models that hear one bin each, three clips, one failure."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from earwitness.datasets.recording import Recording
from earwitness.explanation import explain
from earwitness.models import Classifier
from earwitness.models.callables import CallableModel
from earwitness.report import write_report
from earwitness.search.settings import SearchSettings
from earwitness.signal import audio
from earwitness.signal.spectrum import Spectrum
from earwitness.study.store import Store

RATE, SAMPLES = 8000, 2000  # bins 4 Hz apart
LABELS = ('low & "slow"', "</script><script>alert(2)</script>")
HOSTILE = '"><script>alert(1)<!--.wav'
FAILED = "<img src=x onerror=alert(3)>.wav"
Pages = tuple[Path, Path, Path]  # store, page, folder of recordings


class Planted:
    """Says its first label where bin ``bin`` is loud enough, its second where it is not."""

    labels, sample_rate = LABELS, RATE

    def __init__(self, planted: int) -> None:
        self.planted = planted

    def __call__(self, waves: torch.Tensor) -> torch.Tensor:
        height = torch.fft.rfft(waves, dim=1).abs()[:, self.planted] / SAMPLES
        return torch.stack([height * 20, torch.ones_like(height)], dim=1)


def planted(number: int) -> Classifier:
    call = Planted(number)
    return Classifier(CallableModel(call, LABELS, RATE, spec=f"python:planted:<b>{number}", fingerprint=str(number)))


def make_clip(path: Path, loud: tuple[int, ...], seed: int) -> None:
    times = np.arange(SAMPLES) / SAMPLES
    noise = 0.003 * np.random.default_rng(seed).standard_normal(SAMPLES)
    tones = sum(0.3 * np.sin(2 * np.pi * bin_number * times) for bin_number in loud)
    soundfile.write(path, (noise + tones).astype(np.float32), RATE, subtype="FLOAT")


def fill(store: Store, folder: Path, settings: SearchSettings) -> None:
    """A study as the runner makes it: two models, three clips, one failure."""
    classifiers = [planted(110), planted(300)]
    key = store.add_settings(settings, LABELS)
    store.set_meta(settings=key, name="Planted <tones>")
    models = [store.add_model(classifier.model) for classifier in classifiers]
    store.set_plan(key, models, [])
    rows: list[int] = []
    for seed, (name, loud) in enumerate([("both.wav", (110, 300)), (HOSTILE, (110,)), ("neither.wav", ())]):
        make_clip(folder / name, loud, seed)
        clip = audio.read(folder / name)
        row = store.add_clip(clip, Recording(folder / name, label=LABELS[1]))
        for classifier, model in zip(classifiers, models, strict=True):
            store.add_explanation(row, model, key, explain(clip, classifier, settings))
        spectrum = Spectrum(clip, settings.variables)
        for classifier, model in zip(classifiers, models, strict=True):
            _, subsets = store.unanswered(row, model, key)
            masks = np.stack([np.ones(spectrum.size, dtype=bool), *(store.mask(subset) for subset, _ in subsets)])
            answers = classifier.log_probabilities(spectrum.invert(masks)).numpy()
            judged = {subset: answer for (subset, _), answer in zip(subsets, answers[1:], strict=True)}
            store.add_answers(row, model, key, answers[0], judged)
        rows.append(row)
    store.set_plan(key, models, rows)
    store.add_failure(key, "read", FAILED, "", "truncated <b>badly</b>")


def write_pages(folder: Path) -> Pages:
    """The study's store, its page, and the folder of both."""
    with Store(folder / "study.db", write=True) as store:
        fill(store, folder, SearchSettings(budget=400))
        page = write_report(store, folder / "report")
    return folder / "study.db", page, folder


def piece(page: Path, name: str) -> Any:
    """A piece of the page's data, as the page reads it."""
    text = (page.parent / "data" / f"{name}.js").read_text(encoding="ascii")
    call = re.fullmatch(r'earwitness\.receive\("([a-z0-9_-]+)",(.*)\);\n', text, re.DOTALL)
    assert call is not None
    assert call[1] == name
    return json.loads(call[2])


def all_sounds(study: Pages) -> list[dict[str, Any]]:
    pages = sorted((study[1].parent / "data").glob("clip-*.js"))
    return [sound for path in pages for sound in piece(study[1], path.stem)["sounds"].values()]
