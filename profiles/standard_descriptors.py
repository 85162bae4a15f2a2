"""Descriptors 0, 1 and 2 of this process, which whoever started it may have closed."""

from __future__ import annotations

import os
import sys


def open_standard_descriptors() -> None:
    """Open on nothing what is closed of standard input, output and error.

    Else the next file opened, the study's database say, would take its place, and libraries would print
    into it.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="replace", closefd=False))  # noqa: SIM115
