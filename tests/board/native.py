"""A board of this machine's own kind: its Python, in an empty home. Starts in well under a second."""

import os
import subprocess
import sys
from pathlib import Path

from paretune.profiles.devices.machine import read_machine

from .access import Access
from .board import Board, exports


class NativeBoard(Board):
    """`bare`: an interpreter with the standard library alone. Otherwise `python3` there has this
    environment's packages: Paretune, numpy, the runtimes.
    """

    def __init__(self, folder: Path, access: Access | None = None, *, bare: bool = False, **rest) -> None:
        super().__init__(folder, access, **rest)
        self.bare = bare
        programs = Path(sys.executable).parent
        if bare:
            # Links to this interpreter's base; without pip it is made in a tenth of a second.
            base = Path(sys.base_prefix) / "bin" / "python3"
            subprocess.run([base, "-m", "venv", "--without-pip", folder / "python"], check=True)
            programs = folder / "python" / "bin"
        facts = read_machine()
        self.architecture, self.instruction_sets = facts.architecture, facts.instruction_sets
        temp = self._disk / "tmp"
        self.variables = {
            "HOME": str(self._disk / "home"),
            "TMPDIR": str(temp),
            "PARETUNE_LEASE_DIR": str(self._disk / "run"),  # this machine's own is not for it
            "PATH": f"{programs}{os.pathsep}/usr/local/bin:/usr/bin:/bin",
            "USER": "root",
            "SHELL": "/bin/sh",
            "LANG": "C.UTF-8",
        }

    def session(self) -> str:
        return (
            f"cd {self._disk}/home\n"
            f'exec env -i {exports(self.variables)} /bin/sh -c "${{SSH_ORIGINAL_COMMAND:-exec /bin/sh -i}}"'
        )
