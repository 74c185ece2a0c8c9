"""A clip in full: its spectrogram and spectrum with what each set keeps, its sounds, every model's distribution."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from ..search.settings import FOUND, ROBUST
from ..signal.masks import Mask, to_runs
from ..signal.spectrum import Spectrum
from ..study.store import Store
from .changes import WORDS, changed_signals, nested_sets
from .chunks import encode
from .columns import ClipSpectrum, Columns, Real, Trace, lit_cells, spectrogram
from .data import Log, StudyData, read_answers
from .sounds import UNAVAILABLE, Folder, Inline, Sound, level_sounds, make_sound, read_again

#: the kinds of set that are drawn and can be heard
HEARD = (*FOUND, *ROBUST, "inverse")
#: the most intervals of kept frequencies that the table of a set lists
LISTED = 200


def clip_in_full(
    store: Store, data: StudyData, row: int, said: Log, keeper: Folder | Inline, nested: pl.DataFrame,
    heard: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """What the page shows of a clip beyond its numbers; ``trouble`` says why there is less.

    Parameters
    ----------
    store : Store
    data : StudyData
    row : int
        Of the clip.
    said : float32 [M, n]
        What the models say to the clip.
    keeper : Folder or Inline
        Where sounds go.
    nested : polars.DataFrame
        Rows of :func:`earwitness.report.changes.by_row`.
    heard : bool
        Whether nested sets have sounds.
    """
    info = data.clips.row(row, named=True)
    answers = read_answers(store, data, info["id"])
    full: dict[str, Any] = {
        "distributions": {"original": _distribution(said), **{str(s): _distribution(a) for s, a in answers.items()}},
    }
    clip = read_again(info["path"], info["sha256"], info["sample_rate"], info["samples"])
    if clip is None:
        return {**full, "trouble": UNAVAILABLE}
    spectrum = Spectrum(clip, data.settings.variables)
    columns = ClipSpectrum(spectrum)
    masks = _masks(store, data, row)
    maps = _maps(store, data, info["id"])
    curves, steps = nested_sets(data, nested.filter(pl.col("clip") == info["id"]), spectrum, maps)
    signals = {str(subset): (f"set-{subset}", mask) for subset, mask in masks.items()}
    if heard:
        signals |= {name: (f"clip-{info['id']}-{name}", mask) for name, mask in steps.items()}
    changed = changed_signals(data, row, spectrum, masks) if data.drawn else iter(())
    sounds = _sounds(spectrum, signals, changed, info["id"], keeper)
    image = spectrogram(clip)
    return {
        **full,
        "trouble": "",
        "nyquist": columns.nyquist,
        "perColumn": columns.per_column,
        "spectrogram": {"rows": image.shape[0], "frames": image.shape[1], "levels": encode(image, "u1")},
        "original": _trace(columns.whole),
        "sets": {name: _set(spectrum, columns, mask, image.shape[1]) for name, (_, mask) in signals.items()},
        "responsibility": {
            str(place): encode(responsibility_columns(spectrum, values), "u1") for place, values in maps.items()
        },
        "nested": {**curves, "heard": heard} if curves else None,
        "changes": WORDS,
        "sounds": {name: asdict(sound) for name, sound in sounds.items()},
    }


def _maps(store: Store, data: StudyData, clip: int) -> dict[int, Log]:
    """The responsibilities of a clip, by row of the model."""
    found = store.responsibilities(data.key, clip)
    return {place: found[model.id] for place, model in enumerate(data.models) if model.id in found}


def _masks(store: Store, data: StudyData, row: int) -> dict[int, Mask]:
    found = {}
    for kind in HEARD:
        signals = data.signals.get(kind)
        if signals is not None:
            for place in np.flatnonzero((signals.clip == row) & (signals.size >= 0)):
                found[int(signals.subset[place])] = store.mask(int(signals.subset[place]))
    return found


def _sounds(
    spectrum: Spectrum, signals: dict[str, tuple[str, Mask]], changed: Iterable[tuple[str, Log]], clip: int,
    keeper: Folder | Inline,
) -> dict[str, Sound]:  # fmt: skip
    """The sounds that are not silence, by name of the signal; equal sets share a file."""
    rate = spectrum.clip.sample_rate
    made: dict[bytes, Sound | None] = {}
    found = {"original": make_sound(keeper, f"clip-{clip}", spectrum.clip.samples, rate)}
    for name, (file, mask) in signals.items():
        content = np.packbits(mask).tobytes()
        if content not in made:
            samples = spectrum.invert(mask[None])[0].numpy()
            made[content] = make_sound(keeper, file, samples, rate)
        found[name] = made[content]
    for name, samples in changed:
        found[name] = make_sound(keeper, f"set-{name}", samples, rate)
    return level_sounds({name: sound for name, sound in found.items() if sound is not None})


def _set(spectrum: Spectrum, columns: ClipSpectrum, mask: Mask, frames: int) -> dict[str, Any]:
    found = _trace(columns.trace(mask))
    if spectrum.domain.kind == "stft":
        found["cells"] = encode(np.packbits(lit_cells(spectrum, mask, frames)), "u1")
        hertz = np.unique(spectrum.hertz)
        kept = np.asarray(mask.reshape(hertz.size, -1).any(axis=1))
    else:
        hertz, kept = np.linspace(0, columns.nyquist, spectrum.bins), spectrum.to_bins(mask)
    runs = to_runs(kept)
    found["runs"] = [[round(float(hertz[a]), 2), round(float(hertz[b - 1]), 2)] for a, b in runs[:LISTED]]
    found["runCount"] = len(runs)
    return found


def _trace(trace: Trace) -> dict[str, Any]:
    """Levels (255: nothing kept) and kept shares as bytes."""
    share = np.where(trace.share > 0, np.maximum(np.rint(trace.share * 255), 1), 0)
    return {"level": encode(np.where(trace.level < 0, 255, trace.level), "u1"), "share": encode(share, "u1")}


def responsibility_columns(spectrum: Spectrum, responsibility: Log) -> Real:
    """Responsibility (float32 [size]) in columns: float64 [COLUMNS], 0 to 255."""
    values = responsibility.astype(np.float64)
    top = max(float(values.max()), 1e-300)
    hertz = spectrum.hertz
    folded = Columns.of(hertz, spectrum.clip.sample_rate / 2).largest(values)
    return np.asarray(np.rint(np.clip(folded / top, 0, 1) * 255))


def _distribution(logs: Log) -> str:
    """Probabilities in 65,534ths, 65,535 where there is no answer: base64 of uint16 [M, n]."""
    probability = np.exp(np.nan_to_num(logs.astype(np.float64), nan=-np.inf))
    return encode(np.where(np.isnan(logs), 65535, np.rint(probability * 65534)), "u2")
