"""How the product is pointed at boards: one key and one `ssh` that knows the boards of this process."""

import os
import shutil
import subprocess
from pathlib import Path


class Access:
    """A user's key, an ssh configuration and a program `ssh` that reads it, for any number of boards.

    The program is to be first in PATH (`path`). It sets defaults alone: what the product says on ssh's
    command line counts, as with a configuration of the user's own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_key(folder / "user")
        (folder / "config").write_text(
            f"IdentityFile {folder}/user\nIdentitiesOnly yes\nIdentityAgent none\nControlPath none\n"
            f"UserKnownHostsFile {folder}/known.%p\nGlobalKnownHostsFile /dev/null\nUpdateHostKeys no\n"
        )
        self.program("ssh", f'exec {shutil.which("ssh")} -F {folder}/config "$@"')

    @property
    def path(self) -> str:
        """PATH with this `ssh` first."""
        return f"{self.folder}{os.pathsep}{os.environ['PATH']}"

    def program(self, name: str, body: str) -> None:
        """Puts a shell script of that name first in PATH."""
        script = self.folder / name
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)

    def know(self, port: int, host_key: Path) -> None:
        """Takes the host key for that of the board on the port."""
        kind, key = host_key.with_suffix(".pub").read_text().split()[:2]
        (self.folder / f"known.{port}").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")

    def forget(self, port: int) -> None:
        """The board on the port has never been seen."""
        (self.folder / f"known.{port}").unlink(missing_ok=True)


def make_key(path: Path) -> None:
    """A fresh key pair in the place of what is there."""
    path.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
