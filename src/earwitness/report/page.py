"""The page: a shell, the data it reads piece by piece, and the sounds it plays.

What came from a file name, a label or a model is data: the page puts it down as text, its figures hold numbers only,
and its policy lets no script run but its own and those of its folder.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..errors import ConfigError
from ..search.settings import STEADY
from ..study.answers import load_answers
from ..study.status import read_environments
from ..study.store import Store
from ..study.verify import receipt
from ..transferability.answers import NESTED_COLUMNS
from .changes import by_row
from .chunks import Elements, Scripts, encode, fold_texts
from .clips import clip_in_full
from .data import Signals, StudyData, load_study, read_originals
from .headline import headline
from .listening import Listener
from .sections import make_sections, section_json
from .sections.comparison import comparison
from .sounds import Folder, Inline

#: how many clips have pictures and sounds where the caller does not say: in a folder, and in one file
FULL, FULL_INLINE = 50, 10
#: bytes of clips in full that one file holds where the caller does not say how many: what a mail may carry
MOST_INLINE = 8 << 20
#: how many of them have sounds of their nested sets, in a folder; there are several for each model
NESTED = 8
#: the page's own scripts, in the order in which they run
PROGRAMS = (
    "dom", "data", "matrix", "player", "spectrum", "drawings", "blocks", "evidence", "beside", "clip", "clips", "views",
    "main",
)  # fmt: skip


def write_report(
    store: Store, out: str | Path, *, epsilon: float = 0.5, full: int | None = None, asked: Sequence[str] = (),
    single_file: bool = False, beside: Sequence[str | Path] = (), progress: Callable[[int, int], None] | None = None,
) -> Path:  # fmt: skip
    """Write the page of a study.

    All clips are on the page with all that the models say to them. The first ``full`` clips, and those asked for,
    also have spectrograms, spectra, distributions and sounds.

    Parameters
    ----------
    store : Store
    out : str or Path
        Folder for ``index.html``, ``data/`` and ``audio/``; made if it is missing. What an earlier report left in
        them is removed.
    epsilon : float
        ε of Definition 4.
    full : int, optional
        How many clips in full; default: 50, or in a single file 10, or as many as leave it small enough for a mail.
    asked : sequence of str
        Clips to show in full besides: ids, file names or paths.
    single_file : bool
        Write one file that holds everything: ``out`` itself if it ends in ``.html``, else ``index.html`` in it.
    beside : sequence of str or Path
        Stores of other studies of the same recordings: a section each, by
        :func:`earwitness.study.comparison.compare_studies`.
    progress : callable, optional
        Told (clips done, clips) after each clip in full.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    ConfigError
        ``out`` cannot be written, ``epsilon`` is out of range, a clip asked for is not in the study, or a study beside
        it shares no recording or model with it.
    StoreError
        A store holds no study yet.
    """
    out = Path(out)
    data = load_study(store, epsilon)
    others = [comparison(store, data, Path(other), number) for number, other in enumerate(beside, 1)]
    named = single_file and out.suffix.lower() in (".html", ".htm")
    folder, page = (out.parent, out) if named else (out, out / "index.html")
    chunks: Scripts | Elements = Elements() if single_file else Scripts(folder)
    keeper: Folder | Inline = Inline() if single_file else Folder(folder)
    rows = choose_clips(data, (FULL_INLINE if single_file else FULL) if full is None else full, asked)
    said = read_originals(store, data, [model.id for model in data.models])
    listener = Listener(data)
    nested, steps = _nested(store, data), 0 if single_file else NESTED
    drawn = (clip_in_full(store, data, row, said[row], keeper, nested, heard=i < steps) for i, row in enumerate(rows))
    shown: list[int] = []
    for row, clip in zip(rows, drawn, strict=True):
        listener.add(row, clip)
        chunks.put(f"clip-{data.clips['id'][row]}", clip)
        shown.append(row)
        if progress:
            progress(len(shown), len(rows))
        # of a file that is to stay small, those that leave room for one more
        if not (full or asked) and isinstance(chunks, Elements) and chunks.size * (1 + 1 / len(shown)) > MOST_INLINE:
            break
    sections = [*make_sections(store, data), *others]
    for section in sections:
        chunks.put(f"section-{section.id}", section_json(section, keeper))
    for kind, signals in data.signals.items():
        chunks.put(f"kind-{kind}", _kind_json(signals))
    study = _study_json(data, store, shown, listener)
    study["sections"] = [[section.id, section.title] for section in sections]
    study["command"] = _command(store, out, asked, full, single_file, beside)
    chunks.put("study", study)
    try:
        _put(page, render(data, chunks.inline, single_file), chunks, keeper)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written ({error}); choose another --out") from error
    return page


def _put(page: Path, content: str, chunks: Scripts | Elements, keeper: Folder | Inline) -> None:
    """Write the shell at once, and remove what an earlier report left beside it."""
    write_whole(page, content)
    folder = page.parent
    if isinstance(chunks, Scripts) and isinstance(keeper, Folder):
        _sweep(folder / "data", r"[a-z0-9_-]+\.js", chunks.written)
        _sweep(folder / "audio", r"(clip|set|section-[a-z-]+)-\d+(-[a-z]+)?(-\d+-\d+)?\.(flac|wav)", keeper.written)


def write_whole(page: Path, content: str) -> None:
    """Write a text so that it appears whole or not at all, in a folder that is made if it is missing."""
    page.parent.mkdir(parents=True, exist_ok=True)
    temporary = page.with_name(page.name + ".tmp")
    temporary.write_text(content, encoding="utf-8")
    os.replace(temporary, page)


def _nested(store: Store, data: StudyData) -> pl.DataFrame:
    """What models say to nested sets, models by their rows; empty where the study asked for no curves."""
    if data.curves is None:
        return pl.DataFrame(schema=NESTED_COLUMNS)
    answers = load_answers(store, data.key)
    return by_row(answers.nested, answers.models["model"].to_list())


def render(data: StudyData, inline: Markup, single_file: bool) -> str:
    """The page's shell as HTML."""
    from .. import __version__

    environment = Environment(
        loader=PackageLoader("earwitness.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    program = '"use strict";\n(() => {\n' + "\n".join(asset(f"{name}.js") for name in PROGRAMS) + "})();\n"
    page = environment.get_template("index.html").render(
        name=data.name, version=__version__, inline=inline, single_file=single_file,
        style=Markup(asset("report.css")),  # noqa: S704 - the package's own file
        program=Markup(program),  # noqa: S704 - the package's own files
        program_hash=base64.b64encode(hashlib.sha256(program.encode()).digest()).decode(),
    )  # fmt: skip
    return page.lstrip()


