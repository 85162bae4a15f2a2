"""The commands of `paretune devices`: its own name lists and shows, `setup` and `check` act on a board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .output import console, show, tell

_SHOW = "show"


class _OrAName(TyperGroup):
    """What is none of the group's commands is the name of a profile. One that is called like a command is
    named by its path (`./setup.yaml`), as each file of a profile is."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command, and the arguments that are left for it."""
        known = args and args[0] in self.commands and args[0] != _SHOW
        return super().resolve_command(ctx, args if known else [_SHOW, *args])


devices = typer.Typer(
    name="devices",
    cls=_OrAName,
    invoke_without_command=True,
    subcommand_metavar="[NAME | setup NAME | check NAME]",
    help="List the device profiles; `devices NAME` shows one device and checks that it can be reached.",
)

ProfileName = Annotated[str, typer.Argument(metavar="NAME", help="a profile, or the path of its file")]


@devices.callback()
def _list(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        from .devices import devices_text

        show(devices_text())


@devices.command(_SHOW, hidden=True)
def _show(profile: ProfileName) -> None:
    """Show one device: what each backend can do there, and whether it answers."""
    from .devices import device_text

    show(device_text(profile))


@devices.command()
def check(profile: ProfileName) -> None:
    """Whether a device is fit to measure on, and why."""
    from .fitness import checked

    found, code = checked(profile)
    show(found)
    raise typer.Exit(code)


@devices.command()
def setup(
    profile: ProfileName,
    backend: Annotated[
        list[str] | None,
        typer.Option(
            help="bring this runtime alone, instead of those installed here; may be repeated", metavar="NAME"
        ),
    ] = None,
    wheels: Annotated[
        Path | None,
        typer.Option(
            help="take wheels from this folder, where this machine has no internet",
            metavar="DIR",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    reach: Annotated[
        str | None,
        typer.Option(help="draft the profile NAME (a new .yaml file) of this board", metavar="USER@HOST"),
    ] = None,
    python: Annotated[str, typer.Option(help="with --reach: the board's Python", metavar="PATH")] = "",
    again: Annotated[bool, typer.Option("--again", help="send also what is there already")] = False,
) -> None:
    """Make a board ready that has Python and sshd alone: our runner and its runtimes are copied there."""
    from ...backends.boards.setup import Wish, set_up
    from .steps import ConsoleSteps

    wish = Wish(backends=backend or (), wheels=wheels, reach=reach, python=python, again=again)
    with ConsoleSteps(console(stderr=True)) as steps:
        said = set_up(profile, wish, steps)
    tell(said)
