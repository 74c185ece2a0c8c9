"""Measure what survives of each explanation, and seek the sets that do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from ...analyses.robustness import measure
from ...errors import ConfigError
from ...search.driver import Driver
from ...signal.spectrum import Spectrum
from ...signal.views import parse_views
from ..messages import Done, Source, Unit
from ..store import Explained, RobustRecord, robust_options, unpack_mask
from .step import LARGEST, Desk, Running, Step, one_by_one

#: recordings with another label that the view ``others`` takes content of, at most
OTHERS = 8


@dataclass(frozen=True)
class ToTest(Unit):
    """An explanation.

    Attributes
    ----------
    explained : Explained
    others : tuple of Source
        Recordings to which the model gives another label.
    """

    explained: Explained
    others: tuple[Source, ...] = ()


class Robust(Step):
    """See the module."""

    name = "robust"

    def __init__(self, running: Running) -> None:
        super().__init__(running)
        store, key, settings = running.store, running.key, running.plan.study.robust
        if settings is None:
            raise ConfigError("robust: the study has no section [robust]; add one")
        self._options = robust_options(settings)
        self._todo = store.explained(key) - store.tested(key, self._options)
        takes_others = any(kind.name == "others" for kind in parse_views(settings.views))
        self._said = store.tops(key) if takes_others else {}

    def wanted(self, model: int) -> list[Source]:
        """See :class:`Step`."""
        id = self.running.ids[model]
        return [clip for clip, _ in self.running.clips if (clip.id, id) in self._todo and self.is_open(clip, model)]

    def unit(self, clip: Source, model: int) -> ToTest:
        """See :class:`Step`."""
        running, id = self.running, self.running.ids[model]
        explained = running.store.explanation(clip.id, id, running.key)
        others = [
            other for other, _ in running.clips if self._said.get((other.id, id), explained.label) != explained.label
        ]
        # by content: a study that grows changes few of them, its order none
        others.sort(key=lambda other: blake2b(f"{clip.sha256}{other.sha256}".encode()).digest())
        return ToTest(clip, explained, tuple(others[:OTHERS]))

    @staticmethod
    def do(desk: Desk, driver: Driver, units: Sequence[ToTest]) -> Iterator[Done]:
        """See :class:`Step`."""
        search, settings = desk.setup.settings, desk.setup.robust
        assert settings is not None
        fingerprint = driver.classifier.model.fingerprint

        def work(unit: ToTest) -> RobustRecord:
            spectrum, there = Spectrum(desk.read(unit.clip), search.variables), unit.explained
            sets = {(kind, draw): unpack_mask(mask, there.size) for kind, draw, mask in there.sets}
            others = [desk.read(other) for other in unit.others]
            measured = measure(spectrum, there.label, sets, search, settings, driver, others)
            return RobustRecord.of(measured, spectrum.size, unit.clip.sha256, fingerprint)

        return one_by_one(units, work)

    def keep(self, clip: Source, model: int, outcome: RobustRecord) -> bool:
        """See :class:`Step`."""
        running = self.running
        running.store.add_robust(clip.id, running.ids[model], running.key, self._options, outcome)
        return True

    def chunk_size(self, total: int, workers: int) -> int:
        """Few: each takes long."""
        return max(1, min(LARGEST // 4, -(-total // (4 * workers))))
