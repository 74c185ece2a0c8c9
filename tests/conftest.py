"""What several test files use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and trained models; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("EARWITNESS_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no {folder}: set EARWITNESS_SHARED to the folder with data, models and reference outputs")
    return folder
