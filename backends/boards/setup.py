"""From a board with Python and sshd alone to one that answers."""

from __future__ import annotations

from ...profiles.devices.loader import load_profile
from ...profiles.errors import UserError
from ..runner.launch import SshLaunch, launch_for
from .board import ask
from .fit import check_board
from .steps import Steps


def set_up(name: str, steps: Steps) -> str:
    """Make the board of a profile ready; says in a line what was done.

    Raises:
        UserError: no such profile, the board is not reached, or cannot be made ready.
    """
    profile = load_profile(name)
    launch = launch_for(profile)
    if not isinstance(launch, SshLaunch):
        raise UserError(
            f"{profile.name} needs no setup: it is this machine",
            accepted="a profile with `reach: {kind: ssh, host: ...}`",
        )
    steps.stage(f"asking {launch.device} what it is")
    board = ask(launch)
    check_board(board, launch)
    return (
        f"{profile.name}: {board.host} has Python {board.python.title} ({board.machine}, {board.python.libc})"
    )
