"""The user's cache folder: what can be measured again at any time."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path | None:
    """paretune in $XDG_CACHE_HOME or ~/.cache. None where the user has no home: none by HOME, none by the
    system's list of users, or a relative one."""
    named, home = os.environ.get("XDG_CACHE_HOME") or "", os.path.expanduser("~")  # noqa: PTH111 - never raises
    base = Path(named) if Path(named).is_absolute() else Path(home) / ".cache"
    return base / "paretune" if base.is_absolute() else None