def asset(name: str) -> str:
    """A file of the package's templates, as text."""
    return (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")


def choose_clips(data: StudyData, full: int, asked: Sequence[str]) -> list[int]:
    """Rows of clips: the first ones, and those asked for by id, file name or path.

    Raises
    ------
    ConfigError
        One asked for is not in the study, or fewer than none are wanted.
    """
    if full < 0:
        raise ConfigError(f"clips {full}: too small; use 0 or more")
    rows = dict.fromkeys(range(min(full, len(data.clips))))
    paths = data.clips["path"].to_list()
    ids = [str(identity) for identity in data.clips["id"]]
    for wanted in asked:
        found = [i for i, path in enumerate(paths) if wanted in (ids[i], path, PurePath(path).name)]
        if not found:
            raise ConfigError(f"clip {wanted!r}: not in the study; use an id of its page, a file name or a path")
        rows.update(dict.fromkeys(found))
    return sorted(rows)


def _kind_json(signals: Signals) -> dict[str, Any]:
    """The signals of a kind in columns: what the page counts its matrices from."""
    judged = signals.judged
    # the page compares with ε in thousandths: the least k with entropy share < k/1000
    steps = np.floor(np.nan_to_num(signals.entropy_share) * 1000 + 1e-9) + 1
    return {
        "kind": signals.kind,
        "count": len(signals.clip),
        "subset": encode(np.maximum(signals.subset, 0), "u4"),
        "clip": encode(signals.clip, "u4"),
        "source": encode(signals.source, "u2"),
        "draw": encode(signals.draw, "u2"),
        "queries": encode(signals.queries, "u4"),
        "size": encode(signals.size, "i4"),
        "energy": encode(signals.energy, "f4"),
        "held": encode(np.where(signals.held >= 0, signals.held, 65535), "u2"),
        "label": encode(signals.label, "u2"),
        "certificate": fold_texts(signals.certificate),
        "why": fold_texts(signals.why),
        "answer": encode(np.where(judged, signals.answer, 65535), "u2"),
        "probability": encode(np.where(judged, np.rint(np.nan_to_num(signals.probability) * 65535), 0), "u2"),
        "step": encode(np.where(judged, np.minimum(steps, 1001), 65535), "u2"),
    }


def _study_json(data: StudyData, store: Store, rows: list[int], listener: Listener) -> dict[str, Any]:
    from .. import __version__

    clips = data.clips
    paths = [PurePath(path) for path in clips["path"]]
    settings = asdict(data.settings)
    return {
        "name": data.name, "version": __version__, "settings": settings, "unit": data.unit, "epsilon": data.epsilon,
        "receipt": receipt(store),
        "environments": [line for _, line in read_environments(store)],
        "views": list(data.views), "drawn": data.drawn, "labels": list(data.labels),
        "models": [asdict(model) for model in data.models],
        "kinds": [kind for kind, signals in data.signals.items() if len(signals.clip)],
        "headline": [asdict(number) for number in headline(data, store)],
        "failures": [asdict(failure) for failure in data.failures],
        "steady": STEADY,
        "listening": listener.lanes(),
        "full": rows,
        "clips": {
            "id": clips["id"].to_list(),
            "name": [path.name or str(path) for path in paths],
            "folder": fold_texts(tuple(str(path.parent) for path in paths)),
            "truth": fold_texts(tuple(clips["label"].fill_null("").to_list())),
            "group": fold_texts(tuple(clips["grp"].to_list())),
            "dataset": fold_texts(tuple(clips["dataset"].to_list())),
            "fitted": fold_texts(tuple(clips["fitted"].to_list())),
            "rate": clips["sample_rate"].to_list(),
            "seconds": (clips["samples"] / clips["sample_rate"].cast(pl.Float64)).round(3).to_list(),
        },
    }  # fmt: skip


def _command(
    store: Store, out: Path, asked: Sequence[str], full: int | None, single_file: bool, beside: Sequence[str | Path]
) -> str:
    """The command that made this page, to which the page adds what else is wanted."""
    parts = ["earwitness", "report", str(store.path), "--out", str(out)]
    parts += ["--single-file"] if single_file else []
    parts += [] if full is None else ["--clips", str(full)]
    for clip in asked:
        parts += ["--clip", clip]
    for other in beside:
        parts += ["--beside", str(other)]
    return shlex.join(parts)


def _sweep(folder: Path, pattern: str, keep: set[str]) -> None:
    """Remove what an earlier report wrote and this one did not."""
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name not in keep and re.fullmatch(pattern, path.name):
                path.unlink()
