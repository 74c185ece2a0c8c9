"""What a map is worth: how fast the answer returns and goes in its order, which sets follow, what survives of them,
whom they convince.

*Insertion*: the variables are kept from the map's highest down; *deletion*: they are removed so. The *area* of each is
the mean, over the levels of the clip's energy below all of it, of the probability of the clip's label (after RISE:
Petsiuk et al., BMVC 2018; there by the share of pixels, here of the energy, since most of a sound's variables hold
nothing). Beside each stands the same of its *profile* (:func:`earwitness.analyses.nested.profile_order`), as many
variables, as loud: what a map gains over that is what it knows beyond where the sound is loud.

From a map follow *sets*: its shortest prefix, on a grid that grows by √2, that is sufficient (Definition 2); the set
that is left when what can be dropped from that prefix has been, with its certificate; and the same for complete sets
(Definition 3). Each is confirmed by a forward pass of its own. So maps of any kind are asked what the searches of this
package are asked, and their sets can be laid beside its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analyses.chance import same_profile
from ..analyses.nested import CurveRow, ask_curves
from ..analyses.panel import Panel, Survival
from ..errors import ConfigError
from ..explanation import Answered, Missing, Part, Subset, confirm, make_signal
from ..models import Classifier, align, aligned, as_classifier, open_model
from ..models.resampling import at_rate
from ..search.driver import Driver, Job
from ..search.minimality import Best, shrink
from ..search.questions import BudgetSpent, Complete, Found, Property, Search, Sufficient, Target
from ..search.responsibility import rank_by
from ..search.sufficiency import shortest_prefix
from ..signal.arrays import as_clip
from ..signal.audio import Clip
from ..signal.draws import make_rng
from ..signal.masks import Mask, from_runs
from ..signal.spectrum import Variables
from ..signal.views import Viewed, draw_views, parse_views
from .maps import Map, as_numbers, choose_domain, make_variables, place_map
from .settings import EvaluationSettings

Log = NDArray[np.float32]

#: kinds of set that follow from a map: a prefix of its order, and what is left when no more can be dropped from it
PREFIX, SUFFICIENT, COMPLETE = "prefix", "sufficient", "complete"
SETS = (PREFIX, SUFFICIENT, COMPLETE)


@dataclass(frozen=True, eq=False)
class MapSet:
    """A set that follows from a map.

    Attributes
    ----------
    map : str
    kind : str
        One of :data:`SETS`.
    part : Subset or Missing
    survival : Survival or None
        Of a set that there is, where it was asked for.
    """

    map: str
    kind: str
    part: Part
    survival: Survival | None = None


@dataclass(frozen=True)
class Transferred:
    """What a judge says to a set, or to one of its profile.

    Attributes
    ----------
    map, kind : str
        See :class:`MapSet`.
    judge : str
    null : bool
        Whether it is a set of the same profile.
    accepted : bool
        Whether the judge says what the explained model says to the clip.
    probability : float
        Of that label.
    """

    map: str
    kind: str
    judge: str
    null: bool
    accepted: bool
    probability: float


@dataclass(frozen=True, eq=False)
class Evaluation(Answered):
    """What maps of one clip and model are worth.

    Attributes
    ----------
    variables : Variables
        What the maps range over.
    domain : str
    spec : str
        Of the model.
    labels : tuple of str
        That it shares with the judges.
    log_probabilities : float32 [n]
        Its answer to the clip.
    settings : EvaluationSettings
    maps : dict
        By name, float64 [size].
    insertion, deletion : tuple of CurveRow
        Of each map (``source``), its profile, the order by energy and random orders; ``size`` and ``energy`` are of
        what is kept first, or removed first.
    sets : tuple of MapSet
    transfer : tuple of Transferred
    queries : int
        Questions asked of the model.
    """

    variables: Variables
    domain: str
    spec: str
    labels: tuple[str, ...]
    log_probabilities: Log
    settings: EvaluationSettings
    maps: dict[str, Map] = field(repr=False)
    insertion: tuple[CurveRow, ...] = field(repr=False)
    deletion: tuple[CurveRow, ...] = field(repr=False)
    sets: tuple[MapSet, ...] = field(repr=False)
    transfer: tuple[Transferred, ...] = field(repr=False)
    queries: int

    def _repr_html_(self) -> str:
        """As a notebook shows it: areas, curves, a player for each set."""
        from ..report.evaluation import evaluation_html  # only the report can draw it

        return evaluation_html(self)

    def signal(self, part: Subset) -> NDArray[np.float32]:
        """The signal of a set, float32 [N]."""
        return make_signal(self.variables, part)


def evaluate(
    maps: Any, recording: Any, model: Any, settings: EvaluationSettings | None = None, *, judges: Sequence[Any] = (),
    others: Sequence[Clip] = (), seconds: float | None = None, driver: Driver | None = None,
) -> Evaluation:  # fmt: skip
    """Ask what maps of a recording are worth to the model that they are to explain.

    Parameters
    ----------
    maps : mapping of str to array, or array
        By the tool's name; arrays, tensors, or explanations of this package. One value a bin, band, cell or sample of
        the clip at the model's rate; of a spectrogram, rows by columns, the lowest frequency first.
    recording, model : object
        As :func:`earwitness.explain` takes them.
    settings : EvaluationSettings, optional
        Among them what the maps range over, where their length does not tell.
    judges : sequence of object
        Other models, as ``model``: asked whether the sets convince them. All are compared over the labels they share.
    others : sequence of Clip
        For the view ``others``, at the model's rate.
    seconds : float, optional
        Crop or zero-pad to this duration, as the maps were made.
    driver : Driver, optional
        To set the batch size or watch progress; with judges, over the labels shared.

    Raises
    ------
    ConfigError
        A map does not fit the clip, or holds no numbers.
    AudioError, ModelError, LabelError
        See :func:`earwitness.explain` and :func:`earwitness.align`.

    Examples
    --------
    >>> tone = np.sin(np.arange(8000) * 0.3)
    >>> def high(waveforms):
    ...     score = np.log(np.abs(np.fft.rfft(waveforms))[:, 370:390].max(axis=1) + 1e-3)
    ...     return np.stack([score, -score], axis=1)
    >>> found = evaluate(
    ...     {"right": np.arange(4001) == 382, "wrong": np.arange(4001) < 100},
    ...     (tone, 8000), as_classifier(high, labels=["high", "low"], sample_rate=8000),
    ... )
    >>> [one.part.size for one in found.sets if one.kind == "prefix"]
    [1, 128]
    """
    settings = settings or EvaluationSettings()
    first, *rest = (_as_model(one) for one in (model, *judges))
    if rest:
        first, *rest = share_labels([first, *rest])
    driver = driver or Driver(first, repeats=settings.repeats)
    clip = as_clip(recording, first.model.sample_rate, seconds)
    clip.refuse_silence()
    given = maps if isinstance(maps, Mapping) else {"map": maps}
    if not given:
        raise ConfigError("evaluate: no map; give one at least")
    numbers = {str(name): as_numbers(str(name), values) for name, values in given.items()}
    name, values = next(iter(numbers.items()))
    domain = settings.domain or choose_domain(name, values, clip)
    variables = make_variables(clip, domain, settings)
    placed = {name: place_map(name, values, variables, settings.rows) for name, values in numbers.items()}
    asked = _Asked(variables, placed, settings, driver, others)
    return asked.evaluation(domain, rest)


def _as_model(one: Any) -> Classifier:
    return Classifier(open_model(one)) if isinstance(one, str) else as_classifier(one)


def share_labels(classifiers: Sequence[Classifier]) -> list[Classifier]:
    """All over the labels they share, at the first one's rate; those that are so already stay as they are."""
    first, *rest = classifiers
    rate = first.model.sample_rate
    if all(one.labels == first.labels and one.model.sample_rate == rate for one in rest):
        return list(classifiers)
    models = [at_rate(one.model, rate) for one in classifiers]
    return aligned(models, align(models))


