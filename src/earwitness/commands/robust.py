"""``earwitness robust``."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..search.settings import RobustSettings, SearchSettings
from .options import Access, JsonOption, QuietOption
from .output import console
from .work import make_reporter, make_writable, try_recording

if TYPE_CHECKING:
    from ..analyses.robustness import Robustness


def robust(
    recording: Annotated[Path, typer.Argument(metavar="AUDIO", help="The recording.")],
    model: Annotated[str, typer.Option(help="The model's spec.")],
    settings: SearchSettings,
    harmless: RobustSettings,
    access: Access,
    seconds: Annotated[float | None, typer.Option(help="Crop or zero-pad to this duration.")] = None,
    other: Annotated[list[Path] | None, typer.Option(help="For the view 'others': another recording; repeat.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for explanation.json, robustness.json and signals.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """What of an explanation survives harmless changes, and the sets that do."""
    from ..analyses.robustness import find_robust
    from ..explanation import explain
    from ..models import Classifier, open_model
    from ..search.driver import Driver
    from ..signal import audio
    from ..signal.views import parse_views

    parse_views(harmless.views)
    if out is not None:
        make_writable(out)
    try_recording(recording, seconds)
    opened = open_model(model, access.device, **access.trust)
    clip, *others = (audio.read(path, opened.sample_rate, seconds) for path in (recording, *(other or ())))
    classifier = Classifier(opened)
    with ExitStack() as stack:
        reporter = make_reporter(quiet or as_json, stack)
        reporter.stage(f"explaining {recording.name}", 2)
        driver = Driver(classifier, repeats=settings.repeats, precision=settings.precision, progress=reporter.ask)
        explanation = explain(clip, classifier, settings, driver=driver)
        reporter.advance()
        found = find_robust(explanation, classifier, harmless, others=others, driver=driver)
        reporter.advance()
    _show(found, out, as_json)


def _show(found: Robustness, out: Path | None, as_json: bool) -> None:
    if out is not None:
        found.save(out)
    if as_json:
        print(json.dumps(found.to_json(), indent=1))
        return
    _print(found)
    if out is not None:
        print(f"written to {out}")


def _print(found: Robustness) -> None:
    from rich.table import Table

    from ..explanation import Subset

    one = found.explanation
    print(f"{one.label} ({one.confidence:.3f}), {one.spectrum.size} variables, "
          f"{one.queries + found.queries} questions; views: {', '.join(found.settings.views)}")  # fmt: skip
    table = Table("subset", "size", "energy", "survives", "surely", "certificate", "", box=None)
    for kind, draw, part in found.parts():
        name, held = kind if draw == 0 else f"{kind} {draw + 1}", found.survival.get((kind, draw))
        share, low = (f"{held.share:.1%}", f"{held.low:.1%}") if held else ("", "")
        if isinstance(part, Subset):
            table.add_row(name, str(part.size), f"{part.energy:.2%}", share, low, part.certificate.kind, part.why)
        else:
            table.add_row(name, "", "", share, low, "", part.why)
    console().print(table)
