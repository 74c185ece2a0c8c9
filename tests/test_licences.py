"""Licences of what is installed: all are told, allowed, and on the page."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.utils import canonicalize_name
from tools import licences

ROOT = Path(__file__).parents[1]


def test_every_licence_is_allowed_and_every_distribution_is_listed() -> None:
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    needed = licences.needed()
    assert {"torch", "numpy", "polars", "soundfile"} <= {one.metadata["Name"].lower() for one in needed}
    for one in needed:
        licence = licences.licence_of(one)
        assert licences.allowed(licence), f"{one.metadata['Name']}: {licence}"
        assert f"| {one.metadata['Name']} | " in page, f"{one.metadata['Name']}: run tools/licences.py again"


def test_what_is_not_allowed_is_refused() -> None:
    for licence in ("GPL-3.0-only", "AGPL-3.0", "MIT AND GPL-3.0-only", "not told", "Proprietary", ""):
        assert not licences.allowed(licence), licence
    for licence in ("MIT", "MIT License", "GPL-3.0-only OR MIT", "Apache-2.0 WITH LLVM-exception", "LGPL-2.1-or-later"):
        assert licences.allowed(licence), licence


def test_every_pin_has_digests() -> None:
    """All but torch, whose build is another on each kind of machine."""
    pins = {
        canonicalize_name(line.partition("==")[0]): line.partition("==")[2]
        for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    }  # fmt: skip
    locked: dict[str, str] = {}
    for block in re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text().strip()):
        head, *digests = block.split("\\\n")
        name, _, version = head.strip().partition("==")
        assert digests, f"{name}: no digest"
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", digest.strip()) for digest in digests), name
        locked[canonicalize_name(name)] = version
    assert locked == {name: version for name, version in pins.items() if name != "torch"}, "see CONTRIBUTING"
