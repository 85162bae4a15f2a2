"""A board: how the product is pointed at it, what can be seen of it, and what can befall it."""

import contextlib
import errno
import getpass
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import psutil
import yaml

from .access import make_key
from .machine import ROOT, Machine, exports, free_port, send

__all__ = ["ROOT", "Board", "exports", "free_port"]


class Board(Machine):
    """A device behind ssh on a port of loopback. Start it with `with`; the subclasses say what runs there.

    `access` points the product at it (`access.path` is the PATH to use), `home` is the login directory as
    seen from this machine, `commands()` what was asked of it so far.
    """

    python = "python3"
    architecture = "x86-64"
    instruction_sets = ("avx2",)
    # What one sees of it.

    @property
    def home(self) -> Path:
        """The login directory there, as this machine's path."""
        return self._inside(self._disk / "home")

    @property
    def temp(self) -> Path:
        """The directory for temporary files there, as this machine's path."""
        return self._inside(self._disk / "tmp")

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
        send(self._processes(work=False), signal.SIGKILL)

    def kill_work(self) -> None:
        """What runs behind ssh is killed (as by the board's own out-of-memory killer); the line lives."""
        send(self._processes(line=False), signal.SIGKILL)

    def hang(self, what: str = "all") -> None:
        """Nothing moves any more: "work" (ssh still answers), "line" (ssh does not), or "all", the listening
        sshd with it: who connects waits for its banner.
        """
        send(self._processes(line=what != "work", work=what != "line"), signal.SIGSTOP)
        if what == "all":
            self._tell_sshd(signal.SIGSTOP)

    def resume(self) -> None:
        """What hung goes on."""
        self._tell_sshd(signal.SIGCONT)
        send(self._processes(), signal.SIGCONT)

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
