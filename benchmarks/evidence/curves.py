"""How reliable shared evidence is, split half against split half, beside the plain α of sufficient sets.

``python -m benchmarks.evidence.curves`` explains 60 recordings of digits by six models (the shared folder's, see
``EARWITNESS_SHARED``), asks all models about the curves, and prints and writes, for each way to compute shared
evidence, the rank agreement (Spearman, over ordered pairs of models) of two halves of the clips, averaged over random
halves. What is chosen is chosen on one half of the clips (``tuned``) and reported on the other (``held out``) and on
all of them. Explanations and maps are kept in ``--cache``.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from earwitness import Classifier, Explanation, SearchSettings, open_model, transfer
from earwitness.analyses.settings import CurveSettings
from earwitness.explanation import finish, make_job
from earwitness.search.attribution import attribute
from earwitness.search.driver import Driver, Job
from earwitness.search.problem import Problem
from earwitness.search.questions import Target
from earwitness.signal import audio
from earwitness.transferability.answers import Answers
from earwitness.transferability.options import Options
from earwitness.transferability.statistics.reliability import SPLITS, split_half
from earwitness.transferability.tables import make_tables
from earwitness.transferability.tables.evidence import Areas
from earwitness.transferability.tables.grid import Cube
from earwitness.transferability.tables.reliability import RHO

Real = NDArray[np.float64]
Row = dict[str, Any]
T = TypeVar("T")

MODELS = ("ast", "hubert", "sew", "wav2vec2", "wavlm", "whisper")
SETTINGS = SearchSettings(delta=0.9, budget=600)
DRAWS = 4  # of random orders, and of profiles
#: below 1; the default's, and parts of them
LEVELS = {"all": (0.0, 1.0), "up to 10 %": (0.0, 0.1), "5 to 50 %": (0.05, 0.5), "from 10 %": (0.1, 1.0)}
TABLES = (
    "matrix_sufficient", "shared_evidence", "matrix_shared_evidence", "shared_flat_earthers", "shared_correlations",
)  # fmt: skip
RESULTS = Path(__file__).parent / "results" / "curves.json"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("EARWITNESS_SHARED", "../shared")))
    parser.add_argument("--cache", type=Path, default=Path("/tmp/earwitness-evidence"))
    parser.add_argument("--every", type=int, default=3, help="one recording in so many of the 180")
    parser.add_argument("--maps", type=int, nargs="*", default=[300], help="also maps with so many questions")
    parser.add_argument("--splits", type=int, default=SPLITS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.cache.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, answers in collect(arguments):
        tables = make_tables(answers, Options(), TABLES)
        reliability = list(measure(answers, arguments.splits))
        rows = {table: json.loads(frame.write_json()) for table, frame in tables.items()}
        found[name] = {"reliability": reliability, **rows}
        with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=160, fmt_str_lengths=50):
            print(name, pl.DataFrame(reliability), *tables.values(), sep="\n")
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def collect(arguments: argparse.Namespace) -> Iterator[tuple[str, Answers]]:
    """What all models say to the curves along the explanations' maps, and along maps with more questions."""
    folder = arguments.shared / "models" / "hf" / "digits"
    classifiers = [Classifier(open_model(f"hf:{folder / name}")) for name in MODELS]
    files = sorted((arguments.shared / "data" / "fsdd").glob("*.flac"))[:: arguments.every]

    def keep(name: str, compute: Callable[..., T], *given: Any, **options: Any) -> T:
        path = arguments.cache / f"{name}-{len(files)}.pkl"
        if not path.exists():
            path.write_bytes(pickle.dumps(compute(*given, **options)))
        kept: T = pickle.loads(path.read_bytes())
        return kept

    explained = keep("explanations", explain_all, classifiers, files)
    settings = CurveSettings(draws=DRAWS, profiles=DRAWS)
    for questions in (SETTINGS.budget // 10, *arguments.maps):  # the first: what the explanations' maps had
        own = questions == SETTINGS.budget // 10
        mapped = explained if own else keep(f"maps-{questions}", draw_maps, explained, classifiers, questions)
        answers = keep(f"answers-{questions}", transfer, mapped, classifiers, nulls=0, curves=settings)
        yield f"maps of {questions} questions", answers


def explain_all(classifiers: list[Classifier], files: Sequence[Path]) -> list[Explanation]:
    """Explanations of recordings by each model, in their order."""
    found = []
    for classifier in classifiers:
        driver = Driver(classifier)
        jobs = driver.run(make_job(audio.read(path, classifier.model.sample_rate), SETTINGS) for path in files)
        explained = [finish(job, driver, SETTINGS) for job in jobs]
        found += sorted(explained, key=lambda one: one.spectrum.clip.path)
    return found


def draw_maps(explained: list[Explanation], classifiers: list[Classifier], questions: int) -> list[Explanation]:
    """The same explanations with maps of so many questions."""
    drivers = {classifier.model.fingerprint: Driver(classifier) for classifier in classifiers}
    found = []
    for one in explained:
        problem = Problem(one.spectrum, SETTINGS.delta, seed=SETTINGS.seed)
        target = Target.of(one.log_probabilities, SETTINGS.delta)
        job = Job(one.spectrum, attribute(problem, target, questions), questions)
        (done,) = drivers[one.fingerprint].run([job])
        found.append(replace(one, responsibility=done.result))
    return found


def measure(answers: Answers, splits: int) -> Iterator[Row]:
    """Agreement of halves, a row a way to compute: of every other clip, of the clips between, and of all."""
    cube = Cube.of(answers, "sufficient", Options())
    yield {"what": "α of sufficient sets", **agreements(cube.sums, cube.counts, splits)}
    for height in ("probability", "accepted"):
        for draws in (1, 2, DRAWS):
            for beside in ("gain", "profile", "random"):
                yield row(answers, height, beside, draws, "all", splits)
        for levels in list(LEVELS)[1:]:
            for beside in ("gain", "profile", "random"):
                yield row(answers, height, beside, DRAWS, levels, splits)
        for beside in ("energy", "difference", "area"):
            yield row(answers, height, beside, DRAWS, "all", splits)


def row(answers: Answers, height: str, beside: str, draws: int, levels: str, splits: int) -> Row:
    """Of shared evidence by one height of the curves, with so many draws, at some of the levels.

    ``beside`` is what areas are taken less: as defined the ``profile`` of each map; or ``random`` sets, or the order by
    ``energy``. ``gain`` is the numerator alone, ``difference`` the area of the source's map less the judge's own,
    ``area`` that of the source's map by itself.
    """
    low, high = LEVELS[levels]
    inside = (pl.col("level") >= low) & (pl.col("level") <= high) & (pl.col("draw") < draws)
    areas = Areas.of(replace(answers, nested=answers.nested.filter(inside)), height)
    own, one = areas.own[:, None], np.ones_like(areas.map)
    own_profile = np.diagonal(areas.profile, axis1=1, axis2=2)[:, None]
    ways = {
        "random": (areas.map - areas.random[:, None], own - areas.random[:, None]),
        "profile": (areas.map - areas.profile, own - own_profile),
        "energy": (areas.map - areas.energy[:, None], own - areas.energy[:, None]),
        "gain": (areas.map - areas.profile, one), "difference": (areas.map - own, one), "area": (areas.map, one),
    }  # fmt: skip
    sums, counts = (np.where(areas.counted, part, 0.0) for part in ways[beside])
    return {"what": height, "beside": beside, "draws": draws, "levels": levels, **agreements(sums, counts, splits)}


def agreements(sums: Real, counts: Real, splits: int) -> dict[str, float | None]:
    """Of halves of the clips tuned on, of those held out and of all, and what follows of the last; [clips, n, n]."""
    clips = np.arange(len(sums))
    parts = {"tuned": clips % 2 == 0, "held_out": clips % 2 == 1, "all": clips >= 0}
    found = {name: split_half(sums[part], counts[part], splits=splits) for name, part in parts.items()}
    told = {name: one.halves for name, one in found.items()}
    told |= {"whole": found["all"].whole, "wanted": found["all"].wanted(RHO)}
    return {name: round(value, 3) if np.isfinite(value) else None for name, value in told.items()}


if __name__ == "__main__":
    main()
