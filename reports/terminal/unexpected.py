"""An error that nobody foresaw: one message, and a file with what whoever mends it has to know."""

from __future__ import annotations

import platform
import sys
import tempfile
import traceback
from pathlib import Path

from ...profiles.words import one_line


def unexpected(error: BaseException) -> str:
    """What happened, in one message; its traceback stands in a file, or below where none can be written."""
    whole = "".join(traceback.format_exception(error))
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    said = f"internal error, please report it: {type(error).__name__}: {one_line(str(error), 300)}{where}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="paretune-error-", suffix=".txt", encoding="utf-8", errors="replace", delete=False
        ) as file:
            file.write(f"{sys.argv}\nPython {sys.version}\n{platform.platform()}\n\n{whole}")
    except OSError:
        return f"{said}\n{whole}"
    return f"{said}\n  its traceback: {file.name}"
