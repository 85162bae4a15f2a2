"""The machine that a board is: sshd with its sessions, and a disk of its own.

Where this process is root (CI is), the board has namespaces of its own: processes, host name and mounts are
its own and go away with it, also where this process is killed. Elsewhere it is sshd and a folder, and its
disk cannot be filled.
"""

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
import uuid
from pathlib import Path
from typing import TypeVar

import psutil

from .access import Access, make_key

M = TypeVar("M", bound="Machine")
ROOT = os.geteuid() == 0
_SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
# Ends, and all that lives in its namespace with it, when whoever started it closes the pipe or dies.
_UNTIL_EOF = "while read -r line; do :; done"
_HOLD = f"""
mount -t tmpfs -o size=$0,mode=755 board $1 || exit 1
eval "$2" || exit 1
echo ready
{_UNTIL_EOF}"""
_BOOT = f"""
mount -t proc proc /proc && mount --bind $2/boot_id /proc/sys/kernel/random/boot_id
echo $0 > /proc/sys/kernel/hostname
eval "$3"
$1 -D -e -f $2/sshd_config 2>> $2/sshd.log &
{_UNTIL_EOF}"""


# The login shell is this machine's: what its user's profile does (pyenv holds a lock, which a kill leaves) is
# not the board's.
_NO_PROFILE = (
    'for rc in "$HOME/.bashrc" /etc/bash.bashrc; do [ ! -e "$rc" ] || mount --bind /dev/null "$rc"; done'
)


class Machine:
    """sshd on a port of loopback; subclasses say what its sessions run. It is up inside `with`."""

    greeting = ""

    def __init__(
        self, folder: Path, access: Access | None = None, *, port: int = 0, disk_mb: int = 1024
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.access = access or Access(folder / "access")
        self.port = port or free_port()
        self.disk_mb = disk_mb
        self.variables: dict[str, str] = {}
        self._disk = folder / "disk"
        self._holder: subprocess.Popen[str] | None = None
        self._boot: subprocess.Popen[str] | None = None
        self._password_only = False

    # What the subclasses say.

    def session(self) -> str:
        """Shell text that ends in running `$SSH_ORIGINAL_COMMAND` on the board, with `self.variables`."""
        raise NotImplementedError

    def mounts(self) -> str:
        """Shell text that mounts what lasts as long as the board."""
        return ""

    def boot_mounts(self) -> str:
        """Shell text that mounts what lasts until the next reboot."""
        return ""

    # Its life.

    def __enter__(self: M) -> M:
        assert Path(_SSHD).exists(), "OpenSSH's server is needed: apt-get install openssh-server"
        self._disk.mkdir(exist_ok=True)
        if ROOT:
            Path("/run/sshd").mkdir(exist_ok=True)  # where sshd of root wants to live
            hold = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", _HOLD]
            self._holder = subprocess.Popen(
                [*hold, f"{self.disk_mb}m", self._disk, f"{self._folders()}\n{_NO_PROFILE}\n{self.mounts()}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,  # Ctrl-C is for whoever holds the board
            )
            assert self._holder.stdout.readline() == "ready\n", "the board's mounts failed"
        else:
            subprocess.run(["/bin/sh", "-c", self._folders()], check=True)
        make_key(self.folder / "host")
        self.access.know(self.port, self.folder / "host")
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        if self._holder:
            _end(self._holder)

    def _folders(self) -> str:
        return "mkdir -p " + " ".join(str(self._disk / name) for name in ("home", "tmp", "run"))

    def up(self) -> None:
        """Boots: sshd listens on the board's port."""
        (self.folder / "boot_id").write_text(f"{uuid.uuid4()}\n")
        self._write()
        if self._holder:
            enter = ["nsenter", "--target", str(self._holder.pid), "--mount"]
            enter += ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child"]
            enter += ["--propagation", "private", "/bin/sh", "-c", _BOOT]
            command = [*enter, type(self).__name__.lower(), _SSHD, self.folder, self.boot_mounts()]
        else:
            command = ["/bin/sh", "-c", f"{_SSHD} -D -e -f {self.folder}/sshd_config & {_UNTIL_EOF}; kill $!"]
        self._boot = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
        self._wait_until_it_listens()

    def down(self) -> None:
        """The plug is pulled: sshd and all that runs there are killed, the port is closed."""
        if self._boot:
            for process in self._processes():
                with contextlib.suppress(psutil.Error):
                    process.kill()
            _end(self._boot)
            self._boot = None

    def _write(self) -> None:
        public = (self.access.folder / "user.pub").read_text()
        (self.folder / "authorized").write_text(public)
        key = "no" if self._password_only else "yes"
        password = "yes" if self._password_only else "no"
        (self.folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\nPidFile none\n"
            f"AuthorizedKeysFile {self.folder}/authorized\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
            f"PubkeyAuthentication {key}\nPasswordAuthentication {password}\n"
            f"KbdInteractiveAuthentication {password}\nMaxStartups 100\nMaxSessions 100\n"
            f"ForceCommand exec {self.folder}/session\n"
        )
        self._write_session()

    def _write_session(self) -> None:
        script = self.folder / "session"
        written = script.with_suffix(".new")  # a session may be starting: it finds one script whole
        log = shlex.quote(str(self.folder / "commands"))
        said = f"printf %s {shlex.quote(self.greeting)}\n" if self.greeting else ""
        written.write_text(
            f'#!/bin/sh\nprintf "%s\\0" "$SSH_ORIGINAL_COMMAND" >> {log}\n{said}{self.session()}\n'
        )
        written.chmod(0o755)
        written.rename(script)

    def _wait_until_it_listens(self) -> None:
        for _ in range(400):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise AssertionError("sshd does not listen: " + (self.folder / "sshd.log").read_text())

    def _inside(self, path: Path) -> Path:
        return Path(f"/proc/{self._holder.pid}/root{path}") if self._holder else path

    def _processes(self, *, line: bool = True, work: bool = True) -> list[psutil.Process]:
        """What runs there, without the listening sshd: ends of ssh lines, the work behind them, or both."""
        if not self._boot or self._boot.poll() is not None:
            return []
        found = psutil.Process(self._boot.pid).children(recursive=True)
        listening = self._listening(found)
        rest = [process for process in found if process.pid not in {*listening, *listening.values()}]
        return [process for process in rest if (line if _is_sshd(process) else work)]

    @staticmethod
    def _listening(found: list[psutil.Process]) -> dict[int, int]:
        """The sshd that listens, with its parent, the board's init."""
        parents = {}
        for process in found:
            with contextlib.suppress(psutil.Error):
                parents[process.pid] = process.ppid()
        sshd = {process.pid for process in found if _is_sshd(process)}
        return {pid: parents[pid] for pid in sshd & set(parents) if parents[pid] not in sshd}

    def _reload(self) -> None:
        """A new sshd with the configuration as it is now; connections that are open stay."""
        self._write()
        self._tell_sshd(signal.SIGHUP)
        time.sleep(0.2)  # it closes its port and opens it again
        self._wait_until_it_listens()

    def _tell_sshd(self, number: int) -> None:
        for pid in self._listening(psutil.Process(self._boot.pid).children(recursive=True)):
            os.kill(pid, number)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def exports(variables: dict[str, str]) -> str:
    """The variables as a shell writes them before a command."""
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())


def _is_sshd(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.name() in ("sshd", "sshd-session")
    return False


def send(processes: list[psutil.Process], number: int) -> None:
    """The signal to each of them that still is there."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def _end(process: "subprocess.Popen[str]") -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
    try:
        process.wait(timeout=100)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
