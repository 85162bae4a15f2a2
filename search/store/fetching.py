"""An entry of the object store, brought to this machine and checked.

What does not come whole may have been damaged on its way, or by this machine. An entry is taken out there,
for all machines, only where it is proven that it is damaged there.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from ...profiles.errors import UserError
from ...profiles.files import sha256_of
from .listing import manifest_name
from .manifest import MANIFEST, CorruptEntryError, StoredFile, UnusableHereError, check_file, manifest_of
from .objects import Objects
from .work import is_inside

_TRIES = 2
_log = logging.getLogger(__name__)


def fetch_entry(objects: Objects, stage: str, key: str, aside: Path) -> bool:
    """Bring an entry into the folder `aside`; False where there is none, or none that can be used here. One
    that is damaged there is taken out, so that it is made again.

    Raises:
        UserError: the object store cannot be asked.
        OSError: `aside` cannot be written or read, or is gone.
    """
    name = manifest_name(stage, key)
    text = objects.read(name)
    if text is None:
        return False
    try:
        for file, facts in manifest_of(text, stage, key).files.items():
            if not is_inside(file) or file == MANIFEST:
                raise CorruptEntryError(f"{file} is no name of a file")
            _fetch(objects, f"files/{stage}/{key}/{facts.sha256}/{file}", aside, file, facts)
    except UnusableHereError as why:
        _log.warning("store: %s %s cannot be used here, it stays there: %s", stage, key[:12], why)
        return False
    except CorruptEntryError as damage:
        _log.warning("store: %s %s is damaged (%s): it is taken out there", stage, key[:12], damage)
        with suppress(UserError):  # who may only read leaves it to others
            if objects.read(name) == text:  # and it was not this machine that read it wrongly
                objects.remove(name)
        return False
    (aside / MANIFEST).write_bytes(text)
    return True


def _fetch(objects: Objects, source: str, aside: Path, file: str, facts: StoredFile) -> None:
    to = aside / file
    to.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(_TRIES):
        if not objects.download(source, to):
            raise CorruptEntryError(f"{file} is not there")
        with suppress(CorruptEntryError):
            check_file(aside, file, facts)
            return
    there = objects.sha256(source)  # as it comes over the line, past this machine's disk
    with to.open("rb") as fetched:
        here = sha256_of(fetched)
    if there is None or (there == here and there != facts.sha256):
        raise CorruptEntryError(f"{file} was changed")
    raise UnusableHereError(f"{file} is another each time it is read: see to this machine's memory and disk")
