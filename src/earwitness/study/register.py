"""What a run begins with: recordings known as clips, changes told, failures of what is gone forgotten."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict

from ..datasets.recording import Recording
from ..errors import ConfigError, EarwitnessError, StoreError
from ..search.settings import REVISION
from .messages import Source
from .plan import Plan
from .progress import Reporter
from .steps import STEPS
from .store import Stamp, Store


def register(plan: Plan, store: Store, key: str, reporter: Reporter) -> list[tuple[Source, Recording]]:
    """Know every recording's clip; one that cannot be read becomes a failed row."""
    # by the sign: what is shorter may stay so
    rate, seconds = plan.sample_rate, (plan.study.duration or 0.0) * (1 if plan.study.pad else -1)
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
                clip = plan.read(path)
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


def say_what_changed(plan: Plan, store: Store, key: str, reporter: Reporter) -> None:
    """What in the study is another than when it was last run, if that makes its work anew."""
    meta = store.meta()
    before = meta.get("settings")
    if before in (None, key):
        return
    search, old_labels = store.settings(before)
    old = {"precision": "float32", **search}
    new = asdict(plan.settings)
    changes = [f"{name} {old[name]} → {value}" for name, value in new.items() if name in old and old[name] != value]
    if old_labels != plan.alignment.labels:
        changes.append(f"shared labels {', '.join(old_labels)} → {', '.join(plan.alignment.labels)}")
    only_correct = meta.get("study", {}).get("only_correct", plan.study.only_correct)
    if only_correct != plan.study.only_correct:
        changes.append(f"only_correct {str(only_correct).lower()} → {str(plan.study.only_correct).lower()}")
    revision = meta.get("revision")
    if revision != REVISION and (revision or not changes):
        changes.append(f"the searches, of revision {revision or 'unknown'} → {REVISION}, which find other sets")
    kept = len(store.explained(key))
    reporter.say(
        f"changed since the last run: {'; '.join(changes)}. Explanations and judgements are made anew"
        + (f" ({kept} explanations with these settings are there from before)" if kept else "")
    )


def forget_stale_failures(
    plan: Plan, store: Store, key: str, ids: Sequence[int], clips: Sequence[tuple[Source, Recording]]
) -> None:
    """Failures of clips and models that are no longer in the study, or are others under the same name."""
    listed = {os.path.abspath(recording.path) for recording in plan.recordings}
    usable = {clip.path for clip, _ in clips}
    before = set(store.planned_models(key))
    same = {model.spec for model, id in zip(plan.models, ids, strict=True) if not before or id in before}
    stale = [("read", clip, model) for clip, model in store.failed(key, "read") if clip not in listed]
    stale += [("nulls", clip, model) for clip, model in store.failed(key, "nulls") if clip not in usable]
    for stage in STEPS:
        failed = store.failed(key, stage)
        stale += [(stage, clip, model) for clip, model in failed if clip not in usable or model not in same]
    store.forget_failures(key, stale)
