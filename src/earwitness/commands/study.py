"""``earwitness study``: init, schema, run, status, tables."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ConfigError
from ..transferability.options import Options
from .options import Access, EpsilonOption, Format, JsonOption, Leave, QuietOption, StoreArgument, expand
from .output import print_tables, print_written, write_tables
from .work import run_study

study_app = typer.Typer(no_args_is_help=True, help="Studies: models x recordings x settings, resumable.")

MaybeStudyArgument = Annotated[
    Path | None, typer.Argument(metavar="[STUDY.toml]", help="The study file; without one, give models and data.")
]
ModelOption = Annotated[list[str] | None, typer.Option(help="A model, in place of the file's; repeatable.")]
DataOption = Annotated[
    list[str] | None, typer.Option(help="A folder, manifest or file, or 'builtin', in place of the file's; repeatable.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting: search.delta=0.9; repeatable.")
]


def _given(
    study_file: Path | None, models: list[str] | None, data: list[str] | None, changes: list[str] | None, access: Access
) -> dict[str, Any]:
    """What the command line says in place of the study file, by dotted key."""
    if study_file is None and not (models and data):
        raise ConfigError("no study file, and not both --model and --data; give a file, or earwitness study init one")
    from ..study.file import parse_setting

    given: dict[str, Any] = dict(parse_setting(text) for text in changes or ())
    if models:
        given["models"] = models
    if data:
        given["data"] = [{"path": one if one == "builtin" else os.path.abspath(one)} for one in data]
    # what is not given, the file says
    return {**given, **{f"run.{name}": True for name, allowed in access.trust.items() if allowed}}


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
    access: Annotated[Access, Leave("device")],
    study_file: MaybeStudyArgument = None,
    model: ModelOption = None,
    data: DataOption = None,
    changes: SetOption = None,
    executor: Annotated[str | None, typer.Option(help="local or ray; default: the study's.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes; default: the study's.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failed units again.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Plan, run or resume a study; on a finished one it does nothing and says so."""
    from ..study.file import load_study

    given = _given(study_file, model, data, changes, access)
    study, folder = load_study(study_file, given=given, executor=executor, workers=workers)
    path = folder / study.store
    summary = run_study(study, folder, path, quiet or as_json, retry_failed)
    if as_json:
        print(json.dumps({"store": str(path), **asdict(summary)}, indent=1))
    elif not summary.explained and not summary.judged:
        print("nothing to do: " + ("all that is left has failed" if summary.failed else "the study is finished"))
    else:
        print(f"{summary.explained} explanations and {summary.judged} judgements added to {path}")
    if summary.failed and not as_json:
        print(f"{summary.failed} failed; why: earwitness study status {path}; again: study run --retry-failed")
    raise typer.Exit(1 if summary.failed else 0)


@study_app.command(name="plan")
@expand
def plan_study(
    access: Annotated[Access, Leave("device")],
    study_file: MaybeStudyArgument = None,
    model: ModelOption = None,
    data: DataOption = None,
    changes: SetOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """What a study will ask, and how long that takes here: its models are loaded, and each is asked for a second."""
    from ..study.cost import tell_duration
    from ..study.file import load_study
    from ..study.forecast import forecast_here
    from ..study.progress import Lines, Quiet

    study, folder = load_study(study_file, given=_given(study_file, model, data, changes, access))
    executor = study.run.executor
    found = forecast_here(study, folder, Quiet() if quiet or as_json else Lines())
    if as_json:
        print(json.dumps({**asdict(found), "most": found.most}, indent=1))
        return
    print(f"{found.recordings} recordings of {found.variables:,} variables ({found.seconds_a_clip:.1f} s the first)")
    for step, count in found.questions.items():
        print(f"{step:8} {count:12,} questions, at most")
    for spec, seconds in found.seconds.items():
        print(f"{1 / seconds:21,.0f} questions a second: {spec}")
    where = (
        f"in {found.workers} workers as fast as this process" if found.workers > 1 or executor != "local" else "here"
    )
    print(f"at most {tell_duration(found.most)} {where}; searches that are through earlier end earlier")


@study_app.command(name="compare")
@expand
def compare(
    path: StoreArgument,
    other: Annotated[Path, typer.Argument(metavar="OTHER", help="The store it is compared with.")],
    options: Annotated[Options, Leave("epsilon")],
    printing: Format,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables as CSV, in place of printing.")] = None,
) -> None:
    """Two studies of the same recordings (two searches, settings, versions of a model): what differs, how surely."""
    from ..study.comparison import compare_studies
    from ..study.store import Store

    with Store(path) as first, Store(other) as second:
        found = compare_studies(first, second, options)
    if out is not None:
        print_written(write_tables(found.tables, out), printing.form == "json")
        return
    if printing.form == "md":
        print(f"{found.clips} recordings and {len(found.models)} models in common; first: {path}, second: {other}")
        for name in found.versions:
            print(f"another version of {name} in the second: {dict(found.models)[name]}")
    print_tables(found.tables, printing.form)


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
        print_tables(made, printing.form)
    else:
        print_written(write_tables(made, out), printing.form == "json")
