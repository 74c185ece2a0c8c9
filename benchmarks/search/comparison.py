"""Against other tools: the sets that their rankings lead to, and responsibility maps by insertion and deletion."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earwitness.search.attribution import attribute
from earwitness.search.driver import Driver, Job
from earwitness.search.problem import Problem
from earwitness.search.questions import Complete, Property, Search, Sufficient, Target
from earwitness.search.responsibility import agreement
from earwitness.search.settings import SearchSettings
from earwitness.signal.spectrum import Spectrum

from .bench import (
    SEEDS,
    UNLIMITED,
    Cell,
    Settings,
    Store,
    Subject,
    Subjects,
    Task,
    bench_code,
    check,
    map_code,
    pairs,
)  # fmt: skip
from .peers import PEERS, Peer, Ranking, Worker, cut_steps, extract, make_environment, order_bins

#: points of an insertion or deletion curve, at equal distances: steps of 100 bins of 8,001, as rex-xai takes
POINTS = 81
#: the share of its budget that the search ``minimal`` keeps for the map
MAP_SHARE = 0.1
SEED_BUDGETS = {"seeds": 1, "seeds, twice the budget": 2}  #: times the default


class Tools:
    """The other tools, installed and started when first asked, and their rankings, kept in the cache folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._code = settings, bench_code("peers", "peer_worker")
        self._worker: Worker | None = None

    def rank(self, subject: Subject, peer: Peer) -> tuple[list[Ranking], float]:
        """A tool's ranking of each clip, and the seconds they took in all."""
        name = f"{subject.name}-{peer.name.replace(' ', '-')}-{len(subject.spectra)}-{self._code}.npz"
        path = self._settings.cache / "rankings" / name
        if not path.is_file():
            start = time.perf_counter()
            rankings = self._ask(subject, peer)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                np.savez_compressed(
                    file, scores=np.stack([ranking.scores for ranking in rankings]),
                    calls=[ranking.calls for ranking in rankings], seconds=time.perf_counter() - start,
                )  # fmt: skip
        with np.load(path) as content:
            scores, calls, seconds = content["scores"], content["calls"], float(content["seconds"])
        return [Ranking(row, int(count)) for row, count in zip(scores, calls, strict=True)], seconds

    def _ask(self, subject: Subject, peer: Peer) -> list[Ranking]:
        if self._worker is None:
            self._worker = Worker(make_environment(self._settings.cache))
        rankings = []
        for spectrum, target in zip(subject.spectra, subject.targets(0), strict=True):
            rankings.append(_finish(subject.driver, spectrum, self._worker.rank(peer, spectrum.size, target.label))[0])
        return rankings


def list_peers(settings: Settings, subjects: Subjects, store: Store) -> Iterator[Task]:
    """Per model, δ and tool: sufficient and complete sets by the extraction that follows its ranking."""
    tools, code = Tools(settings), bench_code("bench", "peers", "peer_worker")
    for model, delta in pairs(settings):
        for peer in PEERS:
            compute = partial(_extract_sets, tools, subjects, model, delta, peer)
            yield Task(f"{model}/{delta}/{settings.clips}/{peer.name}", code, compute)


def list_maps(settings: Settings, subjects: Subjects, store: Store) -> Iterator[Task]:
    """Per model: each tool's map and ours at as many questions; agreement of ours over seeds."""
    tools, ours = Tools(settings), f"{map_code()}+{bench_code('comparison')}"
    code = f"{ours}+{bench_code('peers', 'peer_worker')}"
    for model in settings.models:
        for peer in PEERS:
            compute = partial(_compare_maps, tools, subjects, model, peer)
            yield Task(f"{model}/{settings.clips}/{peer.name}", code, compute)
        for name, times in SEED_BUDGETS.items():
            yield Task(f"{model}/{settings.clips}/{name}", ours, partial(_correlate_seeds, subjects, model, times))


