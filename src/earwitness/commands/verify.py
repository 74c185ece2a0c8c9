"""``earwitness verify``: what of a saved explanation, or of a study, still holds."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError
from .options import Access, JsonOption, QuietOption, Trusting
from .work import make_reporter

if TYPE_CHECKING:
    from ..verification import Verification

#: findings that are printed one by one
SHOWN = 20


def verify(
    path: Annotated[Path, typer.Argument(metavar="FOLDER|STORE", help="Of explain --out, or a study's store.")],
    access: Access,
    trusting: Trusting,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Of a study: ask only so many stored answers again, drawn at random.")
    ] = None,
    recording: Annotated[Path | None, typer.Option(help="Of a folder: where the recording lies now.")] = None,
    model: Annotated[str | None, typer.Option(help="Of a folder: where the model lies now.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Ask models again, now, and say what of an explanation or a study no longer holds; exit code 1 if anything."""
    if path.is_dir():
        if sample is not None:
            raise ConfigError(f"{path}: a folder is verified whole; --sample is for a study's store")
        from ..verification import verify as verify_folder

        found = verify_folder(
            path,
            recording=recording,
            model=model,
            device=access.device,
            trust_models=trusting.trust_models,
            **access.trust,
        )
    else:
        if recording or model:
            raise ConfigError(f"{path}: a study says where its recordings and models lie; edit its file and run it")
        from ..study.store import Store
        from ..study.verify import verify_study

        with ExitStack() as stack:
            reporter = make_reporter(quiet or as_json, stack)
            store = stack.enter_context(Store(path))
            found = verify_study(
                store, sample=sample, device=access.device, trust_models=trusting.trust_models, reporter=reporter
            )
    _show(found, as_json)
    raise typer.Exit(1 if found.findings else 0)


def _show(found: Verification, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.to_json(), indent=1))
        return
    for finding in found.findings[:SHOWN]:
        print(finding)
    if len(found.findings) > SHOWN:
        print(f"and {len(found.findings) - SHOWN} more")
    print(f"{found.asked} of {found.of} stored answers asked again: {len(found.findings) or 'no'} findings")
    if found.bound and not found.findings:
        print(f"so of all answers no more than {found.bound:.2%} are otherwise, with 95 % confidence")
    print(f"receipt {found.receipt}")
