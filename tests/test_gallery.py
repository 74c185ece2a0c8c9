"""The page of figures: its code runs and draws what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tools import make_gallery as gallery

from earwitness import Study
from test_steps import EVIDENCE, SAMPLES
from test_study import MODELS, do, make_clips, study_of

ROOT = Path(__file__).parents[1]


def test_every_figure_of_the_page_is_drawn_by_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_clips(tmp_path / "clips", 2, SAMPLES)
    do(study_of(tmp_path / "clips", "high", "other", **EVIDENCE), tmp_path / "s.db")
    monkeypatch.setattr(Study, "_trusts", lambda *_: True)  # the planted models are code, the page's are not
    text = gallery.PAGE.read_text(encoding="utf-8")
    quick = text.replace("builtin:mtt-vgg", f"python:{MODELS}:low").replace("verified=0", "verified=0, budget=100")
    made = gallery.make_images(quick, tmp_path / "s.db", tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in made] == re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    for path in made:
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert (ROOT / "docs" / path.relative_to(tmp_path)).is_file()
