"""The stage between explaining and judging: null signals of every set, and how much sets of one clip overlap.

Both need the clip's energies and nothing of the models. Null signals become rows of ``subsets`` with a parent, so
that they are judged like all others. What is there already is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b

import polars as pl

from ...analyses.chance import DRAWN, NULLS, draw_nulls
from ...errors import EarwitnessError, StoreError
from ...search.settings import JUDGED, ROBUST
from ...signal.spectrum import Spectrum
from ...transferability.overlap import compare_sets
from ..progress import Reporter
from ..store import Store


def add_nulls(
    store: Store, key: str, spectra: Mapping[int, Callable[[], Spectrum]], count: int, seed: int, reporter: Reporter
) -> None:
    """Draw the null signals and compare the sets of the clips that lack them.

    Parameters
    ----------
    store : Store
        Open for writing.
    key : str
        Of the study's settings.
    spectra : mapping of int to callable
        Makes the spectrum of each clip, by clip id.
    count : int
        Null signals a set and kind.
    seed : int
    reporter : Reporter
    """
    clips = store.list_clips(key).filter(pl.col("clip").is_in(list(spectra))).select("clip", "path", "sha256")
    models = store.list_models(key).select("model", "position", "fingerprint")
    sets = store.list_signals(key).filter(pl.col("size").is_not_null())
    sets = sets.join(clips, on="clip").join(models, on="model").sort("path", "sha256", "position", "kind", "draw")
    compared, failed = store.done_units(key, "overlap", {}), {clip for clip, _ in store.failed(key, "nulls")}
    todo = []
    for _, rows in sets.group_by("clip", maintain_order=True):
        unit, own = _unit(rows), rows.filter(pl.col("kind").is_in(JUDGED))
        if rows["path"][0] not in failed and (unit not in compared or _lacking(rows, own, count)):
            todo.append((unit, rows, own))
    if not todo:
        return
    reporter.stage("draw null signals", len(todo))
    for unit, rows, own in todo:
        try:
            _add(store, key, unit, rows, own, spectra[rows["clip"][0]](), count, seed)
        except EarwitnessError as error:
            if isinstance(error, StoreError):
                raise
            store.add_failure(key, "nulls", rows["path"][0], "", str(error))
        reporter.advance()


def _add(
    store: Store, key: str, unit: str, rows: pl.DataFrame, own: pl.DataFrame, spectrum: Spectrum, count: int, seed: int
) -> None:
    masks = {number: store.mask(number) for number in own["subset"]}
    for (explanation, options), parents in own.group_by("explanation", "options", maintain_order=True):
        ids = parents["subset"].to_list()
        of_these = (pl.col("explanation") == explanation) & (pl.col("options") == options)
        there = rows.filter(of_these & pl.col("kind").is_in(list(NULLS)))
        facts = parents["sha256"][0], parents["fingerprint"][0], seed, *(ROBUST if options else ())
        nulls = draw_nulls(
            [masks[number] for number in ids], spectrum.energy, count, *facts,
            known=set(there.select("kind", "draw").iter_rows()), quiet=not options,
        )  # fmt: skip
        store.add_nulls(int(explanation), [
            (null.kind, null.draw, ids[null.parent], null.mask, float(spectrum.energy[null.mask].sum()))
            for null in nulls
        ], str(options))  # fmt: skip
    sets = list(own.select("subset", "model", "kind").iter_rows())
    store.add_results(key, "overlap", {}, unit, compare_sets(sets, list(masks.values()), spectrum.energy))


def _lacking(rows: pl.DataFrame, own: pl.DataFrame, count: int) -> bool:
    """Whether null signals are missing: ``count`` a set and kind, and one silence an explanation."""
    by = ["explanation", "options"]
    sets = own.group_by(by).len("sets").join(pl.DataFrame({"kind": list(NULLS)}), how="cross")
    found = rows.group_by(*by, "kind").len("found")
    both = sets.join(found, on=[*by, "kind"], how="left").with_columns(pl.col("found").fill_null(0))
    one = pl.when(pl.col("options") == "").then(min(count, 1)).otherwise(0)  # silence is the same for all sets
    wanted = pl.when(pl.col("kind").is_in(DRAWN)).then(pl.col("sets") * count).otherwise(one)
    return bool((both["found"] < both.select(wanted).to_series()).any())


def _unit(rows: pl.DataFrame) -> str:
    """A clip and its sets: with another model's sets it is another unit."""
    own = rows.filter(pl.col("kind").is_in(JUDGED)).select("fingerprint", "kind", "draw", "options").rows()
    own = [row if row[-1] else row[:-1] for row in own]  # as it was before there were robust sets
    return f"{rows['sha256'][0][:16]}:{blake2b(str(sorted(own)).encode(), digest_size=8).hexdigest()}"
