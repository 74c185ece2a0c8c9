"""``earwitness study``: init, schema, run, status, tables."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError
from ..study.answers import load_answers
from ..study.file import Study, load_study
from ..study.plan import plan
from ..study.progress import Logged
from ..study.run import Summary, run
from ..study.status import study_status
from ..study.store import Store
from ..study.template import study_schema, study_template
from ..transferability.options import Options
from ..transferability.tables import make_tables
from .common import (
    EpsilonOption,
    FormatOption,
    PickleOption,
    QuietOption,
    RemoteOption,
    StoreArgument,
    make_reporter,
    print_tables,
    write_tables,
)

study_app = typer.Typer(no_args_is_help=True, help="Studies: models x recordings x settings, resumable.")

StudyArgument = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study file.")]


@study_app.command(name="init")
def init_command(
    path: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The file to write.")] = Path("study.toml"),
) -> None:
    """Write a study file that names every setting, what it means and its default."""
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(study_template())
    except FileExistsError:
        raise ConfigError(f"{path}: is there already; choose another name or remove it") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error}); choose another path") from None
    print(f"written {path}; fill in models and data, then: earwitness study run {path}")


@study_app.command(name="schema")
def schema_command() -> None:
    """Print the JSON schema of study files, for completion and checks in editors."""
    print(json.dumps(study_schema(), indent=1))


@study_app.command(name="run")
def run_command(
    study_file: StudyArgument,
    executor: Annotated[str | None, typer.Option(help="local or ray; default: the study's.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; default: the study's.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed units again.")] = False,
    allow_pickle: PickleOption = False,
    trust_remote_code: RemoteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Plan, run or resume a study; on a finished one it does nothing and says so."""
    trust = {"allow_pickle": allow_pickle or None, "trust_remote_code": trust_remote_code or None}
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
def status_command(
    path: StoreArgument, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False
) -> None:
    """What is done, left, failed, and why."""
    with Store(path) as store:
        status = study_status(store)
    if as_json:
        print(json.dumps(status, indent=1))
        return
    for key, value in status.items():
        if key != "failures":
            print(f"{key.replace('_', ' '):13} {value}")
    for failure in status["failures"]:
        print(f"failed: {failure['stage']} {failure['clip']} {failure['model']}: {failure['reason']}")


@study_app.command(name="tables")
def tables_command(
    path: StoreArgument,
    style: FormatOption = "md",
    epsilon: EpsilonOption = None,
    table: Annotated[list[str] | None, typer.Option(help="Only this table; may be given several times.")] = None,
    cluster: Annotated[str, typer.Option(help="What is resampled for intervals: clip or group.")] = "clip",
    level: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Of intervals and permutation tests.")] = 0,
    without_vacuous: Annotated[bool, typer.Option("--without-vacuous", help="Leave empty sets out.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables as CSV, in place of printing.")] = None,
) -> None:
    """Every table of the study, with intervals, tests and what chance would give."""
    with Store(path) as store:
        chosen = epsilon if epsilon is not None else float(store.meta().get("epsilon", 0.5))
        options = Options(chosen, level, seed=seed, cluster=cluster, vacuous=not without_vacuous)
        tables = make_tables(load_answers(store), options, table)
    if out is None:
        print_tables(tables, style)
    else:
        write_tables(tables, out)
        print(f"{len(tables)} tables written to {out}")


def run_study(study: Study, folder: Path, path: Path, quiet: bool, retry_failed: bool = False) -> Summary:
    """Run a study into a store, with progress and a log beside it."""
    with ExitStack() as stack:
        store = stack.enter_context(Store(path, write=True))  # refused before models are loaded
        log = path.with_name(path.name + ".log")
        reporter = stack.enter_context(Logged(make_reporter(quiet, stack), log))
        return run(plan(study, folder, reporter), store, reporter, retry_failed=retry_failed)
