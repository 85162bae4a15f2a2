"""What a board has to be, found before anything is copied to it."""

from __future__ import annotations

from ...profiles.errors import UserError
from ..runner.boot import LEAST_PYTHON
from ..runner.launch import SshLaunch
from .board import Board
from .pythons import no_python

_ARCHITECTURES = ("x86_64", "aarch64")


def check_board(board: Board, launch: SshLaunch) -> None:
    """Whether our runner and the runtimes can be brought there.

    Raises:
        UserError: they cannot; says why.
    """
    _check_python(board, launch)
    _check_system(board, launch)
    _check_workdir(board, launch)


def _check_python(board: Board, launch: SshLaunch) -> None:
    python = board.python
    if python.version[:2] < LEAST_PYTHON:
        raise no_python(launch, f"Python {python.title}", "is too old for our runner")
    if python.implementation != "cpython":
        named = f"{python.implementation} {python.title}"
        raise no_python(launch, named, "is not one that runtimes are made for")


def _check_system(board: Board, launch: SshLaunch) -> None:
    is_so = f"{board.system}, {board.machine}"
    if board.system != "Linux" or board.machine not in _ARCHITECTURES:
        raise UserError(
            f"boards like {launch.device} are not supported",
            found=is_so,
            accepted=f"Linux on {' or '.join(_ARCHITECTURES)}",
        )
    if board.python.bits != 64:
        raise UserError(
            f"the Python of {launch.device} is a {board.python.bits}-bit program: no runtimes exist for it",
            found=f"{launch.python} ({board.python.soabi or board.python.executable}) on a kernel for "
            f"{board.machine}",
            accepted="a 64-bit Python",
            remedy="install the 64-bit system there (a 64-bit kernel alone is not enough), or name a 64-bit "
            "Python in the profile: `reach: {python: ...}`",
        )
    if not board.python.libc.startswith("glibc "):
        raise UserError(
            f"the C library of {launch.device} is not one that runtimes are made for",
            found=f"{is_so}, without glibc (musl, as in Alpine, is such a library)",
            accepted="glibc, as in Debian, Ubuntu and Raspberry Pi OS",
            remedy="install such a system there, or name a host that is a container with one",
        )


def _check_workdir(board: Board, launch: SshLaunch) -> None:
    folder = board.workdir
    there = "" if folder.path == folder.nearest else f"{folder.nearest}, in which it would be made, "
    if not folder.is_folder:
        why = f"{there or folder.path + ' '}is no folder"
    elif folder.read_only:
        why = f"{there}lies on a disk that is mounted read-only"
    elif not folder.writable:
        why = f"{there}may not be written to by this user"
    elif not folder.executable:
        why = f"{there}lies on a disk that is mounted `noexec`, from which no library can be loaded"
    else:
        return
    raise UserError(
        f"the work folder on {launch.device} cannot be used",
        place=folder.path,
        found=why,
        remedy="name another one in the profile: `reach: {workdir: ...}`",
    )
