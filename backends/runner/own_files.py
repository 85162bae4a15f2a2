"""The files of a runner: a folder that goes with it, and what is said where there is no room for them."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

from ...profiles.files import folder_aside, says_full, takes_more

_NAME = "paretune-runner"


class NoRoomError(Exception):
    """No space is left in a folder, which has so many bytes free (quotas show in no other way)."""

    def __init__(self, folder: Path, free_bytes: int) -> None:
        self.folder, self.free_bytes = folder, free_bytes
        super().__init__(f"no space is left in {folder}, {free_bytes} bytes are free")


class OwnFiles:
    """Folders of one runner's own, below `parent` (None: where temporary files are).

    On a device, where `parent` is given, temporary files of runtimes lie there as well. A runner holds a lock
    on its folder as long as it lives, so that the next one removes what a kill left (`profiles/files.py`).
    """

    def __init__(self, parent: str | None) -> None:
        self._on_device = parent is not None
        self._parent = Path(parent if parent is not None else tempfile.gettempdir())
        self._all: Path | None = None
        self._kept = ExitStack()

    def folder(self) -> Path:
        """A new one."""
        if self._all is None:
            self._all = self._kept.enter_context(folder_aside(self._parent, _NAME))
            if self._on_device:
                tempfile.tempdir = os.environ["TMPDIR"] = str(self._all)
        return Path(tempfile.mkdtemp(dir=self._all))

    def clear(self) -> None:
        """Remove all of them."""
        with suppress(Exception):  # another thread may be at it
            self._kept.close()

    def check_room(self, error: BaseException) -> None:
        """Look whether an error on a device is about space: native libraries have words of their own for it.

        Raises:
            NoRoomError: it is.
        """
        if not self._on_device:
            return
        full = [folder for folder in (self._parent, Path(tempfile.gettempdir())) if not takes_more(folder)]
        if not full and says_full(error):
            named = getattr(error, "filename", None)
            where = Path(os.fsdecode(named)).parent if named else self._parent
            full = [where if where.is_dir() else self._parent]
        if full:
            raise NoRoomError(full[0], shutil.disk_usage(full[0]).free) from error
