"""What the parts of the benchmark share: models, clips, one way to measure a search, and remembered results."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import earwitness
from earwitness.models import Classifier, open_model
from earwitness.models.batching import choose_batch
from earwitness.search.completeness import complete
from earwitness.search.driver import Driver, Job
from earwitness.search.effort import THOROUGH, Effort
from earwitness.search.problem import limited
from earwitness.search.questions import TOLERANCE, Found, Property, Search, Target
from earwitness.search.sufficiency import sufficient
from earwitness.signal import audio
from earwitness.signal.audio import Clip
from earwitness.signal.masks import Mask
from earwitness.signal.spectrum import Spectrum

SHARED = Path(os.environ.get("EARWITNESS_SHARED", Path(__file__).resolve().parents[3] / "shared"))
MODELS = ("whisper", "hubert", "wavlm", "ast", "sew", "wav2vec2")
DELTAS = (0.5, 0.9)
SEEDS = 5
#: questions a sufficient set gets of the default budget (3,000): the share that the search ``minimal`` gives it
SUFFICIENT_BUDGET = 900
#: the same share of a budget for a complete set, which grows from a sufficient one
SUFFICIENT_SHARE = 0.3
UNLIMITED = 10**9
Cell = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What decides the results, apart from the code.

    Attributes
    ----------
    models : tuple of str
        Of the digit models.
    deltas : tuple of float
    clips : int
        Digit clips: so many, at equal distances in the list of recordings.
    cache : Path
        For the other tools' environment and rankings.
    """

    models: tuple[str, ...]
    deltas: tuple[float, ...]
    clips: int
    cache: Path


@dataclass(frozen=True)
class Trial:
    """One search of one clip.

    Attributes
    ----------
    bins : int or None
        Size of the set; ``None``: none was found.
    energy : float
        Its share of the clip's.
    questions : int
    certificate : str
    verified : bool
        Whether a forward pass of its own confirms the set.
    tried, droppable : int
        Single bins dropped from the set outside the search, and those without which it still has the property.
    refuted : bool
        Whether one of them refutes the certificate.
    """

    bins: int | None
    energy: float
    questions: int
    certificate: str
    verified: bool
    tried: int
    droppable: int
    refuted: bool


@dataclass(frozen=True)
class Task:
    """One piece of a part: what it computes, and the code that its result hangs on."""

    key: str
    code: str
    compute: Callable[[], Cell]


@dataclass(eq=False)
class Subject:
    """One digit model and the clips: spectra, and targets once asked for."""

    name: str
    driver: Driver
    spectra: list[Spectrum]

    def __post_init__(self) -> None:
        self.originals = [self.driver.original(spectrum) for spectrum in self.spectra]

    def targets(self, delta: float) -> list[Target]:
        """What a subset of each clip must preserve."""
        return [Target.of(original, delta) for original in self.originals]


class Subjects:
    """The digit models, loaded when asked for and one at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._subject: Subject | None = None

    def __getitem__(self, name: str) -> Subject:
        if self._subject is None or self._subject.name != name:
            spectra = [Spectrum(clip) for clip in load_clips(self._settings.clips)]
            self._subject = Subject(name, Driver(load_model(name)), spectra)
        return self._subject


class Store:
    """Results by part and key, one JSON file a part; written whole after each task."""

    def __init__(self, folder: Path, keep: bool = False) -> None:
        self.folder, self.keep = folder, keep

    def cells(self, part: str) -> dict[str, Cell]:
        """All results of a part."""
        path = self.folder / f"{part}.json"
        cells: dict[str, Cell] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return cells

    def fetch(self, part: str, key: str) -> Cell | None:
        """One result, whatever code it came from."""
        return self.cells(part).get(key)

    def done(self, part: str, task: Task) -> bool:
        """Whether the task's result is there, from the same code unless old results are kept."""
        cell = self.fetch(part, task.key)
        return cell is not None and (self.keep or cell["code"] == task.code)

    def put(self, part: str, task: Task, cell: Cell) -> None:
        """Add a result to its file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        cells = self.cells(part) | {task.key: {"code": task.code, **cell}}
        path = self.folder / f"{part}.json"
        temporary = path.with_suffix(".tmp")
        rows = [f" {json.dumps(key)}: {json.dumps(cells[key])}" for key in sorted(cells)]
        temporary.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
        os.replace(temporary, path)


def load_clips(count: int, offset: int = 0) -> list[Clip]:
    """Spoken digits, 1 s at 16 kHz: ``count`` of the 180, at equal distances in the order of the metadata."""
    lines = (SHARED / "data" / "metadata.csv").read_text(encoding="utf-8").splitlines()
    files = [name for name in (line.split(",", 1)[0] for line in lines) if name.startswith("fsdd/")]
    step = len(files) // count
    return [audio.read(SHARED / "data" / files[i * step + offset], 16_000, 1.0) for i in range(count)]


def load_model(name: str, device: torch.device | str = "cpu") -> Classifier:
    """One of the digit models."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    return Classifier(open_model(f"hf:{SHARED / 'models' / 'hf' / 'digits' / name}", device))


