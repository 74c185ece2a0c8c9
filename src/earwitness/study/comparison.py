"""Two stores beside each other: which recordings and models they share, how their settings differ, what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import polars as pl

from ..errors import ConfigError
from ..transferability.answers import Answers, short_names
from ..transferability.comparison import compare_answers
from ..transferability.options import Options
from .answers import load_answers, study_of
from .store import Store


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two studies beside each other.

    Attributes
    ----------
    clips : int
        Recordings that both have: the same samples.
    models : tuple of (str, str)
        The models that are compared, as each study names them; where the fingerprints differ, two versions of one.
    versions : tuple of str
        Those of the first study's that are not the very same in the second.
    tables : dict of str to polars.DataFrame
        ``settings``: what the studies were asked, where it differs; ``rates``: see
        :func:`earwitness.transferability.comparison.compare_answers`.
    """

    clips: int
    models: tuple[tuple[str, str], ...]
    versions: tuple[str, ...]
    tables: dict[str, pl.DataFrame]


def compare_studies(first: Store, second: Store, options: Options | None = None) -> Comparison:
    """Lay two studies beside each other.

    Recordings are the same if their samples are; models if their fingerprints are, else if they go by the same short
    name, else, where as many are left of each, in the order in which the studies name them.

    Parameters
    ----------
    first, second : Store
    options : Options, optional

    Raises
    ------
    ConfigError
        They have no recording, or no model, in common.
    StoreError
        One holds no study yet.
    """
    sides = _Side(first), _Side(second)
    common = [mark for mark in sides[0].clips.values() if mark in set(sides[1].clips.values())]
    pairs = _match(sides[0].models, sides[1].models)
    if not common or not pairs:
        lacking = "model" if common else "recording"
        raise ConfigError(f"{first.path} and {second.path}: no {lacking} in common; compare studies of the same ones")
    numbers = {mark: i for i, mark in enumerate(common)}
    own = [one for one, _ in pairs]
    names = dict(zip(own, short_names(own), strict=True))
    one, two = sides[0].narrow(numbers, names), sides[1].narrow(numbers, {o: names[n] for n, o in pairs})
    versions = tuple(name for name, other in pairs if sides[0].models[name] != sides[1].models[other])
    rates = compare_answers(one[0], two[0], options, (one[1], two[1]))
    return Comparison(len(common), tuple(pairs), versions, {"settings": _settings(first, second), "rates": rates})


class _Side:
    """One of the two.

    Attributes
    ----------
    clips : dict of int to str
        The recordings' hashes by their ids.
    models : dict of str to str
        The models' fingerprints by their names.
    """

    def __init__(self, store: Store) -> None:
        key = store.settings_key()
        self.answers = load_answers(store)
        self.clips = dict(store.list_clips(key).select("clip", "sha256").iter_rows())
        listed = store.list_models(key)
        self.models = dict(zip(self.answers.models["model"].to_list(), listed["fingerprint"].to_list(), strict=True))
        name_of = dict(zip(listed["model"].to_list(), self.models, strict=True))
        self.questions = store.list_explanations(key).select(
            "clip", pl.col("model").replace_strict(name_of, return_dtype=pl.String).alias("source"), questions="queries"
        )

    def narrow(self, numbers: Mapping[str, int], names: Mapping[str, str]) -> tuple[Answers, pl.DataFrame]:
        """The answers, and the questions asked, of only these recordings (by hash) and models, by their common ids and
        names."""
        clips = {clip: numbers[mark] for clip, mark in self.clips.items() if mark in numbers}

        def only(table: pl.DataFrame, *columns: str) -> pl.DataFrame:
            for column in columns:
                table = table.filter(pl.col(column).is_in([*names, ""]))
            table = table.with_columns(pl.col(*columns).replace_strict({**names, "": ""}, return_dtype=pl.String))
            if "clip" in table.columns:
                table = table.filter(pl.col("clip").is_in(list(clips)))
                table = table.with_columns(pl.col("clip").replace_strict(clips, return_dtype=pl.Int64))
            return table

        one = self.answers
        found = replace(
            one, models=only(one.models, "model"), originals=only(one.originals, "model"),
            survival=only(one.survival, "source"), judgements=only(one.judgements, "source", "judge"),
            nulls=only(one.nulls, "source", "judge"), overlaps=only(one.overlaps, "source", "judge"),
            nested=only(one.nested, "source", "judge"),
        )  # fmt: skip
        return found, only(self.questions, "source")


def _match(first: Mapping[str, str], second: Mapping[str, str]) -> list[tuple[str, str]]:
    """The models of two studies that are the same, or two versions of one."""
    found: dict[str, str] = {}

    def rest() -> tuple[list[str], list[str]]:
        """What is left of each."""
        taken = set(found.values())
        return [name for name in first if name not in found], [name for name in second if name not in taken]

    by_mark = {mark: name for name, mark in second.items()}
    found |= {name: by_mark[mark] for name, mark in first.items() if mark in by_mark}
    left, right = rest()
    short = dict(zip(short_names(right), right, strict=True))
    found |= {name: short[brief] for name, brief in zip(left, short_names(left), strict=True) if brief in short}
    left, right = rest()
    if len(left) == len(right):
        found |= dict(zip(left, right, strict=True))
    return [(name, found[name]) for name in first if name in found]


def _settings(first: Store, second: Store) -> pl.DataFrame:
    """What the studies were asked, where it differs."""
    sides = [_asked(store) for store in (first, second)]
    rows = [
        (key, *(str(side.get(key, "–")) for side in sides))
        for key in dict.fromkeys([*sides[0], *sides[1]])
        if sides[0].get(key) != sides[1].get(key)
    ]
    return pl.DataFrame(rows, schema={"setting": pl.String, "first": pl.String, "second": pl.String}, orient="row")


def _asked(store: Store) -> dict[str, object]:
    """What decides what a study finds, by dotted key."""
    study = study_of(store)
    asked: dict[str, object] = {
        f"search.{key}": value for key, value in asdict(store.search_settings(store.settings_key())).items()
    }
    if study is None:
        return asked
    for name, section in (("robust", study.robust), ("curves", study.curves)):
        asked |= {f"{name}.{key}": value for key, value in asdict(section).items()} if section else {name: "not asked"}
    return asked | {
        "seconds": study.seconds,
        "only_correct": study.only_correct,
        "transfer.nulls": study.transfer.nulls,
    }
