"""Every table of the study, as ``earwitness study tables`` prints them."""

from __future__ import annotations

from ...study.answers import load_answers
from ...study.store import Store
from ...transferability.options import Options
from ...transferability.tables import make_tables
from ..data import StudyData
from .blocks import Section, Table


def tables(store: Store, data: StudyData) -> Section | None:
    """All tables that hold something; a study of one model has none worth reading."""
    if data.alone:
        return None
    made = make_tables(load_answers(store, data.key), Options(epsilon=data.epsilon))
    blocks = [
        Table.of(name[0].upper() + name[1:].replace("_", " "), table) for name, table in made.items() if len(table)
    ]
    intro = "Every table of the study, with intervals and tests. The same as files: earwitness study tables STORE"
    intro += " --out DIR."
    return Section("tables", "All tables", intro, blocks)