def seek_complete(energy: NDArray[np.float64], target: Target, budget: int, effort: Effort = THOROUGH) -> Search[Found]:
    """A complete set as the search ``minimal`` seeks it: a sufficient one first, then grown from it."""
    share = int(budget * SUFFICIENT_SHARE)
    kept, spent = yield from limited(sufficient(energy, target, budget=share), share)
    return (yield from complete(energy, target, kept.mask, budget=budget - spent, effort=effort))


def run_searches(
    subject: Subject,
    delta: float,
    property_: Callable[[Target], Property],
    search: Callable[[NDArray[np.float64], Target], Search[Found]],
    budgets: Sequence[int],
) -> tuple[Cell, list[Mask | None]]:
    """Search every clip, side by side as a study does, verify and check; the cell and the masks."""
    targets = subject.targets(delta)
    jobs = [
        Job(spectrum, search(spectrum.energy, target), budget)
        for spectrum, target, budget in zip(subject.spectra, targets, budgets, strict=True)
    ]
    pass_before = time_pass(subject)
    start, start_cpu = time.perf_counter(), time.process_time()
    for job in subject.driver.run(jobs):
        if job.error is not None:
            raise job.error
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    bare = (pass_before + time_pass(subject)) / 2 * sum(job.asked for job in jobs)
    trials, masks = [], []
    for job, spectrum, target in zip(jobs, subject.spectra, targets, strict=True):
        assert job.result is not None
        trials.append(asdict(check(subject.driver, spectrum, property_(target), job.result, job.asked)))
        masks.append(job.result.mask)
    return {"trials": trials, "seconds": round(seconds, 3), "cpu": round(cpu, 3), "bare_cpu": round(bare, 3)}, masks


def check(
    driver: Driver, spectrum: Spectrum, property_: Property, found: Found, questions: int, limit: int = 200
) -> Trial:
    """Ask about a set outside its search: whether it has the property, and what a single bin's loss does.

    All bins of a set with a certificate are tried, of another at most ``limit``, evenly chosen.
    """
    mask = found.mask
    if mask is None:
        return Trial(None, 0.0, questions, "none", False, 0, 0, False)

    def slack(candidates: Mask) -> NDArray[np.float64]:
        parts = [part.slack(driver.evaluate(spectrum, part.masks(candidates))) for part in property_.parts]
        return np.asarray(np.min(parts, axis=0))

    kept = np.flatnonzero(mask)
    certified = found.certificate.kind == "one_minimal"
    if not certified and kept.size > limit:
        kept = kept[np.linspace(0, kept.size - 1, limit).astype(int)]
    dropped = np.repeat(mask[None], kept.size, axis=0)
    dropped[np.arange(kept.size), kept] = False
    # the clip itself is sufficient by definition; nothing is left without it, so it is complete by convention
    verified = bool(mask.all()) or bool(slack(mask[None])[0] >= 0)
    left = slack(dropped) if kept.size else np.empty(0)
    refuted = certified and bool((left >= TOLERANCE).any())
    return Trial(
        int(mask.sum()), float(spectrum.energy[mask].sum()), questions, found.certificate.kind, verified,
        int(kept.size), int((left >= 0).sum()), refuted,
    )  # fmt: skip


def time_pass(subject: Subject, repeats: int = 5) -> float:
    """CPU seconds of one bare forward pass at the driver's batch size, on signals made before; a median."""
    spectrum, model = subject.spectra[0], subject.driver.classifier.model
    size = choose_batch(len(spectrum.clip), model.device)
    signals = spectrum.invert(np.random.default_rng(0).random((size, spectrum.size)) < 0.5)
    seconds = []
    with torch.inference_mode():
        for _ in range(repeats + 1):  # the first is for warming up
            start = time.process_time()
            model.logits(signals)
            seconds.append(time.process_time() - start)
    return float(np.median(seconds[1:])) / size


def hash_code(*files: Path) -> str:
    """A hash of Python files without comments and docstrings, so that only what can change a result counts."""
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(files):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
                value = body[0].value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    value.value = ""
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()


def signal_files(package: Path) -> list[Path]:
    """What makes signals of masks."""
    return [package / "signal" / f"{name}.py" for name in ("domains", "masks", "spectrum")]


def search_code() -> str:
    """The hash of the package's searches for sets, and of its signals; the map has no part in them."""
    package = Path(earwitness.__file__).parent
    searches = [path for path in (package / "search").glob("*.py") if path.stem not in ("attribution", "settings")]
    return hash_code(*searches, *signal_files(package))


def map_code() -> str:
    """The hash of what the maps are made by: the search for sets has no part in them."""
    package = Path(earwitness.__file__).parent
    searches = [package / "search" / f"{name}.py" for name in ("attribution", "driver", "problem", "questions")]
    return hash_code(*searches, *signal_files(package))


def bench_code(*names: str) -> str:
    """The hash of files of this folder."""
    return hash_code(*(Path(__file__).with_name(f"{name}.py") for name in names))


def pairs(settings: Settings) -> Iterator[tuple[str, float]]:
    """Every model with every δ."""
    for model in settings.models:
        for delta in settings.deltas:
            yield model, delta
