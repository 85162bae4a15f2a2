"""How a runner is started: here as a child of this process, or on a device behind OpenSSH."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from ...profiles.errors import InternalError, UserError

# Libraries that start threads of their own read these once, when they are loaded.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_QUIET = {**dict.fromkeys(THREAD_VARIABLES, "1"), "PYTHONUNBUFFERED": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}

# Without its warnings and banners, what ssh says is why it ends.
_SSH_OPTIONS = ("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=15", "LogLevel=ERROR")

# Registers the package from its own directory, whatever that is called, and takes the working directory off
# the search path: a user's `random.py` beside the study must not replace the standard library's.
_BOOT = """
import importlib.util, json, sys
package, path = json.loads(sys.argv[1])
sys.argv[:2] = ["paretune-runner"]
sys.path[:1] = []
sys.path += [entry for entry in path if entry not in sys.path]
spec = importlib.util.spec_from_file_location(
    "paretune", package + "/__init__.py", submodule_search_locations=[package]
)
module = importlib.util.module_from_spec(spec)
sys.modules["paretune"] = module
spec.loader.exec_module(module)
from paretune.backends.runner.serve import main
main(sys.argv[1:])
"""


class Launch(Protocol):
    """How to start a runner. `shares_files`: the runner sees this machine's file system."""

    @property
    def device(self) -> str:
        """What messages call the device."""

    @property
    def by_hand(self) -> str:
        """The command by which a person tries the line to the device."""

    @property
    def shares_files(self) -> bool:
        """Whether paths of this machine mean the same to the runner."""

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The command line that starts a runner with these arguments."""

    def environment(self) -> dict[str, str]:
        """Environment variables of that command."""


@dataclass(frozen=True, kw_only=True)
class LocalLaunch:
    """A child of this process under the same interpreter, with the same package and search path.

    `variables` are set in the child's environment, on top of this process's.
    """

    device: ClassVar[str] = "this machine"
    by_hand: ClassVar[str] = ""
    shares_files: ClassVar[bool] = True
    variables: Mapping[str, str] | None = None
    path: tuple[str, ...] = ()

    def command(self, arguments: Sequence[str]) -> list[str]:
        package = str(Path(__file__).resolve().parent.parent.parent)
        path = [*self.path, *(str(Path(entry).resolve()) for entry in sys.path)]
        return [sys.executable, "-c", _BOOT, json.dumps([package, path]), *arguments]

    def environment(self) -> dict[str, str]:
        """This process's variables, one thread for libraries loaded before the model is opened."""
        return {**os.environ, **_QUIET, **(self.variables or {})}


@dataclass(frozen=True, kw_only=True)
class SshLaunch:
    """A runner on a device that OpenSSH reaches without a password; `paretune` is installed there.

    `python` is the interpreter on the device, `workdir` the directory for files (made if it is missing;
    empty: the device's temporary directory), `ssh` the client's program. Everything else (keys, jumps)
    belongs in the user's ssh settings.
    """

    shares_files: ClassVar[bool] = False
    host: str
    user: str = ""
    port: int | None = None
    python: str = "python3"
    workdir: str = ""
    ssh: str = "ssh"

    @property
    def device(self) -> str:
        return f"{self.user}@{self.host}" if self.user else self.host

    @property
    def by_hand(self) -> str:
        return shlex.join(["ssh", *self._port, self.device])

    @property
    def _port(self) -> list[str]:
        return ["-p", str(self.port)] if self.port else []

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The ssh command line. The remote shell gives way to the runner, so that a lost line ends it."""
        variables = [f"{name}={value}" for name, value in _QUIET.items()]
        if self.workdir:
            arguments = [*arguments, "--directory", "."]
        remote = shlex.join(
            ["exec", "env", *variables, self.python, "-m", "paretune.backends.runner", *arguments]
        )
        if self.workdir:
            folder = shlex.quote(self.workdir.removeprefix("~/"))  # it starts in the login directory
            remote = f"mkdir -p {folder} && cd {folder} && {remote}"
        return self.remote(remote)

    def remote(self, command: str) -> list[str]:
        """The ssh command line that gives a command to the login shell there."""
        options = [part for option in _SSH_OPTIONS for part in ("-o", option)]
        # Nothing that follows the dashes is taken for an option.
        return [self.ssh, "-T", *options, *self._port, "--", self.device, command]

    def environment(self) -> dict[str, str]:
        """This process's variables: ssh needs its agent's."""
        return dict(os.environ)


class _Reach(Protocol):
    @property
    def kind(self) -> str: ...


class _Reachable(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def reach(self) -> _Reach: ...


def launch_for(profile: _Reachable) -> Launch:
    """How to start a runner on the profile's device.

    Raises:
        UserError: the profile does not say how its device is reached.
        InternalError: `profile.reach` is of a kind that this module does not know.
    """
    reach = profile.reach
    if reach.kind == "local":
        return LocalLaunch()
    if reach.kind == "none":
        raise UserError(
            f"nothing can be measured on {profile.name}: its profile does not say how it is reached",
            accepted="`reach: {kind: local}`, or `reach: {kind: ssh, host: ...}`",
            remedy="copy the profile and add `reach`, or use `paretune plan`, which measures nothing",
        )
    if reach.kind != "ssh":
        raise InternalError(f"no transport for devices reached by {reach.kind!r}")
    given = {name: getattr(reach, name, None) for name in ("host", "user", "port", "python", "workdir")}
    return SshLaunch(**{name: value for name, value in given.items() if value})
