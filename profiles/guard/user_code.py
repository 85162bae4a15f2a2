"""Code of others, called through one guard: whatever it does ends in one error that names its file and line.

    with user_code("`splits` of workload digits", given={"options": options}, function=workload.splits):
        found = workload.splits()

Anything that it raises, `SystemExit` and what is no `Exception` too, becomes a `UserCodeError`; what it
changes in this process is put back (`process_state`), and how long it takes can be limited (`time_limit`).
"""

from __future__ import annotations

import dis
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any, TypeVar

from ..errors import ParetuneError, StageError, UserError
from ..system_trouble import refusal
from ..words import duration, one_line
from . import process_end, time_limit
from .process_state import ProcessState, forget_their_directory
from .user_place import add_home, defined_at, innermost_is_ours, place_of_error, place_of_frame

T = TypeVar("T")

_OURS = __name__.partition(".")[0]
_RAISE = dis.opmap["RAISE_VARARGS"]
_CALLED = "called with"
_MOST_TEXT, _MOST_VALUE, _MOST_LOG = 400, 60, 4000


class UserCodeError(UserError, StageError):
    """Code of others failed, or returned what cannot be used.

    Before a search it ends the run, as everything does that the user can mend; within an evaluation it is a
    failed stage and ends that evaluation alone: whoever tells the two apart asks for `StageError` first.
    """

    def __init__(
        self,
        problem: str,
        *,
        place: str = "",
        found: str = "",
        accepted: str = "",
        remedy: str = "",
        stage: str = "",
        log: str = "",
    ) -> None:
        what = f", {found}" if found and not found.startswith(_CALLED) else ""
        StageError.__init__(self, stage, f"{problem}{what}" + (f" ({place})" if place else ""), log)
        UserError.__init__(self, problem, place=place, found=found, accepted=accepted, remedy=remedy)


class user_code:  # noqa: N801 - a context manager, used as a function is
    """A block in which code of others runs.

    `what` is called in words, `given` the arguments by name, `function` tells where it is defined, for what
    is raised before its first line. `stage` is what an evaluation calls the stage, `remedy` says what usually
    mends it. `brief` is for what is called thousands of times, see `ProcessState`. `around`: a block of ours
    that calls code of theirs at places which nobody knows; errors without a line of theirs are left as they
    are, and time is not limited.

    Raises:
        UserCodeError: for all that leaves the block, but what ours raises on purpose and a real Ctrl-C.
    """

    __slots__ = ("around", "brief", "call", "function", "given", "remedy", "stage", "state", "what")

    def __init__(
        self,
        what: str,
        *,
        given: Mapping[str, object] | None = None,
        function: object = None,
        stage: str = "",
        remedy: str = "",
        brief: bool = False,
        around: bool = False,
    ) -> None:
        self.what, self.given, self.function, self.stage = what, given, function, stage
        self.remedy, self.brief, self.around = remedy, brief, around

    def __enter__(self) -> None:
        self.state = ProcessState(brief=self.brief, around=self.around)
        self.call = None if self.around else time_limit.begin(self._told)
        if not self.around:
            process_end.begin_theirs()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        time_limit.end(self.call)
        if isinstance(error, time_limit.TookTooLong):
            time_limit.end_of_thread()
        if not self.around:
            process_end.end_theirs()
        self.state.put_back()
        if error is None or _is_ours(error):
            return
        if self.around and isinstance(error, Exception) and not place_of_error(error):
            return
        raise self._explained(error) from error

    def _explained(self, error: BaseException) -> UserCodeError:
        place = place_of_error(error) or defined_at(self.function)
        log = _log(error)
        if isinstance(error, time_limit.TookTooLong):
            return self._error(self._too_long(), place, _UNBOUNDED, log)
        if isinstance(error, UserError):  # raised by their code: what it says stands
            place = ": ".join(dict.fromkeys(filter(None, (place, error.place))))
            return UserCodeError(
                error.problem,
                place=place,
                found=error.found,
                accepted=error.accepted,
                remedy=error.remedy,
                stage=self.stage,
                log=log,
            )
        said = said_by(error)
        return self._error(f"{self.what} raised {said}", place, _remedy(error) or self.remedy or _USUAL, log)

    def _error(self, problem: str, place: str, remedy: str, log: str) -> UserCodeError:
        called = f"{_CALLED} {shown_arguments(self.given)}" if self.given else ""
        return UserCodeError(problem, place=place, found=called, remedy=remedy, stage=self.stage, log=log)

    def _too_long(self) -> str:
        return f"{self.what} did not end within {duration(time_limit.time_limit() or 0)}"

    def _told(self, frame: FrameType | None) -> str:
        """Of code that cannot be interrupted."""
        place = place_of_frame(frame) or defined_at(self.function)
        problem = f"{self._too_long()}, and cannot be interrupted: this process ends"
        return str(self._error(problem, place, f"{_UNBOUNDED}; what was told is kept", ""))


