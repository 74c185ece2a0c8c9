"""A study in Python, for a script or a notebook: one object for what the commands do."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from .study.store import Store
from .transferability.options import Options

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from .analyses.settings import CompositionSettings, FidelitySettings, ManipulationSettings
    from .report.data import StudyData
    from .report.sections import Block
    from .study.file import Study as StudyFile
    from .study.forecast import Forecast
    from .study.progress import Reporter
    from .study.reopen import Reopened
    from .transferability.answers import Answers
    from .verification import Verification

Path_ = str | PathLike[str]


class Study:
    """Models x recordings x settings, and what has been found so far.

    Make one by :meth:`from_toml`, :meth:`of` or :meth:`open`. A notebook shows it as its most telling numbers. Analyses
    that ask models run those that are code (``python:``, pickles) where the study is the user's own, from its file or
    list; of a store that was only opened they take ``trust_models=True``, since a store may come from a stranger.

    Examples
    --------
    ::

        study = earwitness.Study.from_toml("mine.toml").run()
        study.tables["chance"]
        study.play(study.sets["subset"][0])
        study.report("page")

    Attributes
    ----------
    path : Path
        Of the store.
    quiet : bool
        No progress.
    """

    def __init__(self, path: Path_, file: StudyFile | None = None, folder: Path_ = ".", *, quiet: bool = False) -> None:
        self.path, self.quiet = Path(path), quiet
        self._file, self._folder = file, Path(folder)

    @classmethod
    def from_toml(cls, path: Path_, given: Mapping[str, Any] | None = None, *, quiet: bool = False) -> Study:
        """A study from its file.

        Parameters
        ----------
        path : str or Path
        given : mapping of str to value, optional
            In place of what the file says, by dotted key: ``{"search.delta": 0.9}``.
        quiet : bool

        Raises
        ------
        ConfigError
            See :func:`earwitness.study.file.load_study`.
        """
        from .study.file import load_study

        file, folder = load_study(fspath(path), given=given)
        return cls(folder / file.store, file, folder, quiet=quiet)

    @classmethod
    def of(
        cls, models: Sequence[str], data: Path_ | Sequence[Path_], given: Mapping[str, Any] | None = None, *,
        quiet: bool = False,
    ) -> Study:  # fmt: skip
        """A study of models and recordings without a file; paths are relative to the working folder.

        Parameters
        ----------
        models : sequence of str
            Specs.
        data : path, or sequence of paths
            Folders, manifests or files, or ``"builtin"``.
        given : mapping of str to value, optional
            Settings by dotted key: ``{"search.delta": 0.9, "store": "mine.db", "seconds": 3.0}``.
        quiet : bool

        Raises
        ------
        ConfigError
            A setting is unknown or bad.
        """
        from .study.file import load_study

        paths = [data] if isinstance(data, str | PathLike) else list(data)
        content = {"models": list(models), "data": [{"path": fspath(path)} for path in paths]}
        file, folder = load_study(None, given={**content, **(given or {})})
        return cls(folder / file.store, file, folder, quiet=quiet)

    @classmethod
    def open(cls, store: Path_, *, quiet: bool = False) -> Study:
        """What was found earlier, from its store alone; it cannot be run on, which takes its file.

        Raises
        ------
        StoreError
            There is no such store, or no study was run into it.
        """
        found = cls(store, quiet=quiet)
        found.status  # noqa: B018 - that it is one
        return found

    def plan(self) -> Forecast:
        """What a run would ask, and how long that takes here.

        Raises
        ------
        EarwitnessError
            See :meth:`run`.
        """
        from .study.forecast import forecast_here

        with self._progress() as reporter:
            return forecast_here(self._need_file(), self._folder, reporter)

    def run(self, *, retry_failed: bool = False) -> Study:
        """Do what is not done yet; interrupted, it goes on from there when it is called again.

        Returns
        -------
        Study
            Itself.

        Raises
        ------
        EarwitnessError
            A model cannot be loaded, labels are not shared, a data set cannot be read. What is wrong with one clip or
            model becomes a failed row: see :attr:`status`.
        """
        from .study.run import run_into

        with self._progress() as reporter:
            run_into(self.path, self._need_file(), self._folder, reporter, retry_failed=retry_failed)
        self.__dict__.pop("tables", None)
        return self

    @property
    def status(self) -> dict[str, Any]:
        """What is done, left and failed; see :func:`earwitness.study.status.study_status`."""
        from .study.status import study_status

        with Store(self.path) as store:
            return study_status(store)

    @cached_property
    def tables(self) -> Tables:
        """The tables by name, each made when it is asked for."""
        return self.tables_with()

    def tables_with(self, **options: Any) -> Tables:
        """The tables, computed otherwise: options of :class:`earwitness.transferability.options.Options`."""
        from .study.answers import epsilon_of

        with Store(self.path) as store:
            epsilon = epsilon_of(store, options.pop("epsilon", None))
        return Tables(self.answers, Options(epsilon=epsilon, **options))

    @property
    def answers(self) -> Answers:
        """What every model said to every signal: what tables are made of."""
        from .study.answers import load_answers

        with Store(self.path) as store:
            return load_answers(store)

    @property
    def sets(self) -> pl.DataFrame:
        """The stored sets: ``subset`` (what :meth:`signal` and :meth:`play` take), ``clip``, ``model``, ``kind``,
        ``size``, ``energy``, ``label`` and ``answer``, with the recording's path and the model's spec."""
        with self._reopened() as study:
            clips = study.clips.select("clip", "path")
            models = study.models.select("model", "spec")
            return study.subsets().join(clips, on="clip").join(models, on="model")

    def signal(self, subset: int) -> NDArray[np.float32]:
        """The signal of a stored set, float32 [N]."""
        with self._reopened() as study:
            return study.signal(subset)

    def play(self, subset: int) -> Player:
        """The signal of a stored set as a notebook plays it, scaled to one peak."""
        from .report.sounds import Inline, make_sound

        with self._reopened() as study:
            sound = make_sound(Inline(), f"set-{subset}", study.signal(subset), study.sample_rate)
        return Player("" if sound is None else sound.source)

    @property
    def data(self) -> StudyData:
        """What figures such as :func:`earwitness.report.plot_matrix` are drawn from."""
        from .report.data import load_study
        from .study.answers import epsilon_of

        with Store(self.path) as store:
            return load_study(store, epsilon_of(store))

    @property
    def blocks(self) -> dict[str, Block]:
        """What the page's sections show, by title: tables, estimates, curves, sounds."""
        from .report.data import load_study
        from .report.sections import make_sections
        from .study.answers import epsilon_of

        with Store(self.path) as store:
            sections = make_sections(store, load_study(store, epsilon_of(store)))
        return {block.title: block for section in sections for block in section.blocks}

    def report(
        self, out: Path_, *, single_file: bool = False, clips: int | None = None, beside: Sequence[Path_] = ()
    ) -> Path:
        """Write the page, with a section for each store of another study that is to stand beside it; its path."""
        from .report.page import write_report
        from .study.answers import epsilon_of

        with Store(self.path) as store:
            return write_report(
                store, Path(out), epsilon=epsilon_of(store), full=clips, single_file=single_file,
                beside=[fspath(other) for other in beside],
            )  # fmt: skip

    def page(self, height: int = 800, clips: int = 5) -> Page:
        """The page as a notebook shows it, with the sounds of so many clips."""
        with TemporaryDirectory(prefix="earwitness-") as folder:
            path = self.report(Path(folder, "index.html"), single_file=True, clips=clips)
            return Page(path.read_text(encoding="utf-8"), height)

    def figures(self, out: Path_, clips: int = 3) -> list[Path]:
        """Write the figures as SVG and PNG; their paths."""
        from .report.figures import write_figures
        from .study.answers import epsilon_of

        with Store(self.path) as store:
            return write_figures(store, Path(out), epsilon=epsilon_of(store), clips=clips)

    def export(self, out: Path_, style: str = "parquet") -> list[Path]:
        """Write every table, and what they were computed from, as ``parquet`` or ``csv``; their paths."""
        from .study.export import write_export

        with Store(self.path) as store:
            return write_export(store, Path(out), style)

    def verify(self, sample: int | None = None, *, trust_models: bool | None = None) -> Verification:
        """Ask the models again, now, about so many of the stored answers, or all."""
        from .study.verify import verify_study

        with Store(self.path) as store, self._progress() as reporter:
            return verify_study(store, sample=sample, trust_models=self._trusts(trust_models), reporter=reporter)

    def spectral(self, window: int = 1024) -> dict[str, pl.DataFrame]:
        """Spectral entropy, power spectral density and band energies of the signals: tables by name."""
        from .study.analyse import spectral

        with self._reopened(write=True) as study, self._progress() as reporter:
            return spectral(study, window, reporter).tables

    def compose(
        self, settings: CompositionSettings | None = None, *, trust_models: bool | None = None
    ) -> dict[str, pl.DataFrame]:
        """The largest sets of a class's signals whose mean is still that class, and whether they turn other clips into
        it: tables by name."""
        from .analyses.settings import LEVELS, CompositionSettings
        from .study.analyse import compose

        with self._reopened(write=True, asks=True, trust_models=trust_models) as study, self._progress() as reporter:
            return compose(study, settings or CompositionSettings(), LEVELS, reporter).tables

    def fidelity(self, settings: FidelitySettings | None = None) -> dict[str, pl.DataFrame]:
        """Transcripts and intelligibility of the signals: tables by name."""
        from .analyses.settings import FidelitySettings
        from .study.analyse import fidelity

        with self._reopened(write=True) as study, self._progress() as reporter:
            return fidelity(study, settings or FidelitySettings(), reporter=reporter).tables

    def manipulate(
        self, settings: ManipulationSettings | None = None, *, trust_models: bool | None = None
    ) -> dict[str, pl.DataFrame]:
        """The smallest changes that flip an answer, and whether they transfer: tables by name."""
        from .analyses.settings import ManipulationSettings
        from .study.analyse import manipulate

        with self._reopened(write=True, asks=True, trust_models=trust_models) as study, self._progress() as reporter:
            return manipulate(study, settings or ManipulationSettings(), reporter).tables

    def _repr_html_(self) -> str:
        """As a notebook shows it: how far it is, and the numbers to read first."""
        if not self.path.is_file():
            return f"<p>A study that has not been run: <code>{html.escape(str(self.path))}</code></p>"
        from .report.data import load_study
        from .report.headline import headline

        status = self.status
        words = (
            f"{status['clips']} recordings × {status['models']} models, {status['explanations']} explanations, "
            f"{status['judgements']} judgements, {status['failed']} failed"
        )
        with Store(self.path) as store:
            numbers = headline(load_study(store, 0.5), store)
        rows = "".join(f"<li>{html.escape(_tell(number))}</li>" for number in numbers)
        name = html.escape(str(status["name"]))
        return f"<div><p><strong>{name}</strong>: {html.escape(words)}</p><ul>{rows}</ul></div>"

    def _need_file(self) -> StudyFile:
        from .errors import ConfigError

        if self._file is None:
            raise ConfigError(f"{self.path}: opened from its store; to run it on, use Study.from_toml or Study.of")
        return self._file

    def _trusts(self, told: bool | None) -> bool:
        """Whether models that are code may run: on the user's word, or where the user named them by file or list."""
        return self._file is not None if told is None else told

    @contextmanager
    def _progress(self) -> Iterator[Reporter]:
        from .study.progress import open_reporter

        with open_reporter(self.quiet) as reporter:
            yield reporter

    @contextmanager
    def _reopened(
        self, *, write: bool = False, asks: bool = False, trust_models: bool | None = None
    ) -> Iterator[Reopened]:
        from .study.reopen import reopen

        with ExitStack() as stack:
            store = stack.enter_context(Store(self.path, write=write))
            study = reopen(store, trust_models=self._trusts(trust_models))
            if asks:
                study.check_trust()
            yield study


