"""Plan a study, do what is missing, resume.

Each unit of work (one model's explanation of one clip; one model's judgement of one clip's signals) is committed
when it is done. A unit that fails becomes a row with its reason and the study goes on. Where the units are done is
the executor's business (:mod:`earwitness.study.executors`); this process is the only one that writes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from ..datasets.recording import Recording
from ..errors import AudioError, ConfigError, EarwitnessError, StoreError
from ..models import fold
from ..signal import audio
from ..signal.spectrum import Spectrum
from .cost import tell_cost
from .executors import open_executor
from .executors.pool import Executor
from .executors.work import Chunk, Failed, Judged, LeftOut, Source, Unit
from .plan import Plan
from .progress import Quiet, Reporter
from .stages.nulls import add_nulls
from .store import Record, Stamp, Store

#: units a chunk, at most: a lost worker has no more than these to be done again
LARGEST = 32
#: clips a chunk of judgements, whose masks are all in memory
JUDGED_TOGETHER = 16


@dataclass(frozen=True)
class Summary:
    """What a run did.

    Attributes
    ----------
    explained, judged : int
        Units done in this run.
    failed : int
        Failed rows of the study, earlier ones included.
    """

    explained: int
    judged: int
    failed: int


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
    key = store.add_settings(plan.settings, plan.alignment.labels, study.only_correct)
    _say_what_changed(plan, store, key, reporter)
    if retry_failed:
        store.clear_failures(key)
    ids = [store.add_model(model) for model in plan.models]
    clips = _register(plan, store, key, reporter)
    if study.seconds is None and (
        line := tell_cost([clip.samples for clip, _ in clips], plan.sample_rate, len(ids), plan.settings)
    ):
        reporter.say(line)
    _forget_stale_failures(plan, store, key, ids, clips)
    store.set_plan(key, ids, [clip.id for clip, _ in clips])
    store.set_meta(
        settings=key, name=study.name, epsilon=study.transfer.epsilon, study=study.model_dump(),
        folder=str(plan.folder), sample_rate=plan.sample_rate, models=ids,
    )  # fmt: skip
    work = _Work(plan, store, key, ids, clips, reporter)
    models = plan.models if plan.loaded else ()
    with open_executor(plan.setup, study.run, models, work.ask, reporter.say) as executor:
        explained = work.explain(executor)
        add_nulls(store, key, work.spectra(), study.transfer.nulls, plan.settings.seed, reporter)
        judged = work.judge(executor)
    return Summary(explained, judged, store.count_failures(key))


class _Work:
    """What is missing, in chunks; what comes back, into the store."""

    def __init__(
        self, plan: Plan, store: Store, key: str, ids: Sequence[int], clips: Sequence[tuple[Source, Recording]],
        reporter: Reporter,
    ) -> None:  # fmt: skip
        self._plan, self._store, self._key, self._ids, self._reporter = plan, store, key, ids, reporter
        # clips of equal length side by side, so that they fill batches together
        self._clips = sorted(clips, key=lambda clip: clip[0].samples)
        self._specs = [model.spec for model in plan.models]
        self._stage = ""

    def ask(self, model: int, questions: int) -> None:
        """A model answered so many questions."""
        self._reporter.ask(questions, self._name(model))

    def explain(self, executor: Executor) -> int:
        """Explain every clip with every model; how many explanations were added."""
        self._stage = "explain"
        todo = self._unexplained()
        self._begin({model: len(units) for model, units in enumerate(todo)})
        total = sum(map(len, todo))
        size = max(1, total if executor.workers == 1 else min(LARGEST, -(-total // (4 * executor.workers))))
        chunks = (
            Chunk("explain", model, tuple(units[i : i + size]))
            for model, units in enumerate(todo)
            for i in range(0, len(units), size)
        )
        return self._do(executor, chunks)

    def judge(self, executor: Executor) -> int:
        """Ask every model about every signal it has not judged yet; how many (clip, model) units were done."""
        self._stage = "judge"
        failed = self._store.failed(self._key, "judge")
        todo = []
        waiting = self._store.unjudged(self._key)
        for id, spec in zip(self._ids, self._specs, strict=True):
            wanted = set(waiting.get(id, ()))
            todo.append([
                clip for clip, _ in self._clips if clip.id in wanted and (clip.path, spec) not in failed
            ])  # fmt: skip
        self._begin({model: len(units) for model, units in enumerate(todo)})
        total = sum(map(len, todo))
        size = max(1, min(JUDGED_TOGETHER, -(-total // (4 * executor.workers))))
        chunks = (
            Chunk("judge", model, tuple(self._signals(clip, model) for clip in clips[i : i + size]))
            for model, clips in enumerate(todo)
            for i in range(0, len(clips), size)
        )
        return self._do(executor, chunks)

    def spectra(self) -> dict[int, Callable[[], Spectrum]]:
        """How to make the spectrum of each clip, by clip id."""
        plan = self._plan

        def make(clip: Source) -> Spectrum:
            found = audio.read(clip.path, plan.sample_rate, plan.study.seconds, plan.study.limits)
            if found.sha256 != clip.sha256:
                raise AudioError(f"{clip.path}: changed while the study ran; run it again")
            return Spectrum(found, plan.settings.variables)

        return {clip.id: partial(make, clip) for clip, _ in self._clips}

    def _unexplained(self) -> list[list[Unit]]:
        """By model: the units that are neither done, nor failed, nor left out."""
        explained, failed = self._store.explained(self._key), self._store.failed(self._key, "explain")
        truths = self._truths() if self._plan.study.only_correct else {}
        said = self._store.tops(self._key) if truths else {}
        return [
            [
                Unit(clip, truths.get(clip.id))
                for clip, _ in self._clips
                if (clip.id, id) not in explained
                and (clip.path, spec) not in failed
                and said.get((clip.id, id), truths.get(clip.id)) == truths.get(clip.id)
                and truths.get(clip.id) != -1
            ]
            for id, spec in zip(self._ids, self._specs, strict=True)
        ]

    def _truths(self) -> dict[int, int]:
        """The index of each clip's own label among the shared ones, -1 where it is none of them."""
        index = {fold(label): i for i, label in enumerate(self._plan.alignment.labels)}
        mapping = self._plan.study.labels
        truths = {
            clip.id: -1
            if recording.label is None
            else index.get(fold(mapping.get(recording.label, recording.label)), -1)
            for clip, recording in self._clips
        }
        unknown = list(truths.values()).count(-1)
        if unknown:
            self._reporter.say(f"only_correct: {unknown} clips are not explained, their own label is not a shared one")
        return truths

    def _signals(self, clip: Source, model: int) -> Unit:
        size, masks = self._store.unanswered(clip.id, self._ids[model], self._key)
        return Unit(clip, masks=tuple(masks), size=size)

    def _do(self, executor: Executor, chunks: Iterator[Chunk]) -> int:
        store, done = self._store, 0
        for chunk, unit, outcome in executor.run(chunks):
            clip, model, spec = unit.clip, self._ids[chunk.model], self._specs[chunk.model]
            if isinstance(outcome, Record):
                store.add_explanation(clip.id, model, self._key, outcome)
            elif isinstance(outcome, Judged):
                store.add_answers(clip.id, model, self._key, outcome.original, outcome.answers)
            elif isinstance(outcome, LeftOut):
                store.add_original(clip.id, model, self._key, outcome.original)
            else:
                store.add_failure(self._key, self._stage, clip.path, spec, outcome.reason)
                self._reporter.note(f"failed: {self._stage} {clip.path} {spec}: {outcome.reason}")
            done += not isinstance(outcome, (Failed, LeftOut))
            self._reporter.advance(1, self._name(chunk.model))
        return done

    def _begin(self, totals: dict[int, int]) -> None:
        for model, total in totals.items():
            if total:
                self._reporter.stage(self._name(model), total)

    def _name(self, model: int) -> str:
        return f"{self._stage} {self._specs[model]}"


