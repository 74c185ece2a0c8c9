"""The search ``minimal`` taken apart: its stages, which can be switched off, and its tuned constants.

A new stage is one function and its line in :data:`STAGES`, a new constant its line in :data:`CONSTANTS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earwitness.search import completeness, evolution, gaussian, singles, sufficiency, surrogate
from earwitness.search.questions import Search
from earwitness.signal.masks import Mask

#: what a change bears on: sets of one kind, or the map
SUFFICIENT, COMPLETE, MAP = "sufficient", "complete", "map"
BOTH = (SUFFICIENT, COMPLETE)


@dataclass(frozen=True)
class Constant:
    """A tuned constant.

    Attributes
    ----------
    module : module
    name : str
    unit : str
        What it counts.
    trades : str
        What a larger value gives, and for what.
    bears_on : tuple of str
        What it is measured on.
    values : tuple
        What is tried in its place; by default half of it and twice it.
    """

    module: ModuleType
    name: str
    unit: str
    trades: str
    bears_on: tuple[str, ...] = (SUFFICIENT,)
    values: tuple[Any, ...] = ()

    @property
    def value(self) -> Any:
        """As it is in the code."""
        return getattr(self.module, self.name)

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.module.__name__.rpartition('.')[2]}.{self.name}"

    def tried(self) -> tuple[Any, ...]:
        """What is tried in its place."""
        return self.values or tuple(_scale(self.value, factor) for factor in (0.5, 2))


@dataclass(frozen=True)
class Variant:
    """A search that differs in one thing.

    Attributes
    ----------
    name : str
    patches : tuple of (object, str, object)
        Owner, attribute, and what it is meanwhile.
    bears_on : tuple of str
    """

    name: str
    patches: tuple[tuple[Any, str, Any], ...] = ()
    bears_on: tuple[str, ...] = BOTH

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The search as it is in this variant."""
        with ExitStack() as stack:
            for owner, name, value in self.patches:
                stack.callback(setattr, owner, name, getattr(owner, name))
                setattr(owner, name, value)
            yield


def _scale(value: Any, factor: float) -> Any:
    if isinstance(value, tuple):
        return tuple(_scale(part, factor) for part in value)
    return max(1, round(value * factor)) if isinstance(value, int) else value * factor


def _no_prefix(*_: Any, **__: Any) -> Search[Mask | None]:
    return None
    yield


def _no_climb(*_: Any) -> Search[Mask | None]:
    return None
    yield


def _as_drawn(self: Any, masks: Mask, count: int, worth: Any) -> tuple[Mask, NDArray[np.intp]]:
    return masks[:count], np.zeros(min(count, len(masks)), dtype=np.intp)


def _one_order(self: Any, masks: Mask, count: int, worth: Any) -> tuple[Mask, NDArray[np.intp]]:
    chosen, first = _choose(self, masks, count, worth)
    return chosen, np.zeros_like(first)


def _greedily(foretold: Any, count: int, worth: Any) -> NDArray[np.intp]:
    mean, deviation = (np.stack([getattr(of, name) for of in foretold]) for name in ("mean", "deviation"))
    return np.argsort(-worth(mean, deviation), kind="stable")[:count]


def _no_runs(self: Any, longest: int) -> Any:
    return self.single(1)


def _singly(mask: Mask, kept: Any, share: float, draws: Any) -> Mask:
    found = mask.copy()
    found[draws.rng.choice(kept, max(1, int(kept.size * share)), replace=False)] = False
    return found


_choose = surrogate.Surrogate.choose
_Climb = evolution.Climb

#: the search without one of its parts
STAGES: tuple[Variant, ...] = (
    Variant(
        "single bins: only the first eight are asked", ((sufficiency, "SINGLES", singles.FIRST + 1),), (SUFFICIENT,)
    ),
    Variant("no prefix of the order by energy", ((sufficiency, "shortest_prefix", _no_prefix),), (SUFFICIENT,)),
    Variant("no climbing", ((evolution.Climb, "from_", _no_climb),)),
    Variant("no second climb once a set was found", ((sufficiency, "WORTH", 0),), (SUFFICIENT,)),
    Variant("climbs take no change for the worse", ((evolution, "HEAT", 1e-9),)),
    Variant("climbs add no runs of neighbours", ((evolution.Draws, "run", _no_runs),)),
    Variant("no thinning: large sets are only shrunk by chunks", ((evolution, "LARGE", 10**9),)),
    Variant("thinning drops single variables, no runs", ((evolution, "_drop", _singly),)),
    Variant("thinning exchanges nothing", ((evolution, "EXCHANGE", 0.0),)),
    Variant("nothing is learnt: candidates as drawn", ((surrogate.Surrogate, "choose", _as_drawn),)),
    Variant(
        "batches may be alike: the most promising, however near each other",
        ((surrogate, "choose", _greedily), (singles, "choose", _greedily)),
    ),
    Variant("of a complete set sufficiency is always asked first", ((surrogate.Surrogate, "choose", _one_order),),
            (COMPLETE,)),
    Variant("no questions are kept for certificates", ((evolution, "RESERVE", 0),)),
)  # fmt: skip

