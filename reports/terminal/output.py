"""Standard streams that never fail: a closed terminal, a full disk or a reader that went away ends no study.

All that the command writes goes through here, and so does what code of users prints.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import time
from collections.abc import Iterable
from typing import Any, TextIO, cast

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook, RenderResult
from rich.segment import Segment

from ...profiles.errors import UserError
from ...profiles.standard_descriptors import open_standard_descriptors
from ...profiles.words import printable

LEAST_WIDTH = 40
"""Columns that a table is given, whatever COLUMNS says."""


class Descriptor(io.RawIOBase):
    """A descriptor to write to. What cannot be written is left out; `lost` is the first error."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.lost: OSError | None = None

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """Its number."""
        return self._number

    def isatty(self) -> bool:
        """Whether it is a terminal that still is there."""
        return os.isatty(self._number)

    def write(self, data: object) -> int:
        """Write all; in one call where that can be had, so that a signal's handler may write in between."""
        whole = memoryview(data).cast("B")  # type: ignore[arg-type]
        rest = whole
        while rest:
            try:
                rest = rest[os.write(self._number, rest) :]
            except BlockingIOError:  # a program that shares the terminal made it so
                time.sleep(0.02)
            except OSError as error:
                self.lost = self.lost or error
                break
        return len(whole)

    def close(self) -> None:
        """It stays open: whoever closes `sys.stdout` closes no one else's."""


def secure_streams() -> None:
    """Give this process standard streams that are there and do not fail."""
    replaced = sys.stdout is not sys.__stdout__, sys.stderr is not sys.__stderr__
    open_standard_descriptors()
    if not replaced[0]:
        sys.stdout = _stream(1, sys.stdout)
    if not replaced[1]:
        sys.stderr = _stream(2, sys.stderr)


def _stream(number: int, before: TextIO) -> TextIO:
    raw = cast("Any", Descriptor(number))
    return io.TextIOWrapper(raw, encoding=before.encoding, errors="backslashreplace", write_through=True)


def tell(text: str, *, to: TextIO | None = None) -> None:
    """Write lines; what would steer a terminal is shown as such."""
    stream = sys.stdout if to is None else to
    stream.write(printable(text.rstrip("\n"), len(text)) + "\n")
    stream.flush()


def show(what: RenderableType) -> None:
    """Write what a command was called for.

    Raises:
        UserError: it cannot be written. A reader who has seen enough is no error.
    """
    if isinstance(what, str):
        tell(what)
    else:
        console().print(what)
    lost = _lost()
    if lost is not None:
        raise UserError(
            "the answer cannot be written to standard output",
            found=lost.strerror or str(lost),
            remedy="send it elsewhere, or free some space there",
        )


def tell_of_what_was_lost() -> None:
    """Say on standard error that standard output did not take what was told; files hold the answer."""
    lost = _lost()
    if lost is not None:
        tell(f"remark: standard output could not be written ({lost.strerror or lost})", to=sys.stderr)


def _lost() -> OSError | None:
    lost = getattr(getattr(sys.stdout, "buffer", None), "lost", None)
    return None if lost is None or lost.errno == errno.EPIPE else lost


def console(*, stderr: bool = False) -> Console:
    """A console for tables and progress, on which texts of users are texts: they steer no terminal."""
    made = Console(stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)
    if made.width < LEAST_WIDTH:
        made.width = LEAST_WIDTH
    made.push_render_hook(_PrintableTexts())
    return made


class _PrintableTexts(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Printable(one) for one in renderables]


class _Printable:
    """Something to render, whose texts hold nothing but what is printed."""

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        return _printable_segments(console.render(self._inner, options))


def _printable_segments(segments: Iterable[Segment]) -> Iterable[Segment]:
    for text, style, control in segments:
        yield Segment(text if control else printable(text, len(text)), style, control)
