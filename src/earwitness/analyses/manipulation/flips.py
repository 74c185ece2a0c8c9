"""One recording, one model: the smallest change that flips the answer, verified on the signal as written to a file."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import ConfigError
from ...models import Classifier
from ...search.candidates import diverse
from ...search.driver import Driver, Job
from ...search.questions import TOLERANCE, Certificate, Target
from ...signal import audio
from ...signal.audio import Clip
from ...signal.masks import Mask
from ...signal.spectrum import Spectrum
from .bounds import Bounds
from .changes import Change, Menu, make_menu, masked_limits
from .masking import Threshold, masking_threshold
from .search import Choices, Flipped, Outcome, smallest_flip
from .written import Heard, write_both

Log = NDArray[np.float32]
#: questions a gradient counts as: one pass forwards, one back
GRADIENT = 2
#: gradients followed for a start of many changes
STEPS = 5


@dataclass(frozen=True, eq=False)
class Flip:
    """A change that flips a model's answer.

    Attributes
    ----------
    change : Change
    snr : float
        The clip's energy over that of the change, in dB.
    margin : float
        By how many dB the change stays below the masking threshold in every STFT cell; see
        :mod:`earwitness.analyses.manipulation.masking`.
    wav, flac : Heard
        The model's answers to the signal written as 32-bit float WAV (by which the flip is verified) and as 16-bit
        FLAC with dither (which it survives or not).
    certificate : Certificate
        ``one_minimal``: without any one of its changes the answer is not flipped.
    queries : int
        All questions, verification and gradient included.
    history : tuple of (int, int)
        (size, questions): each smaller flip found, and the questions until then.
    """

    change: Change
    snr: float
    margin: float
    wav: Heard
    flac: Heard
    certificate: Certificate
    queries: int
    history: tuple[tuple[int, int], ...]

    @property
    def inaudible(self) -> bool:
        """Whether it lies below the masking threshold everywhere."""
        return self.margin >= 0


@dataclass(frozen=True)
class Unflipped:
    """No flip was found.

    Attributes
    ----------
    why : str
    queries : int
    closest : float
        How near to a flip the search came: log-probability of the best wanted label less that of the clip's own, in
        nats.
    """

    why: str
    queries: int
    closest: float


@dataclass(frozen=True, eq=False)
class Subject:
    """A recording and a model whose answer to it is to be flipped.

    Attributes
    ----------
    spectrum : Spectrum
        Whose variables are changed.
    driver : Driver
    original : float32 [n]
        The model's answer to the clip.
    threshold : Threshold
        The clip's masking threshold.
    hints : tuple of bool [size]
        Sets of variables that matter: complete, sufficient, necessary.
    responsibility : float32 [size] or None
    sensitivity : complex128 [size] or None
        How the label's lead responds to each variable's gain, where the model is differentiable.
    """

    spectrum: Spectrum
    driver: Driver
    original: Log
    threshold: Threshold
    hints: tuple[Mask, ...] = ()
    responsibility: NDArray[np.float32] | None = None
    sensitivity: NDArray[np.complex128] | None = None


def make_subject(
    spectrum: Spectrum,
    driver: Driver,
    *,
    goal: int | None = None,
    hints: Sequence[Mask] = (),
    responsibility: NDArray[np.float32] | None = None,
    gradients: bool = True,
) -> Subject:
    """Ask what the model says to the clip, and prepare what every search for a flip of it needs.

    Parameters
    ----------
    spectrum : Spectrum
    driver : Driver
    goal : int, optional
        Index of the label wanted; by default any but the clip's.
    hints : sequence of bool [size]
    responsibility : float32 [size], optional
    gradients : bool
        Order changes by gradients where the model has them.
    """
    original = driver.original(spectrum)
    sensitivity = None
    if gradients and driver.classifier.model.differentiable:
        gradient = lead_gradient(driver.classifier, spectrum.clip.samples, int(original.argmax()), goal)
        sensitivity = spectrum.sensitivity(gradient) if np.isfinite(gradient).all() else None
    threshold = masking_threshold(spectrum.clip)
    return Subject(spectrum, driver, original, threshold, tuple(hints), responsibility, sensitivity)


def find_flip(
    subject: Subject,
    actions: Sequence[str],
    bounds: Bounds | None = None,
    *,
    goal: int | None = None,
    budget: int = 500,
    seed: int = 0,
    folder: Path | None = None,
    name: str = "flip",
) -> Flip | Unflipped:
    """Find the smallest change that flips a model's answer.

    Parameters
    ----------
    subject : Subject
    actions : sequence of str
        Some of :data:`earwitness.analyses.manipulation.bounds.ACTIONS`.
    bounds : Bounds, optional
        With ``count``, any flip of so many variables will do; without, the smallest is sought.
    goal : int, optional
        Index of the label wanted; by default any but the clip's.
    budget : int
        Questions; three more verify a flip.
    seed : int
        Of the dither.
    folder : Path, optional
        Where ``NAME.wav`` and ``NAME.flac`` are kept; by default they are read back and deleted.
    name : str

    Raises
    ------
    ConfigError
        The label wanted is the one the model gives already, or does not exist.
    """
    bounds = bounds or Bounds()
    own = int(subject.original.argmax())
    if goal is not None and (goal == own or not 0 <= goal < subject.original.size):
        raise ConfigError(f"goal {goal}: the clip has label {own} of {subject.original.size}; choose another")
    flipped = Flipped(Target.of(subject.original, 0.0), goal)
    spent = GRADIENT if subject.sensitivity is not None else 0
    limits = None
    if bounds.margin is not None:
        limits = masked_limits(subject.spectrum, subject.threshold, bounds)
        if (bounds.count or 1) > 1:
            limits = _soften(subject, actions, bounds, flipped, limits)
            spent += GRADIENT * STEPS if subject.sensitivity is not None else 0
    tried = _try(subject, actions, bounds, flipped, limits, budget - spent)
    spent += tried.asked
    if tried.short > 0 and spent < budget:  # once more, softer
        tried = _try(subject, actions, bounds, flipped, tried.softer, budget - spent)
        spent += tried.asked
    if tried.change is None or tried.short > 0:
        return Unflipped(tried.why, spent, tried.outcome.closest)
    wav, flac = hear(subject.driver, flipped, tried.signal, subject.spectrum.clip.sample_rate, seed, folder, name)
    spent += 2 * subject.driver.repeats
    if not wav.flipped:
        return Unflipped("the flip found is lost in the file written", spent, tried.outcome.closest)
    found, history = tried.outcome.found, tried.outcome.history
    return Flip(tried.change, tried.snr, tried.margin, wav, flac, found.certificate, spent, history)


@dataclass(frozen=True, eq=False)
class _Try:
    """One search, and what its change comes to."""

    outcome: Outcome
    asked: int
    why: str = ""
    change: Change | None = None
    signal: Log = field(default_factory=lambda: np.empty(0, np.float32))
    snr: float = np.inf
    margin: float = np.inf
    short: float = 0.0
    softer: NDArray[np.float64] | None = None


def _try(
    subject: Subject,
    actions: Sequence[str],
    bounds: Bounds,
    flipped: Flipped,
    limits: NDArray[np.float64] | None,
    budget: int,
) -> _Try:
    """Search a menu once; measure what was found."""
    menu = make_menu(subject.spectrum, tuple(actions), bounds, limits)
    followed = _follow(subject, menu, flipped, bounds.count or 0)
    asked = GRADIENT * min(len(followed), STEPS)
    search = smallest_flip(
        flipped, menu.noise, _order(subject, menu, budget), base=_base(flipped, subject.original),
        starts=[*followed, *_starts(subject, menu)], variables=subject.spectrum.size, limit=bounds.count,
        budget=budget - asked,
    )  # fmt: skip
    job = next(subject.driver.run([Job(menu, search, budget - asked)]))
    if job.error is not None:
        raise job.error
    outcome = job.result
    asked += job.asked
    assert outcome is not None
    if outcome.found.mask is None:
        return _Try(outcome, asked, outcome.found.why)
    change = menu.change(outcome.found.mask)
    if bounds.count is not None and change.size > bounds.count:
        return _Try(outcome, asked, f"the smallest flip found changes {change.size} variables")
    signal = change.apply(subject.spectrum)
    snr, margin = loudness(subject.spectrum.clip, subject.threshold, signal)
    short = max(0.0, bounds.shortfall(snr, margin))
    softer = np.abs(menu.gains - 1).max(axis=0) * 10 ** (-short / 20)
    why = f"the flip found is {short:.1f} dB too loud"
    return _Try(outcome, asked, why, change, signal, snr, margin, short, softer)


def hear(
    driver: Driver,
    flipped: Flipped,
    signal: Log,
    sample_rate: int,
    seed: int = 0,
    folder: Path | None = None,
    name: str = "flip",
) -> tuple[Heard, Heard]:
    """What a model says to a signal (float32 [N]) written as WAV and as FLAC: one forward pass for each."""
    with tempfile.TemporaryDirectory(prefix="earwitness-") as temporary:
        paths = write_both(folder or Path(temporary), name, signal, sample_rate, np.random.default_rng(seed))
        answers = [driver.original(Spectrum(audio.read(path))) for path in paths]
    # half of the search's tolerance: the other half is what arithmetic may differ by
    heard = [Heard(a, bool(flipped.slack(a[None])[0] >= TOLERANCE / 2)) for a in answers]
    return heard[0], heard[1]


def loudness(clip: Clip, threshold: Threshold, signal: NDArray[np.float32]) -> tuple[float, float]:
    """Signal-to-noise ratio and masking margin of a changed signal, both in dB; infinite where nothing changed."""
    difference = signal.astype(np.float64) - clip.samples
    noise = float(np.square(difference).sum())
    if noise == 0:
        return float("inf"), float("inf")
    energy = float(np.square(clip.samples, dtype=np.float64).sum())
    return 10 * float(np.log10(max(energy, 1e-300) / noise)), threshold.margin(difference)


def lead_gradient(classifier: Classifier, samples: Log, label: int, goal: int | None) -> NDArray[np.float64]:
    """Gradient of the label's lead over the wanted one, by each sample of a signal (float32 [N]): float64 [N]."""
    waveform = torch.tensor(samples).to(classifier.model.device).requires_grad_()
    answer = classifier.log_probabilities(waveform[None])[0]
    if goal is None:
        others = torch.cat([answer[:label], answer[label + 1 :]])
        lead = answer[label] - others.max()
    else:
        lead = answer[label] - answer[goal]
    (gradient,) = torch.autograd.grad(lead, waveform)
    return np.asarray(gradient.double().cpu().numpy(), dtype=np.float64)