#: every tuned constant of the search for sets; those of the map are the fields of ``attribution.Survey``
CONSTANTS: tuple[Constant, ...] = (
    Constant(singles, "FIRST", "variables", "a better start of what is learnt, for questions"),
    Constant(singles, "ROUND", "variables", "fewer rounds of the model, for less learnt between them"),
    Constant(singles, "POOL", "variables", "rarer single bins found, for time outside the model"),
    Constant(singles, "APART", "share of the variables", "first bins further apart, for weaker ones"),
    Constant(singles, "PLACES", "share of the scale of frequencies", "coarser ideas of how answers change over Hz"),
    Constant(singles, "LEVELS", "nats of amplitude", "coarser ideas of how answers change with level"),
    Constant(singles, "BOLDNESS", "standard deviations", "the unknown rather than the promising"),
    Constant(singles, "DESPAIR", "standard deviations", "later resignation, for questions"),
    Constant(sufficiency, "SINGLES", "questions", "more single bins asked, for questions"),
    Constant(sufficiency, "GRID", "ratio of lengths", "fewer questions for a longer prefix", values=(2.0, 8.0)),
    Constant(sufficiency, "SMALL", "variables", "prefixes reduced at once instead of climbing first"),
    Constant(sufficiency, "ATTEMPTS", "climbs", "more attempts, for questions where sets are hard to find"),
    Constant(sufficiency, "LONGEST", "variables", "larger sets grown before the prefix is taken"),
    Constant(sufficiency, "CLIMB", "questions", "longer first climbs"),
    Constant(sufficiency, "AGAIN", "questions", "longer further climbs"),
    Constant(sufficiency, "BOLDNESS", "standard deviations", "the unknown rather than the promising"),
    Constant(sufficiency, "WORTH", "questions", "smaller sets, for questions"),
    Constant(evolution, "BANDS", "bands", "draws spread more finely over the spectrum"),
    Constant(evolution, "ROUND", "candidates", "fewer rounds of the model, for less learnt between them", BOTH),
    Constant(evolution, "DRAWN", "times", "a wider choice, for time outside the model", BOTH),
    Constant(evolution, "DROPS", "times", "a wider choice in thinning, for time outside the model", BOTH),
    Constant(evolution, "HEAT", "nats", "bolder climbs"),
    Constant(evolution, "COOLING", "share a round", "heat kept longer", values=(0.9, 1.0)),
    Constant(evolution, "PATIENCE", "rounds", "climbs given up later"),
    Constant(evolution, "CERTIFY", "times", "more questions kept for certificates", BOTH),
    Constant(evolution, "RESERVE", "questions", "certificates of larger sets, for thinning", BOTH),
    Constant(evolution, "DROP", "share of a set", "bolder first drops", BOTH),
    Constant(evolution, "EXCHANGE", "share of drops", "more exchanges among the drops", BOTH, (0.3, 0.9)),
    Constant(evolution, "ADDED", "share of the dropped", "more added in exchange", BOTH),
    Constant(evolution, "LARGE", "variables", "sets tried variable by variable sooner"),
    Constant(evolution, "CHUNKS", "chunks", "finer chunks where the budget does not allow each variable"),
    Constant(surrogate, "BANDS", "bands", "a finer description of what a set keeps"),
    Constant(surrogate, "FLOOR", "share of the strongest", "soft content counts less", values=(1e-5, 1e-3)),
    Constant(surrogate, "LENGTHS", "bels", "coarser ideas of how answers change"),
    Constant(surrogate, "NEAR", "variables", "larger near misses to start from"),
    Constant(gaussian, "NOISE", "of the kernel's variance", "answers followed less closely", BOTH),
    Constant(gaussian, "MEMORY", "answers", "more remembered, for time outside the model", BOTH),
    Constant(gaussian, "LOWEST", "nats", "worse answers told apart"),
    Constant(gaussian, "CONSIDERED", "candidates", "a wider choice of each batch, for time outside the model", BOTH),
    Constant(completeness, "TURN", "questions", "longer turns of each way", (COMPLETE,)),
    Constant(completeness, "FEW", "questions", "larger budgets for one way after the other", (COMPLETE,), (0, 1000)),
    Constant(completeness, "LAST", "questions", "the last climb longer, of such budgets", (COMPLETE,)),
    Constant(completeness, "BASE", "variables", "larger sufficient sets grown rather than silence", (COMPLETE,)),
    Constant(completeness, "CLIMB", "questions", "longer climbs", (COMPLETE,)),
    Constant(completeness, "LONGEST", "variables", "larger sets grown", (COMPLETE,)),
    Constant(
        completeness, "Climb", "standard deviations", "the unknown rather than the promising", (COMPLETE,),
        tuple(partial(_Climb, boldness=boldness) for boldness in (0.75, 3.0)),
    ),
)  # fmt: skip


def list_variants(kind: str) -> list[Variant]:
    """The search as it is (``""``), then without each stage, then with other constants."""
    found = [Variant("")]
    found += [stage for stage in STAGES if kind in stage.bears_on]
    for constant in CONSTANTS:
        if kind in constant.bears_on:
            found += [
                Variant(f"{constant.place} = {show(value)}", ((constant.module, constant.name, value),), (kind,))
                for value in constant.tried()
            ]
    return found


def show(value: Any) -> str:
    """A constant's value in short."""
    if isinstance(value, partial):
        return f"{value.keywords['boldness']:g}"
    if isinstance(value, tuple):
        return " ".join(f"{part:g}" for part in value)
    return "1.5" if isinstance(value, type) else f"{value:g}"
