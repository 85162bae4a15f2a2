"""How a command of the terminal ends: an error is one message and an exit code of the project's own table."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from ...profiles.errors import InternalError, ParetuneError
from ...profiles.guard.process_end import leave
from ...profiles.guard.user_code import user_code
from ...profiles.system_trouble import THREADS, explained, threads_may_start, while_loading
from .output import secure_streams, tell, tell_of_what_was_lost


class _InterruptedError(ParetuneError):
    """Ctrl-C, which typer would turn into an exit code without a word."""


class Commands(TyperGroup):
    """Commands in which Ctrl-C stays an interruption."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _InterruptedError from error

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that was asked for, with what it was given."""
        return super().resolve_command(ctx, _each_with_its_option(args))


_TOLERATE, _TOLERANCE = "--tolerate", re.compile(r"[A-Za-z_]\w*\s+[0-9.]\S*.*")


def _each_with_its_option(args: list[str]) -> list[str]:
    """`--tolerate 'latency 3 %' 'accuracy 0.2 pt'` as if the option stood before each of them."""
    found: list[str] = []
    follows = False
    for place, arg in enumerate(args):
        is_value = place > 0 and args[place - 1] == _TOLERATE
        follows = is_value or (follows and _TOLERANCE.fullmatch(arg) is not None)
        found += [_TOLERATE, arg] if follows and not is_value else [arg]
    return found


# Typer shows only the leaves of its family of errors; the root is what all of them share.
_COMMAND_LINE_ERRORS: type[typer.BadParameter] = typer.BadParameter.__mro__[2]

_LOADING = """ while a library was loaded
  what to do: nothing, if it was you; a library that gets no memory or threads does this as well, and says so
  above: `ulimit -a` shows the limits"""


def ended_well(command: Callable[[], object]) -> None:
    """Run a command to its end, which is that of this process: `command` gives its exit code."""
    secure_streams()
    try:
        _ended(command)
    except SystemExit as end:
        leave(end.code if isinstance(end.code, int) else 0)
        raise


def _ended(command: Callable[[], object]) -> NoReturn:
    try:
        # Code of the user's own runs at many places, also at such as no guard of its own stands around.
        with user_code("the workload's code", around=True):
            code = command()
    except _COMMAND_LINE_ERRORS as error:
        _fail(f"error: {error.format_message()}\n  what to do: `paretune --help` lists commands and options")
    except (_InterruptedError, KeyboardInterrupt, typer.Abort) as error:
        _interrupted(error.__cause__ or error)
    except InternalError as error:
        _fail(f"internal error, please report it: {error}")
    except ParetuneError as error:
        _fail(f"error: {error}")
    except Exception as error:
        if _hides_an_interrupt(error):
            _interrupted(error)
        _fail(_said(error))
    tell_of_what_was_lost()
    raise SystemExit(code if isinstance(code, int) else 0)


def _interrupted(error: BaseException) -> NoReturn:
    if not threads_may_start():
        _fail(f"error: {THREADS.what}\n  what to do: {THREADS.remedy}")
    _fail("interrupted" + (_LOADING if while_loading(error) else ""), 130)


def _hides_an_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C came while a library was at work that makes an error of its own of it: compiled ones
    keep its name alone."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt) or re.search(r"\bKeyboardInterrupt\b", str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _fail(message: str, code: int = 1) -> NoReturn:
    tell(message, to=sys.stderr)
    raise SystemExit(code)


def _said(error: Exception) -> str:
    trouble = explained(error)
    if trouble is not None:
        return f"error: {trouble}"
    from .unexpected import unexpected

    return unexpected(error)
