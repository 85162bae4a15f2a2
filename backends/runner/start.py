"""Starts a runner and waits for its first word; says in one error why none answers."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

from ...profiles.errors import StageError, UserError
from ...profiles.system_trouble import explained, refusal
from ...profiles.words import printable
from .child import Child, ChildEndedError, ChildSilentError, died_from_outside, last_words, status_in_words
from .frames import PREAMBLE, ProtocolError
from .launch import Launch
from .replies import LOG_BYTES, over_limit

_TALK_BYTES = 2**16  # of a login shell, before the runner's first frame
_OTHER_VERSION = re.compile(re.sub(rb"\d+\n$", rb"(\\d+)\\n$", PREAMBLE))


def start(launch: Launch, open_s: float, memory_bytes: int | None) -> Child:
    """A runner that has said its first word.

    Raises:
        UserError: a device that is not this machine does not answer, or not as a runner does.
        StageError: the runner on this machine did not start.
    """
    arguments = []
    if memory_bytes is not None:
        arguments += ["--memory-bytes", str(memory_bytes)]
    # The kernel's signal comes when the *thread* that started the child ends: only the main one is safe.
    if launch.shares_files and threading.current_thread() is threading.main_thread():
        arguments += ["--die-with-parent"]
    try:
        child = Child(launch.command(arguments), launch.environment())
    except OSError as error:
        refused = explained(error) if refusal(error) else None
        why = f"{refused.problem} ({refused.found})" if refused else str(error)
        raise _unreachable(launch, why, None, outside=refused is not None) from error
    try:
        _skip_to_preamble(child.reader(open_s))
    except ChildSilentError as error:
        child.kill()
        why = _with_words(f"no answer within {open_s:g} s", child.log(LOG_BYTES))
        raise _unreachable(launch, why, memory_bytes, slow=True) from error
    except (ProtocolError, ChildEndedError) as error:
        raise _ended(launch, child, error, memory_bytes) from error
    except BaseException:
        child.kill()
        raise
    return child


def _ended(
    launch: Launch, child: Child, error: Exception, memory_bytes: int | None
) -> StageError | UserError:
    status = None if isinstance(error, _NoRunnerError) else child.wait(1.0)
    child.kill()
    log = child.log(LOG_BYTES)
    limited = memory_bytes is not None
    outside = died_from_outside(status, log, remote=not launch.shares_files, limited=limited)
    if isinstance(error, _NoRunnerError):
        why = _with_words(str(error), log)
    else:
        why = last_words(log) or f"{status_in_words(status, log)}, and had said nothing"
    return _unreachable(launch, why, memory_bytes, outside=outside)


def _with_words(why: str, log: str) -> str:
    words = last_words(log)
    return f"{why}; its last words: {words}" if words else why


_LONGER = "; `guard: {open: 5 min}` in the study file gives it longer"


def _unreachable(
    launch: Launch, why: str, memory_bytes: int | None, *, outside: bool = False, slow: bool = False
) -> UserError | StageError:
    if launch.shares_files:
        cause = "the runner did not start" + (f"; {over_limit(memory_bytes)}" if memory_bytes else "")
        return StageError("start", f"{cause}: {why.splitlines()[0]}", why, outside=outside)
    return UserError(
        f"device {launch.device} cannot be reached",
        found=why,
        remedy=f"see that `{launch.by_hand}` works without a password, and that the profile's python has "
        "paretune and the runtime installed" + (_LONGER if slow else ""),
    )


class _NoRunnerError(ProtocolError):
    """What came is not what a runner of this version says first."""


def _skip_to_preamble(read: Callable[[int], bytes]) -> None:
    """Read past what a login shell prints before the runner's first frame."""
    seen = bytearray()
    while not seen.endswith(PREAMBLE):
        if seen.endswith(b"\n") and (other := _OTHER_VERSION.search(seen, len(seen) - 2 * len(PREAMBLE))):
            raise _NoRunnerError(
                f"its runner speaks version {int(other[1][:9])} of the protocol: install the paretune of "
                "this machine there"
            )
        if len(seen) > _TALK_BYTES:
            shown = printable(bytes(seen[:200]).decode(errors="replace"))
            raise _NoRunnerError(f"no runner answers, but {shown!r} and more than {_TALK_BYTES} bytes")
        byte = read(1)
        if not byte:
            raise ProtocolError("the runner ended before it said anything")
        seen += byte
