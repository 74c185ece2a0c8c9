"""Plan a study, do what is missing, resume.

Each unit of work (one model's part in one step, of one clip) is committed when it is done. A unit that fails becomes a
row with its reason and the study goes on. What a unit is, is the step's business (:mod:`earwitness.study.steps`), where
it is done the executor's (:mod:`earwitness.study.executors`); this process is the only one that writes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..errors import AudioError
from ..search.settings import REVISION
from ..signal.spectrum import Spectrum
from .cost import tell_cost
from .environment import note_environment
from .executors import open_executor
from .executors.pool import Executor
from .file import Study
from .forecast import most_questions
from .messages import Chunk, Failed, Source
from .plan import Plan, plan
from .progress import Logged, Quiet, Reporter
from .register import forget_stale_failures, register, say_what_changed
from .stages.nulls import add_nulls
from .steps import Curves, Explain, Judge, Robust, Running, Step
from .store import Store, options_key, robust_options


@dataclass(frozen=True)
class Summary:
    """What a run did.

    Attributes
    ----------
    explained, judged : int
        Units done in this run.
    failed : int
        Failed rows of the study, earlier ones included.
    tested, traced : int
        Units done in this run: explanations whose robust sets were sought, and a judge's curves of a clip.
    """

    explained: int
    judged: int
    failed: int
    tested: int = 0
    traced: int = 0


def run_into(
    path: Path, study: Study, folder: Path, reporter: Reporter | None = None, *, retry_failed: bool = False
) -> Summary:
    """Plan a study and run it into a store, with a log beside it.

    Parameters
    ----------
    path : Path
        Of the store; made if it is missing.
    study : Study
    folder : Path
        What its paths are relative to.
    reporter : Reporter, optional
    retry_failed : bool

    Raises
    ------
    EarwitnessError
        See :func:`earwitness.study.plan.plan`; or another process writes to the store, which is known before models are
        loaded.
    """
    with Store(path, write=True) as store, Logged(reporter or Quiet(), path.with_name(path.name + ".log")) as logged:
        if store.mended:
            logged.say(store.mended)
        return run(plan(study, folder, logged), store, logged, retry_failed=retry_failed)


def run(plan: Plan, store: Store, reporter: Reporter | None = None, *, retry_failed: bool = False) -> Summary:
    """Do what the store does not hold yet.

    Parameters
    ----------
    plan : Plan
    store : Store
        Open for writing.
    reporter : Reporter, optional
    retry_failed : bool
        Try failed units again.

    Raises
    ------
    StoreError
        The store cannot be written; what was committed before stays.
    EarwitnessError
        The executor cannot be started.
    """
    reporter = reporter or Quiet()
    study = plan.study
    running = _begin(plan, store, reporter, retry_failed)
    work = _Work(running)
    models = plan.models if plan.loaded else ()
    with open_executor(plan.setup, study.run, models, work.ask, reporter.say) as executor:
        explained = work.do(executor, Explain(running))
        tested = work.do(executor, Robust(running)) if study.robust else 0
        add_nulls(store, running.key, _spectra(running), study.transfer.nulls, plan.settings.seed, reporter)
        judged = work.do(executor, Judge(running))
        traced = work.do(executor, Curves(running)) if study.curves else 0
    return Summary(explained, judged, store.count_failures(running.key), tested, traced)


def _begin(plan: Plan, store: Store, reporter: Reporter, retry_failed: bool) -> Running:
    """Know the study and its clips in the store."""
    study = plan.study
    key = store.add_settings(plan.settings, plan.alignment.labels, study.only_correct)
    say_what_changed(plan, store, key, reporter)
    if retry_failed:
        store.clear_failures(key)
    ids = [store.add_model(model) for model in plan.models]
    clips = register(plan, store, key, reporter)
    if study.seconds is None and (
        line := tell_cost([clip.samples for clip, _ in clips], plan.sample_rate, len(ids), plan.settings)
    ):
        reporter.say(line)
    forget_stale_failures(plan, store, key, ids, clips)
    store.set_plan(key, ids, [clip.id for clip, _ in clips])
    store.set_meta(
        settings=key, revision=REVISION, name=study.name, epsilon=study.transfer.epsilon, study=study.model_dump(),
        folder=str(plan.folder), sample_rate=plan.sample_rate, models=ids,
        robust=options_key(robust_options(study.robust)) if study.robust else "",
    )  # fmt: skip
    # clips of equal length side by side, so that they fill batches together
    return Running(plan, store, key, ids, sorted(clips, key=lambda clip: clip[0].samples), reporter)


class _Work:
    """What is missing of a step, in chunks; what comes back, into the store."""

    def __init__(self, running: Running) -> None:
        self._running, self._step = running, ""

    def ask(self, model: int, questions: int) -> None:
        """A model answered so many questions."""
        self._running.reporter.ask(questions, self._name(model))

    def do(self, executor: Executor, step: Step) -> int:
        """Do what is missing; how many units were done."""
        running, self._step = self._running, step.name
        todo = [step.wanted(model) for model in range(len(running.ids))]
        most = most_questions(running.plan.study, len(running.ids))
        if any(todo):
            note_environment(running.store, running.plan.study.run)
        for model, clips in enumerate(todo):
            if clips:
                running.reporter.stage(self._name(model), len(clips), most.get(step.name, 0))
        size = step.chunk_size(sum(map(len, todo)), executor.workers)
        chunks = (
            Chunk(step.name, model, tuple(step.unit(clip, model) for clip in clips[i : i + size]))
            for model, clips in enumerate(todo)
            for i in range(0, len(clips), size)
        )
        done = 0
        for chunk, unit, outcome in executor.run(chunks):
            if isinstance(outcome, Failed):
                self._note(chunk, unit.clip, outcome.reason)
            else:
                done += step.keep(unit.clip, chunk.model, outcome)
            running.reporter.advance(1, self._name(chunk.model))
        return done

    def _note(self, chunk: Chunk, clip: Source, reason: str) -> None:
        running, spec = self._running, self._running.specs[chunk.model]
        running.store.add_failure(running.key, chunk.step, clip.path, spec, reason)
        running.reporter.note(f"failed: {chunk.step} {clip.path} {spec}: {reason}")

    def _name(self, model: int) -> str:
        return f"{self._step} {self._running.specs[model]}"


def _spectra(running: Running) -> dict[int, Callable[[], Spectrum]]:
    """How to make the spectrum of each clip, by clip id."""
    plan = running.plan

    def make(clip: Source) -> Spectrum:
        found = plan.read(clip.path)
        if found.sha256 != clip.sha256:
            raise AudioError(f"{clip.path}: changed while the study ran; run it again")
        return Spectrum(found, plan.settings.variables)

    return {clip.id: partial(make, clip) for clip, _ in running.clips}
