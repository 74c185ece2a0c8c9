"""The page's sections, one file each: what a study's store has of an analysis, as blocks that the page draws.

A section is a function that gives a :class:`Section`, or ``None`` where the study has nothing of it. A new one is one
new file and one line in :data:`SECTIONS`.
"""

from __future__ import annotations

from collections.abc import Callable

from ...errors import EarwitnessError
from ...study.store import Store
from ..data import StudyData
from .blocks import Block, Curves, Estimates, Section, Signal, Sounds, Table, section_json
from .certainty import certainty
from .chance import chance
from .composition import composition
from .evidence import evidence
from .fidelity import fidelity
from .flat_earthers import flat_earthers
from .manipulation import manipulation
from .reliability import reliability
from .spectral import spectral
from .tables import tables

#: a section from what the store holds and what was read of it
Make = Callable[[Store, StudyData], Section | None]

SECTIONS: tuple[Make, ...] = (
    evidence, chance, certainty, flat_earthers, reliability, composition, spectral, fidelity, manipulation, tables,
)  # fmt: skip


def make_sections(store: Store, data: StudyData) -> list[Section]:
    """The sections that the study has something for; of one that cannot be made, the reason."""
    made = [_try(make, store, data) for make in SECTIONS]
    return [section for section in made if section is not None]


def _try(make: Make, store: Store, data: StudyData) -> Section | None:
    try:
        return make(store, data)
    except EarwitnessError as error:
        name = getattr(make, "__name__", "section").replace("_", "-")
        return Section(name, name.capitalize(), f"This section could not be made: {error}", ())


__all__ = [
    "SECTIONS", "Block", "Curves", "Estimates", "Section", "Signal", "Sounds", "Table", "make_sections", "section_json",
]  # fmt: skip
