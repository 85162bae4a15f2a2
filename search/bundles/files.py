"""What stands in a bundle's folder: one of ours, whole or damaged, or something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...profiles.files import file_inside, open_regular, sha256_of

MANIFEST = "manifest.json"
_MOST_BYTES = 2**28


def is_bundle(folder: Path) -> bool:
    """Whether a folder was written by us, if only by what its manifest says."""
    return bool(_manifest(folder))


def is_whole(folder: Path) -> bool:
    """Whether a bundle's files are those that were written."""
    manifest = _manifest(folder)
    files = manifest.get("files")
    if not isinstance(files, dict) or manifest["artifact"] not in list(files):
        return False
    return all(_is(folder, name, said) for name, said in files.items())


def ended_of(folder: Path) -> str:
    """The end of the study that a bundle is of; empty where its manifest does not say."""
    return str(_manifest(folder).get("ended", ""))


def _manifest(folder: Path) -> dict[str, Any]:
    """Its manifest; empty where there is none that says it is a bundle's."""
    try:
        with open_regular(file_inside(folder, MANIFEST)) as file:
            found = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    ours = isinstance(found, dict) and {"format", "paretune", "artifact"} <= set(found)
    return found if ours else {}


def _is(folder: Path, name: str, said: Any) -> bool:
    try:
        with open_regular(file_inside(folder, name)) as file:
            return bool(sha256_of(file) == said["sha256"])
    except (OSError, LookupError, TypeError):
        return False
