"""Commands: parse, call, print. Everything they do, the Python API does.

Exit codes: 0 done; 1 done with failed rows; 2 wrong use or bad input; 130 interrupted, resumable.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from . import __version__
from .commands.common import DeviceOption, PickleOption, QuietOption, RemoteOption, make_reporter, make_writable
from .commands.composition import compose
from .commands.export import export
from .commands.fidelity import fidelity
from .commands.manipulation import manipulate
from .commands.report import figures, report
from .commands.spectral import spectral
from .commands.study import run_study, study_app
from .errors import ConfigError, EarwitnessError, LabelError
from .explanation import Explanation, Subset, explain
from .models import Classifier, Model, align, open_model
from .report import save_figure, write_report
from .search import Driver
from .search.settings import SearchSettings
from .signal import audio
from .study.file import parse_study
from .study.store import Store

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="What did my audio classifier listen to, and would another classifier be convinced by it?",
)
models_app = typer.Typer(no_args_is_help=True, help="Models: check that they load and agree.")
app.add_typer(study_app, name="study")
app.add_typer(models_app, name="models")
# the deeper analyses and the like: a file of commands/ each, one name here
for command in (compose, export, fidelity, manipulate, spectral, report, figures):
    app.command()(command)

#: click's UsageError, wherever the installed typer keeps it
_USAGE_ERROR: Any = typer.BadParameter.__mro__[1]

#: the demo's questions a clip and model: enough for small sets, few enough for minutes on two cores
DEMO: dict[str, Any] = {
    "name": "Earwitness demo",
    "models": ["builtin:msd-musicnn", "builtin:msd-vgg", "builtin:mtt-musicnn", "builtin:mtt-vgg"],
    "data": [{"path": "builtin", "limit": 16}],
    "seconds": 3.0,
    "search": {"delta": 0.5, "budget": 400},
}


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the store and the page.")] = Path("demo"),
    limit: Annotated[int, typer.Option(min=1, help="How many of the 23 recordings.")] = 16,
    quiet: QuietOption = False,
) -> None:
    """The built-in models on the built-in recordings: explanations, transfer, report."""
    study = parse_study({**DEMO, "data": [{"path": "builtin", "limit": limit}]}, "demo")
    summary = run_study(study, Path.cwd(), out / "study.db", quiet)
    with Store(out / "study.db") as store:
        page = write_report(store, out / "report", epsilon=study.transfer.epsilon)
    print(page.resolve())
    raise typer.Exit(1 if summary.failed else 0)


@app.command(name="explain")
def explain_command(
    recording: Annotated[Path, typer.Argument(metavar="AUDIO", help="The recording.")],
    model: Annotated[str, typer.Option(help="The model's spec.")],
    search: Annotated[str, typer.Option(help="minimal or freqrex.")] = "minimal",
    delta: Annotated[float, typer.Option(help="Share of the confidence a subset keeps, 0 to 1.")] = 0.5,
    count: Annotated[int, typer.Option(help="Sufficient sets wanted.")] = 1,
    overlap: Annotated[float, typer.Option(help="Largest overlap of two sufficient sets, 0 to 1.")] = 0.0,
    budget: Annotated[int, typer.Option(help="Questions.")] = 3000,
    seed: Annotated[int, typer.Option(help="Of everything drawn at random.")] = 0,
    domain: Annotated[str, typer.Option(help="rfft, mel:N, octave:N, edges:HZ,HZ,... or stft:WINDOW:HOP.")] = "rfft",
    occlusion: Annotated[str, typer.Option(help="zero, mean or noise.")] = "zero",
    repeats: Annotated[int, typer.Option(help="Ask a noisy model so often.")] = 1,
    seconds: Annotated[float | None, typer.Option(help="Crop or zero-pad to this duration.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for explanation.json, signals and figures.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print explanation.json.")] = False,
    device: DeviceOption = "auto",
    allow_pickle: PickleOption = False,
    trust_remote_code: RemoteOption = False,
    quiet: QuietOption = False,
) -> None:
    """One recording, one model: what it listened to."""
    settings = SearchSettings(search, delta, count, overlap, budget, seed, domain, occlusion, repeats)
    if seconds is not None and seconds <= 0:
        raise ConfigError(f"seconds {seconds}: out of range; use a positive duration")
    if out is not None:
        make_writable(out)
    audio.read(recording, seconds=seconds)  # a bad recording is refused before a model is loaded
    opened = open_model(model, device, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code)
    clip = audio.read(recording, opened.sample_rate, seconds)
    classifier = Classifier(opened)
    with ExitStack() as stack:
        reporter = make_reporter(quiet or as_json, stack)
        reporter.stage(f"explaining {recording.name}", 1)
        driver = Driver(classifier, repeats=repeats, progress=reporter.ask)
        explanation = explain(clip, classifier, settings, driver=driver)
        reporter.advance()
    if out is not None:
        explanation.save(out)
        save_figure(explanation, out)
    if as_json:
        print(json.dumps(explanation.to_json(), indent=1))
    else:
        _print_explanation(explanation)
        for note in opened.notes:
            print(f"note: {note}")
        if out is not None:
            print(f"written to {out}")


@models_app.command(name="check")
def models_check(
    specs: Annotated[list[str], typer.Argument(metavar="SPEC...")],
    seconds: Annotated[float, typer.Option(min=0.01, help="Length of the clips that speed is measured on.")] = 3.0,
    device: DeviceOption = "auto",
    allow_pickle: PickleOption = False,
    trust_remote_code: RemoteOption = False,
) -> None:
    """Load each model; print labels, sample rate, parameters, front end, speed, and whether their labels align."""
    models: list[Model] = []
    head = ("model", "architecture", "labels", "Hz", "parameters", "front end", "its clips/s", "clips/s")
    table = Table(*head, box=None)
    for spec in specs:
        model = open_model(spec, device, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code)
        models.append(model)
        own = "" if model.frontend == "model" else f"{_speed(model, model.features, seconds):.1f}"
        rate = f"{_speed(model, model.logits, seconds):.1f}"
        size = f"{model.parameters:,}"
        table.add_row(
            spec, model.architecture, str(len(model.labels)), str(model.sample_rate), size, model.frontend, own, rate
        )
    _console().print(table)
    for model in models:
        print(f"{model.spec}: {', '.join(model.labels[:20])}{'…' if len(model.labels) > 20 else ''}")
        for note in model.notes:
            print(f"  note: {note}")
    if len(models) > 1:
        try:
            alignment = align(models)
        except LabelError as error:
            raise LabelError(f"labels do not align: {error}") from None
        print(f"{len(alignment.labels)} labels align: {', '.join(alignment.labels[:20])}"
              f"{'…' if len(alignment.labels) > 20 else ''}")  # fmt: skip
        for model, dropped in zip(models, alignment.dropped, strict=True):
            names = f": {', '.join(dropped[:8])}{'…' if len(dropped) > 8 else ''}" if dropped else ""
            print(f"  {model.spec}: {len(dropped)} left out{names}")
        rates = {model.sample_rate for model in models}
        if len(rates) > 1:
            print(f"sample rates differ ({', '.join(map(str, sorted(rates)))} Hz): a study resamples to {max(rates)}")


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def main() -> None:
    """Run a command; errors become one line and an exit code."""
    try:
        code = app(standalone_mode=False)
    except EarwitnessError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except _USAGE_ERROR as error:
        error.show()
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        code = 130
    except BrokenPipeError:
        sys.exit(0)
    if code == 130:  # typer makes an interruption this code, or lets it through
        print("interrupted; run the same command again to go on", file=sys.stderr)
    sys.exit(code if isinstance(code, int) else 0)


def _print_explanation(explanation: Explanation) -> None:
    print(f"{explanation.label} ({explanation.confidence:.3f}), {explanation.spectrum.size} variables, "
          f"{explanation.queries} questions, {explanation.seconds:.1f} s")  # fmt: skip
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
    _console().print(table)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False)


def _speed(model: Model, answer: Callable[[torch.Tensor], object], seconds: float) -> float:
    """Clips a second at batch 8, the median of three calls after one to warm up."""
    waveforms = torch.from_numpy(
        np.random.default_rng(0).standard_normal((8, round(seconds * model.sample_rate))).astype(np.float32) * 0.1
    ).to(model.device)
    times = []
    with torch.inference_mode():
        for _ in range(4):
            start = time.perf_counter()
            answer(waveforms)
            if model.device.type == "cuda":
                torch.cuda.synchronize(model.device)
            times.append(time.perf_counter() - start)
    return 8 / float(np.median(times[1:]))


if __name__ == "__main__":
    main()
