"""What commands do around their work: progress, folders, the study's store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..signal.limits import USUAL, Limits
from .options import Asking

if TYPE_CHECKING:
    from ..study.file import Study
    from ..study.progress import Reporter
    from ..study.reopen import Reopened
    from ..study.run import Summary
    from .options import Analysis


@contextmanager
def open_analysis(path: Path, output: Analysis) -> Iterator[tuple[Reopened, Reporter]]:
    """A study's store, open for an analysis that adds to it, and the progress it is told.

    Raises
    ------
    ConfigError
        There is no such store, or ``output.out`` cannot be written.
    ModelError
        Models are to be asked, the store names code, and is not trusted.
    """
    from ..study.reopen import reopen
    from ..study.store import Store

    with ExitStack() as stack:
        if not path.is_file():
            raise ConfigError(f"{path}: no such store; make one with: earwitness study run STUDY.toml")
        if output.out is not None:
            make_writable(output.out)
        reporter = make_reporter(output.quiet, stack)
        store = stack.enter_context(Store(path, write=True))
        if store.mended:
            reporter.say(store.mended)
        if not isinstance(output, Asking):
            yield reopen(store, output.device), reporter
            return
        study = reopen(store, output.device, trust_models=output.trust_models)
        study.check_trust()
        yield study, reporter


def run_study(study: Study, folder: Path, path: Path, quiet: bool, retry_failed: bool = False) -> Summary:
    """Run a study into a store, with progress and a log beside it."""
    from ..study.devices import with_workers
    from ..study.run import run_into

    study = study.model_copy(update={"run": with_workers(study.run)})
    with ExitStack() as stack:
        return run_into(path, study, folder, make_reporter(quiet, stack), retry_failed=retry_failed)


def make_reporter(quiet: bool, stack: ExitStack) -> Reporter:
    """Bars on a terminal, lines elsewhere, nothing when quiet."""
    from ..study.progress import open_reporter

    return stack.enter_context(open_reporter(quiet))


def make_writable(folder: Path) -> None:
    """Make a folder, and refuse one that cannot be written before any work is spent.

    Raises
    ------
    ConfigError
        It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".earwitness.tmp"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error}); choose another --out") from None


def try_recording(recording: Path, seconds: float | None, limits: Limits = USUAL) -> None:
    """Refuse a bad recording by its first minute, before a model is loaded.

    Raises
    ------
    ConfigError
        ``seconds`` is no duration.
    AudioError
        See :func:`earwitness.read`.
    """
    from ..signal import audio
    from ..study.cost import LONG

    if seconds is not None and seconds <= 0:
        raise ConfigError(f"seconds {seconds}: out of range; use a positive duration")
    audio.read(recording, None, min(seconds or LONG, LONG), limits)
