"""Ask every model about nested sets of each clip in the order of every model's map, and in others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from itertools import groupby
from typing import Any

from ...analyses.nested import Curve, CurveRow, ask_curves
from ...errors import ConfigError
from ...search.driver import Driver
from ...signal.spectrum import Spectrum
from ..messages import Done, Source, Unit
from ..store import CURVES, unsqueeze
from .step import Desk, Running, Step, one_by_one

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class ToTrace(Unit):
    """Curves of a clip.

    Attributes
    ----------
    maps : tuple of (str, bytes)
        The fingerprints of the models that have one, and their maps, compressed.
    size : int
        Number of variables.
    known : frozenset of (order, source, draw)
        Curves that the judge has been asked about.
    """

    maps: tuple[tuple[str, bytes], ...]
    size: int
    known: frozenset[Curve]


class Curves(Step):
    """See the module."""

    name = "curves"

    def __init__(self, running: Running) -> None:
        super().__init__(running)
        settings = running.plan.study.curves
        if settings is None:
            raise ConfigError("curves: the study has no section [curves]; add one")
        store, key, self._options = running.store, running.key, asdict(settings)
        self._done = store.done_units(key, CURVES, self._options)
        self._marks = {id: model.fingerprint for id, model in zip(running.ids, running.plan.models, strict=True)}
        self._mapped = store.mapped(key)
        self._known: dict[tuple[str, str], set[Curve]] = {}
        rows = store.results(key, CURVES, self._options)
        if len(rows):
            for sha256, judge, *curve in rows.select("sha256", "judge", "order", "source", "draw").iter_rows():
                self._known.setdefault((sha256, judge), set()).add(tuple(curve))

    def wanted(self, model: int) -> list[Source]:
        """See :class:`Step`; clips that no model has a map of are left out."""
        return [
            clip
            for clip, _ in self.running.clips
            if self._sources(clip) and self._name(clip, model) not in self._done and self.is_open(clip, model)
        ]

    def unit(self, clip: Source, model: int) -> ToTrace:
        """See :class:`Step`."""
        size, packed = self.running.store.packed_maps(self.running.key, clip.id)
        maps = tuple((self._marks[id], packed[id]) for id in self._sources(clip))
        known = self._known.get((clip.sha256, self._marks[self.running.ids[model]]), set())
        return ToTrace(clip, maps, size, frozenset(known))

    @staticmethod
    def do(desk: Desk, driver: Driver, units: Sequence[ToTrace]) -> Iterator[Done]:
        """See :class:`Step`."""
        settings = desk.setup.curves
        assert settings is not None

        def work(unit: ToTrace) -> Rows:
            spectrum = Spectrum(desk.read(unit.clip), desk.setup.settings.variables)
            maps = {mark: unsqueeze(packed, unit.size) for mark, packed in unit.maps}
            ask = partial(driver.evaluate, spectrum)
            return _pack(ask_curves(maps, spectrum.energy, ask, settings, unit.clip.sha256, known=unit.known))

        return one_by_one(units, work)

    def keep(self, clip: Source, model: int, outcome: Rows) -> bool:
        """See :class:`Step`."""
        running = self.running
        rows = [{"sha256": clip.sha256, "judge": self._marks[running.ids[model]], **row} for row in outcome]
        running.store.add_results(running.key, CURVES, self._options, self._name(clip, model), rows)
        return True

    def _sources(self, clip: Source) -> list[int]:
        return [id for id in self.running.ids if (clip.id, id) in self._mapped]

    def _name(self, clip: Source, model: int) -> str:
        """Of the unit: with one more model's map it is another."""
        marks = sorted(self._marks[id] for id in self._sources(clip))
        maps = blake2b("".join(marks).encode(), digest_size=8).hexdigest()
        return f"{clip.sha256[:16]}:{self._marks[self.running.ids[model]][:16]}:{maps}"


def _pack(rows: Sequence[CurveRow]) -> Rows:
    """A row a curve, in place of one a level."""
    packed = []
    for (order, source, draw), part in groupby(rows, key=lambda row: (row.order, row.source, row.draw)):
        levels = list(part)
        columns = {name: [getattr(row, name) for row in levels] for name in ("level", "size", "energy", "accepted")}
        probability = [row.probability for row in levels]
        packed.append({"order": order, "source": source, "draw": draw, **columns, "probability": probability})
    return packed
