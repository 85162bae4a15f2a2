"""Objects to a shared library, for this processor or another one, with equal bytes each time.

A linker alone is enough: a library of TVM's needs no startup files, and what it calls (libm) is in the
process that loads it. So no compiler and no C library for the other processor are needed.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ...profiles.errors import StageError, UnsupportedError
from .processor import this_one

# No build id, no symbols beyond those that are exported: these would be the only bytes that differ.
_OPTIONS = ("-shared", "--build-id=none", "--strip-all", "-z", "noexecstack")
_EMULATION = {"x86-64": "elf_x86_64", "aarch64": "aarch64linux"}
_CROSS = {"x86-64": "x86_64-linux-gnu-ld", "aarch64": "aarch64-linux-gnu-ld"}
_PACKAGES = {"x86-64": "binutils-x86-64-linux-gnu", "aarch64": "binutils-aarch64-linux-gnu"}


def linker_for(architecture: str) -> str:
    """The first linker that is installed here and links for the architecture.

    Raises:
        UnsupportedError: there is none; names the packages.
    """
    own = architecture == this_one().architecture
    programs = (*(("ld",) if own else ()), _CROSS[architecture], "ld.lld")
    found = next(filter(None, map(shutil.which, programs)), None)
    if found is None:
        package = "binutils" if own else _PACKAGES[architecture]
        raise UnsupportedError(
            f"Apache TVM needs a linker for {architecture}, and none of {', '.join(programs)} is installed: "
            f"apt-get install {package} (or lld, which links for every processor)"
        )
    return found


def command_for(architecture: str) -> tuple[str, ...]:
    """The beginning of a command line that links a library.

    Raises:
        UnsupportedError: no linker is installed.
    """
    return (linker_for(architecture), "-m", _EMULATION[architecture], *_OPTIONS)


def link(objects: Sequence[Path], library: Path, architecture: str) -> None:
    """Link objects into a shared library.

    Raises:
        UnsupportedError: no linker is installed.
        StageError: the linker failed.
    """
    command = command_for(architecture)
    done = subprocess.run(
        [*command, "-o", library.name, *(path.name for path in objects)],
        cwd=library.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StageError(
            "compile", f"{Path(command[0]).name} could not link the library", done.stdout + done.stderr
        )
