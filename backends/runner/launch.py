"""How a runner is started: here as a child of this process, or on a device behind OpenSSH."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from ...profiles.errors import InternalError, UserError
from . import boot

# Libraries that start threads of their own read these once, when they are loaded.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_QUIET = {**dict.fromkeys(THREAD_VARIABLES, "1"), "PYTHONUNBUFFERED": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}

_OF_AN_INTERPRETER = ("PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__")
"""Variables that would lead another interpreter to the packages of this one."""

# ssh's own, whatever its settings say. Where nothing comes back for a minute, the line is lost.
_SSH_OPTIONS = (
    "BatchMode=yes",
    "ConnectTimeout=10",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=3",
    "LogLevel=INFO",  # below that some of the reasons why it ends are missing
)


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

    `variables` are set in the child's environment, on top of this process's. `python` is another interpreter
    of this machine: it has this package and what is installed there, and of what is here only `path`.
    """

    device: ClassVar[str] = "this machine"
    by_hand: ClassVar[str] = ""
    shares_files: ClassVar[bool] = True
    variables: Mapping[str, str] | None = None
    path: tuple[str, ...] = ()
    python: str = ""

    def command(self, arguments: Sequence[str]) -> list[str]:
        package = str(Path(__file__).resolve().parent.parent.parent)
        ours = () if self.python else sys.path
        path = [*self.path, *(str(Path(entry).resolve()) for entry in ours)]
        return [self.python or sys.executable, "-c", boot.HERE, json.dumps([package, path]), *arguments]

    def environment(self) -> dict[str, str]:
        """This process's variables, one thread for libraries loaded before the model is opened."""
        theirs = _OF_AN_INTERPRETER if self.python else ()
        kept = {name: value for name, value in os.environ.items() if name not in theirs}
        return {**kept, **_QUIET, **(self.variables or {})}


@dataclass(frozen=True, kw_only=True)
class SshLaunch:
    """A runner on a device that OpenSSH reaches without a password.

    `python` is the interpreter on the device, `workdir` the directory for files (made if it is missing;
    empty: the device's temporary directory), `prepared` the set of `devices setup` that the runner starts
    from (empty: the one that it switched to last; where there is none, `paretune` is installed there), `ssh`
    the client's program, `profile` what messages call the device (empty: its address). Everything else
    (keys, jumps) belongs in the user's ssh settings.
    """

    shares_files: ClassVar[bool] = False
    host: str
    user: str = ""
    port: int | None = None
    python: str = "python3"
    workdir: str = ""
    prepared: str = ""
    ssh: str = "ssh"
    profile: str = field(default="", compare=False)

    @property
    def device(self) -> str:
        return self.profile or self.address

    @property
    def address(self) -> str:
        """What ssh calls the device."""
        return f"{self.user}@{self.host}" if self.user else self.host

    @property
    def by_hand(self) -> str:
        return shlex.join(["ssh", *self._port, self.address])

    @property
    def key_forgotten(self) -> str:
        """The command that forgets the host key of the device."""
        name = f"[{self.host}]:{self.port}" if self.port and self.port != 22 else self.host
        return shlex.join(["ssh-keygen", "-R", name])

    @property
    def _port(self) -> list[str]:
        return ["-p", str(self.port)] if self.port else []

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The ssh command line. The remote shell gives way to the runner, so that a lost line ends it."""
        variables = [f"{name}={value}" for name, value in _QUIET.items()]
        if self.workdir:
            arguments = [*arguments, "--directory", "."]
        # A path is relative to the login directory, also as a shell would write it.
        started = boot.there(self.workdir.removeprefix("~/"), self.prepared)
        return self.remote(shlex.join(["exec", "env", *variables, self.python, *started, *arguments]))

    def remote(self, command: str) -> list[str]:
        """The ssh command line that gives a command to the login shell there."""
        options = [part for option in _SSH_OPTIONS for part in ("-o", option)]
        # Nothing that follows the dashes is taken for an option.
        return [self.ssh, "-T", *options, *self._port, "--", self.address, command]

    def environment(self) -> dict[str, str]:
        """This process's variables: ssh needs its agent's. What ssh and the shells there say is English."""
        found = {name: value for name, value in os.environ.items() if name not in ("LC_ALL", "LANGUAGE")}
        if os.environ.get("LC_ALL"):
            found["LC_CTYPE"] = os.environ["LC_ALL"]
        return {**found, "LC_MESSAGES": "C"}


class _Reach(Protocol):
    @property
    def kind(self) -> str: ...


class _Reachable(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def reach(self) -> _Reach: ...


def launch_for(profile: _Reachable, called: str = "") -> Launch:
    """How to start a runner on the profile's device, which messages call so (empty: as the profile).

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
    return SshLaunch(
        **{name: value for name, value in given.items() if value}, profile=called or profile.name
    )