_USUAL = "correct the code at the place named above"
_UNBOUNDED = "mend what hangs there, or give it longer by `guard: {user: ...}` in the study file"


def code_lies_in(directory: Path) -> None:
    """Say where the code of others lies that is called from now on."""
    add_home(directory)
    forget_their_directory()


def call(what: str, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call a function of others within `user_code`; messages show the arguments.

    Raises:
        UserCodeError: see `user_code`.
    """
    given = {f"argument {number}": value for number, value in enumerate(args, 1)}
    with user_code(what, given={**given, **kwargs}, function=function):
        return function(*args, **kwargs)


def said_by(error: BaseException) -> str:
    """Type and text of an exception in one line, also of one that cannot say what it is."""
    name = one_line(type(error).__name__, _MOST_VALUE)
    try:
        text = one_line(str(error), _MOST_TEXT)
    except BaseException as second:  # it is code of others as well
        text = f"(its text cannot be had: {type(second).__name__})"
    return f"{name}: {text}" if text else name


def shown_arguments(given: Mapping[str, object]) -> str:
    """ "outputs float32[120, 3], rows 12"."""
    return ", ".join(f"{one_line(name, _MOST_VALUE)} {shown(value)}" for name, value in given.items())


def shown(value: object) -> str:
    """A value in a few words: an array by type and shape, plain values as they are, others by their type."""
    try:
        return _shown(value)
    except BaseException:  # whatever an object of others does when it is looked at
        return type(value).__name__


def _shown(value: object) -> str:
    if isinstance(value, (str, bytes)):
        return one_line(repr(value[: 2 * _MOST_VALUE]), _MOST_VALUE)
    if value is None or isinstance(value, (bool, int, float, Path)):
        return one_line(repr(value), _MOST_VALUE)
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None:
        return f"{str(dtype).removeprefix('torch.')}{list(shape)}"
    if isinstance(value, Mapping) and len(value) <= 8:
        named = (f"{one_line(str(key), _MOST_VALUE)}: {shown(one)}" for key, one in value.items())
        return f"{{{', '.join(named)}}}"
    return type(value).__name__


def _is_ours(error: BaseException) -> bool:
    """Whether that was raised on purpose by what their code called of ours, or by a real Ctrl-C."""
    if isinstance(error, UserCodeError):
        return True
    if isinstance(error, KeyboardInterrupt):
        return not _raised_by_a_statement(error) or innermost_is_ours(error)
    named = isinstance(error, ParetuneError) or type(error).__module__.partition(".")[0] == _OURS
    return named and not isinstance(error, time_limit.TookTooLong) and innermost_is_ours(error)


def _raised_by_a_statement(error: BaseException) -> bool:
    """Whether a `raise` did it; Ctrl-C arrives between any two instructions."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    code: CodeType = trace.tb_frame.f_code
    return 0 <= trace.tb_lasti < len(code.co_code) and code.co_code[trace.tb_lasti] == _RAISE


def _log(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error, limit=-12))[-_MOST_LOG:]
    except BaseException:  # it has the exception's own text in it
        return "".join(traceback.format_tb(error.__traceback__, limit=-12))[-_MOST_LOG:]


def _remedy(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"install {error.name!r} into this environment ({sys.prefix}), or correct the import"
    if isinstance(error, SystemExit):
        return "let it return, or raise an exception: it runs within Paretune, which ends by itself"
    if isinstance(error, MemoryError):
        return "let it take less memory"
    try:
        refused = refusal(error)
    except BaseException:  # it asks for the exception's text, which is code of others as well
        return ""
    return refused.remedy if refused is not None else ""
