"""``earwitness study``: init, schema, run, status, tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError
from ..transferability.options import Options
from .options import Access, EpsilonOption, Format, JsonOption, Leave, QuietOption, StoreArgument, expand
from .output import print_tables, write_tables
from .work import run_study

study_app = typer.Typer(no_args_is_help=True, help="Studies: models x recordings x settings, resumable.")

StudyArgument = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study file.")]


@study_app.command(name="init")
def init(
    path: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The file to write.")] = Path("study.toml"),
) -> None:
    """Write a study file that names every setting, what it means and its default."""
    from ..study.template import study_template

    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(study_template())
    except FileExistsError:
        raise ConfigError(f"{path}: is there already; choose another name or remove it") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error}); choose another path") from None
    print(f"written {path}; fill in models and data, then: earwitness study run {path}")


@study_app.command(name="schema")
def schema() -> None:
    """Print the JSON schema of study files, for completion and checks in editors."""
    from ..study.template import study_schema

    print(json.dumps(study_schema(), indent=1))


@study_app.command(name="run")
@expand
def run(
    study_file: StudyArgument,
    access: Annotated[Access, Leave("device")],
    executor: Annotated[str | None, typer.Option(help="local or ray; default: the study's.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; default: the study's.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed units again.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Plan, run or resume a study; on a finished one it does nothing and says so."""
    from ..study.file import load_study

    trust = {name: True for name, given in access.trust.items() if given}  # what is not given, the file says
    study, folder = load_study(study_file, executor=executor, workers=workers, **trust)
    path = folder / study.store
    summary = run_study(study, folder, path, quiet, retry_failed)
    if not summary.explained and not summary.judged:
        print("nothing to do: " + ("all that is left has failed" if summary.failed else "the study is finished"))
    else:
        print(f"{summary.explained} explanations and {summary.judged} judgements added to {path}")
    if summary.failed:
        print(f"{summary.failed} failed; why: earwitness study status {path}; again: study run --retry-failed")
    raise typer.Exit(1 if summary.failed else 0)


@study_app.command(name="status")
def status(path: StoreArgument, as_json: JsonOption = False) -> None:
    """What is done, left, failed, and why."""
    from ..study.status import study_status, tell_environment
    from ..study.store import Store

    with Store(path) as store:
        found = study_status(store)
    if as_json:
        print(json.dumps(found, indent=1))
        return
    for key, value in found.items():
        if key not in ("failures", "environments"):
            print(f"{key.replace('_', ' '):13} {value}")
    for made in found["environments"]:
        print(f"made with     {tell_environment(made)}")
    for failure in found["failures"]:
        print(f"failed: {failure['stage']} {failure['clip']} {failure['model']}: {failure['reason']}")


@study_app.command(name="tables")
@expand
def tables(
    path: StoreArgument,
    options: Annotated[Options, Leave("epsilon")],
    printing: Format,
    epsilon: EpsilonOption = None,
    table: Annotated[list[str] | None, typer.Option(help="Only this table; may be given several times.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables as CSV, in place of printing.")] = None,
) -> None:
    """Every table of the study, with intervals, tests and what chance would give."""
    from ..study.answers import epsilon_of, load_answers
    from ..study.store import Store
    from ..transferability.tables import make_tables

    with Store(path) as store:
        options = replace(options, epsilon=epsilon_of(store, epsilon))
        made = make_tables(load_answers(store), options, table)
    if out is None:
        print_tables(made, printing.style)
    else:
        write_tables(made, out)
        print(f"{len(made)} tables written to {out}")