def _register(plan: Plan, store: Store, key: str, reporter: Reporter) -> list[tuple[Source, Recording]]:
    """Know every recording's clip; one that cannot be read becomes a failed row."""
    rate, seconds = plan.sample_rate, plan.study.seconds
    known, failed = store.known_files(rate, seconds), {path for path, _ in store.failed(key, "read")}
    found: dict[str, tuple[Source, Recording]] = {}
    same: list[tuple[int, Recording]] = []
    reporter.stage("read clips", len(plan.recordings))
    for recording in plan.recordings:
        path = os.path.abspath(recording.path)
        stamp = Stamp.of(path, rate, seconds)
        try:
            row, clip = known.get(stamp) if stamp else None, None
            if row is None:  # new, or changed
                clip = audio.read(path, rate, seconds, plan.study.limits)
                if clip.silent:
                    raise ConfigError("silence, nothing in it can be a cause; leave it out")
            sha256 = clip.sha256 if clip else row[1] if row else ""
            if sha256 in found:
                reporter.note(f"left out {path}: the same recording as {found[sha256][0].path}")
            elif clip is not None:
                found[sha256] = Source(store.add_clip(clip, recording), path, sha256, len(clip)), recording
            elif row is not None:
                same.append((row[0], recording))
                found[sha256] = Source(row[0], path, sha256, row[2]), recording
            if clip is not None and stamp is not None:
                store.add_file(stamp, found[sha256][0].id)
            if path in failed:
                store.forget_failures(key, [("read", path, "")])
        except EarwitnessError as error:
            if isinstance(error, StoreError):
                raise
            store.add_failure(key, "read", path, "", str(error))
            reporter.note(f"failed: read {path}: {error}")
        reporter.advance()
    store.describe_clips(same)
    return list(found.values())


