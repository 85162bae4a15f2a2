"""A board: sshd with its sessions, a disk of its own, and what can befall them.

Where this process is root (CI is), the board has namespaces of its own: processes, host name and mounts are
its own and go away with it, also where this process is killed. Elsewhere it is sshd and a folder, and its
disk cannot be filled.
"""

import contextlib
import errno
import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time
import uuid
from pathlib import Path

import psutil
import yaml

from .access import Access, make_key

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


class Board:
    """A device behind ssh on a port of loopback. Start it with `with`; the subclasses say what runs there.

    `access` points the product at it (`access.path` is the PATH to use), `home` is the login directory as
    seen from this machine, `commands()` what was asked of it so far.
    """

    python = "python3"
    architecture = "x86-64"
    instruction_sets = ("avx2",)
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

    def __enter__(self) -> "Board":
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
        self.new_host_key(known=True)
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        if self._holder:
            _end(self._holder)

    def _folders(self) -> str:
        return "mkdir -p " + " ".join(str(self._disk / name) for name in ("home", "tmp", "run"))

    def up(self, *, known: bool = True) -> None:
        """Boots: sshd listens on the board's port."""
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
        (self.folder / "boot_id").write_text(f"{uuid.uuid4()}\n")
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

    # What one sees of it.

    @property
    def home(self) -> Path:
        """The login directory there, as this machine's path."""
        return self._inside(self._disk / "home")

    @property
    def temp(self) -> Path:
        """The directory for temporary files there, as this machine's path."""
        return self._inside(self._disk / "tmp")

    def _inside(self, path: Path) -> Path:
        return Path(f"/proc/{self._holder.pid}/root{path}") if self._holder else path

    def commands(self) -> list[str]:
        """What was asked of the board so far, oldest first ("" is an interactive login)."""
        log = self.folder / "commands"
        return log.read_text().split("\0")[:-1] if log.exists() else []

    def profile(self, **changes: object) -> dict[str, object]:
        """A profile of the board as plain data; `changes` replace its top-level fields."""
        plain = {
            "name": "board",
            "title": "A board behind ssh",
            "cpu": {
                "model": "some",
                "architecture": self.architecture,
                "cores": os.cpu_count(),
                "threads": os.cpu_count(),
                "instruction_sets": list(self.instruction_sets),
                "source": "test",
                "memory_bytes": {"value": "1 GB", "source": "test"},
            },
            "reach": {
                "kind": "ssh",
                "host": "127.0.0.1",
                "port": self.port,
                "user": getpass.getuser(),
                "python": self.python,
            },
        }
        return {**plain, **changes}

    def profile_text(self, **changes: object) -> str:
        """The profile as YAML."""
        return yaml.safe_dump(self.profile(**changes), sort_keys=False)

    def write_profile(self, folder: Path, **changes: object) -> Path:
        """Writes the profile into the folder, under its name."""
        path = folder / f"{self.profile(**changes)['name']}.yaml"
        path.write_text(self.profile_text(**changes))
        return path

    def ask(self, command: str, seconds: float = 60) -> str:
        """What a shell command on the board prints, by ssh as the product does it."""
        asked = [
            self.access.folder / "ssh",
            "-o",
            "BatchMode=yes",
            "-p",
            str(self.port),
            "127.0.0.1",
            command,
        ]
        return subprocess.run(asked, check=True, stdout=subprocess.PIPE, text=True, timeout=seconds).stdout

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

    def working(self) -> list[str]:
        """The command lines of what runs behind ssh at this moment."""
        lines = []
        for process in self._processes(line=False):
            with contextlib.suppress(psutil.Error):
                lines.append(" ".join(process.cmdline()))
        return lines

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Until something that runs there has the text in its command line."""
        end = time.monotonic() + seconds
        while not any(text in line for line in self.working()):
            assert time.monotonic() < end, f"{text} was not seen in {seconds} s"
            time.sleep(0.02)

    # What may befall it.

    def cut(self) -> None:
        """The ssh line of all connections breaks; the board goes on."""
        _signal(self._processes(work=False), signal.SIGKILL)

    def kill_work(self) -> None:
        """What runs behind ssh is killed (as by the board's own out-of-memory killer); the line lives."""
        _signal(self._processes(line=False), signal.SIGKILL)

    def hang(self, what: str = "all") -> None:
        """Nothing moves any more: "work" (ssh still answers), "line" (ssh does not), or "all", the listening
        sshd with it: who connects waits for its banner.
        """
        _signal(self._processes(line=what != "work", work=what != "line"), signal.SIGSTOP)
        if what == "all":
            self._tell_sshd(signal.SIGSTOP)

    def resume(self) -> None:
        """What hung goes on."""
        self._tell_sshd(signal.SIGCONT)
        _signal(self._processes(), signal.SIGCONT)

    def reboot(self, seconds_down: float = 1.0, *, lose_temp: bool = True, wait: bool = True) -> None:
        """Down, and up again after a while, temporary files gone; `wait=False` returns while it is down."""
        self.down()
        if lose_temp:
            for folder in (self.temp, self._inside(self._disk / "run")):
                for entry in folder.iterdir():
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        if wait:
            time.sleep(seconds_down)
            self.up()
        else:
            timer = threading.Timer(seconds_down, self.up)
            timer.daemon = True
            timer.start()

    def fill_disk(self, leave_bytes: int = 0) -> None:
        """Home and temporary files have so many bytes left: writing more fails with ENOSPC. Needs root."""
        assert self._holder, "only root can mount a disk of the board's own"
        with (self._inside(self._disk) / "filler").open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 20))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            file.truncate(max(0, file.tell() - leave_bytes))

    def free_disk(self) -> None:
        """There is space again."""
        (self._inside(self._disk) / "filler").unlink(missing_ok=True)

    def new_host_key(self, *, known: bool = False) -> None:
        """Another host key, as after a new system image; `known`: the user has accepted it."""
        make_key(self.folder / "host")
        if known:
            self.access.know(self.port, self.folder / "host")
        if self._boot:
            self._reload()

    def say_at_login(self, text: str) -> None:
        """The login shell prints this before every command."""
        self.greeting = text
        self._write_session()

    def set(self, **variables: str) -> None:
        """Variables of the sessions from now on, such as QEMU_CPU="max"."""
        self.variables.update(variables)
        self._write_session()

    def ask_for_a_password(self, really: bool = True) -> None:
        """New connections are asked for a password; keys count no more."""
        self._password_only = really
        self._reload()

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


def _signal(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def _end(process: "subprocess.Popen[str]") -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
