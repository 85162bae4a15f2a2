"""The Python of another environment on this machine: found, and asked whether a runner can start under it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...backends.runner.boot import LEAST_PYTHON
from ...backends.runner.launch import LocalLaunch
from ...profiles.errors import UserError
from ...profiles.words import one_line

_PLACES = ("bin/python", "bin/python3", "python.exe", "Scripts/python.exe")
_ASK_S = 120.0
_MARK = "paretune-environment "
_LEAST = ".".join(map(str, LEAST_PYTHON))
# Any Python reads this, also one that is too old. What lies in the working directory is none of its packages.
_SCRIPT = f"""
import sys
sys.path[:1] = []
import json
facts = dict(version=list(sys.version_info[:3]), prefix=sys.prefix)
try:
    import numpy
    facts["numpy"] = numpy.__version__
except BaseException as error:
    facts["lacks"] = type(error).__name__ + ": " + str(error)
sys.stdout.write(chr(10) + {_MARK!r} + json.dumps(facts) + chr(10))
"""


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python of this machine that can start a runner: its program, what the user called it, its version."""

    python: str
    called: str
    version: str

    @property
    def pip(self) -> str:
        """The command that installs into its environment, without what."""
        return f"{self.python} -m pip install"

    def launch(self) -> LocalLaunch:
        """How runners are started under it. Code of the user's own is found there as it is here."""
        return LocalLaunch(python=self.python, path=_own_code())


def interpreter(named: str) -> Interpreter:
    """The Python of an environment, by its program or its folder.

    Raises:
        UserError: there is none, it does not run, it is too old or has no numpy, or it is this one.
    """
    program = _program(named)
    facts = _asked(program, named)
    version = ".".join(map(str, facts["version"]))
    if tuple(facts["version"]) < LEAST_PYTHON:
        raise UserError(
            "the Python of this environment is too old for our runner",
            place=f"--python {named}",
            found=f"Python {version}",
            accepted=f"Python {_LEAST} or later",
            remedy=f"make the environment with a later one: python{_LEAST} -m venv FOLDER",
        )
    if os.path.realpath(str(facts["prefix"])) == os.path.realpath(sys.prefix):
        raise UserError(
            "this is the environment that paretune itself runs in: there is nothing to compare",
            place=f"--python {named}",
            found=str(facts["prefix"]),
            accepted="another environment, with another version of the runtime",
            remedy="make one: python3 -m venv FOLDER; FOLDER/bin/pip install numpy RUNTIME==VERSION",
        )
    found = Interpreter(python=str(program), called=named, version=version)
    if "numpy" not in facts:
        raise UserError(
            "the runner needs numpy, and this environment has none that loads",
            place=f"--python {named}",
            found=one_line(str(facts.get("lacks", "")), 300),
            remedy=f"{found.pip} numpy",
        )
    return found


def _program(named: str) -> Path:
    on_path = shutil.which(named) if named and os.sep not in named else None
    # Not resolved: a link is how an environment is known.
    path = Path(named if Path(named).is_dir() else on_path or named).expanduser().absolute()
    found = [path] if path.is_file() else [path / place for place in _PLACES if (path / place).is_file()]
    if not found:
        raise UserError(
            "there is no Python",
            place=f"--python {named}",
            found=_in_place_of_it(path),
            accepted="the folder of a virtual environment, or the path of its Python (FOLDER/bin/python)",
        )
    return found[0]


def _in_place_of_it(path: Path) -> str:
    gone = next((path / place for place in _PLACES if (path / place).is_symlink()), None)
    if gone is not None:
        return f"{gone} leads to {os.readlink(gone)}, which is gone"  # noqa: PTH115 - as it is written
    if path.is_dir():
        return f"a folder without {_PLACES[0]}"
    return "nothing there" if not os.path.lexists(path) else "a link that leads nowhere"


def _asked(program: Path, named: str) -> Mapping[str, Any]:
    """What the Python says of itself."""
    try:
        done = subprocess.run(
            [str(program), "-c", _SCRIPT],
            env=dict(LocalLaunch(python=str(program)).environment()),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ASK_S,
        )
    except subprocess.TimeoutExpired as error:
        raise _no_python(named, f"no answer within {_ASK_S:g} s") from error
    except OSError as error:
        raise _no_python(named, error.strerror or str(error)) from error
    said = done.stdout.decode(errors="replace").splitlines()
    told = next((line.removeprefix(_MARK) for line in said if line.startswith(_MARK)), "")
    try:
        facts = json.loads(told)
        return {**facts, "version": [int(part) for part in facts["version"]]}
    except (ValueError, LookupError, TypeError) as error:
        words = done.stderr.decode(errors="replace").strip().splitlines() or said
        raise _no_python(
            named, one_line(words[-1], 300) if words else f"exit status {done.returncode}"
        ) from error


def _no_python(named: str, found: str) -> UserError:
    return UserError(
        "this is no Python that runs",
        place=f"--python {named}",
        found=found,
        accepted="the folder of a virtual environment, or the path of its Python (FOLDER/bin/python)",
    )


def _own_code() -> tuple[str, ...]:
    """Where modules are looked for that belong to no environment: beside the study file, say."""
    environment = {os.path.realpath(prefix) for prefix in (sys.prefix, sys.base_prefix)}
    found = [os.path.realpath(entry) for entry in sys.path if entry]
    return tuple(
        entry
        for entry in found
        if not any(f"{entry}/".startswith(f"{prefix}/") for prefix in environment)
        and not any(Path(entry).glob("*.dist-info"))  # packages that were installed, be it elsewhere
    )
