"""``earwitness models``: check that they load and agree."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import LabelError
from .options import Access, JsonOption, expand
from .output import console

if TYPE_CHECKING:
    from ..models import Alignment, Model

models_app = typer.Typer(no_args_is_help=True, help="Models: check that they load and agree.")


@models_app.command(name="check")
@expand
def check(
    specs: Annotated[list[str], typer.Argument(metavar="SPEC...")],
    access: Access,
    seconds: Annotated[float, typer.Option(min=0.01, help="Length of the clips that speed is measured on.")] = 3.0,
    as_json: JsonOption = False,
) -> None:
    """Load each model; print labels, sample rate, parameters, front end, speed, and whether their labels align."""
    from ..models import open_model

    models: list[Model] = []
    facts: list[dict[str, Any]] = []
    for spec in specs:
        models.append(open_model(spec, access.device, **access.trust))
        facts.append(_measure(models[-1], seconds))
    if as_json:
        shared = _align(models).labels if len(models) > 1 else models[0].labels
        print(json.dumps({"models": facts, "labels": shared}, indent=1))
        return
    _print(facts)
    for model in models:
        print(f"{model.spec}: {', '.join(model.labels[:20])}{'…' if len(model.labels) > 20 else ''}")
        for note in model.notes:
            print(f"  note: {note}")
    if len(models) > 1:
        _compare(models)


def _measure(model: Model, seconds: float) -> dict[str, Any]:
    """What there is to be said of a model, its speed among it."""
    own = None if model.frontend == "model" else _speed(model, model.features, seconds)
    return {
        "model": model.spec, "architecture": model.architecture, "labels": model.labels,
        "sample_rate": model.sample_rate, "parameters": model.parameters, "frontend": model.frontend,
        "frontend_clips_per_second": own, "clips_per_second": _speed(model, model.logits, seconds),
        "notes": model.notes, "fingerprint": model.fingerprint,
    }  # fmt: skip


def _print(facts: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(
        "model", "architecture", "labels", "Hz", "parameters", "front end", "its clips/s", "clips/s", box=None
    )
    for one in facts:
        own, size = one["frontend_clips_per_second"], f"{one['parameters']:,}"
        table.add_row(
            one["model"], one["architecture"], str(len(one["labels"])), str(one["sample_rate"]), size, one["frontend"],
            "" if own is None else f"{own:.1f}", f"{one['clips_per_second']:.1f}",
        )  # fmt: skip
    console().print(table)


def _align(models: list[Model]) -> Alignment:
    """The labels that the models share.

    Raises
    ------
    LabelError
        Fewer than two.
    """
    from ..models import align

    try:
        return align(models)
    except LabelError as error:
        raise LabelError(f"labels do not align: {error}") from None


def _compare(models: list[Model]) -> None:
    """Print which labels and rates the models share."""
    alignment = _align(models)
    print(f"{len(alignment.labels)} labels align: {', '.join(alignment.labels[:20])}"
          f"{'…' if len(alignment.labels) > 20 else ''}")  # fmt: skip
    for model, dropped in zip(models, alignment.dropped, strict=True):
        names = f": {', '.join(dropped[:8])}{'…' if len(dropped) > 8 else ''}" if dropped else ""
        print(f"  {model.spec}: {len(dropped)} left out{names}")
    rates = {model.sample_rate for model in models}
    if len(rates) > 1:
        print(f"sample rates differ ({', '.join(map(str, sorted(rates)))} Hz): a study resamples to {max(rates)}")


def _speed(model: Model, answer: Callable[[Any], object], seconds: float) -> float:
    """Clips a second at batch 8, the median of three calls after one to warm up."""
    import numpy as np
    import torch

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
