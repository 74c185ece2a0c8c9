"""The tables and the page, made of the stored results only."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from .bench import DELTAS, MODELS, SEEDS, SUFFICIENT_BUDGET, Cell, Store
from .comparison import SEED_BUDGETS
from .own import COMPLETE_SETS
from .peers import PACKAGES, PEERS

Row = Sequence[object]
MAPS = ("ours", "theirs", "theirs, ties by energy")
BEFORE = (("revision 5", 600), ("revision 5", 3000))
VARIANTS = ("greedy", "ours", "ours, greedy's questions", "ours, a third of them")


def write_page(store: Store, path: Path, clips: int) -> str:
    """Write the page, and the same tables as ``tables.md`` beside the results; the tables."""
    sections = [
        _sufficient(store, clips), _complete(store, clips), _agreement(store, clips), _peers(store, clips),
        _maps(store, clips), _planted(store), _overhead(store),
    ]  # fmt: skip
    tables = "\n\n".join(section for section in sections if section)
    for file, text in ((path, f"{_head(clips)}\n\n{tables}\n"), (store.folder / "tables.md", f"{tables}\n")):
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".tmp")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, file)
    return tables


def make_table(head: Row, rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_write(value) for value in line) + " |" for line in lines)


def median(values: Sequence[float | None]) -> float:
    """Median of the values there are; a set that was not found counts as infinitely large."""
    return float(np.median([np.inf if value is None else value for value in values])) if values else float("nan")


def _write(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    if not np.isfinite(value):
        return "none" if value > 0 else "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _head(clips: int) -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "torch", "transformers"))
    return (
        "# Benchmarks of the searches\n\n"
        "Made by `python -m benchmarks.search` (see `benchmarks/search/README.md`); do not edit.\n\n"
        f"Digits: {clips} spoken-digit clips (FSDD, 1 s at 16 kHz, 8,001 bins, every {180 // clips}th of 180) and six "
        "small classifiers of them. Black-box throughout. A question is one forward pass for one signal; the pass for "
        "the clip itself and the verification are not counted, for no method. Every set was asked again outside its "
        "search (`verified`); `certified` sets were re-examined by dropping every single bin outside the search "
        "(`refuted`: one could be dropped). `droppable` is the share of single bins that can be dropped alone. "
        "`overhead` is the CPU time beyond that of bare forward passes of the same number, timed before and after at "
        "the driver's batch size.\n\n"
        f"Python {platform.python_version()}, earwitness {version('earwitness')}, {libraries}; "
        f"the other tools: {', '.join(PACKAGES)}, numpy 1.26.4. {os.cpu_count()} CPU cores."
    )


def _pick(store: Store, part: str, clips: int) -> Iterator[tuple[str, float, list[str], Cell]]:
    """The cells of so many clips as (model, δ, rest of the key, cell), models in their order."""
    cells = store.cells(part)
    for model in MODELS:
        for delta in DELTAS:
            start = f"{model}/{delta}/{clips}"
            for key, cell in cells.items():
                if key == start or key.startswith(start + "/"):
                    yield model, delta, key[len(start) + 1 :].split("/"), cell


def _summary(trials: list[dict[str, Any]]) -> list[object]:
    """Median, 90th percentile and maximum of bins; energy in per cent; questions; verified; certified; refuted."""
    bins = [np.inf if trial["bins"] is None else float(trial["bins"]) for trial in trials]
    certified = [trial for trial in trials if trial["certificate"] == "one_minimal"]
    return [
        median(bins), float(np.percentile(bins, 90, method="higher")), max(bins),
        100 * median([trial["energy"] for trial in trials]), median([trial["questions"] for trial in trials]),
        f"{sum(trial['verified'] for trial in trials)}/{len(trials)}", f"{len(certified)}/{len(trials)}",
        sum(trial["refuted"] for trial in trials), _droppable(trials),
    ]  # fmt: skip


SUMMARY = (
    "bins", "p90", "max", "energy %", "questions", "verified", "certified", "refuted", "droppable %",
)  # fmt: skip


def _droppable(trials: list[dict[str, Any]]) -> float:
    """Per cent, median over the clips whose set holds a bin."""
    shares = [100 * trial["droppable"] / trial["tried"] for trial in trials if trial["tried"]]
    return median(shares) if shares else 0.0


def _sufficient(store: Store, clips: int) -> str:
    cells = {(model, delta, rest[0]): cell for model, delta, rest, cell in _pick(store, "sufficient", clips)}
    rows: list[Row] = []
    for (model, delta, name), cell in sorted(cells.items(), key=lambda item: _place(*item[0])):
        greedy = cells.get((model, delta, "greedy"))
        ratio = _ratio(cell["trials"], greedy["trials"]) if greedy and name != "greedy" else ["", ""]
        seconds = cell["seconds"] / len(cell["trials"])
        overhead = 100 * (cell["cpu"] / cell["bare_cpu"] - 1) if cell["bare_cpu"] else ""  # no question was asked
        rows.append([model, delta, name, *_summary(cell["trials"]), *ratio, seconds, overhead])
    if not rows:
        return ""
    head = ("model", "δ", "search", *SUMMARY, "bins / greedy's", "p90 / greedy's", "s a clip", "overhead %")
    return (
        "## Sufficient sets\n\n`greedy` is plain greedy removal from the order by energy, with about 1,500 questions. "
        f"`ours` is the search `minimal` with {SUFFICIENT_BUDGET} questions; then with greedy's median of questions "
        "as its budget, and with a third of them. Clips side by side, as in a study.\n\n" + make_table(head, rows)
    )


def _place(model: str, delta: float, name: str) -> tuple[int, float, int]:
    return MODELS.index(model), delta, VARIANTS.index(name)


def _ratio(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> list[object]:
    """Median and 90th percentile of bins over those of another search; 0 bins over 0 is 1."""
    values: list[object] = []
    for part in (50, 90):
        a, b = (
            float(np.percentile([np.inf if t["bins"] is None else t["bins"] for t in trials], part, method="higher"))
            for trials in (ours, theirs)
        )
        values.append(1.0 if a == b else a / b if b else float("inf"))
    return values


def _complete(store: Store, clips: int) -> str:
    cells = {(model, delta, *rest): cell for model, delta, rest, cell in _pick(store, "complete", clips)}
    rows: list[Row] = []
    for model in MODELS:
        for delta in DELTAS:
            for effort, budget in (*COMPLETE_SETS, *BEFORE):
                if cell := cells.get((model, delta, effort, str(budget))):
                    before = cells.get((model, delta, BEFORE[-1][0], str(budget)))
                    rows.append([model, delta, effort, budget, *_measure_complete(cell, before)])
    if not rows:
        return ""
    return (
        "## Complete sets\n\nThe questions for the sufficient set they grow from are included; one or two a candidate. "
        "Verified both ways. `budget`: questions at most; `whole`: clips of which no proper subset was found. "
        f"`{BEFORE[-1][0]}` is the search before efforts, as it was measured then (within 600 questions it sought "
        "no sufficient set first); `of before`: bins over its bins within the same budget.\n\n"
        + make_table(("model", "δ", "effort", "budget", *SUMMARY, "whole", "of before", "CPU s a clip"), rows)
    )


def _measure_complete(cell: Cell, before: Cell | None) -> list[object]:
    """A summary, clips of which the whole is the only set, bins over those of the search before, seconds a clip."""
    trials = cell["trials"]
    whole = sum(trial["bins"] == 8001 for trial in trials)
    ratio = _ratio(trials, before["trials"])[0] if before else ""
    return [*_summary(trials), whole, ratio, cell["cpu"] / len(trials)]


def _agreement(store: Store, clips: int) -> str:
    rows: list[Row] = []
    for model, delta, _, cell in _pick(store, "agreement", clips):
        values = [row["jaccard"] for row in cell["clips"] if row["jaccard"] is not None]
        spread = [max(row["sizes"]) / max(1, min(row["sizes"])) for row in cell["clips"] if row["sizes"]]
        sizes = [size for row in cell["clips"] for size in row["sizes"]]
        asked = np.array([row["questions"] for row in cell["clips"]])
        of_seeds = np.median(asked, axis=0)
        rows.append([
            model, delta, median(values), float(np.mean(values)), median(spread), median(sizes),
            float(np.median(asked)), f"{of_seeds.min():.0f}–{of_seeds.max():.0f}",
        ])  # fmt: skip
    if not rows:
        return ""
    return (
        f"## Agreement over {SEEDS} seeds\n\nJaccard index of every two seeds' sufficient sets, averaged for each "
        "clip; the largest set over the smallest; bins of all sets; and each seed's median of questions.\n\n"
        + make_table(
            ("model", "δ", "Jaccard, median", "mean", "largest / smallest", "bins", "questions", "of seeds"), rows
        )
    )


def _peers(store: Store, clips: int) -> str:
    rows: list[Row] = []
    names, (effort, budget) = [peer.name for peer in PEERS], COMPLETE_SETS[-1]
    cells = _pick(store, "peers", clips)
    for model, delta, (name,), cell in sorted(cells, key=lambda r: (MODELS.index(r[0]), r[1], names.index(r[2][0]))):
        ours = store.fetch("sufficient", f"{model}/{delta}/{clips}/ours")
        ours_complete = store.fetch("complete", f"{model}/{delta}/{clips}/{effort}/{budget}")
        complete = 100 * median([trial["bins"] for trial in cell["complete"]]) / 8001
        bins, _, most, energy, questions, verified, _, _, droppable = _summary(cell["trials"])
        rows.append([
            model, delta, name, questions, bins, most, energy, verified, droppable, complete,
            median([trial["questions"] for trial in cell["complete"]]),
            _larger(ours, cell["trials"]), _larger(ours_complete, cell["complete"]),
        ])  # fmt: skip
    if not rows:
        return ""
    head = (
        "model", "δ", "tool", "questions", "bins", "max", "energy %", "verified", "droppable %", "complete %",
        "its questions", "ours larger on", "complete: on",
    )  # fmt: skip
    return (
        "## Other tools\n\nEach ranks the variables (rex-xai single bins, FeatureAblation 128 equal bands, the others "
        "64); then bins are added in that order, 10 at a time or a band at a time, until the label holds with the "
        "confidence wanted, or until the set is complete. Questions include the ranking's. The last columns count the "
        f"clips on which our set is larger ({SUFFICIENT_BUDGET} questions; {budget:,} for complete "
        "ones).\n\n" + make_table(head, rows)
    )


def _larger(ours: Cell | None, theirs: list[dict[str, Any]]) -> object:
    """On how many clips our set is larger."""
    if ours is None:
        return "–"
    sizes = [[np.inf if t["bins"] is None else t["bins"] for t in trials] for trials in (ours["trials"], theirs)]
    return sum(a > b for a, b in zip(*sizes, strict=True))


def _maps(store: Store, clips: int) -> str:
    cells = store.cells("maps")
    found = {
        (model, peer.name): cell["clips"]
        for model in MODELS
        for peer in PEERS
        if (cell := cells.get(f"{model}/{clips}/{peer.name}"))
    }
    for peer in PEERS:  # of all models together
        if parts := [found[model, peer.name] for model in MODELS if (model, peer.name) in found]:
            found["all", peer.name] = [row for part in parts for row in part]
    curves = [(who, curve) for curve in (0, 1) for who in MAPS]
    rows: list[Row] = [
        [*name, *(median([row[key] for row in judged]) for key in ("calls", "asked")),
         *(median([row[who][curve] for row in judged]) for who, curve in curves)]
        for name, judged in found.items()
    ]  # fmt: skip
    if not rows:
        return ""
    names = ("ours", "its", "its, ties by energy")
    head = (
        "model",
        "tool",
        "its calls",
        "ours asked",
        *(f"{c}: {n}" for c in ("insertion", "deletion") for n in names),
    )
    return (
        "## Responsibility maps\n\nArea under the label's confidence over the clip's own, as bins are added by falling "
        "responsibility (insertion: higher is better) or removed (deletion: lower is better), 80 steps; medians over "
        "clips, of each model and of all. Our map (the search `minimal`'s) had each clip's number of the tool's calls "
        "as its budget. It starts from the order by energy; so the tools' maps are also judged with equal bins "
        "ordered by energy.\n\n" + make_table(head, rows) + _map_seeds(cells, clips)
    )


def _map_seeds(cells: Mapping[str, Any], clips: int) -> str:
    """How much maps of different seeds agree."""
    seeds: list[Row] = [
        [model, cell["budget"], median(cell["spearman"]), min(cell["spearman"])]
        for name in SEED_BUDGETS
        for model in MODELS
        if (cell := cells.get(f"{model}/{clips}/{name}"))
    ]
    return (
        f"\n\nRank correlation (Spearman) of our maps over {SEEDS} seeds, mean of all pairs of each clip, at the "
        "default budget and at twice that: beyond 300 questions the cells are ordered by what sets of them do, which "
        "follows the model more closely, but many such orders are about as good.\n\n"
        + make_table(("model", "budget", "median", "least"), seeds)
    )


def _planted(store: Store) -> str:
    cells, rows = store.cells("planted"), list[Row]()
    keys = sorted(cells, key=lambda key: (key.split("/")[0], int(key.split("/")[1])))
    first = {key.split("/")[0]: key for key in reversed(keys)}
    for key in keys:
        kind, bins = key.split("/")
        draws = cells[key]["draws"]
        questions = median([draw["questions"] for draw in draws])
        least = first[kind]
        growth = questions / median([draw["questions"] for draw in cells[least]["draws"]])
        logs = float(np.log(int(bins)) / np.log(int(least.split("/")[1])))
        exact, certified = (sum(draw["exact"] for draw in draws), sum(d["certificate"] == "one_minimal" for d in draws))
        seconds = median([draw["seconds"] for draw in draws])
        rows.append([kind, f"{int(bins):,}", questions, growth, logs, f"{exact}/{len(draws)}", certified, seconds])
    if not rows:
        return ""
    head = ("planted", "bins", "questions", "growth", "growth of log(bins)", "exact", "certified", "s")
    return (
        "## Planted models\n\nFive bins in noise, neighbours (`band`) or anywhere (`scattered`); the confidence grows "
        "with each, or hangs on all at once (`all or nothing`); ten times as strong "
        "as the noise, or as strong (`faint`). δ = 0.9, medians over five draws.\n\n" + make_table(head, rows)
    )


def _overhead(store: Store) -> str:
    rows: list[Row] = [
        [name, c["seconds_of_clip"], f"{c['bins']:,}", c["batch"], c["bare"], c["driver"], 100 * c["overhead"],
         100 * c["overhead_cpu"], 100 * min(c["overheads"]), 100 * max(c["overheads"])]
        for name, c in store.cells("overhead").items()
    ]  # fmt: skip
    if not rows:
        return ""
    head = ("model", "s of clip", "bins", "batch", "bare, s", "driver, s", "overhead %", "of CPU time", "least", "most")
    return (
        "## The driver's overhead\n\nBuilt-in taggers; a batch of masks to probabilities by the driver beside a bare "
        "forward pass of the same signals, made before: in turn, nine times, medians of each turn's ratio. `least` and "
        "`most` are of wall time; other work on the machine widens them.\n\n" + make_table(head, rows)
    )