def measure_curves(driver: Driver, spectrum: Spectrum, target: Target, order: NDArray[np.intp]) -> tuple[float, float]:
    """Areas under the label's confidence, over the clip's own, as bins are added or removed in an order."""
    rank = np.empty(order.size, dtype=np.intp)
    rank[order] = np.arange(order.size)
    counts = np.linspace(0, order.size, POINTS).round().astype(int)
    masks = rank[None] < counts[:, None]
    answers = driver.evaluate(spectrum, np.concatenate([masks, ~masks]))[:, target.label]
    inserted, deleted = np.split(np.exp(answers.astype(np.float64)) / target.confidence, 2)
    return float(np.trapezoid(inserted) / (POINTS - 1)), float(np.trapezoid(deleted) / (POINTS - 1))


def map_responsibility(subject: Subject, clip: int, budget: int, seed: int = 0) -> tuple[NDArray[np.float64], int]:
    """Our map of one clip (float64 [size]), and the questions it took."""
    spectrum, target = subject.spectra[clip], subject.targets(SearchSettings().delta)[clip]
    problem = Problem(spectrum, target.delta, seed=seed)
    result, asked = _finish(subject.driver, spectrum, attribute(problem, target, budget), budget)
    return np.asarray(result, dtype=np.float64), asked


def _finish(driver: Driver, spectrum: Spectrum, search: Search[Any], budget: int = UNLIMITED) -> tuple[Any, int]:
    """Run one search to its end; its result and the questions it took."""
    job = next(driver.run([Job(spectrum, search, budget)]))
    if job.error is not None:
        raise job.error
    return job.result, job.asked


def _extract_sets(tools: Tools, subjects: Subjects, model: str, delta: float, peer: Peer) -> Cell:
    subject = subjects[model]
    rankings, seconds = tools.rank(subject, peer)
    kinds: list[tuple[str, Callable[[Target], Property]]] = [("trials", Sufficient), ("complete", Complete)]
    cell: Cell = {"ranking_calls": [ranking.calls for ranking in rankings], "ranking_seconds": round(seconds, 3)}
    for name, kind in kinds:
        start, rows = time.perf_counter(), []
        for spectrum, target, ranking in zip(subject.spectra, subject.targets(delta), rankings, strict=True):
            search = extract(kind(target), cut_steps(ranking, peer), spectrum.size)
            found, asked = _finish(subject.driver, spectrum, search)
            asked += ranking.calls
            rows.append(asdict(check(subject.driver, spectrum, kind(target), found, asked, 100)))
        cell |= {name: rows, f"{name}_seconds": round(time.perf_counter() - start, 3)}
    return cell


def _compare_maps(tools: Tools, subjects: Subjects, model: str, peer: Peer) -> Cell:
    subject, rows = subjects[model], []
    rankings, _ = tools.rank(subject, peer)
    for clip, (target, ranking) in enumerate(zip(subject.targets(0), rankings, strict=True)):
        spectrum = subject.spectra[clip]
        scores, asked = map_responsibility(subject, clip, ranking.calls)
        orders = {
            "ours": order_bins(scores),
            "theirs": order_bins(ranking.scores),
            "theirs, ties by energy": np.lexsort((-spectrum.energy, -ranking.scores)),
        }
        areas = {who: measure_curves(subject.driver, spectrum, target, order) for who, order in orders.items()}
        rows.append({"calls": ranking.calls, "asked": asked, **areas})
    return {"clips": rows}


def _correlate_seeds(subjects: Subjects, model: str, times: int) -> Cell:
    """Mean rank correlation of every two of five seeds' maps at so many times the default budget, one a clip."""
    budget = times * int(SearchSettings().budget * MAP_SHARE)
    subject, rows = subjects[model], []
    for clip in range(len(subject.spectra)):
        maps = [map_responsibility(subject, clip, budget, seed)[0] for seed in range(SEEDS)]
        rows.append(float(np.mean([agreement(a, b) for a, b in itertools.combinations(maps, 2)])))
    return {"budget": budget, "spearman": rows}