def _tell(number: Any) -> str:
    """A number of the headline in a line."""
    if not number.told:
        return f"? (too few recordings to tell) {number.text}"
    ends = "" if number.low is None else f" [{number.low:.2f}, {number.high:.2f}]"
    beside = "".join(f"; {name} {value:.2f}" for name, value in number.beside)
    return f"{number.value:.2f}{ends} {number.text}{beside}"


class Tables(Mapping[str, "pl.DataFrame"]):
    """The tables of a study by name, each made when it is first asked for."""

    def __init__(self, answers: Answers, options: Options) -> None:
        self._answers, self._options = answers, options
        self._made: dict[str, pl.DataFrame] = {}

    def __getitem__(self, name: str) -> pl.DataFrame:
        from .transferability.tables import make_tables

        if name not in self:
            raise KeyError(f"{name}; there are {', '.join(self)}")
        if name not in self._made:
            self._made |= make_tables(self._answers, self._options, [name])
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def __iter__(self) -> Iterator[str]:
        from .transferability.tables import TABLES

        return iter(TABLES)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _repr_html_(self) -> str:
        return f"<p>Tables: {html.escape(', '.join(self))}</p>"


@dataclass(frozen=True)
class Player:
    """A sound as a notebook shows it; empty where it is silence."""

    source: str

    def _repr_html_(self) -> str:
        return f'<audio controls src="{html.escape(self.source)}"></audio>' if self.source else "<p>silence</p>"


@dataclass(frozen=True)
class Page:
    """A page as a notebook shows it, in a frame of its own that can do nothing to the notebook."""

    content: str
    height: int

    def _repr_html_(self) -> str:
        source = html.escape(self.content)
        style = f"width: 100%; height: {self.height}px; border: 1px solid #ccc"
        return f'<iframe sandbox="allow-scripts" style="{style}" srcdoc="{source}"></iframe>'
