"""Other tools as searches: their rankings, by the same driver, and the extraction that follows each.

rex-xai pins NumPy 1.26.4, so the tools live in an environment of their own, made once in the cache folder, and
run there as one process (:mod:`benchmarks.search.peer_worker`) that asks over a pipe.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earwitness.search.questions import Found, Property, Search, ask
from earwitness.signal.masks import Mask

#: installed first, and nothing that follows may replace them
PINS = ("torch==2.13.0", "numpy==1.26.4")
PACKAGES = ("rex-xai==0.4.1", "captum==0.9.0", "shap==0.49.1")


class PeerError(Exception):
    """A tool could not be installed, or failed on a clip."""


@dataclass(frozen=True)
class Peer:
    """One tool's ranking.

    Attributes
    ----------
    name : str
    bands : int
        Equally wide bands it ranks; 0: single bins.
    step : int
        Bins (of single bins) or bands that the extraction adds at a time.
    """

    name: str
    bands: int
    step: int


PEERS = (
    Peer("rex-xai", 0, 10),
    Peer("captum FeatureAblation", 128, 1),
    Peer("captum KernelShap", 64, 1),
    Peer("shap Partition", 64, 1),
)


@dataclass(frozen=True, eq=False)
class Ranking:
    """Scores of single bins (float64 [size], of a band the same for all), and the calls they took."""

    scores: NDArray[np.float64]
    calls: int


class Worker:
    """The process in which the tools run."""

    def __init__(self, environment: Path) -> None:
        script = Path(__file__).with_name("peer_worker.py")
        variables = {**os.environ, "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [str(_python(environment)), str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=variables,
        )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to = Connection(os.dup(self._process.stdin.fileno()), readable=False)
        self._from = Connection(os.dup(self._process.stdout.fileno()), writable=False)

    def rank(self, peer: Peer, size: int, label: int, seed: int = 0) -> Search[Ranking]:
        """Rank the variables of a clip (as many as ``size``) for a label; a search like any other."""
        band = np.arange(size) * peer.bands // size if peer.bands else np.arange(size)
        count, calls = int(band[-1]) + 1, 0
        self._to.send((peer.name, count, label, seed))
        while True:
            kind, rows, content = self._from.recv()
            if kind == "error":
                raise PeerError(f"{peer.name}: {content.decode()}")
            if kind == "scores":
                return Ranking(np.frombuffer(content, dtype=np.float64)[band], calls)
            packed = np.frombuffer(content, dtype=np.uint8).reshape(rows, -1)
            answer = yield np.unpackbits(packed, axis=1, count=count).astype(bool)[:, band]
            calls += rows
            probabilities = np.exp(answer.log_probabilities.astype(np.float64))
            self._to.send((probabilities.shape[1], probabilities.tobytes()))

    def close(self) -> None:
        """End the process."""
        self._to.close()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)


def make_environment(folder: Path) -> Path:
    """The tools' environment in a folder, made there if it is not.

    Raises
    ------
    PeerError
        pip could not install the tools.
    """
    environment, done = folder / "peers", folder / "peers" / "installed.txt"
    wanted = "\n".join((*PINS, *PACKAGES))
    if done.is_file() and done.read_text(encoding="utf-8") == wanted:
        return environment
    venv.create(environment, with_pip=True)
    pins = environment / "pins.txt"
    pins.write_text("\n".join(PINS), encoding="utf-8")
    for packages in (PINS, PACKAGES):
        command = [str(_python(environment)), "-m", "pip", "install", "-q", "-c", str(pins), *packages]
        answer = subprocess.run(command, capture_output=True, text=True)
        if answer.returncode:
            raise PeerError(f"pip install {' '.join(packages)}: {answer.stderr.strip()[-400:]}")
    done.write_text(wanted, encoding="utf-8")
    return environment


def order_bins(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """Bins by falling score; equal ones by frequency, as a ranking that says nothing of them leaves it."""
    return np.argsort(-scores, kind="stable")


def cut_steps(ranking: Ranking, peer: Peer) -> list[NDArray[np.intp]]:
    """The bins that the extraction adds, step by step."""
    size, order = ranking.scores.size, order_bins(ranking.scores)
    if not peer.bands:
        return [order[i : i + peer.step] for i in range(0, size, peer.step)]
    band = np.arange(size) * peer.bands // size
    first = [int(np.flatnonzero(band == number)[0]) for number in range(peer.bands)]
    ranked = order_bins(ranking.scores[first])
    return [np.flatnonzero(np.isin(band, ranked[i : i + peer.step])) for i in range(0, peer.bands, peer.step)]


def extract(property_: Property, steps: Sequence[NDArray[np.intp]], size: int, batch: int = 16) -> Search[Found]:
    """Add bins step by step until the set has the property: every prefix is asked, in order."""
    mask: Mask = np.zeros(size, dtype=bool)
    for start in range(0, len(steps), batch):
        rows = []
        for step in steps[start : start + batch]:
            mask = mask.copy()
            mask[step] = True
            rows.append(mask)
        candidates = np.stack(rows)
        passing = np.flatnonzero((yield from ask(property_, candidates)) >= 0)
        if passing.size:
            return Found(candidates[passing[0]])
    return Found(None, why="no prefix of the ranking has the property")


def _python(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
