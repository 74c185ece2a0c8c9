"""What several test files use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from threadpoolctl import threadpool_limits

from window import CHROMIUM, FLAGS

ROOT = Path(__file__).parent.parent
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
#: what takes longest starts first, so that all workers end at about the same time
SLOW = ("test_survival", "test_report", "test_report_page", "test_ray", "test_sections", "test_search",
        "test_execution", "test_study", "test_huggingface", "test_docs", "test_nulls", "test_startup", "test_evolution",
        "test_analyses", "test_cli", "test_plugins")  # fmt: skip

if WORKERS > 1:  # workers share the cores, and so do the processes they start; torch looks when it is imported
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // WORKERS)))

# how long an example takes says what else the machine does, not whether the code is right
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first; a file's own order stays."""
    items.sort(key=lambda item: SLOW.index(item.path.stem) if item.path.stem in SLOW else len(SLOW))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """What searches compute is small: as in the driver, several threads of BLAS would only wait for each other."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and trained models; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("EARWITNESS_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no {folder}: set EARWITNESS_SHARED to the folder with data, models and reference outputs")
    return folder


@pytest.fixture(scope="session")
def report_pages(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The planted study of the tests of the page: its store, its page, their folder. To be read only."""
    from planted_report import write_pages  # what it imports takes longer than most tests

    return write_pages(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, headless; tests that need it skip where it is absent."""
    playwright: Any = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium to open the page with; install it to run this test")
    with playwright.sync_playwright() as tool:
        opened = tool.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield opened
        opened.close()
