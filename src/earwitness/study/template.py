"""What a study file may say: as a file to fill in, and as a JSON schema for editors. Made of the settings' own
descriptions, so that neither can differ from what is accepted."""

from __future__ import annotations

import json
from typing import Any

from pydantic.fields import FieldInfo

from .file import SECTIONS, Study, keys_of

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
    top = {name: field for name, field in Study.model_fields.items() if name not in SECTIONS and name != "labels"}
    parts = [_HEAD + "\n".join(_line(name, field, _GIVEN.get(name)) for name, field in top.items())]
    parts.append(f'[labels]\n# {Study.model_fields["labels"].description}\n# LABEL_3 = "jazz"')
    for header, section in SECTIONS.items():
        title = f"[[{header}]]" if header == "data" else f"[{header}]"
        lines = [_line(name, field, _GIVEN.get(f"{header}.{name}")) for name, field in keys_of(section).items()]
        parts.append("\n".join([title, f"# {_ABOUT.get(header) or Study.model_fields[header].description}", *lines]))
    return "\n\n".join(parts) + "\n"


def study_schema() -> dict[str, Any]:
    """The JSON schema of study files."""
    schema = Study.model_json_schema()
    for section in schema["$defs"].values():  # an editor shows this: the docstring's first line, not its Attributes
        section["description"] = section["description"].partition("\n")[0]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


#: of a section of which there may be several
_ABOUT = {"data": "recordings to study. Paths are relative to the study file."}
#: what has no default
_GIVEN = {"models": ["builtin:msd-musicnn", "builtin:mtt-vgg"], "data.path": "builtin"}


def _line(name: str, field: FieldInfo, given: Any = None) -> str:
    value = field.default if given is None else given
    example = field.examples[0] if value is None and field.examples else value
    setting = f"{name} = {json.dumps(example, ensure_ascii=False)}"
    return f"{'# ' if value is None else ''}{setting}".ljust(_WIDTH) + f"  # {field.description}"