def _say_what_changed(plan: Plan, store: Store, key: str, reporter: Reporter) -> None:
    """What in the study is another than when it was last run, if that makes its work anew."""
    before = store.meta().get("settings")
    if before in (None, key):
        return
    old, old_labels = store.settings(before)
    new = asdict(plan.settings)
    changes = [f"{name} {old.get(name)} → {value}" for name, value in new.items() if old.get(name) != value]
    if old_labels != plan.alignment.labels:
        changes.append(f"shared labels {', '.join(old_labels)} → {', '.join(plan.alignment.labels)}")
    if not changes:
        changes.append(f"only_correct {not plan.study.only_correct} → {plan.study.only_correct}")
    kept = len(store.explained(key))
    reporter.say(
        f"changed since the last run: {'; '.join(changes)}. Explanations and judgements are made anew"
        + (f" ({kept} explanations with these settings are there from before)" if kept else "")
    )


def _forget_stale_failures(
    plan: Plan, store: Store, key: str, ids: Sequence[int], clips: Sequence[tuple[Source, Recording]]
) -> None:
    """Failures of clips and models that are no longer in the study, or are others under the same name."""
    listed = {os.path.abspath(recording.path) for recording in plan.recordings}
    usable = {clip.path for clip, _ in clips}
    before = set(store.planned_models(key))
    same = {model.spec for model, id in zip(plan.models, ids, strict=True) if not before or id in before}
    stale = [("read", clip, model) for clip, model in store.failed(key, "read") if clip not in listed]
    stale += [("nulls", clip, model) for clip, model in store.failed(key, "nulls") if clip not in usable]
    for stage in ("explain", "judge"):
        failed = store.failed(key, stage)
        stale += [(stage, clip, model) for clip, model in failed if clip not in usable or model not in same]
    store.forget_failures(key, stale)
