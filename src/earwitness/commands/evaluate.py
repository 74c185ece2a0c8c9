"""``earwitness evaluate``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError
from ..evaluation.settings import SAMPLES, EvaluationSettings
from .options import Access, Format, QuietOption
from .output import print_tables, write_tables
from .work import make_reporter, make_writable, try_recording

if TYPE_CHECKING:
    from ..evaluation.measures import Evaluation
    from ..explanation import Explanation
    from ..models import Classifier
    from ..search.driver import Driver
    from ..signal.audio import Clip
    from ..study.progress import Reporter

#: tables that are printed; the others are only written
PRINTED = ("maps", "differences", "followed", "judged")


def evaluate(
    recordings: Annotated[list[Path], typer.Argument(metavar="AUDIO...", help="The recording, or several.")],
    model: Annotated[str, typer.Option(help="The spec of the model that the maps are to explain.")],
    given: Annotated[
        list[str],
        typer.Option(
            "--map", metavar="NAME=FILE", help="A map as .npy, .npz or .csv; or a folder of them, named as the "
            "recordings; repeat."
        ),
    ],
    settings: EvaluationSettings,
    access: Access,
    output: Format,
    judge: Annotated[list[str] | None, typer.Option(help="Another model: do the sets convince it? Repeat.")] = None,
    own: Annotated[bool, typer.Option("--own", help="Lay the map of this package's own search beside them.")] = False,
    seconds: Annotated[float | None, typer.Option(help="Crop or zero-pad to this duration.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the page and the tables as CSV.")] = None,
    quiet: QuietOption = False,
) -> None:  # fmt: skip
    """Maps of other tools (captum, SHAP, ...): what they are worth, what follows from them, whom it convinces."""
    from ..evaluation.measures import share_labels
    from ..models import Classifier, open_model

    if out is not None:
        make_writable(out)
    files = {name: _find(place, recordings) for name, place in map(_split, given)}
    for recording in recordings:
        try_recording(recording, seconds)
    opened = [Classifier(open_model(spec, access.device, **access.trust)) for spec in (model, *(judge or ()))]
    first, *judges = share_labels(opened)
    found: list[Evaluation] = []
    with ExitStack() as stack:
        reporter = make_reporter(quiet or output.form == "json", stack)
        reporter.stage("asking about maps", len(recordings))
        for number, recording in enumerate(recordings):
            maps = {name: paths[number] for name, paths in files.items()}
            found.append(_evaluate_one(recording, first, maps, settings, judges, own, seconds, reporter))
            reporter.advance()
    _show(found, output, out)


def _show(found: list[Evaluation], output: Format, out: Path | None) -> None:
    from ..evaluation.tables import compare_maps

    tables = compare_maps(found)
    print_tables({name: tables[name] for name in PRINTED if len(tables[name])}, output.form)
    if out is not None:
        from ..report.evaluation import write_evaluation

        write_tables(tables, out)
        page = write_evaluation(found, out)
        if output.form == "md":
            print(page.resolve())


def _split(given: str) -> tuple[str, Path]:
    name, equals, place = given.partition("=")
    return (name, Path(place)) if equals else (Path(given).stem, Path(given))


def _find(place: Path, recordings: list[Path]) -> list[Path]:
    """The file of each recording's map.

    Raises
    ------
    ConfigError
        There is none.
    """
    from ..evaluation.maps import FILES

    if not place.is_dir():
        if len(recordings) > 1:
            raise ConfigError(f"map {place}: one file for {len(recordings)} recordings; give a folder of maps")
        return [place]
    found = []
    for recording in recordings:
        paths = [path for kind in FILES if (path := place / f"{recording.stem}{kind}").is_file()]
        if len(paths) != 1:
            raise ConfigError(f"map {place}: {len(paths)} files for {recording.name}; write one {recording.stem}.npy")
        found += paths
    return found


def _evaluate_one(
    recording: Path, model: Classifier, maps: dict[str, Path], settings: EvaluationSettings, judges: list[Classifier],
    own: bool, seconds: float | None, reporter: Reporter,
) -> Evaluation:  # fmt: skip
    from ..evaluation.maps import read_map
    from ..evaluation.measures import evaluate as evaluate_maps
    from ..search.driver import Driver
    from ..signal import audio

    clip = audio.read(recording, model.model.sample_rate, seconds)
    driver = Driver(model, repeats=settings.repeats, progress=reporter.ask)
    given: dict[str, Any] = {name: read_map(path) for name, path in maps.items()}
    if own:
        given["earwitness"] = _find_own(clip, given, settings, driver)
    return evaluate_maps(given, clip, model, settings, judges=judges, driver=driver)


def _find_own(clip: Clip, given: dict[str, Any], settings: EvaluationSettings, driver: Driver) -> Explanation:
    """What this package's search says of the clip, over the variables of the maps beside it."""
    from ..evaluation.maps import as_numbers, choose_domain
    from ..explanation import explain
    from ..search.settings import SearchSettings

    name, values = next(iter(given.items()))
    domain = settings.domain or choose_domain(name, as_numbers(name, values), clip)
    if domain == SAMPLES:
        raise ConfigError("--own: the search is over frequencies, and the maps are over samples; leave it out")
    search = SearchSettings(
        delta=settings.delta, seed=settings.seed, domain=domain, occlusion=settings.occlusion, repeats=settings.repeats
    )
    return explain(clip, driver.classifier, search, driver=driver)
