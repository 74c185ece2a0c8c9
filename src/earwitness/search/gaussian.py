"""What is known of some points foretells others: Gaussian processes, and what to ask next.

Of many candidates those are asked that promise most as far as the answers tell, as in Bayesian optimisation (Srinivas
et al., arXiv 0912.3995), a batch at a time by pretending that what was chosen has been answered (Desautels, Krause &
Burdick, arXiv 1206.6402).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular

Values = NDArray[np.float64]
#: From means and standard deviations of each thing foretold of candidates (float64 [T, M]), how much each candidate is
#: worth asking, float64 [M].
Worth = Callable[[Values, Values], Values]
#: From squared distances, in lengths, to correlations.
Kernel = Callable[[Values], Values]

NOISE = 1e-2  #: of the kernel's variance
MEMORY = 250  #: answers kept: the first fifth, and the latest
LOWEST = -20.0  #: nats: an answer below tells no more
CONSIDERED = 200  #: candidates that a batch is chosen from


def smooth(squares: Values) -> Values:
    """The kernel of functions that are smooth: squared exponential."""
    return np.asarray(np.exp(-0.5 * squares))


def rough(squares: Values) -> Values:
    """The kernel of functions with kinks: Matérn, 3/2."""
    distances = np.sqrt(3 * squares)
    return np.asarray((1 + distances) * np.exp(-distances))


def hope(boldness: float) -> Worth:
    """Worth is what may well be: so many standard deviations above the mean (upper confidence bound), of the least."""
    return lambda mean, deviation: np.asarray((mean + boldness * deviation).min(axis=0))


class GaussianProcess:
    """Answers at points, and what they foretell elsewhere.

    Parameters
    ----------
    lengths : sequence of float64 [dimensions] or [1]
        Over which answers change, in each dimension: the likeliest of these are taken.
    kernel : Kernel
    """

    def __init__(self, lengths: Sequence[Values], kernel: Kernel) -> None:
        self._lengths, self._kernel = lengths, kernel
        self._length, self._fitted = lengths[len(lengths) // 2], 0
        self._points, self._answers = np.empty((0, 0)), np.empty(0)

    @property
    def known(self) -> int:
        """Answers that are remembered."""
        return self._answers.size

    def learn(self, points: Values, answers: Values) -> None:
        """Take in answers (nats, float64 [M]) at points (float64 [M, dimensions])."""
        self._points = np.concatenate([self._points, points]) if self.known else points
        self._answers = np.concatenate([self._answers, np.maximum(answers, LOWEST)])
        if (count := self.known) > MEMORY:
            kept = np.r_[: MEMORY // 5, count - MEMORY + MEMORY // 5 : count]
            self._points, self._answers = self._points[kept], self._answers[kept]

    def predict(self, points: Values) -> Prediction:
        """What to expect at points (float64 [M, dimensions]); there must be answers."""
        answers = np.maximum(self._answers, np.quantile(self._answers, 0.05))
        centre, scale = float(answers.mean()), max(float(answers.std()), 1e-3)
        answers = (answers - centre) / scale
        if answers.size >= 1.2 * self._fitted:
            self._length = max(self._lengths, key=lambda length: self._likelihood(length, answers))
            self._fitted = answers.size
        factor = self._factor(self._length)
        weights = cho_solve((factor, True), answers)
        spread = scale * np.sqrt(max(float(answers @ weights) / answers.size, 1e-6))
        points = points / self._length
        kernel = self._kernel(_squares(points, self._points / self._length))
        explained = solve_triangular(factor, kernel.T, lower=True)
        deviation = spread * np.sqrt(np.maximum(1 - (explained**2).sum(axis=0), 1e-9))
        return Prediction(centre + scale * (kernel @ weights), deviation, points, explained, spread, self._kernel)

    def _factor(self, length: Values) -> Values:
        points = self._points / length
        return np.asarray(cholesky(self._kernel(_squares(points, points)) + NOISE * np.eye(self.known), lower=True))

    def _likelihood(self, length: Values, answers: Values) -> float:
        """Its logarithm up to a constant, with the variance at its likeliest."""
        factor = self._factor(length)
        variance = max(float(answers @ cho_solve((factor, True), answers)) / answers.size, 1e-12)
        return float(-0.5 * answers.size * np.log(variance) - np.log(np.diag(factor)).sum())


@dataclass(frozen=True)
class Prediction:
    """What to expect at points.

    Attributes
    ----------
    mean, deviation : float64 [M]
        Nats.
    points : float64 [M, dimensions]
        In lengths of the kernel.
    explained : float64 [K, M]
        Of each point's variance, by the answers known.
    spread : float
        Standard deviation where nothing is known.
    kernel : Kernel
    """

    mean: Values
    deviation: Values
    points: Values
    explained: Values
    spread: float
    kernel: Kernel

    def covariance(self, rows: NDArray[np.intp]) -> Values:
        """Of some points with each other, in variances of the kernel."""
        points, explained = self.points[rows], self.explained[:, rows]
        return np.asarray(self.kernel(_squares(points, points)) - explained.T @ explained)


def choose(foretold: Sequence[Prediction], count: int, worth: Worth) -> NDArray[np.intp]:
    """At most ``count`` of the points foretold: those most worth asking, unlike each other, int.

    Parameters
    ----------
    foretold : sequence of Prediction
        Of the same M candidates, each of another thing.
    count : int
    worth : Worth
    """
    mean, deviation = np.stack([of.mean for of in foretold]), np.stack([of.deviation for of in foretold])
    considered = np.argsort(-worth(mean, deviation), kind="stable")[:CONSIDERED]
    covariances, chosen = [of.covariance(considered) for of in foretold], list[int]()
    for _ in range(min(count, len(considered))):
        for row, (of, covariance) in enumerate(zip(foretold, covariances, strict=True)):
            deviation[row, considered] = of.spread * np.sqrt(np.maximum(np.diag(covariance), 1e-9))
        score = worth(mean, deviation)[considered]
        score[chosen] = -np.inf
        best = int(np.argmax(score))
        chosen.append(best)
        for row, covariance in enumerate(covariances):
            column = covariance[:, best] / np.sqrt(max(float(covariance[best, best]), 0.0) + NOISE)
            covariances[row] = covariance - np.outer(column, column)
    return considered[chosen]


def _squares(a: Values, b: Values) -> Values:
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.maximum(squares, 0))
