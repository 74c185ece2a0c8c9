"""What a study file may say: as a file to fill in, and as a JSON schema for editors. Made of the settings' own
descriptions, so that neither can differ from what is accepted."""

from __future__ import annotations

import json
from typing import Any

from pydantic.fields import FieldInfo

from .file import DataSection, RunSection, SearchSection, Study, TransferSection

_WIDTH = 34
_HEAD = """\
#:schema ./study.schema.json
# (for editors; written by: earwitness study schema > study.schema.json)
#
# Run and resume:  earwitness study run THIS-FILE
# Paths are relative to this file. A line that begins with # is a setting left at its default.
"""


def study_template() -> str:
    """A study file that names every setting; it runs as it is, on what is built in."""
    top = {name: field for name, field in Study.model_fields.items() if name not in _SECTIONS and name != "labels"}
    parts = [_HEAD + "\n".join(_line(name, field, _GIVEN.get(name)) for name, field in top.items())]
    parts.append(f'[labels]\n# {Study.model_fields["labels"].description}\n# LABEL_3 = "jazz"')
    for header, section in _SECTIONS.items():
        title = f"[[{header}]]" if header == "data" else f"[{header}]"
        about = " ".join((section.__doc__ or "").split("``: ", 1)[-1].split())
        lines = [_line(name, field, _GIVEN.get(f"{header}.{name}")) for name, field in section.model_fields.items()]
        parts.append("\n".join([title, f"# {about}", *lines]))
    return "\n\n".join(parts) + "\n"


def study_schema() -> dict[str, Any]:
    """The JSON schema of study files."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Study.model_json_schema()}


_SECTIONS: dict[str, Any] = {
    "data": DataSection, "search": SearchSection, "transfer": TransferSection, "run": RunSection,
}  # fmt: skip
#: what has no default
_GIVEN = {"models": ["builtin:msd-musicnn", "builtin:mtt-vgg"], "data.path": "builtin"}


def _line(name: str, field: FieldInfo, given: Any = None) -> str:
    value = field.default if given is None else given
    example = field.examples[0] if value is None and field.examples else value
    setting = f"{name} = {json.dumps(example, ensure_ascii=False)}"
    return f"{'# ' if value is None else ''}{setting}".ljust(_WIDTH) + f"  # {field.description}"
