"""The command line: assembles the commands, and turns errors into exit codes.

Exit codes: 0 done; 1 done with failed rows; 2 wrong use or bad input; 130 interrupted, resumable.
"""

from __future__ import annotations

import sys
from typing import Any

import typer

from .commands.composition import compose
from .commands.demo import demo
from .commands.evaluate import evaluate
from .commands.explain import explain
from .commands.export import export
from .commands.fidelity import fidelity
from .commands.manipulation import manipulate
from .commands.models import models_app
from .commands.options import expand
from .commands.plugins import plugins
from .commands.report import figures, open_page, report
from .commands.robust import robust
from .commands.spectral import spectral
from .commands.study import study_app
from .commands.verify import verify
from .commands.version import version
from .errors import EarwitnessError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="What did my audio classifier listen to, and would another classifier be convinced by it?",
)
app.add_typer(study_app, name="study")
app.add_typer(models_app, name="models")
for command in (
    compose,
    export,
    fidelity,
    manipulate,
    spectral,
    report,
    figures,
    demo,
    explain,
    evaluate,
    robust,
    verify,
    plugins,
    version,
):
    app.command()(expand(command))
app.command(name="open")(expand(open_page))
study_app.command(name="verify")(expand(verify))

#: click's UsageError, wherever the installed typer keeps it
_USAGE_ERROR: Any = typer.BadParameter.__mro__[1]


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
