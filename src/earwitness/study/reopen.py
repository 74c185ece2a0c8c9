"""A study from its store alone: what the deeper analyses and the report need to go on from there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..errors import ConfigError, ModelError, StoreError
from ..models import Classifier, Model, align, aligned, open_model, refuse_code
from ..models.resampling import at_rate
from ..search.settings import SearchSettings
from ..signal import audio
from ..signal.audio import Clip
from ..signal.spectrum import Spectrum
from .file import Study, parse_study
from .plan import localise
from .store import Store


@dataclass(frozen=True)
class Reopened:
    """A study read back from its store.

    Attributes
    ----------
    store : Store
    key : str
        Of the settings the study was last run with.
    settings : SearchSettings
    labels : tuple of str
        The aligned labels.
    study : Study
    sample_rate : int
        Hz.
    folder : Path
        What the study's paths are relative to.
    device : str
    trust_models : bool
        Run what the store names: ``python:`` models, and pickles or code of a model's own where its study allowed them.
    """

    store: Store
    key: str
    settings: SearchSettings
    labels: tuple[str, ...]
    study: Study
    sample_rate: int
    folder: Path
    device: str = "auto"
    trust_models: bool = False

    @cached_property
    def models(self) -> pl.DataFrame:
        """The study's models: ``model`` (id), ``spec``, ``fingerprint``, ``backend``, ``architecture``,
        ``parameters``."""
        return self.store.list_models(self.key).drop("position")

    @cached_property
    def specs(self) -> dict[int, str]:
        """The models' specs by their id, in the study's order."""
        return dict(self.models.select("model", "spec").iter_rows())

    @cached_property
    def clips(self) -> pl.DataFrame:
        """The clips: ``clip`` (id), ``path``, ``truth``, ``group``, ``split``, ``dataset``, ``sha256``, ``samples``."""
        columns = ("clip", "path", "truth", "group", "split", "dataset", "sha256", "samples")
        return self.store.list_clips(self.key, answered=True).select(columns).sort("clip")

    def read(self, clip: int) -> Clip:
        """A clip as it was studied.

        Raises
        ------
        AudioError
            The file is gone.
        ConfigError
            It has changed.
        """
        row = self.clips.row(by_predicate=pl.col("clip") == clip, named=True)
        one = self.study
        found = audio.read(Path(row["path"]), self.sample_rate, one.duration, one.limits, pad=one.pad)
        if found.sha256 != row["sha256"]:
            raise ConfigError(f"{row['path']}: not the recording that was studied; restore it or run the study again")
        return found

    def spectrum(self, clip: int) -> Spectrum:
        """The variables of a clip, as they were searched."""
        return Spectrum(self.read(clip), self.settings.variables)

    def open_model(self, spec: str) -> Model:
        """One of the models as it is now, at the study's rate.

        Raises
        ------
        ModelError
            It cannot be loaded; or it is code, and what the store names is not trusted.
        """
        self.check_trust()
        trust = self.study.run.trust if self.trust_models else {}
        return at_rate(open_model(localise(spec, self.folder), self.device, **trust), self.sample_rate)

    def check_trust(self) -> None:
        """A store may come from a stranger, and the code beside it: that runs only where the user says so.

        Raises
        ------
        ModelError
            The store names code, and is not trusted.
        """
        if not self.trust_models:
            refuse_code(self.specs.values(), self.store.path)

    def classifiers(self) -> dict[int, Classifier]:
        """The models by their id, loaded when first asked for.

        Raises
        ------
        ModelError
            One cannot be loaded, or is no longer the one that was studied.
        """
        return self._classifiers

    @cached_property
    def _classifiers(self) -> dict[int, Classifier]:
        models = []
        for spec, fingerprint in self.models.select("spec", "fingerprint").iter_rows():
            model = self.open_model(spec)
            if model.fingerprint != fingerprint:
                raise ModelError(f"{spec}: not the model that was studied; restore it or run the study again")
            models.append(model)
        alignment = align(models, self.study.labels)
        if alignment.labels != self.labels:
            raise StoreError(f"{self.store.path}: other labels than the study's; run the study again")
        return dict(zip(self.models["model"].to_list(), aligned(models, alignment), strict=True))

    def subsets(self, kind: str | None = None) -> pl.DataFrame:
        """The stored sets: ``subset`` (id), ``clip``, ``model``, ``kind``, ``draw``, ``size``, ``energy``,
        ``certificate``, ``parent``, ``label`` (what the model says to the clip) and ``answer`` (to the signal)."""
        rows = self.store.list_answered_signals(self.key, kind)
        return rows.with_columns(label=self._top(rows, "original"), answer=self._top(rows, "own")).drop(
            "original", "own"
        )

    def signal(self, subset: int) -> NDArray[np.float32]:
        """The signal of a stored set, float32 [N]; the same bits each time."""
        spectrum = self.spectrum(self.store.clip_of(subset))
        return np.asarray(spectrum.invert(self.store.mask(subset)[None])[0].numpy(), dtype=np.float32)

    def _top(self, rows: pl.DataFrame, column: str) -> pl.Series:
        known = rows.with_row_index("row").drop_nulls(column)
        logs = self.store.logs(known.with_columns(log_probabilities=column), len(self.labels))
        top: list[str | None] = [None] * len(rows)
        for row, index in zip(known["row"], logs.argmax(axis=1), strict=True):
            top[row] = self.labels[int(index)]
        return pl.Series(top, dtype=pl.String)


def reopen(store: Store, device: str = "auto", *, trust_models: bool = False) -> Reopened:
    """A study from its store; ``trust_models``: see :class:`Reopened`.

    Raises
    ------
    StoreError
        No study was run into it.
    """
    meta = store.meta()
    if "settings" not in meta or "folder" not in meta:
        raise StoreError(f"{store.path}: no study was run into it yet; run: earwitness study run STUDY.toml")
    key = meta["settings"]
    _, labels = store.settings(key)
    with store.naming(unit="facts of the study"):
        rate, folder, content = int(meta["sample_rate"]), Path(meta["folder"]), dict(meta["study"])
    study = parse_study(content, str(store.path))
    return Reopened(store, key, store.search_settings(key), labels, study, rate, folder, device, trust_models)