def _soften(
    subject: Subject, actions: Sequence[str], bounds: Bounds, flipped: Flipped, limits: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Limits on each variable alone, made as much softer as the most promising set of ``bounds.count`` needs."""
    menu = make_menu(subject.spectrum, tuple(actions), bounds, limits)
    count = bounds.count or 1
    followed = _follow(subject, menu, flipped, count)
    mask = np.zeros(menu.size, dtype=bool)
    mask[followed[-1] if followed else _order(subject, menu, count)] = True
    signal = menu.change(mask).apply(subject.spectrum)
    short = bounds.shortfall(*loudness(subject.spectrum.clip, subject.threshold, signal))
    return np.asarray(limits * 10 ** (-max(short, 0.0) / 20), dtype=np.float64)


def _base(flipped: Flipped, original: Log) -> float:
    return float(flipped.slack(original[None])[0])


def _order(subject: Subject, menu: Menu, most: int) -> Choices:
    """The most promising choices of a menu, so many at most: one each in turn by gradient, from the sets found, by
    responsibility, by noise across the spectrum, and by noise."""
    variables = subject.spectrum.size
    noise = menu.noise.reshape(-1, variables)
    rankings: list[Iterable[int]] = []
    if subject.sensitivity is not None:
        lead = ((menu.gains - 1) * subject.sensitivity).real.reshape(-1)
        rankings.append(map(int, np.argsort(lead, kind="stable")[:most]))
    scores = [np.where(hint, subject.spectrum.energy, 0.0) for hint in subject.hints]
    if subject.responsibility is not None:
        scores.append(subject.responsibility * np.sqrt(subject.spectrum.energy))
    for score in scores:
        best = np.argsort(-score, kind="stable")[: min(most, int((score > 0).sum()))]
        rankings.append(int(row * variables + variable) for variable in best for row in range(len(noise)))
    spread = [diverse(row, np.argsort(-row, kind="stable")) for row in noise]
    rankings.append(
        row * variables + int(variable)
        for across in itertools.zip_longest(*spread)
        for row, variable in enumerate(across)
        if variable is not None
    )
    rankings.append(map(int, np.argsort(-menu.noise, kind="stable")[:most]))
    turns = itertools.chain.from_iterable(itertools.zip_longest(*rankings))
    chosen = dict.fromkeys(choice for choice in turns if choice is not None and menu.noise[choice] > 0)
    return np.fromiter(chosen, dtype=np.intp)[:most]


def _follow(subject: Subject, menu: Menu, flipped: Flipped, count: int) -> list[Choices]:
    """Sets of up to ``count`` choices, each extending the one before by what the gradient there promises most."""
    steps = min(count, STEPS)
    if subject.sensitivity is None or steps < 2:
        return []
    variables, chosen = subject.spectrum.size, np.empty(0, dtype=np.intp)
    mask, sets = np.zeros((1, menu.size), dtype=bool), []
    for part in np.array_split(np.arange(count), steps):
        signal = menu.invert(mask)[0].numpy()
        gradient = lead_gradient(subject.driver.classifier, signal, flipped.target.label, flipped.goal)
        lead = ((menu.gains - 1) * subject.spectrum.sensitivity(gradient)).real
        lead = np.where(menu.noise.reshape(lead.shape) > 0, lead, 0.0)
        lead[:, chosen % variables] = 0.0
        best, rows = lead.min(axis=0), lead.argmin(axis=0)
        taken = np.argsort(best, kind="stable")[: part.size]
        taken = taken[best[taken] < 0]
        chosen = np.concatenate([chosen, rows[taken] * variables + taken])
        mask[0, chosen] = True
        sets.append(chosen)
    return sets


def _starts(subject: Subject, menu: Menu) -> list[Choices]:
    """The sets found, and their complements, changed whole, by each gain of the menu."""
    sets = [part for hint in subject.hints for part in (hint, ~hint) if part.any()]
    rows = len(menu.gains)
    return [row * subject.spectrum.size + np.flatnonzero(part) for part in sets for row in range(rows)]
