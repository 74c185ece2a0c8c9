"""Licences of what Earwitness installs: ``python tools/licences.py > docs/licences.md``.

Every distribution that the package needs, and what those need in turn, as installed here, with the licence that its
metadata tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

#: what may be depended on: anything that asks for no more than its notice, and weaker copyleft of what stays a library
ALLOWED = (
    "MIT", "BSD", "0BSD", "BSL-1.0", "Apache", "LLVM-exception", "PSF", "Python Software Foundation", "ISC", "MPL",
    "Mozilla", "LGPL", "Zlib", "HPND", "Unlicense", "CC0",
)  # fmt: skip
HEAD = """\
# Licences

Earwitness is under the MIT licence. What it installs, extras left out, as of the last time this page was made by
`python tools/licences.py`; a test holds every licence against the list in that file.

| distribution | licence |
| --- | --- |"""


def needed(root: str = "earwitness") -> list[Distribution]:
    """The distributions that one needs, extras left out, by name; itself left out."""
    found: dict[str, Distribution] = {}
    todo = list(_requirements(distribution(root)))
    while todo:
        name = todo.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # for another system than this one
            continue
        todo += _requirements(found[name])
    return [found[name] for name in sorted(found)]


def _requirements(of: Distribution) -> Iterator[str]:
    for text in of.requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name.lower().replace("_", "-")


def licence_of(one: Distribution) -> str:
    """What its metadata tells: an expression, else its classifiers, else a short text."""
    expression, classifiers, text = (
        one.metadata.get_all(name) or [] for name in ("License-Expression", "Classifier", "License")
    )
    if expression:
        return str(expression[0])
    told = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    if told := [name for name in told if name != "OSI Approved"]:
        return ", ".join(told)
    lines = "".join(text).strip().splitlines()
    return lines[0][:80] if lines else "not told"


def allowed(licence: str) -> bool:
    """Whether all that it asks for, or all of one of its alternatives, is of :data:`ALLOWED`.

    Examples
    --------
    >>> allowed("Apache-2.0 AND MIT"), allowed("GPL-3.0-only OR MIT"), allowed("MIT AND GPL-3.0-only")
    (True, True, False)
    """
    alternatives = (re.split(r" AND | WITH |, ", one) for one in licence.split(" OR "))
    return any(all(part.strip("() ").startswith(ALLOWED) for part in one) for one in alternatives)


def main() -> None:
    """Print the page."""
    print(HEAD)
    for one in needed():
        print(f"| {one.metadata['Name']} | {licence_of(one)} |")


if __name__ == "__main__":
    main()
