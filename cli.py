"""The `paretune` command."""

from __future__ import annotations

from typing import Annotated

import typer

from .profiles.system_trouble import check_stack, check_temporary_files
from .reports.commands.answers import choose, explain, export, report
from .reports.commands.beginning import backends, init, plan
from .reports.commands.monitor import monitor
from .reports.commands.nights import nightly
from .reports.commands.pushing import push
from .reports.commands.recheck import recheck
from .reports.commands.regress import regress
from .reports.commands.session import retarget, run
from .reports.commands.store import store
from .reports.commands.verify import verify
from .reports.terminal.commands import Commands, ended_well
from .reports.terminal.device_commands import devices
from .reports.terminal.output import show

app = typer.Typer(
    name="paretune",
    cls=Commands,
    help="Find the best ways to deploy a trained model on a given device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for command in (
    init,
    plan,
    run,
    retarget,
    nightly,
    report,
    choose,
    explain,
    export,
    push,
    verify,
    recheck,
    regress,
    backends,
):
    app.command()(command)
app.add_typer(devices)
app.add_typer(monitor)
app.add_typer(store)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        from . import __version__

        show(f"paretune {__version__}")
        raise typer.Exit()
    check_stack()
    check_temporary_files()


def main() -> None:
    """Entry point: turns errors into one message on stderr and an exit code of the project's own table."""
    ended_well(lambda: app(standalone_mode=False))


if __name__ == "__main__":
    main()