class _Asked:
    """One clip and its maps, as they are asked about."""

    def __init__(
        self, variables: Variables, maps: dict[str, Map], settings: EvaluationSettings, driver: Driver,
        others: Sequence[Clip],
    ) -> None:  # fmt: skip
        self.variables, self.maps, self.settings, self.driver = variables, maps, settings, driver
        self.queries = 0
        kinds = parse_views(settings.views)
        self.answer = self._ask(np.ones((1, variables.size), dtype=bool))[0]
        self.label = int(self.answer.argmax())
        self.panel: Panel | None = None
        if settings.verified:
            views = draw_views(kinds, variables, settings.verified, settings.seed, "verify", others=others)
            self.panel = Panel(driver, Viewed(variables, views), self.label, settings.delta)

    def evaluation(self, domain: str, judges: Sequence[Classifier]) -> Evaluation:
        """All that is asked."""
        curves, sha256 = self.settings.curves, self.variables.clip.sha256
        ask = partial(ask_curves, self.maps, self.variables.energy)
        insertion = ask(self._ask, curves, sha256, label=self.label)
        deletion = ask(lambda masks: self._ask(~masks), curves, sha256, label=self.label)
        sets = tuple(one for name in self.maps for one in self._follow(name))
        transfer = tuple(row for judge in judges for row in self._judge(sets, judge))
        return Evaluation(
            self.variables, domain, self.driver.classifier.model.spec, self.driver.classifier.labels, self.answer,
            self.settings, self.maps, tuple(insertion), tuple(deletion), sets, transfer,
            self.queries + (self.panel.asked if self.panel else 0) * self.driver.repeats,
        )  # fmt: skip

    def _ask(self, masks: Mask) -> Log:
        self.queries += len(masks) * self.driver.repeats
        answers = self.driver.evaluate(self.variables, masks)
        if self.driver.progress:
            self.driver.progress(len(masks) * self.driver.repeats)
        return answers

    def _follow(self, name: str) -> Iterator[MapSet]:
        """The sets that follow from a map."""
        target = Target.of(self.answer, self.settings.delta)
        order = rank_by(self.maps[name], self.variables.energy)
        for kind, property_ in ((SUFFICIENT, Sufficient(target)), (COMPLETE, Complete(target))):
            search = follow(property_, order, self.variables.size)
            job = self.driver.run_one(Job(self.variables, search, self.settings.budget))
            assert job.result is not None
            self.queries += job.asked
            prefix, least = job.result
            if kind == SUFFICIENT:
                yield self._as_set(name, PREFIX, prefix, job.asked, target)
            yield self._as_set(name, kind, least, job.asked, target)

    def _as_set(self, name: str, kind: str, found: Found, spent: int, target: Target) -> MapSet:
        if found.mask is None:
            return MapSet(name, kind, Missing(found.why))
        kept, left = self._ask(np.stack([found.mask, ~found.mask]))
        of = COMPLETE if kind == COMPLETE else SUFFICIENT
        part = confirm(of, found, spent, target, self.variables, kept, left)
        if isinstance(part, Missing) or self.panel is None:
            return MapSet(name, kind, part)
        return MapSet(name, kind, part, self.panel.count(found.mask, Complete if kind == COMPLETE else Sufficient))

    def _judge(self, sets: Sequence[MapSet], judge: Classifier) -> Iterator[Transferred]:
        """What a judge says to each set and to others of its profile."""
        clip, energy = self.variables.clip, self.variables.energy
        masks: list[Mask] = []
        facts: list[tuple[MapSet, bool]] = []
        for one in sets:
            if isinstance(one.part, Subset):
                mask = from_runs(one.part.runs, self.variables.size)
                rngs = (
                    make_rng(clip.sha256, self.settings.seed, one.map, one.kind, n) for n in range(self.settings.nulls)
                )
                masks += [mask, *(same_profile(mask, energy, rng) for rng in rngs)]
                facts += [(one, null > 0) for null in range(self.settings.nulls + 1)]
        if not masks:
            return
        answers = Driver(judge, repeats=self.settings.repeats).evaluate(self.variables, np.stack(masks))
        for (one, null), answer in zip(facts, answers, strict=True):
            accepted, sure = int(answer.argmax()) == self.label, float(np.exp(np.float64(answer[self.label])))
            yield Transferred(one.map, one.kind, judge.model.spec, null, accepted, sure)


def follow(property_: Property, order: NDArray[np.intp], size: int) -> Search[tuple[Found, Found]]:
    """The shortest prefix of an order that has a property, and what is left when no more can be dropped from it.

    Parameters
    ----------
    property_ : Property
    order : int [size]
        All variables.
    size : int

    Returns
    -------
    Found, Found
    """
    prefix = None
    best = Best()
    try:
        prefix = yield from shortest_prefix(property_, order, size)
        if prefix is not None:
            yield from shrink(property_, prefix, order, best)
    except BudgetSpent:
        pass
    if prefix is None:
        missing = Found(None, why="no prefix of the map's order, on a grid, has it")
        return missing, missing
    found = best.found("the budget was spent" if best.certificate.kind == "none" else "")
    return Found(prefix), replace(found, mask=prefix if found.mask is None else found.mask)
