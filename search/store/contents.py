"""All that lies in a store, told from the folders and manifests alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .manifest import CorruptEntryError, read_manifest
from .trouble import reading
from .uses import last_use

KEY = re.compile(r"[0-9a-f]{64}")
_STAGE = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An entry of the store. `used`: when it was made or last asked for. `made_from` are the keys, of entries
    or of other things, that its provenance names at the top; none where its manifest cannot be read."""

    stage: str
    key: str
    size_bytes: int
    used: float
    made_from: Mapping[str, str]


def contents(root: Path) -> Iterator[Stored]:
    """Every entry of the store at `root`.

    Raises:
        UserError: a folder of it cannot be read.
    """
    with reading(root):
        for stage in stages_of(root):
            for path in sorted(stage.iterdir()):
                if KEY.fullmatch(path.name):
                    yield Stored(
                        stage=stage.name,
                        key=path.name,
                        size_bytes=size_of(path),
                        used=last_use(root, stage.name, path.name),
                        made_from=_keys_in(path, stage.name),
                    )


def stages_of(root: Path) -> list[Path]:
    """The folders of a store's stages.

    Raises:
        OSError: it cannot be read.
    """
    return [path for path in sorted(root.iterdir()) if _STAGE.fullmatch(path.name) and path.is_dir()]


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder, as far as they can be seen."""
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(f"{at}/{name}").st_size
    return total


def _keys_in(path: Path, stage: str) -> Mapping[str, str]:
    try:
        provenance: Mapping[str, Any] = read_manifest(path, stage, path.name).provenance
    except CorruptEntryError:
        return {}
    found = ((name, value) for name, value in provenance.items() if isinstance(value, str))
    return {name: value for name, value in found if KEY.fullmatch(value)}
