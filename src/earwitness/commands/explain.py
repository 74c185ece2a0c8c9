"""``earwitness explain``."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import ConfigError
from ..search.settings import SearchSettings
from ..signal.cells import TABLE_SUFFIXES
from ..signal.limits import Limits
from .options import Access, JsonOption, QuietOption
from .output import console
from .work import make_reporter, make_writable, try_recording

if TYPE_CHECKING:
    from ..explanation import Explanation


def explain(
    recordings: Annotated[
        list[Path], typer.Argument(metavar="AUDIO...", help="The recording; or several, or folders of them.")
    ],
    model: Annotated[str, typer.Option(help="The model's spec.")],
    settings: SearchSettings,
    access: Access,
    limits: Limits,
    seconds: Annotated[
        str | None, typer.Option(help="Crop or zero-pad to this duration; 'model': crop to what the model hears.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for explanation.json, signals and figures.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """One recording, one model: what it listened to. Of several recordings: one table, and with --out a study."""
    if len(recordings) > 1 or recordings[0].is_dir() or recordings[0].suffix.lower() in TABLE_SUFFIXES:
        from .explanations import explain_many

        failed = explain_many(recordings, model, settings, access, limits, _duration(seconds), out, as_json, quiet)
        raise typer.Exit(1 if failed else 0)
    _explain_one(recordings[0], model, settings, access, limits, _duration(seconds), out, as_json, quiet)


def _duration(text: str | None) -> float | Literal["model"] | None:
    if text is None:
        return None
    if text == "model":
        return "model"
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--seconds {text!r}: no number; give seconds, or model") from None


def _explain_one(
    recording: Path, model: str, settings: SearchSettings, access: Access, limits: Limits,
    seconds: float | Literal["model"] | None, out: Path | None, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    from ..explanation import explain as explain_clip
    from ..models import Classifier, open_model
    from ..search.driver import Driver
    from ..signal import audio

    if out is not None:
        make_writable(out)
    try_recording(recording, None if seconds == "model" else seconds, limits)
    opened = open_model(model, access.device, **access.trust)
    heard = opened.seconds if seconds == "model" else seconds
    if heard is None and not quiet:
        _tell_cost(recording, opened.sample_rate, settings)
    clip = audio.read(recording, opened.sample_rate, heard, limits, pad=seconds != "model")
    classifier = Classifier(opened)
    with ExitStack() as stack:
        reporter = make_reporter(quiet or as_json, stack)
        reporter.stage(f"explaining {recording.name}", 1, settings.budget * settings.repeats)
        driver = Driver(classifier, repeats=settings.repeats, precision=settings.precision, progress=reporter.ask)
        explanation = explain_clip(clip, classifier, settings, driver=driver)
        reporter.advance()
    if out is not None:
        _write(explanation, out)
    if as_json:
        print(json.dumps(explanation.to_json(), indent=1))
        return
    _print(explanation)
    for note in opened.notes:
        print(f"note: {note}")
    if out is not None:
        print(f"written to {out}")


def _tell_cost(recording: Path, sample_rate: int, settings: SearchSettings) -> None:
    from ..signal import audio
    from ..study.cost import tell_cost

    if line := tell_cost([audio.measure(recording, sample_rate).whole], sample_rate, 1, settings):
        print(line, file=sys.stderr, flush=True)


def _write(explanation: Explanation, out: Path) -> None:
    from ..report.plots.clip import save_figure

    explanation.save(out)
    save_figure(explanation, out)


def _print(explanation: Explanation) -> None:
    from rich.table import Table

    from ..explanation import Subset
    from ..search.settings import STEADY

    again = f" ({explanation.again} of them again, in float32)" if explanation.again else ""
    print(f"{explanation.label} ({explanation.confidence:.3f}), {explanation.spectrum.size} variables, "
          f"{explanation.queries} questions{again}, {explanation.seconds:.1f} s")  # fmt: skip
    table = Table("subset", "size", "energy", "label", "confidence", "certificate", "", box=None)
    for kind, draw, part in explanation.parts():
        name = kind if draw == 0 else f"{kind} {draw + 1}"
        if isinstance(part, Subset):
            certificate = part.certificate
            words = certificate.kind + (f"({certificate.groups})" if certificate.kind == "group_minimal" else "")
            label = explanation.labels[part.label]
            table.add_row(name, str(part.size), f"{part.energy:.2%}", label, f"{part.confidence:.3f}", words, part.why)
        else:
            table.add_row(name, "", "", "", "", "", part.why)
    console().print(table)
    if explanation.unsteady > STEADY:
        print(f"{explanation.spec} answers the same signal differently (probabilities by up to "
              f"{explanation.unsteady:.2f}): use --repeats, or read its sets with care")  # fmt: skip
